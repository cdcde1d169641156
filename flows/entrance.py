"""How many stories begin at once?  A few, so that the first asks its model while the last still waits.

A flow run is made by many requests to the server. When all lanes of a batch begin together, each is made as late as
the last; when they begin a few at a time, the last is no later and all others are sooner.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

AT_ONCE = 3
"""As many as keep a Prefect server on SQLite busy; more wait for each other there."""
LOOK_S = 1.0
"""How often a waiting thread wakes up, so that an exception that was sent to it from outside can reach it."""

_places = threading.Semaphore(AT_ONCE)
_leave: ContextVar[Callable[[], None]] = ContextVar("leave_entrance", default=lambda: None)


@contextmanager
def at_the_entrance() -> Iterator[None]:
    """Wait for a place at the entrance, which is given up by `entered`, or else at the block's end."""
    while not _places.acquire(timeout=LOOK_S):
        pass
    held = [_places]

    def leave() -> None:
        while held:
            held.pop().release()

    token = _leave.set(leave)
    try:
        yield
    finally:
        _leave.reset(token)
        leave()


def entered() -> None:
    """Let the next story begin; outside of an entrance, or when it has begun before, nothing happens."""
    _leave.get()()
