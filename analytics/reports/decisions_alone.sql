-- Decisions made alone
-- Which questions were answered without a person, by what, and how sure was it? The least sure come first.
SELECT ts, project, workflow, story, step, source, confidence, question, answer, reasoning
FROM fact_decision
WHERE source <> 'person' AND ($project IS NULL OR project = $project) AND ($run IS NULL OR run = $run)
  AND ($since IS NULL OR ts >= $since) AND ($until IS NULL OR ts < $until)
ORDER BY confidence, ts
