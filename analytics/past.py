"""What did stories and phases cost that are done?  The history that an estimate goes by."""

from __future__ import annotations

from pathlib import Path

from ..domain.estimate import LEAST_HISTORY, Past
from .warehouse import reading

MOST = 100  # of each kind, the latest: models and prices change

# A call without a known price makes its story's or phase's sum too small: such a one is no history.
STORIES = """
SELECT c.project, c.story, s.points, sum(c.cost) AS usd
FROM fact_call AS c JOIN dim_story AS s USING (project, story)
WHERE s.status = 'done' AND (c.run IN (FROM rehearsed_run)) = $rehearsed
GROUP BY ALL HAVING sum(c.cost) > 0 AND unpriced(c.cost_status, c.status) = 0
ORDER BY max(c.ts) DESC LIMIT $most
"""
# A phase's cost is what its calls cost since it was done before, whichever of its runs made them.
PHASES = """
WITH ended AS (
  SELECT project, name, ts, lag(ts, 1, TIMESTAMP '1970-01-01') OVER (PARTITION BY project, name ORDER BY ts) AS since
  FROM fact_run WHERE state = 'done'
)
SELECT c.project, e.name, NULL AS points, sum(c.cost) AS usd
FROM ended AS e JOIN fact_call AS c ON c.project = e.project AND c.phase = e.name AND c.ts > e.since AND c.ts <= e.ts
WHERE c.story = '' AND (c.run IN (FROM rehearsed_run)) = $rehearsed
GROUP BY c.project, e.name, e.ts HAVING sum(c.cost) > 0 AND unpriced(c.cost_status, c.status) = 0
ORDER BY e.ts DESC LIMIT $most
"""


def past_costs(warehouse: str | Path, project: str, *, rehearsed: bool = False) -> list[Past]:
    """What was done before and what it cost: the project's own where that is history enough, else all projects'.

    What recorded answers would have cost says nothing of paid ones: `rehearsed` chooses between the two.

    Raises:
        InputError: there is no warehouse, or it stays locked.
    """
    found = list[Past]()
    with reading(Path(warehouse)) as database:
        for kind, query in (("story", STORIES), ("phase", PHASES)):
            rows = database.execute(query, {"rehearsed": rehearsed, "most": MOST}).fetchall()
            by_name: dict[str, list[tuple[str, Past]]] = {}
            for owner, name, points, usd in rows:
                past = Past.model_validate({"kind": kind, "name": name, "points": points or None, "usd": usd})
                by_name.setdefault(name if kind == "phase" else "", []).append((owner, past))
            for alike in by_name.values():
                own = [past for owner, past in alike if owner == project]
                found += own if len(own) >= LEAST_HISTORY else [past for _, past in alike]
    return found
