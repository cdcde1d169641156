-- Estimate at completion
-- What will the project have cost when all its stories are done, at the price of those that are?
-- By points where stories have them, else by stories; low and high take the quarter of the stories that cost least and
-- most. $stories_planned counts stories that have not been touched yet; without it only those that moved are known.
WITH cost AS (
  SELECT project, story, coalesce(sum(cost), 0) AS usd, unpriced(cost_status, status) AS unpriced
  FROM calls($project, $run, $since, $until) GROUP BY project, story
), known AS (
  SELECT project, story, s.points, s.status = 'done' AS done, coalesce(c.usd, 0) AS usd
  FROM dim_story AS s LEFT JOIN cost AS c USING (project, story) WHERE ($project IS NULL OR project = $project)
), summed AS (
  SELECT project, count(*) FILTER (done) AS done,
         greatest(coalesce($stories_planned::BIGINT, 0), count(*)) - count(*) FILTER (done) AS to_do,
         sum(points) FILTER (NOT done) AS points_to_do, count(*) FILTER (points IS NULL) AS without_points,
         sum(usd) FILTER (done) / nullif(sum(points) FILTER (done), 0) AS usd_per_point,
         avg(usd) FILTER (done) AS usd_per_story,
         quantile_cont(usd::DOUBLE, 0.25) FILTER (done) AS low, quantile_cont(usd::DOUBLE, 0.75) FILTER (done) AS high,
         count(*) >= coalesce($stories_planned::BIGINT, 0) AS all_known
  FROM known GROUP BY project
), spent AS (SELECT project, sum(usd) AS spent_usd, sum(unpriced) AS unpriced FROM cost GROUP BY project)
SELECT project, spent_usd, done AS stories_done, to_do AS stories_to_do, points_to_do,
       usd_per_story::DECIMAL(18,6) AS usd_per_story, usd_per_point::DECIMAL(18,6) AS usd_per_point,
       (spent_usd + CASE WHEN without_points = 0 AND all_known AND usd_per_point IS NOT NULL
                         THEN coalesce(points_to_do, 0) * usd_per_point ELSE to_do * usd_per_story END)::DECIMAL(18,6)
         AS estimate_usd,
       (spent_usd + to_do * low)::DECIMAL(18,6) AS low_usd, (spent_usd + to_do * high)::DECIMAL(18,6) AS high_usd,
       unpriced
FROM summed JOIN spent USING (project)
ORDER BY project
