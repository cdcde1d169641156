"""Why was an edit refused, and which lines come closest to what it looked for?"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import accumulate

from .edit_places import Lines, numbered

SHOWN_LINES = 30
SHOWN_WINDOWS = 3
SHOWN_NUMBERS = 12
NEARLY = 0.7
DOTS = ("...", "…")
LEFT_OUT = r"(?:the )?(?:rest|existing|remaining|other|same|unchanged|previous|more)\b.*"
ELISION = re.compile(rf"(?:#|//|/\*|--|<!--|;)\s*(?:\.\.\.|…)[^\w.]*(?:{LEFT_OUT})?|(?:\.\.\.|…)\s+{LEFT_OUT}|\.\.\.|…")
"""A line that stands for lines left out: `...`, `# ... existing code ...`; not `...rest` or `...,`, which are code."""
SHOWN_NUMBER = re.compile(r"\s*\d{1,9}[|\t]")
"""How a line begins that was copied from what reading shows; `404: "missing",` may be code, number and all."""
QUOTES = re.compile("[\u2018\u2019\u201c\u201d\u00a0\u2013\u2014]")


def closest(text: str, search: str) -> str:
    """The lines of `text` most like `search`, with their numbers, and the first line that differs.

    Two more places are shown when they are nearly as like.
    """
    lines, wanted = Lines(text), [row.strip() for row in search.strip("\n").split("\n")]
    have = [row.strip("\ufeff").strip() for row in lines.rows[: lines.count]]
    if not any(have):
        return "The file is empty."
    (start, score), *others = _best_windows(have, wanted)
    shown = lines.rows[start : min(start + min(len(wanted), SHOWN_LINES), lines.count)]
    said = f"The closest lines are {start + 1} to {start + len(shown)}:\n{numbered(shown, start + 1)}\n"
    at, mine = _first_difference(have[start : start + len(wanted)], wanted)
    if mine is not None and start + at < lines.count:
        said += f"Line {start + at + 1} is {_short(lines.rows[start + at])} where the search text has {_short(mine)}."
    elif mine is not None:
        said += f"The file ends before the search text's line {at + 1}: {_short(mine)}."
    for other, second in others:
        if second >= score * NEARLY:
            rows = lines.rows[other : min(other + min(len(wanted), SHOWN_LINES // 3), lines.count)]
            said += f"\nNearly as close, from line {other + 1}:\n{numbered(rows, other + 1)}"
    return said + _rarest(have, wanted)


def _rarest(have: Sequence[str], wanted: Sequence[str]) -> str:
    """Where the wanted line stands that is rarest in the file, if it stands at several places; "" otherwise."""
    often = Counter(have)
    rarest = min((row for row in wanted if row and often[row]), key=lambda row: often[row], default="")
    if often[rarest] < 2:
        return ""
    numbers = [str(n) for n, row in enumerate(have, 1) if row == rarest]
    named = ", ".join(numbers[:SHOWN_NUMBERS]) + (", …" if len(numbers) > SHOWN_NUMBERS else "")
    return f"\nThe search text's line {_short(rarest)} stands at lines {named}."


def _best_windows(have: Sequence[str], wanted: Sequence[str]) -> list[tuple[int, float]]:
    """The best places (line index, score), apart from each other; of equals, the first comes first.

    A line that is wanted counts the more the fewer lines of the file are like it; others count by their words.
    """
    often, needed, size = Counter(have), {row for row in wanted if row and not ELISION.fullmatch(row)}, len(wanted)
    worth = {row: 1 / often[row] if row in needed else _likeness(row, wanted) / 4 for row in often}
    sums = [0.0, *accumulate(worth[row] for row in have)]
    scores = []
    for start in range(len(have)):
        opens = 0.5 * worth[have[start]] if wanted[0] and have[start] == wanted[0] else 0.0
        scores.append(round(sums[min(start + size, len(have))] - sums[start] + opens, 9))
    best: list[int] = []
    for at in sorted(range(len(have)), key=lambda at: (-scores[at], at)):
        if all(abs(at - other) >= size for other in best):
            best.append(at)
        if len(best) == SHOWN_WINDOWS:
            break
    return [(at, scores[at]) for at in best]


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
    """The line of a replacement that stands for others which were left out; "" if there is none.

    More than bare dots may be a comment that is meant, as long as no line of the search text goes away.
    """
    rows, before = [row.strip() for row in new.split("\n") if row.strip()], ""
    known = {row.strip() for row in search.split("\n") if row.strip()}
    dropped = bool(known - {*rows})
    for row in rows:
        stub = row in DOTS and (before.endswith((":", '"""', "'''")) or len(rows) == 1)
        if row not in known and not stub and (dropped or row in DOTS) and ELISION.fullmatch(row):
            return row
        before = row
    return ""


def slip(text: str, search: str) -> str:
    """What kind of slip made a search text miss, if it is one of the usual ones; "" otherwise."""
    rows = [row for row in search.split("\n") if row.strip()]
    if rows and all(SHOWN_NUMBER.match(row) for row in rows):
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
