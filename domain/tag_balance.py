"""Which tags of an instruction text find their ends, and which were only mentioned or forgotten?"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from .instruction_tags import LITERAL, NoteAt, Token, next_at


class Balance:
    """Where tags of one kind open and close, to tell a nested element from a forgotten end."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self._all, self._at = tokens, [t.span[0] for t in tokens]
        self._tags: dict[str, list[Token]] = {}
        for t in tokens:
            if not t.empty or t.closing:
                self._tags.setdefault(t.kind, []).append(t)
        self._starts = {kind: [t.span[0] for t in tags] for kind, tags in self._tags.items()}
        self._opens = {kind: [t.span[0] for t in tags if not t.closing] for kind, tags in self._tags.items()}
        self._closes = {kind: [t.span[0] for t in tags if t.closing] for kind, tags in self._tags.items()}
        self._ends = {kind: _surplus_ends(tags) for kind, tags in self._tags.items()}
        self._walls = sorted([*self._starts.get("step", []), *self._closes.get("workflow", [])])

    def counts(self, kind: str, start: int, end: int | None) -> tuple[int, int]:
        """How many elements of a kind open and how many end between two offsets."""
        return _count(self._opens.get(kind, []), start, end), _count(self._closes.get(kind, []), start, end)

    def region(self, offset: int) -> tuple[int, int | None]:
        """From the border of a step before an offset to the one after it."""
        at = bisect_right(self._walls, offset)
        return (self._walls[at - 1] if at else 0), (self._walls[at] if at < len(self._walls) else None)

    def closed(self, kind: str, start: int, depth: int = 1) -> bool:
        """Whether `depth` elements of this kind, open at `start`, find their ends, those that open later left aside.

        Ends are looked for up to the next border of a step; for steps, up to the end of the workflow.
        """
        wall = next_at(self._closes.get("workflow", []) if kind == "step" else self._walls, start)
        starts, ends = self._starts.get(kind, []), self._ends.get(kind, [])
        at = bisect_left(starts, start)
        for _ in range(depth):
            end = ends[at]
            if end is None or (wall is not None and starts[end] > wall):
                return False
            at = end + 1
        return True

    def literal_end(self, token: Token) -> Token | None:
        """The end of a body that is not looked into; none if its next sister or the step's end comes first."""
        after = token.span[1]
        end = next_at(self._closes.get(token.kind, []), after)
        if end is None:
            return None
        walls = [
            next_at(self._opens.get(token.kind, []), after),
            next_at(self._closes.get("step", []), after),
            next_at(self._closes.get("workflow", []), after),
        ]
        if any(wall is not None and wall < end for wall in walls):
            return None
        return self._tags[token.kind][bisect_left(self._starts[token.kind], end)]

    def next_tag(self, offset: int) -> Token | None:
        """The first tag that does not begin before an offset."""
        at = bisect_left(self._at, offset)
        return self._all[at] if at < len(self._all) else None


def _surplus_ends(tags: Sequence[Token]) -> list[int | None]:
    """For each tag of one kind, and for the place behind the last, the end that closes what is open before it."""
    ends: list[int | None] = [None] * (len(tags) + 1)
    for at in range(len(tags) - 1, -1, -1):
        if tags[at].closing:
            ends[at] = at
        else:
            own = ends[at + 1]
            ends[at] = None if own is None else ends[own + 1]
    return ends


def _count(at: Sequence[int], start: int, wall: int | None) -> int:
    stop = len(at) if wall is None else bisect_left(at, wall)
    return max(0, stop - bisect_left(at, start))


def without_literal_bodies(tokens: list[Token]) -> list[Token]:
    """Tokens without those inside of <critical> and <output>."""
    balance = Balance(tokens)
    kept: list[Token] = []
    until = 0
    for t in tokens:
        if t.span[0] < until:
            continue
        kept.append(t)
        if t.kind in LITERAL and not t.closing and not t.empty and (end := balance.literal_end(t)):
            until = end.span[0]
    return kept


def without_mentions(text: str, tokens: list[Token], kinds: frozenset[str], note: NoteAt) -> list[Token]:
    """Tokens without those that prose only mentions ("use <action> tags").

    A mention stands in the middle of a line, bare, is not closed on that line, and more tags of its kind open than
    close in its step (for steps: in the file).
    """
    balance = Balance(tokens)
    kept: list[Token] = []
    for t in tokens:
        if t.kind in kinds and not t.closing and not t.empty and not t.attrs and _in_prose(text, t):
            start, end = (0, None) if t.kind in ("step", "workflow") else balance.region(t.span[0])
            line_end = text.find("\n", t.span[1])
            own = balance.counts(t.kind, t.span[1], line_end if line_end >= 0 else None)
            opens, closes = balance.counts(t.kind, start, end)
            if opens > closes and own[1] <= own[0]:
                note(t.span[0], f"<{t.kind}> in the middle of a sentence is never closed: read as text")
                continue
        kept.append(t)
    return kept


def _in_prose(text: str, token: Token) -> bool:
    start = text.rfind("\n", 0, token.span[0]) + 1
    before = text[start : token.span[0]].rstrip()
    return bool(before) and not before.endswith(">")
