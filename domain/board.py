"""Which story stands where, and how is that changed without touching anything else on `sprint-status.yaml`?

Every edit takes the text and returns the text: comments, order, unknown keys, quotes and line ends stay byte for byte.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

import yaml

from .board_import import entries_of_list
from .board_lines import SECTION, Layout, lay_out, metadata, read_rows
from .board_lines import Board as Board
from .board_lines import Entry as Entry
from .errors import DocumentError
from .keys import KeyParts, epic_key, read_key, retrospective_key
from .statuses import (
    BACKLOG,
    DONE,
    IN_PROGRESS,
    OPTIONAL,
    ORDER,
    READY,
    REVIEW,
    Kind,
    Move,
    further,
    judge_move,
    rank,
)
from .stories import Story
from .workflow_tree import Note

LARGEST = 8_000_000
STAMP = "%m-%d-%Y %H:%M"
_STAMPS = (STAMP, "%Y-%m-%d %H:%M", "%Y-%m-%d")
REQUIRED = ("generated", "last_updated", "project", SECTION)
STALE_AFTER = timedelta(days=7)


def read_board(text: str, path: str = "sprint-status.yaml") -> Board:
    """The board in this text, with a note (line, remedy) for everything in it that upstream would not accept.

    Raises:
        DocumentError: the text is larger than any board (8 MB).
    """
    layout = _open(text, path)
    meta = metadata(layout)
    project = meta.get("project", "")
    notes = [Note(path, n + 1, f"`{key}:` stands twice; keep one of the two", "error") for key, n in layout.doubles]
    if layout.header is not None:
        entries, more, shape = read_rows(layout, text, path)
        return Board(path, project, tuple(entries), meta, tuple(notes + more), shape)
    if "epics" in layout.top:
        line = layout.top["epics"] + 1
        notes.append(Note(path, line, "is an `epics:` list, not a board; import it with import_epics_list", "error"))
        listed, found = entries_of_list(text, path)
        return Board(path, project, listed, meta, (*notes, *found), "epics")
    message = f"has no `{SECTION}:`; run sprint planning, which adds the section and keeps the rest"
    return Board(path, project, (), meta, (*notes, Note(path, 1, message, "error")), "none")


def _open(text: str, path: str) -> Layout:
    if len(text) > LARGEST:
        size = f"is {len(text):,} characters long, a board has at most {LARGEST:,}"
        raise DocumentError(size, path=path, remedy="Point to the sprint-status.yaml itself.")
    return lay_out(text)


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
    if not rows:
        remedy = "Run sprint planning, which adds the stories that are planned."
        raise DocumentError(f"has no row `{key}`", path=board.path, remedy=remedy)
    if len(rows) > 1:
        lines = " and ".join(str(row.line) for row in rows)
        raise DocumentError(f"`{key}` stands on lines {lines}", path=board.path, line=rows[1].line, remedy="Keep one.")
    if rows[0].span == (0, 0):
        remedy = "Write a status after the colon."
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
    layout = lay_out(text)
    lines = list(layout.lines)
    for number, line in enumerate(lines[: layout.header]):
        if line.startswith("# last_updated:"):
            lines[number] = f"# last_updated: {stamp}{layout.newline}"
    if "last_updated" in layout.top:
        at = layout.top["last_updated"]
        comment = lines[at].partition(" #")[2].rstrip("\r\n")
        lines[at] = f"last_updated: {stamp}" + (f" #{comment}" if comment else "") + layout.newline
    else:
        at = layout.top.get("generated", (layout.header or 0) - 1) + 1
        lines.insert(at, f"last_updated: {stamp}{layout.newline}")
    return "".join(lines)


Planned = tuple[str, str]
"""A planned row: its key and the status it has at least."""


def plan_entries(
    stories: Sequence[Story], epics: Sequence[int] = (), on_disk: Iterable[str] = ()
) -> tuple[Planned, ...]:
    """The rows that these stories make: each epic, its stories, its retrospective.

    `epics` adds epics without stories; `on_disk` names stories (keys) whose file exists: they are ready-for-dev.
    """
    drafted = set(on_disk)
    by_epic: dict[int, list[Story]] = {number: [] for number in epics}
    for story in stories:
        parts = read_key(story.key)
        by_epic.setdefault(parts.epic if parts else 0, []).append(story)
    rows: list[Planned] = []
    for number in sorted(by_epic):
        rows.append((epic_key(number), BACKLOG))
        rows.extend((story.key, READY if story.key in drafted else BACKLOG) for story in by_epic[number])
        rows.append((retrospective_key(number), OPTIONAL))
    return tuple(rows)


@dataclass(frozen=True)
class Merged:
    """A board merged with a plan: the text and what happened to which key."""

    text: str
    added: tuple[str, ...] = ()
    raised: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    replaced: Mapping[str, str] = field(default_factory=dict)
    renamed: Mapping[str, str] = field(default_factory=dict)
    dropped: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[Note, ...] = ()

    @property
    def in_sync(self) -> bool:
        """Whether the board said already what the plan says."""
        return not (self.added or self.raised or self.replaced or self.renamed or self.dropped)


def merge(text: str, planned: Sequence[Planned], *, stamp: str = "", path: str = "sprint-status.yaml") -> Merged:
    """The board with every planned row on it, at the more advanced of both statuses.

    New rows are put where the plan has them. A row that is no longer planned leaves the section but stays as a comment
    with its status; if a new row of the same epic has the same title under another number, it takes the status over.
    Words that mean nothing are replaced and kept as a comment; rows outside the method's grammar stay as they are.

    Raises:
        DocumentError: the section stands twice, is an `epics:` list, or is not one row a line.
    """
    board = read_board(text, path)
    twice = [note for note in board.notes if "stands twice" in note.message]
    if board.shape in ("epics", "flow") or twice:
        note = (twice or board.errors or board.notes)[0]
        raise DocumentError(note.message, path=path, line=note.line, remedy="Mend it, then plan again.")
    layout = lay_out(text if board.shape == "rows" else _with_section(text))
    lines = list(layout.lines)
    wanted = dict(planned)
    have = {entry.key: entry for entry in board.entries}
    gone = [entry for entry in board.entries if entry.kind is not Kind.UNKNOWN and entry.key not in wanted]
    fresh = [key for key in wanted if key not in have]
    renamed = _renames(gone, fresh)
    raised: dict[str, tuple[str, str]] = {}
    replaced: dict[str, str] = {}
    for entry in board.entries:
        number = entry.line - 1
        if entry in gone:
            indent = lines[number][: len(lines[number]) - len(lines[number].lstrip())]
            lines[number] = f"{indent}# no longer planned: {lines[number].strip()}{layout.newline}"
        elif entry.key in wanted:
            status = further(entry.kind, wanted[entry.key], entry.status)
            if not entry.status:
                replaced[entry.key] = entry.raw
            elif status != entry.status:
                raised[entry.key] = (entry.status, status)
            if status != entry.raw:
                lines[number] = _rewrite(lines[number], layout.offsets[number], entry, status, layout.newline)
    _insert(lines, layout, board, planned, {new: have[old].status for old, new in renamed.items()})
    merged = "".join(lines)
    dropped = {entry.key: entry.raw for entry in gone if entry.key not in renamed}
    notes = tuple(_drop_note(entry, fresh, path) for entry in gone if entry.key in dropped)
    if stamp and merged != text:
        merged = touch(merged, stamp)
    return Merged(merged, tuple(fresh), raised, replaced, renamed, dropped, notes)


def _rewrite(line: str, offset: int, entry: Entry, status: str, newline: str) -> str:
    """The line with another status; a word that meant nothing stays as a comment."""
    start, end = entry.span[0] - offset, entry.span[1] - offset
    if entry.span == (0, 0):
        head, colon, tail = line.partition(":")
        return f"{head}{colon} {status}{tail if tail.strip() else newline}"
    changed = line[:start] + status + line[end:]
    if entry.status:
        return changed
    return f"{changed.rstrip()}{',' if '#' in changed else '  #'} was: {entry.raw}{newline}"


def _renames(gone: Sequence[Entry], fresh: Sequence[str]) -> dict[str, str]:
    """Old key to new key, where one story of an epic has the same title under another number."""
    renamed = {}
    for entry in gone:
        if entry.kind is Kind.STORY:
            title = entry.key.split("-", 2)[2]
            same = [key for key in fresh if _parts(key).epic == entry.epic and key.split("-", 2)[2:] == [title]]
            if len(same) == 1:
                renamed[entry.key] = same[0]
    return renamed


def _drop_note(entry: Entry, fresh: Sequence[str], path: str) -> Note:
    mine = _parts(entry.key)
    heir = next((key for key in fresh if mine.kind is Kind.STORY and _parts(key) == mine), "")
    hint = f"; if it was renamed to `{heir}`, set that to `{entry.raw}` by a repair" if heir else ""
    return Note(path, entry.line, f"`{entry.key}` ({entry.raw}) is no longer planned and is kept as a comment{hint}")


def _parts(key: str) -> KeyParts:
    return read_key(key) or KeyParts(-1, -1, "", Kind.UNKNOWN)


def _with_section(text: str) -> str:
    gap = "" if not text or text.endswith("\n\n") else "\n" if text.endswith("\n") else "\n\n"
    return f"{text}{gap}{SECTION}:\n"


def _insert(
    lines: list[str], layout: Layout, board: Board, planned: Sequence[Planned], taken: Mapping[str, str]
) -> None:
    """Put the planned rows that are missing behind the row that precedes them in the plan."""
    assert layout.header is not None
    line_of = {entry.key: entry.line - 1 for entry in board.entries}
    rows = [number for number in line_of.values() if number > layout.header]
    model = lines[rows[0]] if rows else "  "
    indent = model[: len(model) - len(model.lstrip(" "))] or "  "
    end = layout.newline
    if board.shape == "rows" and not board.entries:
        lines[layout.header] = f"{SECTION}:{end}"
    after = layout.header
    for key, least in planned:
        if key in line_of:
            after = line_of[key]
            continue
        status = further(_parts(key).kind, least, taken.get(key, least))
        gap = end if _parts(key).kind is Kind.EPIC and after != layout.header else ""
        lines[after] = f"{lines[after].rstrip(chr(13) + chr(10))}{end}{gap}{indent}{key}: {status}{end}"


def new_board(
    project: str,
    planned: Sequence[Planned],
    generated: str,
    *,
    story_location: str = "docs/stories",
    project_key: str = "NOKEY",
    tracking_system: str = "file-system",
) -> str:
    """A new board in upstream's shape. `generated` is a `MM-DD-YYYY HH:MM` stamp, see `stamp_of`."""
    quoted = yaml.safe_dump(project, allow_unicode=True, width=10**6).removesuffix("...\n").strip()
    meta = {
        "generated": generated,
        "last_updated": generated,
        "project": quoted,
        "project_key": project_key,
        "tracking_system": tracking_system,
        "story_location": f'"{story_location}"',
    }
    fields = [f"{key}: {value}" for key, value in meta.items()]
    rows: list[str] = []
    for key, status in planned:
        if rows and _parts(key).kind is Kind.EPIC:
            rows.append("")
        rows.append(f"  {key}: {status}")
    head = ["# " + line if line else "#" for line in (*fields, "", *_LEGEND)]
    section = [f"{SECTION}:", *rows] if rows else [f"{SECTION}: {{}}"]
    return "\n".join([*head, "", *fields, "", *section, ""])


