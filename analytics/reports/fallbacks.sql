-- Fallbacks
-- Where did another model answer than the one that was asked first, and why?
SELECT phase, agent, model_requested, model, fallback_reason AS reason, count(*) AS calls, min(ts) AS first,
       max(ts) AS last, coalesce(sum(cost), 0) AS cost_usd, unpriced(cost_status, status) AS unpriced
FROM calls($project, $run, $since, $until)
WHERE fallback_reason <> '' AND status = 'ok'
GROUP BY ALL
ORDER BY first, model
