"""Who may change this right now?  One holder among all threads and processes of the host."""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from storyloom.domain.errors import LockTimeout

from .disk import storage_errors

PAUSE_S = 0.005
_here: dict[str, threading.Lock] = {}
_guard = threading.Lock()


@contextlib.contextmanager
def exclusive(path: str | Path, *, timeout_s: float = 300.0) -> Iterator[int]:
    """Hold the lock file `path` and yield its descriptor; the kernel lets go when the last holder of it ends.

    A child process that is given the descriptor holds the lock with us: so a git that outlives a killed parent keeps
    the next one waiting instead of being run over.

    Raises:
        LockTimeout: after `timeout_s` seconds.
    """
    deadline = time.monotonic() + timeout_s
    target = os.path.realpath(path)
    with _guard:
        here = _here.setdefault(target, threading.Lock())
    if not here.acquire(timeout=timeout_s):
        raise LockTimeout(f"Another thread holds {target} for more than {timeout_s:g} s.")
    try:
        with storage_errors(target):
            descriptor = os.open(target, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            while not try_lock(descriptor):
                if time.monotonic() > deadline:
                    raise LockTimeout(
                        f"Another process holds {target} for more than {timeout_s:g} s.",
                        remedy="End it, or wait until it has ended.",
                    )
                time.sleep(PAUSE_S)
            yield descriptor
        finally:
            os.close(descriptor)
    finally:
        here.release()


def try_lock(descriptor: int) -> bool:
    """Take the lock of an open file at once, or return False."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
