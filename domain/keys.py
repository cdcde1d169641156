"""How do epics and stories get their keys on the board?

The grammar is upstream's: `epic-1`, `1-2-account-page` (or `1-2a-…` for a split story), `epic-1-retrospective`.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from .statuses import Kind

_STORY_KEY = re.compile(r"(\d+)-(\d+)([a-z]?)-.+")
_EPIC_KEY = re.compile(r"epic-(\d+)(-retrospective)?")
_STORY_ID = re.compile(r"(\d+)\.(\d+)([a-z]?)")
SLUG_LENGTH = 60
SLUG_BYTES = 180  # a branch's name is one file's name at most


@dataclass(frozen=True, order=True)
class KeyParts:
    """What a board key says about itself; sorts in the order of the plan. `number` and `letter` are of stories only."""

    epic: int
    number: int
    letter: str
    kind: Kind

    @property
    def story_id(self) -> str:
        """The story's number as in its heading ("1.2", "1.2a")."""
        return f"{self.epic}.{self.number}{self.letter}"


def slug(text: str, longest: int = SLUG_LENGTH) -> str:
    """Lower-case words joined by dashes, Unicode letters kept; a short hash when nothing of the text can stay."""
    made = re.sub(r"[^\w]+", "-", text.lower()).strip("-")[:longest]
    made = made.encode(errors="replace")[:SLUG_BYTES].decode(errors="ignore").strip("-")
    return made or hashlib.sha256(text.encode(errors="replace")).hexdigest()[:8]


def plain(text: str) -> str:
    """The text itself if it is ASCII, else what of it is, with a hash that tells it apart: for the names of folders
    and operations that every system can hold."""
    if text.isascii():
        return text
    kept = re.sub(r"-{2,}", "-", text.encode("ascii", "ignore").decode()).strip("-")[:60]
    return f"{kept}-{hashlib.sha256(text.encode(errors='replace')).hexdigest()[:12]}".lstrip("-")


def epic_key(number: int) -> str:
    """The board key of an epic."""
    return f"epic-{number}"


def retrospective_key(number: int) -> str:
    """The board key of an epic's retrospective."""
    return f"epic-{number}-retrospective"


def story_key(story_id: str, title: str) -> str:
    """The board key of the story with this number ("1.2") and title."""
    return f"{story_id.replace('.', '-')}-{slug(title)}"


def read_key(key: str) -> KeyParts | None:
    """The parts of a board key, None for a row that the method's grammar does not know."""
    if found := _EPIC_KEY.fullmatch(key):
        kind = Kind.RETROSPECTIVE if found[2] else Kind.EPIC
        return KeyParts(int(found[1]), 0 if kind is Kind.EPIC else 10**9, "", kind)
    if found := _STORY_KEY.match(key):
        return KeyParts(int(found[1]), int(found[2]), found[3], Kind.STORY)
    return None


def key_kind(key: str) -> Kind:
    """What a row with this key stands for."""
    parts = read_key(key)
    return parts.kind if parts else Kind.UNKNOWN


def split_story_id(story_id: str) -> tuple[int, int, str] | None:
    """Epic, number and letter of "1.2a"; None for anything else."""
    found = _STORY_ID.fullmatch(story_id)
    return (int(found[1]), int(found[2]), found[3]) if found else None
