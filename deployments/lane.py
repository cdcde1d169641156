"""Who may move the main line now?  One holder in all threads and processes, who may take the lane again."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

from storyloom.blocks.file_lock import exclusive

WAIT_S = 3600.0


class ReentrantLock:
    """A lock file that its holding thread may take again."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._mine = threading.local()

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock for the time of the block.

        Raises:
            LockTimeout: somebody else holds it for more than an hour.
        """
        if getattr(self._mine, "depth", 0):
            yield
            return
        with exclusive(self._path, timeout_s=WAIT_S):
            self._mine.depth = 1
            try:
                yield
            finally:
                self._mine.depth = 0
