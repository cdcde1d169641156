"""Who takes garbage apart in our own Prefect server?  A thread of its own, which may be held up.

Cyclic garbage may hold an SQLite cursor. Taking it apart waits for the cursor's connection, which another thread may
just use to wait for the database's write lock; the lock is given back by the event loop. When the event loop itself
collects garbage, which Python does wherever something is allocated, all wait for each other until SQLite gives up after
a minute. That is how we explain a server that stood still for a minute, twice in some 1,300 stories. A thread that only
collects can wait: SQLite's calls let all others go on meanwhile.
"""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable

EVERY_S = 1.0
"""How often what is young is looked through: what is made in this time stays in memory at most."""
ALL_AFTER = 30
"""After how many such rounds everything is."""


def collect_apart(wait: Callable[[float], bool] | None = None) -> threading.Thread:
    """Start a daemon thread that collects the process's garbage, in the place of whichever thread happens to allocate.

    `wait` pauses for so many seconds and says whether to stop; by default the thread never stops. What exists now is
    never looked through again (`gc.freeze`).
    """
    gc.collect()
    gc.freeze()
    gc.disable()
    thread = threading.Thread(target=_collect, args=(wait or _never,), name="garbage", daemon=True)
    thread.start()
    return thread


def _collect(wait: Callable[[float], bool]) -> None:
    rounds = 0
    while not wait(EVERY_S):
        rounds += 1
        gc.collect(2 if rounds % ALL_AFTER == 0 else 1)


def _never(seconds: float) -> bool:
    time.sleep(seconds)
    return False
