-- Cost by day and model
-- How many tokens of each class went to which model on which day (UTC), and what did they cost?
SELECT ts::DATE AS day, provider, model, count(*) FILTER (status <> 'cache_hit') AS calls,
       sum(tok_input) AS input, sum(tok_cache_read) AS cache_read, sum(tok_cache_write) AS cache_write,
       sum(tok_output) AS output, coalesce(sum(cost), 0) AS cost_usd, unpriced(cost_status, status) AS unpriced
FROM calls($project, $run, $since, $until)
GROUP BY ALL
ORDER BY day, cost_usd DESC, provider, model
