-- Delivery performance (DORA)
-- How often is a release deployed, how long does a change take to get there, how often does one fail, and how soon is
-- service restored? Lead time runs from a story's first commit (else from the start of its work) to the first healthy
-- release after its merge. Rework: merges of stories that had been merged before.
WITH releases AS (
  SELECT project, ts, outcome FROM fact_deploy
  WHERE ($project IS NULL OR project = $project) AND ($since IS NULL OR ts >= $since) AND ($until IS NULL OR ts < $until)
), repaired AS (
  SELECT project, ts, outcome, min(CASE WHEN outcome = 'healthy' THEN ts END)
         OVER (PARTITION BY project ORDER BY ts ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING) AS restored
  FROM releases
), merges AS (
  SELECT m.project, m.ts, coalesce(TRY_CAST(nullif(m.first_commit_ts, '') AS TIMESTAMPTZ) AT TIME ZONE 'UTC', s.started)
         AS began, row_number() OVER (PARTITION BY m.project, m.story ORDER BY m.ts) > 1 AS again
  FROM fact_merge AS m LEFT JOIN dim_story AS s USING (project, story)
  WHERE ($project IS NULL OR m.project = $project)
    AND ($since IS NULL OR m.ts >= $since) AND ($until IS NULL OR m.ts < $until)
), shipped AS (
  SELECT m.project, date_diff('second', m.began, r.ts) AS lead_s
  FROM merges AS m ASOF JOIN (SELECT * FROM releases WHERE outcome = 'healthy') AS r
    ON m.project = r.project AND m.ts <= r.ts
), deploy AS (
  SELECT project, count(*) FILTER (outcome = 'healthy') AS deployments,
         round(7.0 * count(*) FILTER (outcome = 'healthy') / greatest(1, date_diff('day', min(ts), max(ts))), 2) AS per_week,
         round(100.0 * count(*) FILTER (outcome <> 'healthy') / count(*), 1) AS change_failure_pct,
         round(median(date_diff('second', ts, restored)) FILTER (outcome <> 'healthy') / 3600, 2) AS recovery_p50_h
  FROM repaired GROUP BY project
), merged AS (
  SELECT project, count(*) AS merges, round(100.0 * count(*) FILTER (again) / count(*), 1) AS rework_pct
  FROM merges GROUP BY project
), lead AS (SELECT project, round(median(lead_s) / 3600, 2) AS lead_p50_h FROM shipped GROUP BY project)
SELECT project, merges, deployments, per_week, lead_p50_h, change_failure_pct, recovery_p50_h, rework_pct
FROM merged FULL JOIN deploy USING (project) LEFT JOIN lead USING (project)
ORDER BY project
