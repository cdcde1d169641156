"""In which order do numbered steps run?"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import TypeVar

_NUMBER = re.compile(r"^\s*(-?\d{1,9}(?:\.\d{1,9})?)((?:\.\d{1,9})*)\s*([A-Za-z]?)\s*$")
_LAST = frozenset({"final", "last", "end"})
Rank = tuple[int, Decimal, tuple[int, ...], str]
T = TypeVar("T")


def rank(number: str) -> Rank | None:
    """Where a step number stands: -1, 0.5, 1, 2a, 2b, 3, ... FINAL; None if it is no number at all."""
    if number.strip().lower() in _LAST:
        return (2, Decimal(0), (), "")
    found = _NUMBER.match(number)
    if found is None:
        return None
    parts = tuple(int(part) for part in found[2].split(".") if part)
    return (0, Decimal(found[1]), parts, found[3].lower())


def in_order(items: Iterable[T], number: Callable[[T], str]) -> list[T]:
    """The items in exact numerical order; ties keep their order, one without a number stays behind the one before."""
    ranked: list[tuple[Rank, T]] = []
    before: Rank = (-1, Decimal(0), (), "")
    for item in items:
        before = rank(number(item)) or before
        ranked.append((before, item))
    return [item for _, item in sorted(ranked, key=lambda pair: pair[0])]
