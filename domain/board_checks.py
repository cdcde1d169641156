"""What is next on a board, and what on it would upstream's checks, or a reader, stumble over?"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from .board_lines import SECTION, Board, lay_out
from .board_plan import read_stamp
from .board_reading import read_board
from .keys import KeyParts, read_key
from .statuses import BACKLOG, DONE, IN_PROGRESS, OPTIONAL, READY, REVIEW, Kind
from .workflow_tree import Note

REQUIRED = ("generated", "last_updated", "project", SECTION)
STALE_AFTER = timedelta(days=7)


@dataclass(frozen=True)
class NextAction:
    """What to do next on a board, which workflow does it, and why. `workflow` is "" when nothing is left."""

    workflow: Literal["dev-story", "code-review", "create-story", "retrospective", ""]
    key: str
    reason: str


_NEXT: tuple[tuple[str, Literal["dev-story", "code-review", "create-story"], str], ...] = (
    (IN_PROGRESS, "dev-story", "it was started and not finished"),
    (REVIEW, "code-review", "it is built and waits for its review"),
    (READY, "dev-story", "its story file is ready"),
    (BACKLOG, "create-story", "it is the first that has no story file yet"),
)


def _place(key: str) -> KeyParts:
    return read_key(key) or KeyParts(10**9, 10**9, key, Kind.UNKNOWN)


def next_action(board: Board) -> NextAction:
    """The method's next action: finish what is in progress, then review, start, draft, look back."""
    for status, workflow, reason in _NEXT:
        rows = [row for row in board.of(Kind.STORY) if row.status == status and not row.held]
        if rows:
            return NextAction(workflow, min(rows, key=lambda row: _place(row.key)).key, reason)
    held = [row.key for row in board.entries if row.held]
    if held:
        return NextAction("", held[0], "it waits for its operator")
    open_ = [row for row in board.of(Kind.RETROSPECTIVE) if row.status == OPTIONAL]
    if open_:
        return NextAction("retrospective", open_[0].key, "all stories are done")
    return NextAction("", "", "everything is done" if board.entries else "the board is empty")


def validate(text: str, path: str = "sprint-status.yaml", *, now: datetime | None = None) -> tuple[Note, ...]:
    """Everything that upstream's checks, or a reader, would stumble over. Empty means that the board is in order."""
    board = read_board(text, path)
    notes = list(board.notes)
    if board.shape in ("rows", "flow"):
        missing = [name for name in REQUIRED if name != SECTION and not board.meta.get(name)]
        notes += [Note(path, 1, f"`{name}:` is missing; add it above `{SECTION}:`", "error") for name in missing]
        if not board.entries:
            notes.append(
                Note(path, lay_out(text).top[SECTION] + 1, f"`{SECTION}:` is empty; run sprint planning", "error")
            )
    notes += _stamp_notes(board, text, path, now)
    epics = {row.epic for row in board.of(Kind.EPIC)}
    for row in board.of(Kind.STORY):
        if row.epic not in epics:
            notes.append(Note(path, row.line, f"`{row.key}` has no row epic-{row.epic}; run sprint planning"))
    for epic in board.of(Kind.EPIC):
        stories = board.of(Kind.STORY, epic.epic)
        if epic.status == DONE and (left := [row.key for row in stories if row.status != DONE]):
            notes.append(Note(path, epic.line, f"`{epic.key}` is done, but not {', '.join(left[:3])}"))
        if epic.status == IN_PROGRESS and not stories:
            notes.append(Note(path, epic.line, f"`{epic.key}` is in progress and has no stories"))
    return tuple(sorted(notes, key=lambda note: note.line))


def _stamp_notes(board: Board, text: str, path: str, now: datetime | None) -> list[Note]:
    notes = []
    top = lay_out(text).top
    for name in ("generated", "last_updated"):
        value = board.meta.get(name)
        if value and read_stamp(value) is None:
            notes.append(Note(path, top[name] + 1, f"`{name}` is {value!r}; write it as MM-DD-YYYY HH:MM", "error"))
    last = read_stamp(board.meta.get("last_updated") or board.meta.get("generated") or "")
    if now and last and now.replace(tzinfo=None) - last > STALE_AFTER:
        line = top.get("last_updated", top.get("generated", 0)) + 1
        notes.append(Note(path, line, f"was last updated on {last:%Y-%m-%d}, more than 7 days ago; it may be stale"))
    return notes
