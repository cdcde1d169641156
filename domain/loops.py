"""Over which items does a for-each run?"""

from __future__ import annotations

import re
from collections.abc import Mapping

from pydantic import JsonValue

from .condition_facts import slug
from .templates import fill_names

MAX_ITEMS = 200


def loop_items(collection: str, known: Mapping[str, JsonValue]) -> tuple[JsonValue, ...] | None:
    """The items of a for-each ("epics", "1 to story_count", "a, b"), None if the collection is not known."""
    text = fill_names(collection, known).strip()
    if span := re.match(r"^(\w+)\s+(?:to|\.\.|through)\s+(\w+)$", text):
        first, last = (_number(part, known) for part in span.groups())
        return None if first is None or last is None else tuple(range(first, min(last, first + MAX_ITEMS - 1) + 1))
    for name in (text, slug(text), f"{slug(text)}s", f"{slug(text)}_list"):
        value = known.get(name)
        if isinstance(value, list):
            return tuple(value[:MAX_ITEMS])
        if isinstance(value, str) and re.search(r"[,\n]", value) and len(value) < 2000:
            return tuple(part.strip(" -*") for part in re.split(r"[,\n]", value) if part.strip(" -*"))[:MAX_ITEMS]
    return None


def _number(part: str, known: Mapping[str, JsonValue]) -> int | None:
    value = known.get(part, part)
    return int(value) if isinstance(value, int | str) and re.fullmatch(r"\d+", str(value)) else None
