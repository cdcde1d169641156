"""How is a path opened below a root so that no link, however fast it is swapped in, leads out of it?

Linux resolves it in one call (openat2 with RESOLVE_BENEATH, NO_SYMLINKS and NO_MAGICLINKS); elsewhere the folders are
opened one by one, each relative to the one before it and never through a link.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import stat
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from storyloom.domain.errors import UnsafePath

OPENAT2 = 437  # the same number on every architecture
BENEATH, NO_SYMLINKS, NO_MAGICLINKS = 0x08, 0x04, 0x02
UNSUPPORTED = (errno.ENOSYS, errno.EPERM, errno.EINVAL)
FOLDER = os.O_RDONLY | os.O_DIRECTORY


class _How(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


@contextlib.contextmanager
def opened(root: Path, parts: Sequence[str], flags: int = FOLDER, *, portable: bool = False) -> Iterator[int]:
    """A descriptor of what `parts` name below `root`, closed afterwards.

    Raises:
        UnsafePath: a symbolic link stands in the way.
        FileNotFoundError, NotADirectoryError: there is no such thing.
    """
    base = os.open(root, FOLDER | os.O_CLOEXEC)
    try:
        descriptor = _open(base, parts, flags, portable or not _kernel_resolves())
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EXDEV, errno.EMLINK):
            raise UnsafePath(f"{'/'.join(parts)}: a symbolic link stands in the way.") from None
        raise
    finally:
        os.close(base)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def require_plain(descriptor: int, path: str) -> os.stat_result:
    """What the system tells about an open file, if it is a regular one with a single name.

    Raises:
        UnsafePath: it is a device, a pipe, or has a second name that may be outside.
    """
    told = os.fstat(descriptor)
    if not stat.S_ISREG(told.st_mode):
        raise UnsafePath(f"{path} is not a regular file.")
    if told.st_nlink > 1:
        raise UnsafePath(f"{path} has a second name (a hard link), perhaps outside of the project.")
    return told


def make_folders(root: Path, parts: Sequence[str], *, portable: bool = False) -> None:
    """Make the folders that are missing on the way."""
    for depth in range(len(parts)):
        try:
            with opened(root, parts[: depth + 1], portable=portable):
                continue
        except FileNotFoundError:
            pass
        with opened(root, parts[:depth], portable=portable) as parent, contextlib.suppress(FileExistsError):
            os.mkdir(parts[depth], 0o755, dir_fd=parent)


def _open(base: int, parts: Sequence[str], flags: int, portable: bool) -> int:
    flags |= os.O_CLOEXEC | os.O_NONBLOCK
    if not portable:
        return _openat2(base, "/".join(parts) or ".", flags)
    current = os.dup(base)
    for number, part in enumerate(parts):
        wanted = flags if number == len(parts) - 1 else FOLDER | os.O_CLOEXEC
        try:
            following = os.open(part, wanted | os.O_NOFOLLOW, dir_fd=current)
        except NotADirectoryError:
            if stat.S_ISLNK(os.stat(part, dir_fd=current, follow_symlinks=False).st_mode):
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), part) from None
            raise
        finally:
            os.close(current)
        current = following
    return current


def _openat2(base: int, path: str, flags: int) -> int:
    how = _How(flags, 0, BENEATH | NO_SYMLINKS | NO_MAGICLINKS)
    for _ in range(100):
        descriptor = int(_libc().syscall(OPENAT2, base, os.fsencode(path), ctypes.byref(how), ctypes.sizeof(how)))
        if descriptor >= 0:
            return descriptor
        number = ctypes.get_errno()
        if number not in (errno.EAGAIN, errno.EINTR):  # EAGAIN: something was renamed meanwhile
            break
    raise OSError(number, os.strerror(number), path)


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


@cache
def _kernel_resolves() -> bool:
    base = os.open("/", FOLDER | os.O_CLOEXEC)
    try:
        os.close(_openat2(base, ".", FOLDER | os.O_CLOEXEC))
    except (OSError, AttributeError) as error:
        if isinstance(error, OSError) and error.errno not in UNSUPPORTED:
            raise
        return False
    finally:
        os.close(base)
    return True
