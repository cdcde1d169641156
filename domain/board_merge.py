"""What becomes of a board when the plan has changed?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import yaml

from .board_edits import touch
from .board_lines import SECTION, UNREAD, Board, Entry, Layout, lay_out
from .board_plan import Planned
from .board_reading import read_board
from .errors import DocumentError
from .keys import KeyParts, key_kind, read_key
from .statuses import Kind, further
from .workflow_tree import Note

UNPLANNED = "no longer planned"
"""What the comment says that keeps the row of a story which the plan has no more."""


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
    with its status. It hands that over to a new row of the same epic with the same title under another number, else to
    the only new row with its number under another title.
    Words that mean nothing are replaced and kept as a comment; rows outside the method's grammar stay as they are.

    Raises:
        DocumentError: the section stands twice, is an `epics:` list, or is not one row a line; a line in it cannot
            be read and would clash with what is planned.
    """
    board = read_board(text, path)
    twice = [note for note in board.notes if "stands twice" in note.message]
    if board.shape in ("epics", "flow") or twice:
        note = (twice or board.errors or board.notes)[0]
        raise DocumentError(note.message, path=path, line=note.line, remedy="Mend it, then plan again.")
    if "\r" in text and "\n" not in text:
        remedy = "Save it with LF or CRLF line ends."
        raise DocumentError("its lines end with a carriage return alone", path=path, remedy=remedy)
    layout = lay_out(text if board.shape == "rows" else _with_section(text))
    lines = list(layout.lines)
    wanted = dict(planned)
    have = {entry.key: entry for entry in board.entries}
    gone = [entry for entry in board.entries if entry.kind is not Kind.UNKNOWN and entry.key not in wanted]
    fresh = [key for key in wanted if key not in have]
    renumbered = _renumbered(gone, fresh)
    retitled = _retitled(board.entries, gone, list(wanted), fresh, renumbered)
    renamed = {**renumbered, **retitled}
    raised: dict[str, tuple[str, str]] = {}
    replaced: dict[str, str] = {}
    for entry in board.entries:
        number = entry.line - 1
        if entry in gone:
            indent = lines[number][: len(lines[number]) - len(lines[number].lstrip())]
            lines[number] = f"{indent}# {UNPLANNED}: {lines[number].strip()}{layout.newline}"
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
    notes = tuple(_gone_note(entry, retitled, path) for entry in gone if entry.key not in renumbered)
    if stamp and merged != text:
        merged = touch(merged, stamp)
    unread = next((note for note in board.notes if UNREAD in note.message), None)
    if unread and merged != text and not _is_sound(merged):
        raise DocumentError(unread.message, path=path, line=unread.line, remedy="Mend it, then plan again.")
    return Merged(merged, tuple(fresh), raised, replaced, renamed, dropped, notes)


def _is_sound(text: str) -> bool:
    """Whether a board that holds lines that we cannot read is YAML all the same, with every key once."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError):
        return False
    pairs = root.value if isinstance(root, yaml.MappingNode) else []
    keys = [key.value for name, section in pairs if name.value == SECTION for key, _ in section.value]
    return len(set(keys)) == len(keys)


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


def _renumbered(gone: Sequence[Entry], fresh: Sequence[str]) -> dict[str, str]:
    """Old key to new key, where one story of an epic has the same title under another number."""
    renamed = {}
    for entry in gone:
        if entry.kind is Kind.STORY:
            title = entry.key.split("-", 2)[2]
            same = [key for key in fresh if _parts(key).epic == entry.epic and key.split("-", 2)[2:] == [title]]
            if len(same) == 1:
                renamed[entry.key] = same[0]
    return renamed


def _retitled(
    there: Sequence[Entry],
    gone: Sequence[Entry],
    wanted: Sequence[str],
    fresh: Sequence[str],
    renumbered: Mapping[str, str],
) -> dict[str, str]:
    """Old key to new key, where one story alone has a number, on the board and in the plan, under another title."""
    had = Counter(_parts(entry.key) for entry in there)
    has = Counter(_parts(key) for key in wanted)
    heirs = {_parts(key): key for key in fresh if key not in renumbered.values() and has[_parts(key)] == 1}
    return {
        entry.key: heirs[_parts(entry.key)]
        for entry in gone
        if entry.kind is Kind.STORY
        and entry.key not in renumbered
        and had[_parts(entry.key)] == 1
        and _parts(entry.key) in heirs
    }


def _gone_note(entry: Entry, retitled: Mapping[str, str], path: str) -> Note:
    what = f"`{entry.key}` ({entry.raw}) is no longer planned and is kept as a comment"
    if heir := retitled.get(entry.key):
        what += f"; `{heir}` has its number and takes its status over: give it another if it is another story"
    return Note(path, entry.line, what)


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
        status = further(key_kind(key), least, taken.get(key, least))
        gap = end if key_kind(key) is Kind.EPIC and after != layout.header else ""
        lines[after] = f"{lines[after].rstrip(chr(13) + chr(10))}{end}{gap}{indent}{key}: {status}{end}"
