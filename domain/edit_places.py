"""Where in a text does an edit's search text stand, and what exactly would change there?

All texts here have plain "\\n" line ends. A place is a handful of `Piece`s, so that lines which an edit does not change
keep their own bytes: trailing spaces, tabs and line ends.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import accumulate, pairwise


@dataclass(frozen=True)
class Piece:
    """Characters `start` to `end` of a text become `text`."""

    start: int
    end: int
    text: str


@dataclass(frozen=True)
class Place:
    """Where a search text stands: lines `first` to `last` (1-based), and what replacing it would change."""

    first: int
    last: int
    pieces: tuple[Piece, ...]


Reindent = Callable[[str], str | None]
"""What a new line looks like with the file's indentation; None if that cannot be known."""


class Lines:
    """A text as lines, with the offset at which each begins."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.rows = text.split("\n")
        self.offsets = [0, *accumulate(len(row) + 1 for row in self.rows)]
        self.count = len(self.rows) - (self.rows[-1] == "")  # a final line end opens no further line

    def number(self, offset: int) -> int:
        """The 1-based number of the line that holds the character at `offset`."""
        return bisect_right(self.offsets, offset)


def splits_word(text: str, at: int) -> bool:
    """Whether a cut before character `at` would fall inside a word or a number."""
    if not 0 < at < len(text):
        return False
    return (_in_word(text[at - 1]) and _in_word(text[at])) or _is_point(text, at - 1) or _is_point(text, at)


def _is_point(text: str, at: int) -> bool:
    """Whether character `at` is a point between digits."""
    return text[at] == "." and text[at - 1 : at].isdigit() and text[at + 1 : at + 2].isdigit()


def _in_word(sign: str) -> bool:
    return sign == "_" or sign.isdigit() or sign.islower() or sign.isupper()


def exact_starts(text: str, search: str) -> tuple[list[int], list[int]]:
    """Offsets at which `search` stands in `text`, and those at which it does only inside a longer word."""
    whole: list[int] = []
    inside: list[int] = []
    at = text.find(search)
    while at >= 0:
        cut = splits_word(text, at) or splits_word(text, at + len(search))
        (inside if cut else whole).append(at)
        at = text.find(search, at + 1)
    return whole, inside


def at_line_start(text: str, at: int) -> bool:
    """Whether nothing but white space stands before character `at` in its line."""
    return not text[text.rfind("\n", 0, at) + 1 : at].strip("\ufeff \t")


def exact_place(text: str, start: int, search: str, replace: str) -> Place | None:
    """The place of a search text that stands at `start`; only what differs from the replacement changes.

    None if it begins inside a line's indentation and the replacement's further lines may have lost theirs, or if it
    covers several lines from the first one's beginning, but not the last one to its end: that line has changed since.
    """
    lines, end = Lines(text), start + len(search)
    first = lines.number(start)
    before = text[lines.offsets[first - 1] : start].removeprefix("\ufeff")
    if before and not before.strip() and not _keeps_indentation(before, search, replace):
        return None
    if not before.strip() and "\n" in search and not search.endswith("\n") and text[end : end + 1].strip("\n"):
        return None
    if not replace and not before.strip() and (search.endswith("\n") or text[end : end + 1] == "\n"):
        # Whole lines go with their indentation and their line end.
        start, end = start - len(before), end + (not search.endswith("\n"))
        return Place(first, lines.number(end - 1), (Piece(start, end, ""),))
    replace = same_line_end(text, start, end, search, replace)
    head = _shared(search, replace)
    tail = _shared(search[head:][::-1], replace[head:][::-1])
    piece = Piece(start + head, end - tail, replace[head : len(replace) - tail])
    return Place(first, lines.number(max(start, end - 1)), (piece,))


def _shared(one: str, other: str) -> int:
    """How many signs two texts have in common at their beginnings."""
    return next(
        (n for n, (mine, theirs) in enumerate(zip(one, other, strict=False)) if mine != theirs),
        min(len(one), len(other)),
    )


def same_line_end(text: str, start: int, end: int, search: str, replace: str) -> str:
    """The replacement with a final line end where the search text has one, and without where it has none.

    A line end that only one of them has is a slip that would join lines or part them. Taking away whole lines is none.
    """
    if not search.strip() or (not replace and at_line_start(text, start)):
        return replace
    if search.endswith("\n") and not replace.endswith("\n"):
        return replace + "\n"
    if not search.endswith("\n") and replace.endswith("\n") and text[end : end + 1] == "\n":
        return replace[:-1]
    return replace


def _keeps_indentation(before: str, search: str, replace: str) -> bool:
    """Whether a replacement that is put after the indentation `before` surely has its lines where they belong."""
    mine, new = search.split("\n"), [row for row in replace.split("\n") if row.strip()]
    if not new:
        return True
    if _indent(mine[0]) != _indent(replace.split("\n")[0]):
        return False
    if len(new) == 1 or any(_indent(row) for row in mine[1:] if row.strip()):
        return True
    whole = before + _indent(mine[0])
    return all(row.startswith(whole) for row in new[1:]) and not looks_flat([before + new[0], *new[1:]])


def looks_flat(rows: Sequence[str]) -> bool:
    """Whether a line that opens a block is followed by one that is not indented deeper: indentation was lost."""
    rows = [row for row in rows if row.strip()]
    return any(
        OPENS.search(row) is not None and len(_indent(after)) <= len(_indent(row)) for row, after in pairwise(rows)
    )


def loose_starts(text: str, search: str) -> list[int]:
    """Indices of the lines at which `search` stands when white space around each line does not count."""
    wanted = [row.strip() for row in _rows(search)]
    if not any(wanted):
        return []
    lines = Lines(text)
    have = [row.strip("\ufeff" if n == 0 else None).strip() for n, row in enumerate(lines.rows[: lines.count])]
    return [
        n for n in range(len(have) - len(wanted) + 1) if have[n] == wanted[0] and have[n : n + len(wanted)] == wanted
    ]


def begins_at(text: str, search: str, line: int) -> bool:
    """Whether `search` stands as whole lines from the 1-based `line` on, and nowhere else with just its white space."""
    exact = {Lines(text).number(at) for at in exact_starts(text, search)[0]}
    return line - 1 in loose_starts(text, search) and (len(exact) != 1 or exact == {line})


def loose_place(text: str, start: int, search: str, replace: str) -> Place | None:
    """The place of a search text that loosely stands at line index `start`; None if new lines cannot be indented."""
    lines, wanted = Lines(text), _rows(search)
    new = _rows(replace) if replace or not search.endswith("\n") else []
    have = [row.removeprefix("\ufeff") for row in lines.rows[start : start + len(wanted)]]
    fit = reindenter(list(zip(wanted, have, strict=True)), new)
    pieces = []
    same = SequenceMatcher(None, [row.rstrip() for row in wanted], [row.rstrip() for row in new], autojunk=False)
    for tag, low, high, new_low, new_high in same.get_opcodes():
        if tag == "equal":
            continue
        fitted = [row if not row.strip() else fit(row) if fit else None for row in new[new_low:new_high]]
        if any(row is None for row in fitted):
            return None
        pieces.append(_rows_piece(lines, start + low, start + high, [row or "" for row in fitted]))
    return Place(start + 1, start + len(wanted), tuple(pieces))


def _rows(text: str) -> list[str]:
    return text.removesuffix("\n").split("\n")


def _rows_piece(lines: Lines, low: int, high: int, new: Sequence[str]) -> Piece:
    """Lines `low` to `high` (excluded) become `new`; a text without a final line end stays without one."""
    start, end, body = lines.offsets[low], lines.offsets[high], "".join(f"{row}\n" for row in new)
    size = len(lines.text)
    if low == 0 and lines.text.startswith("\ufeff"):
        start = 1
    if end <= size:
        return Piece(start, end, body)
    if start > size:  # after the last line, which has no line end
        return Piece(size, size, "\n" + body.removesuffix("\n") if new else "")
    if new:
        return Piece(start, size, body.removesuffix("\n"))
    return Piece(max(0, start - 1), size, "")


def reindenter(pairs: Sequence[tuple[str, str]], new: Sequence[str]) -> Reindent | None:
    """How lines written like the search text are indented in the file; None if the pairs do not tell.

    `pairs` are (line of the search text, line of the file) that agree but for white space around them.
    """
    indents = [(_indent(mine), _indent(theirs)) for mine, theirs in pairs if mine.strip()]
    used = {_indent(row) for row in new if row.strip()}
    if all(mine == theirs for mine, theirs in indents):
        return lambda row: row
    if looks_flat(new) or (len(indents) == 1 and not indents[0][0] and sum(bool(row.strip()) for row in new) > 1):
        return None
    return _shifted(indents, new) or _first_line_lost(indents, new) or _tabs_for_spaces(indents, used)


def _indent(row: str) -> str:
    return row[: len(row) - len(row.lstrip())]


def _shifted(indents: Sequence[tuple[str, str]], new: Sequence[str]) -> Reindent | None:
    """All lines stand deeper or shallower by the same; the replacement must begin where the search text does."""
    mine, theirs = indents[0]
    inner = [_indent(row) for row in new if row.strip()]
    if inner and (inner[0] != mine or min(inner, key=len) != min((here for here, _ in indents), key=len)):
        return None
    if theirs.endswith(mine):
        more = theirs[: len(theirs) - len(mine)]
        if all(there == more + here for here, there in indents):
            return lambda row: more + row
    if mine.endswith(theirs):
        less = mine[: len(mine) - len(theirs)]
        if all(here == less + there for here, there in indents):
            return lambda row: row.removeprefix(less) if row.startswith(less) else None
    return None


def _first_line_lost(indents: Sequence[tuple[str, str]], new: Sequence[str]) -> Reindent | None:
    """Only the first line lost its indentation, in search and replacement alike: the others stand as they are."""
    mine, theirs = indents[0]
    others = indents[1:]
    bare = [row for row in new if row.strip() and not _indent(row)]
    first = next((row for row in new if row.strip()), "")
    if mine or not others or any(here != there for here, there in others) or bare != [first]:
        return None
    return lambda row: row if _indent(row) else theirs + row


def _tabs_for_spaces(indents: Sequence[tuple[str, str]], used: set[str]) -> Reindent | None:
    flip = any("\t" in mine for mine, _ in indents)
    pairs = [(theirs, mine) if flip else (mine, theirs) for mine, theirs in indents]
    if any(spaces.strip(" ") or tabs.strip("\t") for spaces, tabs in pairs):
        return None
    units = {len(spaces) / len(tabs) if tabs else 0 if not spaces else -1 for spaces, tabs in pairs} - {0}
    if len(units) != 1:
        return None
    (unit,) = units
    known = {mine for mine, _ in indents}
    sure = unit in (4, 8) or (unit == 2 and len(known - {""}) > 1)
    if unit < 1 or unit % 1 or not (sure or used <= known):
        return None
    width = int(unit)

    def fit(row: str) -> str | None:
        indent, rest = _indent(row), row.lstrip()
        if indent.strip("\t" if flip else " ") or (not flip and len(indent) % width):
            return None
        return (" " * width * len(indent) if flip else "\t" * (len(indent) // width)) + rest

    return fit


def numbered(rows: Sequence[str], first: int) -> str:
    """Lines with their numbers, as `read_file` shows them."""
    wide = len(str(first + len(rows) - 1)) if rows else 1
    return "\n".join(f"{n:>{wide}}| {row}" for n, row in enumerate(rows, first))


OPENS = re.compile(r"(?:[:{(\[\\]|[=-]>|\b(?:do|then|begin))\s*$")
"""How a line ends that opens a block or goes on in the next line."""

NUMBERED = re.compile(r"^\s*(\d{1,9})(?:\| ?|\t|: ?)")
"""How a line begins that was copied with its number."""
