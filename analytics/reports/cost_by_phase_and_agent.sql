-- Cost by phase and agent
-- What did each agent cost in each phase?
SELECT phase, agent, count(*) FILTER (status <> 'cache_hit') AS calls,
       sum(tok_input + tok_cache_read + tok_cache_write) AS tokens_in, sum(tok_output) AS tokens_out,
       coalesce(sum(cost), 0) AS cost_usd, unpriced(cost_status, status) AS unpriced
FROM calls($project, $run, $since, $until)
GROUP BY phase, agent
ORDER BY coalesce(list_position(['analysis', 'planning', 'solutioning', 'implementation', 'quality', 'deployment'], phase), 99), phase, cost_usd DESC, agent
