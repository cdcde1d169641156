"""When is it time to show again what changes all the time?  So rarely that showing takes a small share of the time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import inf

REST = 20
"""How many times as long as the last showing took it rests: a twentieth of the time goes into showing, whatever the
size of what is shown."""
LOOK_S = 1.0
"""How often somebody who waits looks whether a showing has ended, in seconds."""


class Pace:
    """What was shown last (a mark that changes when there is something new), when, and how long that took."""

    def __init__(self) -> None:
        self._mark: object = None
        self._rests_until = -inf

    def due(self, mark: object, now: float) -> bool:
        """Whether `mark` is new and may be shown now; if so, it counts as shown, and nothing is due until it is."""
        if mark == self._mark or now < self._rests_until:
            return False
        self._mark, self._rests_until = mark, inf
        return True

    def pause(self, mark: object, now: float) -> float | None:
        """Seconds until `mark` may be shown, or until it is time to look again; None when it was shown."""
        if mark == self._mark:
            return None
        return LOOK_S if self._rests_until == inf else max(0.0, self._rests_until - now)

    @contextmanager
    def measured(self, clock: Callable[[], float]) -> Iterator[None]:
        """Measure the showing, and rest after it in proportion."""
        began = clock()
        try:
            yield
        finally:
            ended = clock()
            self._rests_until = ended + REST * (ended - began)
