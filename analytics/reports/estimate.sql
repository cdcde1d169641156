-- Estimate
-- What was each part of a delivery expected to cost, what did it cost, and how far off was that?
-- The latest estimate of each project, or that of $run. paid_usd counts what was paid since it was stated, until the
-- next one; off_percent is above 0 when a part that is done was dearer than likely.
WITH whole AS (
  SELECT project, run, ts AS stated, lead(ts, 1, TIMESTAMP '9999-12-31') OVER (PARTITION BY project ORDER BY ts) AS next
  FROM fact_estimate
  WHERE part = 'total' AND ($project IS NULL OR project = $project)
    AND ($since IS NULL OR ts >= $since) AND ($until IS NULL OR ts < $until)
), chosen AS (
  SELECT * FROM whole AS w
  WHERE $run IS NULL OR run = $run
     OR EXISTS (SELECT 1 FROM fact_call AS c WHERE c.project = w.project AND c.run = $run AND c.ts >= stated AND c.ts < next)
  QUALIFY row_number() OVER (PARTITION BY project ORDER BY stated DESC) = 1
), said AS (
  SELECT w.project, e.part, e.name, min(e.low) AS low, min(e.likely) AS likely, min(e.high) AS high, min(basis) AS basis
  FROM chosen AS w JOIN fact_estimate AS e USING (project, run) GROUP BY ALL
), call AS (
  SELECT w.project, c.phase, c.story, c.cost, c.cost_status, c.status
  FROM chosen AS w JOIN fact_call AS c ON c.project = w.project AND c.ts >= stated AND c.ts < next
), paid AS (
  SELECT project, 'phase' AS part, phase AS name, sum(cost) AS usd, unpriced(cost_status, status) AS unpriced
  FROM call WHERE story = '' GROUP BY ALL
  UNION ALL BY NAME
  SELECT project, 'story' AS part, story AS name, sum(cost) AS usd, unpriced(cost_status, status) AS unpriced
  FROM call WHERE story <> '' GROUP BY ALL
  UNION ALL BY NAME
  SELECT project, 'story' AS part, 'stories' AS name, sum(cost) AS usd, unpriced(cost_status, status) AS unpriced
  FROM call WHERE story <> '' GROUP BY ALL
  UNION ALL BY NAME
  SELECT project, 'total' AS part, 'total' AS name, sum(cost) AS usd, unpriced(cost_status, status) AS unpriced
  FROM call GROUP BY ALL
), ended AS (
  SELECT DISTINCT w.project, CASE name WHEN 'implementation' THEN 'stories' ELSE name END AS name
  FROM chosen AS w JOIN fact_run AS r ON r.project = w.project AND r.ts >= stated AND r.ts < next
  WHERE r.state IN ('done', 'already_done')
  UNION
  SELECT DISTINCT w.project, story AS name
  FROM chosen AS w JOIN fact_story AS s ON s.project = w.project AND s.ts >= stated AND s.ts < next
  WHERE s.to_status = 'done'
), row AS (
  SELECT project, part, name, low, likely, high, coalesce(usd, 0) AS paid_usd, coalesce(unpriced, 0) AS unpriced, basis,
         e.name IS NOT NULL AS ended
  FROM said LEFT JOIN paid USING (project, part, name) LEFT JOIN ended AS e USING (project, name)
  UNION ALL BY NAME
  SELECT project, part, name, usd AS paid_usd, unpriced, 'not foreseen' AS basis, false AS ended
  FROM paid ANTI JOIN said USING (project, part, name)
  WHERE name <> 'stories' AND usd > 0
), judged AS (
  SELECT *, CASE part WHEN 'total'
                 THEN count(*) FILTER (part <> 'total' AND NOT ended AND likely IS NOT NULL) OVER (PARTITION BY project) = 0
                 ELSE ended END AS done
  FROM row
)
SELECT project, part, name, low AS low_usd, likely AS likely_usd, high AS high_usd, coalesce(paid_usd, 0) AS paid_usd,
       done, CASE WHEN done AND likely > 0 THEN round(100 * (paid_usd - likely) / likely)::INTEGER END AS off_percent,
       CASE WHEN done AND unpriced = 0 THEN paid_usd BETWEEN low AND high END AS within, unpriced, basis
FROM judged
ORDER BY project, part = 'total', part = 'story', paid_usd DESC, name
