"""How does a file change so that a crash leaves either the old text or the new one?"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from .disk import storage_errors

MARK = ".storyloom-tmp"


def write_atomic(path: str | Path, data: str | bytes, *, durable: bool = True, mode: int = 0o644) -> None:
    """Replace a file's content, keeping the mode it had (`mode` for a new file); missing folders are made.

    `durable` syncs the file and its folder (about 10 ms): leave it on for what must survive a power cut, switch it
    off for caches. Text is written as UTF-8, newlines as they are.

    Raises:
        StorageFull: the old file is intact.
    """
    target = Path(path)
    with storage_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = write_beside(target, data, durable=durable, mode=mode_of(target, mode))
        try:
            temporary.replace(target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        if durable:
            sync_folder(target.parent)


def create_atomic(path: str | Path, data: str | bytes, *, durable: bool = True, mode: int = 0o644) -> bool:
    """Write a new file whole, or return False because there is one; exactly one of several callers wins.

    Raises:
        StorageFull: nothing was written.
    """
    target = Path(path)
    with storage_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = write_beside(target, data, durable=durable, mode=mode)
        try:
            os.link(temporary, target)
        except FileExistsError:
            return False
        finally:
            temporary.unlink(missing_ok=True)
        if durable:
            sync_folder(target.parent)
        return True


def write_beside(target: Path, data: str | bytes, *, durable: bool, mode: int) -> Path:
    """Write `data` to a fresh temporary file in the target's folder and return its path."""
    temporary = target.parent / f"{MARK}-{os.getpid()}-{secrets.token_hex(6)}"
    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
            file.write(data.encode() if isinstance(data, str) else data)
            file.flush()
            os.fchmod(file.fileno(), mode)
            if durable:
                os.fsync(file.fileno())
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return temporary


def mode_of(path: Path, default: int) -> int:
    """The permission bits of a file, `default` if there is none."""
    try:
        return path.stat().st_mode & 0o7777
    except FileNotFoundError:
        return default


def sync_folder(folder: Path) -> None:
    """Make a rename or a new name in `folder` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sweep(folder: str | Path) -> list[str]:
    """Remove temporary files below `folder` whose writer is gone, and return their paths."""
    removed = []
    for path in sorted(Path(folder).rglob(f"{MARK}-*")):
        writer = path.name[len(MARK) + 1 :].split("-")[0]
        if writer.isdigit() and int(writer) != os.getpid() and not _alive(int(writer)):
            path.unlink(missing_ok=True)
            removed.append(str(path))
    return removed


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
