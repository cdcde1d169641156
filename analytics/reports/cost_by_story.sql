-- Cost by story
-- What did each story cost, and each of its points? Work that belongs to no story stands in the row without one.
SELECT c.project, c.story, any_value(s.title) AS title, any_value(s.status) AS status, any_value(s.points) AS points,
       count(*) FILTER (c.status <> 'cache_hit') AS calls,
       sum(c.tok_input + c.tok_cache_read + c.tok_cache_write) AS tokens_in, sum(c.tok_output) AS tokens_out,
       coalesce(sum(c.cost), 0) AS cost_usd,
       (sum(c.cost) / nullif(any_value(s.points), 0))::DECIMAL(18,6) AS usd_per_point,
       unpriced(c.cost_status, c.status) AS unpriced
FROM calls($project, $run, $since, $until) AS c LEFT JOIN dim_story AS s USING (project, story)
GROUP BY c.project, c.story
ORDER BY cost_usd DESC, c.project, c.story
