"""How much was decided without a person, and what no longer had to be asked?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..domain.escalations import inert, plain
from .report import fetch, report
from .warehouse import reading

SHOWN = 10
"""Questions that are listed at most."""


def decided_markdown(warehouse: str | Path, project: str | None = None, run: str | None = None) -> str:
    """The share decided alone, and the newest questions that a person's earlier answer settled; "" without decisions.

    Raises:
        InputError: when there is no warehouse.
    """
    bounds = {"project": project, "run": run, "since": None, "until": None}
    with reading(Path(warehouse)) as database:

        def rows(name: str) -> list[dict[str, Any]]:
            return fetch(database, report(name).typed_sql, bounds).to_dict("records")  # type: ignore[return-value]

        shares, settled = rows("decisions"), rows("no_longer_asked")
    total = {name: sum(int(row[name]) for row in shares) for name in ("decisions", "alone", "by_policy", "by_people")}
    if not total["decisions"]:
        return ""
    share = total["alone"] / total["decisions"]
    lines = [
        f"**{share:.0%}** of {total['decisions']:,} decisions were made alone, {total['by_policy']:,} by policy, "
        f"{total['by_people']:,} by people. {len(settled):,} no longer had to be asked."
    ]
    if settled:
        lines += ["", "| no longer asked | answer |", "|---|---|"]
        lines += [f"| {_cell(row['question'])} | {_cell(row['answer'])} |" for row in settled[:SHOWN]]
    if len(settled) > SHOWN:
        lines += ["", f"… and {len(settled) - SHOWN:,} more: `storyloom report no-longer-asked`"]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return inert(plain(text, 120))
