"""How is one status changed without touching anything else on the board?

Every edit takes the text and returns the text: comments, order, unknown keys, quotes and line ends stay byte for byte.
"""

from __future__ import annotations

from collections.abc import Iterable

from .board_lines import UNREAD, Board, Entry, lay_out
from .board_reading import read_board
from .errors import DocumentError
from .keys import epic_key
from .statuses import BACKLOG, DONE, IN_PROGRESS, ORDER, Kind, Move, judge_move, rank


def set_status(
    text: str,
    key: str,
    status: str,
    *,
    by: str = "",
    repair: bool = False,
    stamp: str = "",
    path: str = "sprint-status.yaml",
) -> str:
    """The board with one row changed; unchanged when that would lose progress, so that a step can be run again.

    A story that leaves the backlog takes its epic along to in-progress. `by` names the workflow that asks (see
    `statuses.MOVES`), `repair` may go back, `stamp` becomes `last_updated` if anything changed.

    Raises:
        DocumentError: no such row, it stands twice, it cannot be edited in place, or `status` is not of its kind.
    """
    board = read_board(text, path)
    entry = _only(board, key)
    move = judge_move(entry.kind, entry.status, status, by=by, repair=repair)
    if move is Move.ILLEGAL:
        legal = ", ".join(ORDER.get(entry.kind, ())) or "none: the key is not of the method's grammar"
        raise DocumentError(
            f"`{status}` is not a status of {entry.kind} `{key}`",
            path=path,
            line=entry.line,
            remedy=f"Use one of: {legal}.",
        )
    if move is Move.REFUSED or (move is Move.SAME and entry.raw == status):
        return text
    edits = [(entry, status)]
    epic = board.get(epic_key(entry.epic)) if entry.kind is Kind.STORY and entry.epic is not None else None
    if epic and epic.status == BACKLOG and rank(Kind.STORY, status) > 0 and epic.span != (0, 0):
        edits.append((epic, IN_PROGRESS))
    changed = _replace(text, edits)
    return touch(changed, stamp) if stamp else changed


def _only(board: Board, key: str) -> Entry:
    rows = [entry for entry in board.entries if entry.key == key]
    if board.shape == "epics":
        remedy = "Convert it with import_epics_list first."
        raise DocumentError("is an `epics:` list and cannot be edited", path=board.path, line=1, remedy=remedy)
    unread = [note for note in board.notes if UNREAD in note.message and key in note.message]
    if not rows and unread:
        remedy = "Write `key: status` on the line."
        raise DocumentError(unread[0].message, path=board.path, line=unread[0].line, remedy=remedy)
    if not rows:
        remedy = "Run sprint planning, which adds the stories that are planned."
        raise DocumentError(f"has no row `{key}`", path=board.path, remedy=remedy)
    if len(rows) > 1:
        lines = " and ".join(str(row.line) for row in rows)
        raise DocumentError(f"`{key}` stands on lines {lines}", path=board.path, line=rows[1].line, remedy="Keep one.")
    if rows[0].span == (0, 0):
        remedy = "Write one plain status after the colon."
        raise DocumentError(f"`{key}` has no status to change", path=board.path, line=rows[0].line, remedy=remedy)
    return rows[0]


def _replace(text: str, edits: Iterable[tuple[Entry, str]]) -> str:
    for entry, status in sorted(edits, key=lambda edit: edit[0].span, reverse=True):
        text = text[: entry.span[0]] + status + text[entry.span[1] :]
    return text


def settle_epics(text: str, *, stamp: str = "", path: str = "sprint-status.yaml") -> str:
    """The board with every epic moved up to what its stories show: in-progress once one began, done at the end."""
    board = read_board(text, path)
    edits = []
    for epic in board.of(Kind.EPIC):
        stories = [story.status for story in board.of(Kind.STORY, epic.epic)]
        shown = (
            DONE
            if stories and all(status == DONE for status in stories)
            else IN_PROGRESS
            if any(rank(Kind.STORY, status) > 0 for status in stories)
            else BACKLOG
        )
        if epic.span != (0, 0) and rank(Kind.EPIC, shown) > rank(Kind.EPIC, epic.status):
            edits.append((epic, shown))
    changed = _replace(text, edits)
    return touch(changed, stamp) if stamp and changed != text else changed


def touch(text: str, stamp: str) -> str:
    """The board with `last_updated` set, in the metadata comment too; added below `generated` if it was missing."""
    mark = "\ufeff" if text.startswith("\ufeff") else ""
    layout = lay_out(text.removeprefix(mark))
    lines = list(layout.lines)
    for number, line in enumerate(lines[: layout.header]):
        if line.startswith("# last_updated:"):
            lines[number] = f"# last_updated: {stamp}{layout.newline}"
    if "last_updated" in layout.top:
        at = layout.top["last_updated"]
        comment = lines[at].partition(" #")[2].rstrip("\r\n")
        lines[at] = f"last_updated: {stamp}" + (f" #{comment}" if comment else "") + layout.newline
    else:
        above = layout.header or 0
        at = min(layout.top.get("generated", above - 1) + 1, above)
        lines.insert(at, f"last_updated: {stamp}{layout.newline}")
    return mark + "".join(lines)
