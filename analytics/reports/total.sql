-- Total
-- What did everything cost, and how much of it has no price or was rehearsed?
-- saved_usd is what the prompt cache and answers used again would have cost more; rehearsed_usd is a part of cost_usd.
SELECT count(*) FILTER (status <> 'cache_hit') AS calls,
       count(*) FILTER (status = 'cache_hit') AS answers_used_again,
       coalesce(sum(tok_input), 0) AS input, coalesce(sum(tok_cache_read), 0) AS cache_read,
       coalesce(sum(tok_cache_write), 0) AS cache_write,
       coalesce(sum(tok_input + tok_cache_read + tok_cache_write), 0) AS tokens_in,
       coalesce(sum(tok_output), 0) AS tokens_out,
       coalesce(sum(cost), 0) AS cost_usd,
       coalesce(sum(coalesce(cost_if_uncached, cost) - cost), 0) AS saved_usd,
       coalesce(sum(cost) FILTER (status = 'unknown'), 0) AS unknown_outcome_usd,
       coalesce(sum(cost) FILTER (run IN (SELECT run FROM rehearsed_run)), 0) AS rehearsed_usd,
       unpriced(cost_status, status) AS unpriced
FROM calls($project, $run, $since, $until)
