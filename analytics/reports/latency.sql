-- Latency and reliability
-- How long did each model take, and how often did it fail? Seconds of answered calls; p95 is the slowest twentieth.
SELECT provider, model, count(*) AS calls,
       round(quantile_cont(latency_s, 0.5) FILTER (status = 'ok'), 3) AS p50_s,
       round(quantile_cont(latency_s, 0.95) FILTER (status = 'ok'), 3) AS p95_s,
       round(quantile_cont(ttft_s, 0.95) FILTER (status = 'ok'), 3) AS first_token_p95_s,
       round(100.0 * count(*) FILTER (status <> 'ok') / count(*), 2) AS failed_pct,
       count(*) FILTER (http_status = 429) AS rate_limited, count(*) FILTER (http_status = 529) AS overloaded
FROM calls($project, $run, $since, $until)
WHERE status <> 'cache_hit'
GROUP BY provider, model
ORDER BY calls DESC, provider, model
