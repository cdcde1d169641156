-- Burn-up
-- How did the cost and the number of stories done grow over time? At most some three hundred points.
WITH spent AS (
  SELECT epoch(ts)::BIGINT AS second, cost, cost_status, status FROM calls($project, $run, $since, $until)
), span AS (
  SELECT min(second) AS first, greatest(1, (max(second) - min(second)) // 300) AS width FROM spent
), points AS (
  SELECT (second - (SELECT first FROM span)) // (SELECT width FROM span) AS bucket, max(second) AS second,
         sum(cost) AS cost, unpriced(cost_status, status) AS unpriced
  FROM spent GROUP BY bucket
), finished AS (
  SELECT done, row_number() OVER (ORDER BY done) AS stories FROM dim_story
  WHERE status = 'done' AND done IS NOT NULL AND ($project IS NULL OR project = $project)
), moments AS (SELECT *, make_timestamp(second * 1000000 + 999999) AS ts FROM points)
SELECT date_trunc('second', m.ts) AS ts, coalesce(sum(cost) OVER (ORDER BY m.ts), 0) AS cost_usd,
       coalesce(f.stories, 0) AS stories_done, (sum(unpriced) OVER (ORDER BY m.ts))::BIGINT AS unpriced
FROM moments AS m ASOF LEFT JOIN finished AS f ON m.ts >= f.done
ORDER BY ts
