"""Why was an edit refused, and which lines come closest to what it looked for?"""

from __future__ import annotations

import re
from collections.abc import Sequence

from .edit_places import NUMBERED, Lines, numbered

SHOWN_LINES = 30
ELISION = re.compile(
    r"(?:#|//|/\*|--|<!--|;)?\s*(?:\.\.\.|…)[^\w.]*"
    r"(?:(?:the )?(?:rest|existing|remaining|other|same|unchanged|previous|more)\b.*)?"
)
"""A line that stands for lines left out: `...`, `# ... existing code ...`."""
QUOTES = re.compile("[\u2018\u2019\u201c\u201d\u00a0\u2013\u2014]")


def closest(text: str, search: str) -> str:
    """The lines of `text` most like `search`, with their numbers, and the first line that differs."""
    lines, wanted = Lines(text), [row.strip() for row in search.strip("\n").split("\n")]
    have = [row.strip("\ufeff").strip() for row in lines.rows[: lines.count]]
    if not any(have):
        return "The file is empty."
    start = _best_window(have, wanted)
    shown = lines.rows[start : min(start + min(len(wanted), SHOWN_LINES), lines.count)]
    at, mine = _first_difference(have[start : start + len(wanted)], wanted)
    said = f"The closest lines are {start + 1} to {start + len(shown)}:\n{numbered(shown, start + 1)}\n"
    if mine is not None:
        theirs = lines.rows[start + at] if start + at < lines.count else None
        said += (
            f"Line {start + at + 1} is {_short(theirs)} where the search text has {_short(mine)}."
            if theirs is not None
            else f"The file ends before the search text's line {at + 1}: {_short(mine)}."
        )
    return said


def _best_window(have: Sequence[str], wanted: Sequence[str]) -> int:
    """The index of the line from which as many lines as wanted are most like those wanted; the first of equals."""
    like = {row: _likeness(row, wanted) for row in set(have)}
    size = len(wanted)
    best, best_at = -1.0, 0
    for start in range(max(1, len(have) - size + 1)):
        window = have[start : start + size]
        score = sum(1.0 if mine == theirs and mine else 0.0 for mine, theirs in zip(wanted, window, strict=False))
        score += sum(like[row] for row in window) / 4
        if score > best + 1e-9:
            best, best_at = score, start
    return best_at


def _likeness(row: str, wanted: Sequence[str]) -> float:
    """How much a line shares with the most similar wanted line, by its words (0 to 1)."""
    words = set(re.findall(r"\w+", row))
    best = 0.0
    for mine in wanted:
        other = set(re.findall(r"\w+", mine))
        if words and other:
            best = max(best, len(words & other) / len(words | other))
    return best


def _first_difference(window: Sequence[str], wanted: Sequence[str]) -> tuple[int, str | None]:
    for at, mine in enumerate(wanted):
        if at >= len(window) or window[at] != mine:
            return at, mine
    return 0, None


def _short(row: str | None, limit: int = 160) -> str:
    row = row or ""
    return repr(row if len(row) <= limit else row[:limit] + "…")


def elision(search: str, new: str) -> str:
    """The line of a replacement that stands for others which were left out; "" if there is none."""
    rows, before = [row.strip() for row in new.split("\n") if row.strip()], ""
    known = {row.strip() for row in search.split("\n")}
    for row in rows:
        stub = row in ("...", "…") and (before.endswith((":", '"""', "'''")) or len(rows) == 1)
        if row not in known and not stub and ELISION.fullmatch(row):
            return row
        before = row
    return ""


def slip(text: str, search: str) -> str:
    """What kind of slip made a search text miss, if it is one of the usual ones; "" otherwise."""
    rows = [row for row in search.split("\n") if row.strip()]
    if rows and all(NUMBERED.match(row) for row in rows):
        return "The search text seems to carry line numbers: leave them out."
    if any(row.strip().startswith("```") for row in rows) and "```" not in text:
        return "The search text seems to carry a code fence: leave it out."
    if any(ELISION.fullmatch(row.strip()) for row in rows):
        return "The search text seems to leave lines out with `...`: give every line, or only the lines that change."
    plain = QUOTES.sub(lambda sign: PLAIN[sign.group()], search)
    if plain != search and plain.strip() in text:
        return "The search text has typographic quotes, dashes or spaces where the file has plain ones."
    words = re.sub(r"\s+", "", search)
    if words and words in re.sub(r"\s+", "", text):
        return "The same signs stand in the file with other white space or line breaks: copy the lines as they are."
    return ""


PLAIN = {"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "\u00a0": " ", "\u2013": "-", "\u2014": "-"}
