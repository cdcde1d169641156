-- Budget burn
-- How much of the budget is spent, and for how many days does the rest last at the pace of the last seven?
-- budget_usd is the project's cap ($budget_usd); days are counted up to the last call, not to today.
WITH spent AS (
  SELECT project, coalesce(sum(cost), 0) AS spent_usd, min(ts) AS first, max(ts) AS last,
         unpriced(cost_status, status) AS unpriced
  FROM calls($project, $run, $since, $until) GROUP BY project
), pace AS (
  SELECT s.project,
         sum(c.cost) / greatest(1, least(7, date_diff('hour', any_value(s.first), any_value(s.last)) / 24.0)) AS per_day
  FROM calls($project, $run, $since, $until) AS c JOIN spent AS s USING (project) WHERE c.ts > s.last - INTERVAL 7 DAY GROUP BY s.project
)
SELECT project, $budget_usd::DECIMAL(18,6) AS budget_usd, spent_usd,
       round(100 * spent_usd / nullif($budget_usd::DECIMAL(18,6), 0), 1)::DOUBLE AS spent_pct,
       $budget_usd::DECIMAL(18,6) - spent_usd AS left_usd, per_day::DECIMAL(18,6) AS usd_per_day,
       round(($budget_usd::DECIMAL(18,6) - spent_usd) / nullif(per_day, 0), 1)::DOUBLE AS days_left, unpriced
FROM spent LEFT JOIN pace USING (project)
ORDER BY project
