"""What does a file read like after a model's search/replace edits, or why were they refused?

The ladder: the search text stands there exactly and once; or it stands there once when white space around its lines is
ignored, and the replacement can be indented like the file; otherwise the edit is refused with the closest lines.
Several edits of one file are applied all or not at all. An edit is never applied to one of several possible places.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

from . import edit_hints
from .edit_done import lines_of, stands_inside, stands_instead
from .edit_places import (
    NUMBERED,
    Lines,
    Piece,
    Place,
    at_line_start,
    begins_at,
    exact_place,
    exact_starts,
    loose_place,
    loose_starts,
    numbered,
)

SHOWN_PLACES = 6


@dataclass(frozen=True)
class Applied:
    """What came of one edit. `first` and `last` are the lines it found (1-based, before the change; 0 if refused)."""

    status: Literal["exact", "whitespace", "already", "refused"]
    first: int = 0
    last: int = 0
    message: str = ""


@dataclass(frozen=True)
class EditResult:
    """The new text, or the old one with the reasons why nothing was changed."""

    text: str
    applied: tuple[Applied, ...]

    @property
    def ok(self) -> bool:
        """Whether every edit is in the text now."""
        return all(edit.status != "refused" for edit in self.applied)

    @property
    def refusals(self) -> tuple[str, ...]:
        """Why edits were refused, in a form that helps to mend them."""
        return tuple(edit.message for edit in self.applied if edit.status == "refused")

    def report(self, path: str) -> str:
        """What a model is told about its edits of `path`."""
        count = len(self.applied)
        if not self.ok:
            none = "" if count == 1 else " Nothing was changed; the other edits wait for this."
            return f"{path}: not edited.{none}\n" + "\n".join(self.refusals)
        said = [f"edit {n}: {edit.message}" for n, edit in enumerate(self.applied, 1) if edit.message]
        changed = sum(edit.status != "already" for edit in self.applied)
        return "\n".join(
            [f"{path}: {changed} of {count} edits changed the file." if said else f"{path}: edited.", *said]
        )


@dataclass(frozen=True)
class _Found:
    outcome: Applied
    pieces: tuple[Piece, ...] = ()


@dataclass(frozen=True)
class Read:
    """What an edit may have meant. `line`: it says itself where (1-based), and means whole lines; 0 if it does not."""

    search: str
    new: str
    line: int = 0


def apply_edits(text: str, edits: Sequence[tuple[str, str]]) -> EditResult:
    """Return `text` after all (search, replace) pairs, or unchanged with the reasons if any of them is refused.

    Every search text is looked up in `text` as given; one that is missing there may stand in what earlier edits made.
    Line ends of the file are kept, whichever the edits use; new lines take the file's prevailing one.
    """
    plain = _plain(text)
    pairs = [(_plain(search).removeprefix("\ufeff"), _plain(new).removeprefix("\ufeff")) for search, new in edits]
    found = [_find(plain, search, new) for search, new in pairs]
    spans = [piece for each in found for piece in each.pieces]
    if all(each.outcome.status != "refused" for each in found) and not _overlap(spans):
        return EditResult(_splice(text, spans), tuple(each.outcome for each in found))
    return _one_after_another(text, pairs, found)


def _one_after_another(text: str, pairs: Sequence[tuple[str, str]], at_first: Sequence[_Found]) -> EditResult:
    now, outcomes = text, []
    for n, ((search, new), before) in enumerate(zip(pairs, at_first, strict=True)):
        ambiguous = before.outcome.status == "refused" and before.outcome.first > 0
        found = before if ambiguous else _find(_plain(now), search, new)
        outcome = found.outcome
        if outcome.status == "refused":
            label = f"Edit {n + 1} of {len(pairs)}: " if len(pairs) > 1 else ""
            outcome = replace(outcome, message=label + outcome.message)
        outcomes.append(outcome)
        now = _splice(now, found.pieces)
    ok = all(outcome.status != "refused" for outcome in outcomes)
    return EditResult(now if ok else text, tuple(outcomes))


def _find(text: str, search: str, new: str) -> _Found:
    if not search:
        return _fill(text, new)
    elided = edit_hints.elision(search, new)
    if elided:
        return _refused(f"The replacement leaves lines out with {elided!r}: give every line as it shall be.")
    for reading in READINGS:
        read = reading(search, new)
        found = _look(text, read) if read is not None else None
        if found is not None:
            return found
    return _already() if stands_instead(text, search, new) else _missing(text, search, new)


def _look(text: str, read: Read) -> _Found | None:
    """What comes of one reading of an edit; None if its search text is nowhere, or not where the edit says."""
    search, new = read.search, read.new
    if read.line and not begins_at(text, search, read.line):
        return None
    if stands_inside(text, search, new):
        return _already()
    whole, inside = exact_starts(text, search)
    if len(whole) > 1:
        return _refuse_places(text, [Lines(text).number(at) for at in whole])
    loose = loose_starts(text, search)
    if len(whole) == 1:
        own = Lines(text).number(whole[0])
        if not at_line_start(text, whole[0]) and any(at + 1 != own for at in loose):
            return _refuse_places(text, [own, *(at + 1 for at in loose)], ", in part of a line or as whole lines")
        place = exact_place(text, whole[0], search, new)
        if place is not None:
            return _found("exact", place)
    if len(loose) > 1:
        return _refuse_places(text, [at + 1 for at in loose], " when white space is ignored")
    if len(loose) == 1:
        loosely = loose_place(text, loose[0], search, new)
        return _found("whitespace", loosely) if loosely else _refuse_indentation(text, loose[0], search)
    if whole:
        return _refuse_part(text, whole[0], search)
    if inside:
        at = Lines(text).number(inside[0])
        return _refused(
            f"The search text stands only inside a longer word or number, in line {at}:\n" + _show(text, [at])
        )
    return None


def _found(status: Literal["exact", "whitespace"], place: Place) -> _Found:
    where = f"line {place.first}" if place.first == place.last else f"lines {place.first} to {place.last}"
    said = f"found at {where} by ignoring white space." if status == "whitespace" else ""
    return _Found(Applied(status, place.first, place.last, said), place.pieces)


def _already() -> _Found:
    return _Found(Applied("already", message="the file reads like the replacement already; nothing was changed."))


def _fill(text: str, new: str) -> _Found:
    if text.strip("\ufeff \t\n"):
        if text.strip("\ufeff\n") == new.strip("\ufeff\n"):
            return _already()
        return _refused("An empty search text is only for an empty file. Name the lines to replace, or use write_file.")
    start = 1 if text.startswith("\ufeff") else 0
    return _Found(Applied("exact", 1, 1), (Piece(start, len(text), new.removeprefix("\ufeff")),))


def _missing(text: str, search: str, new: str) -> _Found:
    slip = edit_hints.slip(text, search)
    told = f"{slip} " if slip else ""
    done = ", ".join(map(str, lines_of(text, new)[:SHOWN_PLACES]))
    there = f"\nThe replacement stands at line {done}: if that is what you want, nothing is left to do." if done else ""
    return _refused(f"The search text is not in the file. {told}{edit_hints.closest(text, search)}{there}")


def _refused(message: str, first: int = 0) -> _Found:
    return _Found(Applied("refused", first, first, message))


def _refuse_places(text: str, numbers: Sequence[int], how: str = "") -> _Found:
    named = ", ".join(map(str, numbers[:SHOWN_PLACES])) + (", …" if len(numbers) > SHOWN_PLACES else "")
    return _refused(
        f"The search text stands at {len(numbers)} places{how}: it begins at lines {named}. "
        f"Add lines before or after it until it is unique.\n{_show(text, numbers[:SHOWN_PLACES])}",
        numbers[0],
    )


def _refuse_indentation(text: str, at: int, search: str) -> _Found:
    rows = Lines(text).rows[at : at + len(search.removesuffix("\n").split("\n"))][: edit_hints.SHOWN_LINES]
    return _refused(
        f"The search text stands at line {at + 1}, but indented otherwise than the file, so that the replacement's "
        "indentation is not certain. Give search and replacement as whole lines, indented like the file:\n"
        f"{numbered(rows, at + 1)}",
        at + 1,
    )


def _refuse_part(text: str, start: int, search: str) -> _Found:
    lines = Lines(text)
    first, last = lines.number(start), lines.number(start + len(search) - 1)
    if first == last:
        return _refuse_indentation(text, first - 1, search)
    return _refused(
        f"The search text's last line is only a part of line {last}. Give whole lines:\n"
        + numbered(
            lines.rows[first - 1 : last][-edit_hints.SHOWN_LINES :], max(first, last - edit_hints.SHOWN_LINES + 1)
        ),
        first,
    )


def _show(text: str, numbers: Sequence[int]) -> str:
    rows = Lines(text).rows
    return "\n".join(numbered([rows[n - 1]], n) for n in numbers)


def _as_written(search: str, new: str) -> Read:
    return Read(search, new)


def _without_fences(search: str, new: str) -> Read | None:
    mine, theirs = _fenced(search), _fenced(new)
    return None if mine is None else Read(mine, new if theirs is None else theirs)


def _fenced(text: str) -> str | None:
    inner = re.fullmatch(r"\s*```[\w+-]*\n(.*\n)?```\s*", text, re.DOTALL)
    return (inner.group(1) or "") if inner else None


def _without_numbers(search: str, new: str) -> Read | None:
    """Both texts without the line numbers that `read_file` shows; None unless every line of the search text has one."""
    counted, theirs = _numbers(search.removesuffix("\n").split("\n")), _numbers(new.split("\n"), blank=False)
    first = counted[0]
    if first is None or counted != list(range(first, first + len(counted))):
        return None
    if any(theirs) and (None in theirs or theirs[0] != first):
        return None
    return Read(_unnumber(search), _unnumber(new) if any(theirs) else new, line=first)


def _numbers(rows: Sequence[str], *, blank: bool = True) -> list[int | None]:
    """The number that each line begins with, None where there is none; without `blank`, empty lines are left out."""
    marks = [NUMBERED.match(row) for row in rows if blank or row.strip()]
    return [int(mark.group(1)) if mark else None for mark in marks]


def _unnumber(text: str) -> str:
    return "\n".join(NUMBERED.sub("", row, count=1) for row in text.split("\n"))


def _without_blank_edges(search: str, new: str) -> Read | None:
    mine, theirs = search, new
    for _ in range(3):
        for edge in ("start", "end"):
            short, other = _less_edge(mine, edge), _less_edge(theirs, edge)
            if short is not None and other is not None:
                mine, theirs = short, other
    return Read(mine, theirs) if mine != search and mine.strip() else None


def _less_edge(text: str, edge: str) -> str | None:
    if edge == "start":
        first, cut, rest = text.partition("\n")
        return rest if cut and not first.strip() else None
    rest, cut, last = text.removesuffix("\n").rpartition("\n")
    return rest + "\n" if cut and not last.strip() else None


Reading = Callable[[str, str], Read | None]
READINGS: tuple[Reading, ...] = (_as_written, _without_fences, _without_numbers, _without_blank_edges)
"""Ways to read an edit, in order; the first whose search text is found decides."""


def _plain(text: str) -> str:
    return text.replace("\r\n", "\n")


def _overlap(pieces: Sequence[Piece]) -> bool:
    ordered = sorted(pieces, key=lambda piece: (piece.start, piece.end))
    return any(one.end > other.start or one.start == other.start for one, other in pairwise(ordered))


def _splice(text: str, pieces: Sequence[Piece]) -> str:
    """`text` (with its own line ends) after pieces whose offsets count in its plain form."""
    returns = [mark.start() - n for n, mark in enumerate(re.finditer("\r\n", text))]
    ends = text.count("\n")
    crlf = len(returns) * 2 > ends
    parts, done = [], 0
    for piece in sorted(pieces, key=lambda piece: piece.start):
        start, end = _raw(piece.start, returns), _raw(piece.end, returns)
        parts += [text[done:start], piece.text.replace("\n", "\r\n") if crlf else piece.text]
        done = end
    return "".join([*parts, text[done:]])


def _raw(offset: int, returns: Sequence[int]) -> int:
    return offset + bisect_left(returns, offset)
