-- Cost by story
-- What did each story cost, and each of its points? Work that belongs to no story stands in the row without one.
WITH spent AS (
  SELECT project, story, count(*) FILTER (status <> 'cache_hit') AS calls,
         sum(tok_input + tok_cache_read + tok_cache_write) AS tokens_in, sum(tok_output) AS tokens_out,
         coalesce(sum(cost), 0) AS cost_usd, unpriced(cost_status, status) AS unpriced
  FROM calls($project, $run, $since, $until) GROUP BY project, story
)
SELECT project, story, s.title, s.status, s.points, calls, tokens_in, tokens_out, cost_usd,
       (cost_usd / nullif(s.points, 0))::DECIMAL(18,6) AS usd_per_point, unpriced
FROM spent LEFT JOIN dim_story AS s USING (project, story)
ORDER BY cost_usd DESC, project, story
