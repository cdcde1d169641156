"""Has an edit been applied already?"""

from __future__ import annotations

import re
from difflib import SequenceMatcher

from .edit_places import Lines, exact_starts

TELLING_SIGNS = 3  # a replacement of fewer letters stands in many files by chance
ALIKE = 0.7  # of a line that a replacement leaves out, to one that stands beside it


def stands_inside(text: str, search: str, new: str) -> bool:
    """Whether the replacement stands in the text, once, and the search text there and nowhere else.

    So reads a text in which "a" was replaced by "a and b": doing it again would add " and b" a second time.
    """
    if search == new:
        return len(exact_starts(text, search)[0]) == 1
    if search not in new or not _tells(new):
        return False
    there, _ = exact_starts(text, new)
    found, _ = exact_starts(text, search)
    if len(there) != 1 or not found:
        return False
    return all(there[0] <= at and at + len(search) <= there[0] + len(new) for at in found)


def stands_instead(text: str, search: str, new: str) -> bool:
    """Whether the replacement stands in the text, once, where the search text might have stood.

    To be asked when the search text was not found. What the edit would take away from the replacement's edges must not
    be next to it: otherwise the search text only missed.
    """
    there, _ = exact_starts(text, new) if _tells(new) and search.strip() else ([], [])
    if len(there) != 1:
        return False
    mine = [row.strip() for row in search.split("\n") if row.strip()]
    theirs = [row.strip() for row in new.split("\n") if row.strip()]
    lines, span = Lines(text), max(1, len(mine) - len(theirs))
    before = [row.strip() for row in lines.rows[: lines.number(there[0]) - 1] if row.strip()][-span:]
    after = [row.strip() for row in lines.rows[lines.number(there[0] + len(new.rstrip("\n")) - 1) :] if row.strip()]
    left_before = mine[0] != theirs[0] and any(_alike(mine[0], row) for row in before)
    left_after = mine[-1] != theirs[-1] and any(_alike(mine[-1], row) for row in after[:span])
    return not (left_before or left_after)


def _tells(new: str) -> bool:
    return len(re.sub(r"\W", "", new)) >= TELLING_SIGNS


def _alike(one: str, other: str) -> bool:
    return other.startswith(one) or SequenceMatcher(None, one, other, autojunk=False).ratio() >= ALIKE
