"""Is there room to write, and which errors mean that there is none?"""

from __future__ import annotations

import contextlib
import errno
import shutil
from collections.abc import Iterator
from pathlib import Path

from storyloom.domain.errors import StorageFull

FULL = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EROFS: "the file system is read-only",
}
SAYS_FULL = ("No space left on device", "Disk quota exceeded", "Read-only file system", "Out of diskspace")
NEARLY_NONE = 64 << 10
REMEDY = "Free some space or make it writable, then run the same command again: it goes on where it stopped."


@contextlib.contextmanager
def storage_errors(place: str | Path) -> Iterator[None]:
    """Turn an OSError that means "no room" into StorageFull naming `place`; let every other error pass.

    Raises:
        StorageFull: for ENOSPC, EDQUOT and EROFS.
    """
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise StorageFull(f"Cannot write {place}: {FULL[error.errno]}.", remedy=REMEDY) from error
        raise


def was_full(text: str, *places: str | Path) -> bool:
    """Whether a program failed for want of room: it said so, or there is next to none left where it writes."""
    return any(phrase in text for phrase in SAYS_FULL) or any(free_bytes(place) < NEARLY_NONE for place in places)


def free_bytes(place: str | Path) -> int:
    """Bytes that we may still write at `place`, or at its nearest existing parent."""
    path = Path(place).absolute()
    while not path.exists() and path != path.parent:
        path = path.parent
    return shutil.disk_usage(path).free


def require_free(place: str | Path, wanted_bytes: int) -> None:
    """Pass when at least `wanted_bytes` are free at `place`.

    Raises:
        StorageFull: naming what is free and what is wanted, in MiB.
    """
    free = free_bytes(place)
    if free < wanted_bytes:
        raise StorageFull(f"{place} has {free >> 20} MiB free, {wanted_bytes >> 20} MiB are wanted.", remedy=REMEDY)
