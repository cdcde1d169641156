-- Waste
-- Which share of the money did not end in work that was used?
-- lost: no outcome is known, the worst case counts. failed: no usable answer. repair: an answer asked for again because
-- it did not fit. discarded: work of an attempt at a story after which another attempt began. Each call is in one row.
WITH latest AS (
  SELECT project, story, max(attempt) AS attempt FROM fact_call WHERE purpose = 'work' AND story <> '' AND attempt > 1
  GROUP BY ALL
), sorted AS (
  SELECT c.cost, c.cost_status, c.status, c.attempt_no,
         CASE WHEN c.status = 'unknown' THEN 'lost'
              WHEN c.status = 'error' THEN 'failed'
              WHEN c.purpose IN ('repair', 'retry') THEN 'repair'
              WHEN c.purpose = 'work' AND c.attempt < l.attempt THEN 'discarded'
              ELSE 'used' END AS kind
  FROM calls($project, $run, $since, $until) AS c LEFT JOIN latest AS l USING (project, story)
  WHERE c.status <> 'cache_hit'
)
SELECT kind, count(*) AS calls, count(*) FILTER (attempt_no > 1) AS later_attempts, coalesce(sum(cost), 0) AS cost_usd,
       round(100 * sum(cost) / nullif(sum(sum(cost)) OVER (), 0), 1)::DOUBLE AS share_pct,
       unpriced(cost_status, status) AS unpriced
FROM sorted
GROUP BY kind
ORDER BY list_position(['used', 'repair', 'discarded', 'failed', 'lost'], kind)
