"""What did it cost, by phase and agent and by story, and does the sum equal the journal's?

Sums are exact: no amount is rounded, and a call without a price is counted, never taken for free.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..domain.events import CallRecorded
from .estimated import EstimateLine, compared, read_estimate, table
from .report import fetch, report
from .warehouse import reading

if TYPE_CHECKING:
    import pandas as pd

ZERO = Decimal(0)
PHASES = ("analysis", "planning", "solutioning", "implementation", "quality", "deployment")


@dataclass(frozen=True)
class BillLine:
    """What one thing cost. `calls` were sent to a provider; `cost` leaves out the `unpriced` ones."""

    name: tuple[str, ...]
    calls: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cost: Decimal = ZERO
    unpriced: int = 0

    def plus(self, call: CallRecorded) -> BillLine:
        """This line with one more call."""
        sent, usage = call.status != "cache_hit", call.usage
        return BillLine(
            self.name,
            self.calls + sent,
            self.tokens_in + usage.input + usage.cache_read + usage.cache_write,
            self.tokens_out + usage.output,
            self.cost + (call.cost or ZERO),
            self.unpriced + (sent and call.cost_status == "unpriced"),
        )


@dataclass(frozen=True)
class Bill:
    """Dollars and tokens of a project or a run.

    `saved` is what the prompt cache and answers used again would have cost more, `unknown` the part of the total that
    stands for calls whose outcome was lost, `rehearsed` the part that recorded answers would have cost, `estimate` what
    the delivery was expected to cost.
    """

    total: BillLine
    by_phase_and_agent: tuple[BillLine, ...] = ()
    by_story: tuple[BillLine, ...] = ()
    answers_used_again: int = 0
    saved: Decimal = ZERO
    unknown: Decimal = ZERO
    rehearsed: Decimal = ZERO
    estimate: tuple[EstimateLine, ...] = ()

    def frame(self) -> pd.DataFrame:
        """All lines, with a column that says which table each stands in."""
        import pandas as pd

        tables = {"phase and agent": self.by_phase_and_agent, "story": self.by_story, "total": (self.total,)}
        rows = [
            (table, " · ".join(part for part in line.name if part), *_figures(line))
            for table, lines in tables.items()
            for line in lines
        ]
        return pd.DataFrame(rows, columns=["by", "name", "calls", "tokens_in", "tokens_out", "cost_usd", "unpriced"])


def bill_of(calls: Iterable[CallRecorded], rehearsed_runs: Collection[str] = ()) -> Bill:
    """The bill of the calls of a journal or spool, each given once."""
    kept, total = list(calls), BillLine(())
    for call in kept:
        total = total.plus(call)
    return Bill(
        total=total,
        by_phase_and_agent=_by_phase(_sum(kept, lambda call: (call.tags.phase, call.tags.agent))),
        by_story=_by_cost(_sum(kept, lambda call: (call.tags.story,))),
        answers_used_again=sum(call.status == "cache_hit" for call in kept),
        saved=sum(
            (c.cost_if_uncached - c.cost for c in kept if c.cost is not None and c.cost_if_uncached is not None), ZERO
        ),
        unknown=sum((c.cost for c in kept if c.status == "unknown" and c.cost), ZERO),
        rehearsed=sum((c.cost for c in kept if c.tags.run in rehearsed_runs and c.cost), ZERO),
    )


def read_bill(
    warehouse: str | Path,
    *,
    project: str | None = None,
    run: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Bill:
    """The bill of a project, a run or a span of time, from the warehouse. A span is held against no estimate.

    Raises:
        InputError: when there is no warehouse.
    """
    bounds = {"project": project, "run": run, "since": since, "until": until}
    with reading(Path(warehouse)) as database:

        def rows(name: str) -> list[dict[str, Any]]:
            return fetch(database, report(name).typed_sql, bounds).to_dict("records")  # type: ignore[return-value]

        total, phases, stories = rows("total")[0], rows("cost_by_phase_and_agent"), rows("cost_by_story")
        estimate = () if since or until else read_estimate(database, project, run)
    by_story: dict[tuple[str, ...], BillLine] = {}
    for row in stories:
        line = by_story.get((row["story"],), BillLine((row["story"],)))
        by_story[line.name] = BillLine(
            line.name,
            line.calls + int(row["calls"]),
            line.tokens_in + int(row["tokens_in"]),
            line.tokens_out + int(row["tokens_out"]),
            line.cost + row["cost_usd"],
            line.unpriced + int(row["unpriced"]),
        )
    return Bill(
        total=_line((), total),
        by_phase_and_agent=_by_phase([_line((row["phase"], row["agent"]), row) for row in phases]),
        by_story=_by_cost(list(by_story.values())),
        answers_used_again=int(total["answers_used_again"]),
        saved=total["saved_usd"],
        unknown=total["unknown_outcome_usd"],
        rehearsed=total["rehearsed_usd"],
        estimate=estimate,
    )


def markdown(bill: Bill) -> str:
    """The bill for a person: an artifact, a report, the terminal."""
    digits = max(4, *(_digits(line.cost) for line in (*bill.by_phase_and_agent, *bill.by_story, bill.total)))

    def about(amount: Decimal) -> str:
        return f"${amount:.4f}"

    def money(amount: Decimal) -> str:
        return f"${amount:.{digits}f}"

    total = bill.total
    lines = [f"**{money(total.cost)}** for {_count(total.calls, 'model call')}."]
    if bill.rehearsed:
        lines.append(f"{money(bill.rehearsed)} of it is what recorded answers would have cost: nobody pays it.")
    if total.unpriced:
        lines.append(f"**{_count(total.unpriced, 'call')} without a known price: the true total is higher.**")
    else:
        lines.append("Every call has a price.")
    if bill.saved or bill.answers_used_again:
        again = _count(bill.answers_used_again, "answer")
        lines.append(f"Saved {money(bill.saved)} by the prompt cache and {again} used again.")
    if bill.unknown:
        lines.append(f"{money(bill.unknown)} stands for calls whose outcome was lost; their worst case is counted.")
    if said := compared(bill.estimate, about):
        lines.append(said)
    text = [
        " ".join(lines),
        "",
        "| phase | agent | calls | tokens in | tokens out | cost |",
        "|---|---|--:|--:|--:|--:|",
    ]
    text += [_row((line.name[0] or "–", line.name[1] or "–"), line, money) for line in bill.by_phase_and_agent]
    text += [_row(("**total**", ""), total, money)]
    if any(line.name[0] for line in bill.by_story):
        text += ["", "| story | calls | tokens in | tokens out | cost |", "|---|--:|--:|--:|--:|"]
        text += [_row((line.name[0] or "(no story)",), line, money) for line in bill.by_story]
        text += [_row(("**total**",), total, money)]
    text += table(bill.estimate, about)
    return "\n".join(text) + "\n"


def bill_markdown(warehouse: str | Path, project: str | None = None, run: str | None = None) -> str:
    """The bill of a project or a run as Markdown.

    Raises:
        InputError: when there is no warehouse.
    """
    return markdown(read_bill(warehouse, project=project, run=run))


def _sum(calls: Iterable[CallRecorded], name: Callable[[CallRecorded], tuple[str, ...]]) -> list[BillLine]:
    lines: dict[tuple[str, ...], BillLine] = {}
    for call in calls:
        key = name(call)
        lines[key] = lines.get(key, BillLine(key)).plus(call)
    return list(lines.values())


def _by_phase(lines: list[BillLine]) -> tuple[BillLine, ...]:
    def place(line: BillLine) -> tuple[int, str, Decimal, str]:
        phase, agent = line.name
        return PHASES.index(phase) if phase in PHASES else len(PHASES), phase, -line.cost, agent

    return tuple(sorted(lines, key=place))


def _by_cost(lines: list[BillLine]) -> tuple[BillLine, ...]:
    return tuple(sorted(lines, key=lambda line: (-line.cost, line.name)))


def _line(name: tuple[str, ...], row: dict[str, Any]) -> BillLine:
    tokens = (int(row["tokens_in"]), int(row["tokens_out"]))
    return BillLine(name, int(row["calls"]), *tokens, row["cost_usd"], int(row["unpriced"]))


def _figures(line: BillLine) -> tuple[int, int, int, Decimal, int]:
    return line.calls, line.tokens_in, line.tokens_out, line.cost, line.unpriced


def _row(names: tuple[str, ...], line: BillLine, money: Callable[[Decimal], str]) -> str:
    cost = money(line.cost) + (f" + {line.unpriced} unpriced" if line.unpriced else "")
    return f"| {' | '.join((*names, str(line.calls), f'{line.tokens_in:,}', f'{line.tokens_out:,}', cost))} |"


def _digits(amount: Decimal) -> int:
    """How many digits after the point an amount needs."""
    exponent = amount.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
