-- Burn-up
-- How did the cost and the number of stories done grow over time? At most some three hundred points.
WITH spent AS (
  SELECT ts, cost, cost_status, status FROM calls($project, $run, $since, $until)
), span AS (
  SELECT min(ts) AS first, greatest(1, ceil(date_diff('second', min(ts), max(ts)) / 300.0)) AS width FROM spent
), points AS (
  SELECT floor(date_diff('second', s.first, ts) / s.width) AS bucket, max(ts) AS ts, sum(cost) AS cost,
         unpriced(cost_status, status) AS unpriced
  FROM spent, span AS s GROUP BY bucket
)
SELECT ts, coalesce(sum(cost) OVER (ORDER BY ts), 0) AS cost_usd,
       (SELECT count(*) FROM dim_story AS d
        WHERE d.done <= p.ts AND d.status = 'done' AND ($project IS NULL OR d.project = $project)) AS stories_done,
       sum(unpriced) OVER (ORDER BY ts) AS unpriced
FROM points AS p
ORDER BY ts
