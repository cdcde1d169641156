-- Cost per accepted story
-- What does a story that is done cost, everything counted, and which share belongs to no story?
WITH spent AS (
  SELECT project, coalesce(sum(cost), 0) AS cost_usd, coalesce(sum(cost) FILTER (story = ''), 0) AS overhead_usd,
         unpriced(cost_status, status) AS unpriced
  FROM calls($project, $run, $since, $until) GROUP BY project
), accepted AS (
  SELECT project, count(*) AS stories, sum(points) AS points FROM dim_story
  WHERE status = 'done' AND ($since IS NULL OR done >= $since) AND ($until IS NULL OR done < $until)
    AND ($run IS NULL OR (project, story) IN (SELECT project, story FROM fact_story WHERE run = $run))
  GROUP BY project
)
SELECT project, cost_usd, coalesce(stories, 0) AS accepted,
       (cost_usd / nullif(stories, 0))::DECIMAL(18,6) AS usd_per_accepted_story,
       (cost_usd / nullif(points, 0))::DECIMAL(18,6) AS usd_per_point,
       overhead_usd, round(100 * overhead_usd / nullif(cost_usd, 0), 1)::DOUBLE AS overhead_pct, unpriced
FROM spent LEFT JOIN accepted USING (project)
ORDER BY project
