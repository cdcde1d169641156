"""What does a story's file say once the story has moved, or the work on it has ended?"""

from __future__ import annotations

from .progress import money
from .statuses import DONE
from .stories import StoryOutcome, TestReport
from .story_file import FileChange, one_line
from .story_file_edits import (
    add_change_log,
    add_completion_notes,
    add_review,
    set_file_list,
    set_record,
    set_status,
    tick_all,
)

EVIDENCE = "Debug Log References"
"""The part of the agent record that says how the work ended last."""

REASON_SIGNS, COMMAND_SIGNS = 500, 200
ENDED = ("failed", "blocked")


def closed_story_file(text: str, status: str, outcome: StoryOutcome | None, today: str, *, by: str = "") -> str:
    """The story file with its status ("" leaves it), and how the work ended with what shows it.

    Once merged also files, notes and review; a change log line for every end that is no wait. `by` is the workflow that
    moves the story, as on the board.
    """
    if status:
        text = set_status(text, status, by=by)
    if outcome is None:
        return text
    text = set_record(text, EVIDENCE, evidence(outcome, merged=status == DONE))
    if status != DONE:
        if outcome.status in ENDED:
            text = add_change_log(text, today, _end(outcome))
        return text
    text = tick_all(text)
    text = set_file_list(text, [FileChange(path=path, kind="MODIFIED") for path in outcome.files])
    notes = [line.strip() for line in outcome.notes.splitlines() if line.strip()]
    if notes:
        text = add_completion_notes(text, notes)
    if outcome.review is not None:
        text = add_review(text, outcome.review, reviewer="Quinn", date=today)
    return add_change_log(text, today, f"Merged after {outcome.turns} turns and {outcome.attempts} attempts")


def evidence(outcome: StoryOutcome, *, merged: bool = False) -> str:
    """How the work ended and what was established, as a list; the same for the same work, whenever it was done."""
    rows = ["Merged." if merged else _end(outcome)]
    if outcome.tests.command:
        rows.append(_tests(outcome.tests))
    if outcome.review is not None:
        open_ = sum(finding.status == "open" for finding in outcome.review.findings)
        rows.append(f"Review: {outcome.review.verdict.replace('_', ' ')}, {open_} open findings.")
    if outcome.conflicts:
        rows.append(f"Conflicts with the main line in {', '.join(outcome.conflicts)}.")
    rows.append(f"{outcome.turns} turns, {outcome.attempts} attempts, {money(outcome.cost)}.")
    return "\n".join(f"- {one_line(row)}" for row in rows)


def _end(outcome: StoryOutcome) -> str:
    lane = f" ({outcome.lane.value})" if outcome.lane else ""
    reason = one_line(outcome.reason)
    cut = reason if len(reason) <= REASON_SIGNS else f"{reason[:REASON_SIGNS]}…"
    return f"{outcome.status.capitalize()}{lane}{f': {cut}' if cut else '.'}"


def _tests(tests: TestReport) -> str:
    told = {True: "passed", False: "failed", None: "showed nothing"}[tests.passed]
    counts = f"{tests.ran} ran, {tests.failures} failed, {tests.skipped} skipped, " if tests.ran is not None else ""
    limit = f", stopped by its limit on {tests.limit_hit}" if tests.limit_hit else ""
    command = tests.command if len(tests.command) <= COMMAND_SIGNS else f"{tests.command[:COMMAND_SIGNS]}…"
    return f"Tests {told}: {counts}exit code {tests.exit_code}{limit} (`{command}`)."
