-- First-pass yield
-- Which share of what a gate saw passed at the first look? Waived and inconclusive verdicts are no pass.
WITH looks AS (
  SELECT gate, project, coalesce(nullif(story, ''), nullif(workflow, ''), phase) AS subject, verdict,
         row_number() OVER (PARTITION BY gate, project, subject ORDER BY ts, event_id) AS look
  FROM fact_gate
  WHERE ($project IS NULL OR project = $project) AND ($run IS NULL OR run = $run)
    AND ($since IS NULL OR ts >= $since) AND ($until IS NULL OR ts < $until)
)
SELECT gate, count(*) FILTER (look = 1) AS judged, count(*) FILTER (look = 1 AND verdict = 'pass') AS passed_at_once,
       round(100.0 * count(*) FILTER (look = 1 AND verdict = 'pass') / count(*) FILTER (look = 1), 1) AS first_pass_pct,
       count(*) AS looks, count(*) FILTER (verdict = 'fail') AS failed,
       count(*) FILTER (verdict = 'inconclusive') AS inconclusive, count(*) FILTER (verdict = 'waived') AS waived
FROM looks
GROUP BY gate
ORDER BY gate
