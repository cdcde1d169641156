"""How far is the project?  The board and a batch's ends as Markdown tables, for a person to look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from .board import Board, next_action
from .board_lines import Entry
from .escalations import inert
from .statuses import DONE, ORDER, Kind
from .stories import Story, StoryOutcome

_SIGNS = {"done": "✔", "review": "◐", "in-progress": "▶", "ready-for-dev": "○", "backlog": "·"}
_WIDTH = 20


def board_table(board: Board, stories: Sequence[Story] = (), ends: Mapping[str, StoryOutcome] | None = None) -> str:
    """The whole board in Markdown: totals, what is next, and for each epic a table of its stories.

    `stories` give the titles, `ends` attempts, cost and reasons; both by the board's keys, and both may be partial.
    """
    outcomes = ends or {}
    titles = {story.key: story.title for story in stories}
    rows = board.of(Kind.STORY)
    done = sum(row.status == DONE for row in rows)
    action = next_action(board)
    step = f"{action.workflow} `{action.key}`: {action.reason}" if action.workflow else action.reason
    parts = [
        f"# {cell(board.project) or 'The board'}",
        f"{bar(done, len(rows))} **{done} of {len(rows)} stories done** · {counts(board)}",
        f"Cost so far: {money(sum((end.cost for end in outcomes.values()), Decimal(0)))} · Next: {step}",
    ]
    epics = list(dict.fromkeys(row.epic for row in board.entries if row.epic is not None))
    for number in epics:
        mine = [row for row in rows if row.epic == number]
        epic = next(iter(board.of(Kind.EPIC, number)), None)
        over = sum(row.status == DONE for row in mine)
        status = epic.status if epic else "not on the board"
        parts.append(f"## Epic {number} · {status or '?'} · {over}/{len(mine)}")
        if mine:
            head = ["| | Story | Status | Attempts | Cost | |", "|---|---|---|---:|---:|---|"]
            parts.append("\n".join([*head, *(_row(row, titles, outcomes.get(row.key)) for row in mine)]))
    if board.errors:
        listed = "\n".join(f"- line {note.line}: {cell(note.message)}" for note in board.errors)
        parts.append(f"## To mend on the board\n\n{listed}")
    return "\n\n".join(parts) + "\n"


def _row(row: Entry, titles: Mapping[str, str], end: StoryOutcome | None) -> str:
    number, _, rest = row.key.partition("-")
    name = f"{number}.{rest.split('-')[0]} {cell(titles.get(row.key, row.key))}"
    status = row.status or f"? {cell(row.raw)}"
    told = f"{end.attempts} | {money(end.cost)} | {cell(_why(end))}" if end else " | | "
    return f"| {_SIGNS.get(row.status, '?')} | {name} | {status} | {told} |"


def _why(end: StoryOutcome) -> str:
    lane = f" ({end.lane.value})" if end.lane else ""
    return "" if end.status == "merged" else f"{end.status}{lane}: {end.reason}" if end.reason else end.status + lane


def batch_table(
    stories: Sequence[Story], ends: Mapping[str, StoryOutcome], running: Sequence[str], held: Mapping[str, str]
) -> str:
    """A running batch in Markdown: what runs, what has ended and how, and what the others wait for."""
    over = len(ends)
    parts = [f"{bar(over, len(stories))} **{over} of {len(stories)} ended**, {len(running)} running"]
    rows = []
    for story in stories:
        end = ends.get(story.key)
        if end:
            told = f"{end.status} | {end.attempts} | {end.turns} | {money(end.cost)} | {cell(_why(end))}"
        else:
            state = "running" if story.key in running else "waiting"
            told = f"{state} | | | | {cell(held.get(story.key, ''))}"
        rows.append(f"| {story.id} {cell(story.title)} | {told} |")
    head = ["| Story | State | Attempts | Turns | Cost | |", "|---|---|---:|---:|---:|---|"]
    return "\n\n".join([*parts, "\n".join([*head, *rows])]) + "\n"


def counts(board: Board) -> str:
    """How many stories have each status, the most advanced first."""
    rows = board.of(Kind.STORY)
    found = [(status, sum(row.status == status for row in rows)) for status in reversed(ORDER[Kind.STORY])]
    return ", ".join(f"{number} {status}" for status, number in found if number) or "no stories"


def bar(done: int, total: int) -> str:
    """A bar of twenty signs; full only when everything is done."""
    filled = _WIDTH * done // total if total else 0
    return "█" * filled + "░" * (_WIDTH - filled)


def money(amount: Decimal) -> str:
    """Dollars with cents, more digits below a cent."""
    return f"${amount:.2f}" if not amount or abs(amount) >= Decimal("0.01") else f"${amount:.4f}"


def cell(text: str, longest: int = 160) -> str:
    """A text for one cell of a table or one heading: one line, cut to a length, and inert."""
    line = " ".join(text.split())
    return inert(line if len(line) <= longest else line[: longest - 1] + "…")
