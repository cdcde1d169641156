"""Has an edit been applied already?

A replacement that adds nothing to the search text stood in the file before the edit as well, so it shows nothing by
itself; one that only changes indentation is never taken for applied. Where the search text is not found any more, a
line must tie the replacement to it: otherwise it may be other code that reads the same by chance.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher

from .edit_places import Lines, exact_starts, loose_starts

TELLING_SIGNS = 3  # a replacement of fewer letters stands in many files by chance
ALIKE = 0.7  # of a line that a replacement leaves out, to one that stands beside it
CHANGED = 0.8  # of a line of the search text, to the one that took its place
COMPARED = 400  # signs of a line: comparing takes time by their square

Span = tuple[int, int]


def stands_inside(text: str, search: str, new: str) -> bool:
    """Whether the replacement stands in the text, once, and the search text there and nowhere else.

    So reads a text in which "a" was replaced by "a and b": doing it again would add " and b" a second time.
    """
    if search == new:
        return len(exact_starts(text, search)[0]) == 1
    there = _only_span(text, new) if _tells(new) else None
    if there is None or not (_adds(search, new) or search in new):
        return False
    found = _spans(text, search)
    return bool(found) and all(there[0] <= start and end <= there[1] for start, end in found)


def stands_instead(text: str, search: str, new: str) -> bool:
    """Whether the replacement stands in the text, once, where the search text might have stood.

    To be asked when the search text was not found. What the edit would take away from the replacement's edges must not
    be next to it, and a line must tie both texts together: otherwise the search text only missed.
    """
    there = _only_span(text, new) if _tells(new) and search.strip() else None
    if there is None:
        return False
    mine, theirs = _bare(search), _bare(new)
    if not _adds(search, new) and (mine[0] != theirs[0] or mine[-1] != theirs[-1]):
        return False
    lines, size = Lines(text), max(1, len(mine) - len(theirs))
    before = _bare("\n".join(lines.rows[: lines.number(there[0]) - 1]))[-size:]
    after = _bare("\n".join(lines.rows[lines.number(max(there[0], there[1] - 1)) :]))[:size]
    left_before = mine[0] != theirs[0] and any(_alike(mine[0], row) for row in before)
    left_after = mine[-1] != theirs[-1] and any(_alike(mine[-1], row) for row in after)
    return not (left_before or left_after) and _tied(text, there, mine, theirs)


def _tied(text: str, there: Span, mine: Sequence[str], theirs: Sequence[str]) -> bool:
    """Whether the replacement that stands `there` belongs to this search text.

    It does by a line of both that stands nowhere else, or by one that is like a line it replaced, more than any line
    outside of it is.
    """
    if any(_tells(row) and text.count(row) == 1 for row in {*mine} & {*theirs}):
        return True
    others = {*_bare(text[: there[0]]), *_bare(text[there[1] :])}
    replaced = [row for row in mine if row not in theirs and row not in others]
    return any(_likest(row, theirs) > max(CHANGED, _likest(row, others)) for row in replaced)


def _likest(row: str, others: Iterable[str]) -> float:
    """How like the likest of other lines is to a line, from 0 to 1; lines too long to compare are not."""
    same = SequenceMatcher(None, b=row, autojunk=False)
    best = 0.0
    for other in others if len(row) <= COMPARED else ():
        same.set_seq1(other[:COMPARED])
        if same.real_quick_ratio() > best and same.quick_ratio() > best:
            best = max(best, same.ratio())
    return best


def lines_of(text: str, new: str) -> list[int]:
    """The 1-based lines at which a telling replacement stands in the text."""
    lines = Lines(text)
    return [lines.number(start) for start, _ in _spans(text, new)] if _tells(new) else []


def _only_span(text: str, wanted: str) -> Span | None:
    spans = _spans(text, wanted)
    return spans[0] if len(spans) == 1 else None


def _spans(text: str, wanted: str) -> list[Span]:
    """From where to where a text stands: exactly, or else as lines without the white space around them."""
    whole, inside = exact_starts(text, wanted)
    exact = whole or inside
    if exact:
        return [(at, at + len(wanted.rstrip("\n"))) for at in exact]
    lines, size = Lines(text), len(wanted.removesuffix("\n").split("\n"))
    return [(lines.offsets[at], lines.offsets[at + size] - 1) for at in loose_starts(text, wanted)]


def _adds(search: str, new: str) -> bool:
    return bool(set(_bare(new)) - set(_bare(search)))


def _bare(text: str) -> list[str]:
    return [row.strip() for row in text.split("\n") if row.strip()]


def _tells(new: str) -> bool:
    return len(re.sub(r"\W", "", new)) >= TELLING_SIGNS


def _alike(one: str, other: str) -> bool:
    if other.startswith(one):
        return True
    return SequenceMatcher(None, one[:COMPARED], other[:COMPARED], autojunk=False).ratio() >= ALIKE
