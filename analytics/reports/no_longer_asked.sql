-- No longer asked
-- Which questions did not have to be asked, because a person had answered the like before? The newest come first.
SELECT ts, project, workflow, story, step, question, answer, reasoning
FROM fact_decision
WHERE source = 'fact' AND ($project IS NULL OR project = $project) AND ($run IS NULL OR run = $run)
  AND ($since IS NULL OR ts >= $since) AND ($until IS NULL OR ts < $until)
ORDER BY ts DESC, event_id
