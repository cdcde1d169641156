-- Latency and reliability
-- How long did each model take, and how often did it fail? Seconds of answered calls; p95 is the slowest twentieth.
WITH measured AS (
  SELECT provider, model, count(*) AS calls, quantile_cont(latency_s, [0.5, 0.95]) FILTER (status = 'ok') AS latency,
         quantile_cont(ttft_s, 0.95) FILTER (status = 'ok') AS first_token,
         round(100.0 * count(*) FILTER (status <> 'ok') / count(*), 2) AS failed_pct,
         count(*) FILTER (http_status = 429) AS rate_limited, count(*) FILTER (http_status = 529) AS overloaded
  FROM calls($project, $run, $since, $until)
  WHERE status <> 'cache_hit'
  GROUP BY provider, model
)
SELECT provider, model, calls, round(latency[1], 3) AS p50_s, round(latency[2], 3) AS p95_s,
       round(first_token, 3) AS first_token_p95_s, failed_pct, rate_limited, overloaded
FROM measured
ORDER BY calls DESC, provider, model
