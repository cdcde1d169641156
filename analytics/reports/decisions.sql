-- Decisions
-- Which share of the questions was decided alone (by documents, facts or a model), how many of them no longer had to be asked because a person had answered the like before, and how many took a person?
SELECT project, count(*) AS decisions,
       count(*) FILTER (source IN ('onboarding', 'fact', 'model')) AS alone,
       round(100.0 * count(*) FILTER (source IN ('onboarding', 'fact', 'model')) / count(*), 1) AS alone_pct,
       count(*) FILTER (source = 'onboarding') AS by_documents, count(*) FILTER (source = 'model') AS by_a_model,
       count(*) FILTER (source = 'fact') AS no_longer_asked,
       count(*) FILTER (source = 'policy') AS by_policy, count(*) FILTER (source = 'person') AS by_people
FROM fact_decision
WHERE ($project IS NULL OR project = $project) AND ($run IS NULL OR run = $run)
  AND ($since IS NULL OR ts >= $since) AND ($until IS NULL OR ts < $until)
GROUP BY project
ORDER BY project