_LEGEND = (
    "What the statuses mean, each list in its order:",
    "  epic           backlog: nothing started | in-progress: a story has started | done: all stories are",
    "  story          backlog: planned only | ready-for-dev: its file is written | in-progress: being built |",
    "                 review: built, not yet accepted | done: merged and accepted",
    "  retrospective  optional: not held | done: held",
    "  action item    open | in-progress | done",
    "",
    "Rows are in the order of the plan: an epic, its stories, its retrospective.",
    "Nothing goes back, but for a story whose review asks for changes: review to in-progress.",
    "Written by the integration lane alone; comments and other keys are kept.",
)


def stamp_of(moment: datetime) -> str:
    """A moment as the board writes it (MM-DD-YYYY HH:MM)."""
    return moment.strftime(STAMP)


def read_stamp(text: str) -> datetime | None:
    """The moment a stamp names, None if it is in no known form (also ISO 8601)."""
    for form in _STAMPS:
        try:
            return datetime.strptime(text, form)  # noqa: DTZ007 - the board's stamps have no zone
        except ValueError:
            continue
    try:
        return datetime.fromisoformat(text).replace(tzinfo=None)
    except ValueError:
        return None


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


def next_action(board: Board) -> NextAction:
    """The method's next action: finish what is in progress, then review, start, draft, look back."""
    for status, workflow, reason in _NEXT:
        rows = [row for row in board.of(Kind.STORY) if row.status == status and not row.held]
        if rows:
            return NextAction(workflow, min(rows, key=lambda row: _parts(row.key)).key, reason)
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
