"""How far off was what a delivery was expected to cost?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import duckdb

from .report import fetch, report


@dataclass(frozen=True)
class EstimateLine:
    """A part of a delivery: what was stated (None: it was not foreseen), and what it cost so far, in dollars.

    `off_percent` is above 0 when it was dearer than likely; None as long as it is not done.
    """

    part: str
    name: str
    paid: Decimal
    low: Decimal | None = None
    likely: Decimal | None = None
    high: Decimal | None = None
    done: bool = False
    off_percent: int | None = None


def read_estimate(
    database: duckdb.DuckDBPyConnection, project: str | None, run: str | None
) -> tuple[EstimateLine, ...]:
    """The lines of a project's latest estimate, or of the one that a run worked under, the total last."""
    bounds = {"project": project, "run": run, "since": None, "until": None}
    rows: list[dict[str, Any]] = fetch(database, report("estimate").typed_sql, bounds).to_dict("records")  # type: ignore[assignment]
    if len({row["project"] for row in rows}) != 1:
        return ()  # none, or those of several projects, which do not add up
    return tuple(
        EstimateLine(
            part=row["part"],
            name=row["name"],
            paid=row["paid_usd"],
            low=_plain(row["low_usd"]),
            likely=_plain(row["likely_usd"]),
            high=_plain(row["high_usd"]),
            done=bool(row["done"]),
            off_percent=None
            if row["off_percent"] != row["off_percent"] or row["off_percent"] is None
            else int(row["off_percent"]),
        )
        for row in rows
    )


def compared(lines: Sequence[EstimateLine], money: Callable[[Decimal], str]) -> str:
    """What was estimated, what was paid of it, and how far off that was, in one sentence; "" for no estimate."""
    total = next((line for line in lines if line.part == "total" and line.likely is not None), None)
    if total is None or total.low is None or total.high is None:
        return ""
    said = f"Estimated {money(total.low)} to {money(total.high)}, likely {money(total.likely or Decimal(0))}: "
    if not total.done:
        return f"{said}{money(total.paid)} of it is paid so far."
    within = total.low <= total.paid <= total.high
    where = "within the range" if within else "above the range" if total.paid > total.high else "below the range"
    return f"{said}{money(total.paid)} was paid, {where}{_off(total, ', ')}."


def table(lines: Sequence[EstimateLine], money: Callable[[Decimal], str]) -> list[str]:
    """The parts as lines of a Markdown table; none without an estimate."""
    if not any(line.likely is not None for line in lines):
        return []
    rows = ["", "| part | estimated | range | paid | off |", "|---|--:|--:|--:|--:|"]
    for line in lines:
        name = (
            "**total**" if line.part == "total" else f"all {line.name}" if line.name == "stories" else line.name or "–"
        )
        stated, spread = "not foreseen", ""
        if line.likely is not None and line.low is not None and line.high is not None:
            stated, spread = money(line.likely), f"{money(line.low)} to {money(line.high)}"
        off = _off(line) or ("" if line.likely is None else "not done")
        rows.append(f"| {name} | {stated} | {spread} | {money(line.paid)} | {off} |")
    return rows


def _off(line: EstimateLine, before: str = "") -> str:
    if line.off_percent is None:
        return ""
    if not line.off_percent:
        return f"{before}as likely"
    return f"{before}{abs(line.off_percent)} % {'more' if line.off_percent > 0 else 'less'}"


def _plain(amount: Any) -> Decimal | None:
    return amount if isinstance(amount, Decimal) and amount.is_finite() else None
