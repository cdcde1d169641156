-- Cache hits and savings
-- Which share of the input came from the prompt cache, and what did that save? Negative where writes were never read.
-- An answer that was kept and used again costs nothing; what it cost at first is saved.
SELECT provider, model, count(*) FILTER (status <> 'cache_hit') AS calls,
       round(100.0 * sum(tok_cache_read) / nullif(sum(tok_input + tok_cache_read + tok_cache_write), 0), 1) AS hit_pct,
       sum(tok_cache_read) AS cache_read, sum(tok_cache_write) AS cache_write,
       coalesce(sum(cost_if_uncached - cost) FILTER (status <> 'cache_hit'), 0) AS saved_by_prompt_cache_usd,
       count(*) FILTER (status = 'cache_hit') AS answers_used_again,
       coalesce(sum(cost_if_uncached) FILTER (status = 'cache_hit'), 0) AS saved_by_answers_usd,
       coalesce(sum(cost), 0) AS cost_usd, unpriced(cost_status, status) AS unpriced
FROM calls($project, $run, $since, $until)
GROUP BY provider, model
ORDER BY cost_usd DESC, provider, model
