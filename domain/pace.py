"""When is it time to show again what changes all the time?  So rarely that showing takes a small share of the time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

REST = 20
"""How many times as long as the last showing took it rests: a twentieth of the time goes into showing, whatever the
size of what is shown."""


class Pace:
    """What was shown last (a mark that changes when there is something new), when, and how long that took."""

    def __init__(self) -> None:
        self._mark: object = None
        self._rests_until = float("-inf")

    def due(self, mark: object, now: float) -> bool:
        """Whether `mark` is new and may be shown now; if so, it counts as shown."""
        if mark == self._mark or now < self._rests_until:
            return False
        self._mark = mark
        return True

    def pause(self, mark: object, now: float) -> float | None:
        """Seconds until `mark` may be shown; None when it was shown."""
        return None if mark == self._mark else max(0.0, self._rests_until - now)

    @contextmanager
    def measured(self, clock: Callable[[], float]) -> Iterator[None]:
        """Measure the showing, and rest after it in proportion."""
        began = clock()
        try:
            yield
        finally:
            ended = clock()
            self._rests_until = ended + REST * (ended - began)
