"""Who may move the main line now, and who orchestrates the project?  One holder each, who may take it again."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from storyloom.blocks.file_lock import exclusive
from storyloom.blocks.lease import Lease

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


class SharedLease:
    """A project's lease that all flows of one process hold together; the last one to end lets it go."""

    _known: ClassVar[dict[Path, SharedLease]] = {}
    _guard = threading.Lock()

    def __new__(cls, folder: Path) -> SharedLease:
        """The one lease of this process on `folder`."""
        with cls._guard:
            if (place := folder.resolve()) not in cls._known:
                made = super().__new__(cls)
                made._lease, made._holders = Lease(folder), 0
                cls._known[place] = made
            return cls._known[place]

    _lease: Lease
    _holders: int

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lease for the time of the block.

        Raises:
            LeaseTaken: another process holds it; it is named.
        """
        with self._guard:
            if not self._holders:
                self._lease.take()
            self._holders += 1
        try:
            yield
        finally:
            with self._guard:
                self._holders -= 1
                if not self._holders:
                    self._lease.release()
