"""Which stories does a line of free text name as prerequisites?

"Story 1.1, Story 1.2", "Stories 1.1-1.3 and 2.1", "1-1-login", "Epic 1 complete", "the previous story", "None".
A bare number counts only where nothing else stands beside it: "Python 3.11" is no story.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_NONE = re.compile(r"(?:none|n/?a|nothing|no (?:prerequisites|dependencies)|[-–—])(?:\W.*)?", re.IGNORECASE)
_RANGE = re.compile(r"(\d+\.\d+[a-z]?)\s*(?:-|–|—|to|through|bis)\s*(?:story\s+)?(\d+\.\d+[a-z]?)", re.IGNORECASE)
_NAMED = re.compile(r"\bstor(?:y|ies)\s+((?:\d+\.\d+[a-z]?(?![.\d])(?:\s*(?:,|&|\+|/|and|und)\s*)?)+)", re.IGNORECASE)
_ID = re.compile(r"\d+\.\d+[a-z]?", re.IGNORECASE)
_EPIC = re.compile(r"\bepics?\s+(\d+(?:\s*(?:,|&|\+|and)\s*\d+)*)(?![.\d])", re.IGNORECASE)
_KEY = re.compile(r"\b\d+-\d+[a-z]?-\w[\w-]*")
_BEFORE = re.compile(r"\b(all|every)\s+(the\s+)?(previous|earlier|preceding|prior)\s+stor(y|ies)\b", re.IGNORECASE)
_LAST = re.compile(r"\b(previous|preceding|prior)\s+story\b", re.IGNORECASE)
_BARE = re.compile(r"#?(\d+\.\d+[a-z]?)(?![.\d])\s*(\([^)]*\))?\.?", re.IGNORECASE)


@dataclass(frozen=True)
class Needs:
    """Prerequisites as read: items are story numbers, board keys, "epic-N", "range:A-B", "previous", "all-previous",
    or text that names no story. `none` says that there are none on purpose. `line` is where they stand, 0 if nowhere.
    """

    items: tuple[str, ...] = ()
    none: bool = False
    line: int = 0


def read_needs(text: str) -> Needs:
    """The prerequisites that this text names."""
    plain = re.sub(r"[*_`]", lambda mark: "" if mark[0] != "_" else "_", text).strip()
    if not plain:
        return Needs()
    items: list[str] = []
    for part in re.split(r"[;\n]|,(?!\s*\d)", plain):
        piece = re.sub(r"^\s*(?:[-*•]\s+|\d+[.)]\s+)", "", part).strip().rstrip(".")
        if piece:
            items.extend(_items(piece))
    named = [item for item in items if not _NONE.fullmatch(item)]
    return Needs(tuple(dict.fromkeys(named)), none=bool(items) and not named)


def _items(piece: str) -> list[str]:
    """What one piece between commas names; the piece itself if that is nothing."""
    if _BEFORE.search(piece):
        return ["all-previous"]
    if _LAST.search(piece):
        return ["previous"]
    found = [key.lower() for key in _KEY.findall(piece)]
    rest = _KEY.sub(" ", piece)
    for first, last in _RANGE.findall(rest):
        found.append(f"range:{first.lower()}-{last.lower()}")
    rest = _RANGE.sub(" ", rest)
    for names in _NAMED.findall(rest):
        found += [name.lower() for name in _ID.findall(names)]
    for numbers in _EPIC.findall(rest):
        found += [f"epic-{int(number)}" for number in re.findall(r"\d+", numbers)]
    if not found:
        bare = [_BARE.fullmatch(word.strip()) for word in re.split(r",|&|\+|\band\b", rest) if word.strip()]
        found = [match[1].lower() for match in bare if match] if all(bare) else []
    return found or [piece]
