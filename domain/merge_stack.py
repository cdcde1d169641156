"""Which stories of a stack may enter the main line, and which test run would tell the most?

Stories stand one on the other on the main line's tip. A run of the tests on the n-th says whether the first n pass
together; the tip itself counts as passing. When the top fails, the first story that fails is found by halving.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .phases import BOARD


@dataclass(frozen=True)
class Split:
    """What is known once no run is needed any more: the first `good` stories enter, and `bad`: the next one fails."""

    good: int
    bad: bool


def next_length(size: int, passed: Mapping[int, bool]) -> int | None:
    """How many stories of a stack to test next, None when enough is known; `passed` says it by length.

    At most 1 + ceil(log2(size)) runs: first the whole stack, then halves of what is open.
    """
    if not size or passed.get(size):
        return None
    if size not in passed:
        return size
    low, high = _bounds(size, passed)
    return None if high - low == 1 else (low + high) // 2


def split(size: int, passed: Mapping[int, bool]) -> Split:
    """Where the first story that fails stands, after all runs that `next_length` asked for."""
    low, high = _bounds(size, passed)
    return Split(good=low, bad=high <= size)


def _bounds(size: int, passed: Mapping[int, bool]) -> tuple[int, int]:
    """The longest part known to pass, and the shortest known to fail (one more than there are if none is)."""
    low = max((length for length, fine in passed.items() if fine), default=0)
    high = min((length for length, fine in passed.items() if not fine), default=size + 1)
    return low, high


def bookkeeping(planning_folder: str, stories_folder: str) -> tuple[str, ...]:
    """The files and folders in which only we write what becomes of stories; no test depends on them."""
    return (f"{planning_folder}/{BOARD}", stories_folder)


def only_below(paths: Iterable[str], places: Iterable[str]) -> bool:
    """Whether all paths are among these files or lie in these folders."""
    allowed = tuple(places)
    return all(any(path == place or path.startswith(f"{place.rstrip('/')}/") for place in allowed) for path in paths)
