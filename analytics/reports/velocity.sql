-- Velocity and cycle time
-- How many stories and points were done each week (from Monday, UTC), and how long did a story take once begun?
-- Hours from in-progress to done; lead time from the first time that the story was seen.
WITH finished AS (
  SELECT project, story, points, started, done, (SELECT min(ts) FROM fact_story AS f
         WHERE f.project = s.project AND f.story = s.story) AS seen
  FROM dim_story AS s
  WHERE done IS NOT NULL AND status = 'done' AND ($project IS NULL OR project = $project)
    AND ($since IS NULL OR done >= $since) AND ($until IS NULL OR done < $until)
)
SELECT project, date_trunc('week', done)::DATE AS week, count(*) AS stories, sum(points) AS points,
       round(median(date_diff('second', started, done)) / 3600, 2) AS cycle_p50_h,
       round(quantile_cont(date_diff('second', started, done), 0.95) / 3600, 2) AS cycle_p95_h,
       round(median(date_diff('second', seen, done)) / 3600, 2) AS lead_p50_h
FROM finished
GROUP BY ALL
ORDER BY project, week
