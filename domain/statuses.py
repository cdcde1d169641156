"""Which statuses does the method know, in which order, and who may move what?

The tables follow the method's chart for `sprint-status.yaml`. Legacy and foreign words are read, never written.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal


class Kind(StrEnum):
    """What a row of the board stands for."""

    EPIC = "epic"
    STORY = "story"
    RETROSPECTIVE = "retrospective"
    ACTION = "action item"
    UNKNOWN = "unknown"


BACKLOG, READY, IN_PROGRESS, REVIEW, DONE = "backlog", "ready-for-dev", "in-progress", "review", "done"
OPTIONAL, OPEN = "optional", "open"

ORDER: dict[Kind, tuple[str, ...]] = {
    Kind.EPIC: (BACKLOG, IN_PROGRESS, DONE),
    Kind.STORY: (BACKLOG, READY, IN_PROGRESS, REVIEW, DONE),
    Kind.RETROSPECTIVE: (OPTIONAL, DONE),
    Kind.ACTION: (OPEN, IN_PROGRESS, DONE),
}

# Words that earlier versions of the method wrote, by kind.
LEGACY: dict[Kind, dict[str, str]] = {
    Kind.EPIC: {"contexted": IN_PROGRESS},
    Kind.STORY: {"drafted": READY, "contexted": IN_PROGRESS, "ready-for-review": REVIEW},
    Kind.RETROSPECTIVE: {"completed": DONE},
    Kind.ACTION: {},
}

# Words that other tools and hands write. `awaiting-operator` stands between review and done.
HELD = "awaiting-operator"
FOREIGN: dict[str, str] = {
    HELD: REVIEW,
    **dict.fromkeys(("not-started", "todo", "to-do", "pending", "planned", "new"), BACKLOG),
    **dict.fromkeys(("draft", "ready", "approved", "ready-for-development"), READY),
    **dict.fromkeys(("started", "wip", "active", "doing", "implementing"), IN_PROGRESS),
    **dict.fromkeys(("in-review", "reviewing", "needs-review", "implemented"), REVIEW),
    **dict.fromkeys(("complete", "completed", "finished", "closed", "merged"), DONE),
}
_FOREIGN_BY_KIND: dict[Kind, dict[str, str]] = {
    Kind.RETROSPECTIVE: {**FOREIGN, BACKLOG: OPTIONAL, OPEN: OPTIONAL},
    Kind.ACTION: {"todo": OPEN, "pending": OPEN, "new": OPEN, BACKLOG: OPEN, "completed": DONE, "complete": DONE},
    Kind.EPIC: {**FOREIGN, "ready-for-dev": BACKLOG, REVIEW: IN_PROGRESS, OPEN: BACKLOG},
    Kind.STORY: {**FOREIGN, OPEN: BACKLOG},
}

# (from, to): the workflows that may make the move. The only way back is a review that asks for changes.
MOVES: dict[Kind, dict[tuple[str, str], tuple[str, ...]]] = {
    Kind.STORY: {
        (BACKLOG, READY): ("create-story", "story-ready", "sprint-planning"),
        (READY, IN_PROGRESS): ("dev-story",),
        (IN_PROGRESS, REVIEW): ("dev-story",),
        (REVIEW, DONE): ("code-review", "story-done", "integrate"),
        (REVIEW, IN_PROGRESS): ("code-review", "integrate"),
    },
    Kind.EPIC: {
        (BACKLOG, IN_PROGRESS): ("create-story", "dev-story", "sprint-planning"),
        (IN_PROGRESS, DONE): ("integrate", "retrospective"),
    },
    Kind.RETROSPECTIVE: {(OPTIONAL, DONE): ("retrospective",)},
    Kind.ACTION: {(OPEN, IN_PROGRESS): ("retrospective",), (IN_PROGRESS, DONE): ("retrospective",)},
}
BACK_EDGES: frozenset[tuple[Kind, str, str]] = frozenset({(Kind.STORY, REVIEW, IN_PROGRESS)})

# Upstream's unattended spec files have a chart of their own.
SPEC_ORDER = ("draft", READY, IN_PROGRESS, "in-review", DONE)
SPEC_BLOCKED = "blocked"
SPEC_TO_STORY: dict[str, str] = {
    "draft": BACKLOG,
    READY: READY,
    IN_PROGRESS: IN_PROGRESS,
    "in-review": REVIEW,
    DONE: DONE,
    SPEC_BLOCKED: IN_PROGRESS,
}


@dataclass(frozen=True)
class Reading:
    """How a written status word is understood: `status` is "" for a word that means nothing here."""

    word: str
    status: str
    how: Literal["canonical", "legacy", "foreign", "illegal"]

    @property
    def held(self) -> bool:
        """Whether the row waits for an operator of another tool."""
        return _plain(self.word) == HELD


def _plain(word: str) -> str:
    return re.sub(r"[\s_]+", "-", word.strip().lower())


def read_status(kind: Kind, word: str) -> Reading:
    """What a status word means on a row of this kind."""
    if word in ORDER.get(kind, ()):
        return Reading(word, word, "canonical")
    if kind is Kind.UNKNOWN:
        return Reading(word, word, "foreign")
    if word in LEGACY[kind]:
        return Reading(word, LEGACY[kind][word], "legacy")
    plain = _plain(word)
    if plain in ORDER[kind]:
        return Reading(word, plain, "foreign")
    meaning = LEGACY[kind].get(plain) or _FOREIGN_BY_KIND[kind].get(plain)
    return Reading(word, meaning, "foreign") if meaning else Reading(word, "", "illegal")


def rank(kind: Kind, status: str) -> int:
    """How far along a canonical status is; -1 for one that is not on the chart."""
    order = ORDER.get(kind, ())
    return order.index(status) if status in order else -1


def further(kind: Kind, one: str, other: str) -> str:
    """The more advanced of two statuses; the first on a tie."""
    return other if rank(kind, other) > rank(kind, one) else one


class Move(StrEnum):
    """What becomes of a wish to change a status."""

    FORWARD = "forward"
    SAME = "same"
    BACK = "back, as the method allows"
    REPAIR = "back, as a repair"
    REFUSED = "refused: it would lose progress"
    ILLEGAL = "illegal: not a status of this kind"


def judge_move(kind: Kind, old: str, new: str, *, by: str = "", repair: bool = False) -> Move:
    """Whether a row may go from `old` to `new` (canonical words; `old` may be "" for one that means nothing).

    `by` names the workflow that asks ("" is trusted with every move the method knows). Forward moves may skip
    statuses, as upstream's writers do; `repair` is the one way to lose progress on purpose.
    """
    if new not in ORDER.get(kind, ()):
        return Move.ILLEGAL
    if old == new:
        return Move.SAME
    if rank(kind, new) > rank(kind, old):
        return Move.FORWARD
    if (kind, old, new) in BACK_EDGES and (not by or by in MOVES[kind][old, new]):
        return Move.BACK
    return Move.REPAIR if repair else Move.REFUSED
