-- Live view of one run
-- What is a run doing and costing now? The last calls first, of the run with the latest call unless one is named.
WITH chosen AS (
  SELECT coalesce($run, (SELECT arg_max(run, ts) FROM fact_call WHERE $project IS NULL OR project = $project)) AS run
), calls_of_run AS (
  SELECT *, sum(cost) OVER (ORDER BY ts, event_id) AS cost_so_far_usd,
         sum((cost_status = 'unpriced')::INT) OVER (ORDER BY ts, event_id) AS unpriced
  FROM fact_call WHERE run = (SELECT run FROM chosen)
)
SELECT ts, phase, agent, story, step, turn, model, status, round(latency_s, 3) AS latency_s, cost AS cost_usd, cost_so_far_usd, unpriced
FROM calls_of_run
ORDER BY ts DESC, event_id DESC
LIMIT 50
