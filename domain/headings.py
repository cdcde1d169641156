"""Which sections does a Markdown text have?"""

from __future__ import annotations

import re
from dataclasses import dataclass

_FENCE = re.compile(r"^\s{0,12}(`{3,}|~{3,})(.*)$")
_HEADING = re.compile(r"^ {0,3}(#{1,6})[ \t]+(.*)$")


@dataclass(frozen=True)
class Heading:
    """A heading outside of fenced code. `start` is its offset, `end` that of the next of its level or above."""

    level: int
    title: str
    line: int
    start: int
    end: int


def headings(text: str) -> tuple[Heading, ...]:
    """All headings of a text, in order."""
    found: list[tuple[int, str, int, int]] = []
    fence = ""
    at = 0
    for number, line in enumerate(text.splitlines(keepends=True), 1):
        mark = _FENCE.match(line)
        if mark and not fence:
            fence = mark[1] if "`" not in mark[2] else ""
        elif mark and mark[1].startswith(fence) and not mark[2].strip():
            fence = ""
        elif not fence and (heading := _HEADING.match(line.rstrip("\r\n"))):
            title = heading[2].strip()
            found.append((len(heading[1]), title.rstrip("#").rstrip() or title, number, at))
        at += len(line)
    ends: list[int] = []
    open_at: dict[int, int] = {}  # level -> start of the nearest following heading of that level
    for level, _, _, start in reversed(found):
        ends.append(min((s for lv, s in open_at.items() if lv <= level), default=len(text)))
        open_at[level] = start
    return tuple(
        Heading(level, title, line, start, end)
        for (level, title, line, start), end in zip(found, reversed(ends), strict=True)
    )
