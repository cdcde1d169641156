"""How is a tree removed however deep it is, and what of it lies too deep for git and for us?

A command can nest folders below every path that the system takes: a removal that goes by whole paths, or calls itself
for each level, never ends what it began. Here one folder is open at a time, and the way up is `..`.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

DEEPEST, LONGEST = 100, 3_000  # levels below a folder, and bytes of the path there; git takes seconds beyond
SHOWN = 80
OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def remove_tree(path: Path) -> None:
    """Remove a file or a folder, its contents included, without following links; folders may lack permissions."""
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.exists():
        above = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            _empty(path.name, above)
            os.rmdir(path.name, dir_fd=above)
        finally:
            os.close(above)


def cut_deep(folder: str | Path) -> list[str]:
    """Remove the folders that lie too deep inside of one, and return their paths in it, sorted."""
    cut, waiting = list[str](), [("", 0)]
    while waiting:
        inside, depth = waiting.pop()
        for name in _folders(Path(folder, inside)):
            path = f"{inside}/{name}" if inside else name
            if depth < DEEPEST and len(os.fsencode(path)) <= LONGEST:
                waiting.append((path, depth + 1))
            else:
                remove_tree(Path(folder, path))
                cut.append(path)
    return sorted(cut)


def told(cut: list[str]) -> str:
    """What was cut, in words for who made it; "" if nothing was."""
    if not cut:
        return ""
    first = os.fsencode(cut[0])[:SHOWN].decode(errors="replace")
    more = f" and {len(cut) - 1} more" if len(cut) > 1 else ""
    limits = f"more than {DEEPEST} folders or {LONGEST} bytes of path"
    return f"Removed, since they lay too deep ({limits}): {first!a}…{more}."


def _empty(name: str, above: int) -> None:
    """Remove everything in a folder, by a descriptor of the folder above it."""
    here = _open(name, above)
    way = list[tuple[str, os.stat_result]]()  # the folders that lead here: each one's name, and the one it is in
    try:
        while True:
            left = here
            if (below := _first_folder(here)) is not None:
                way.append((below, os.fstat(here)))
                here = _open(below, here)
                os.close(left)
            elif way:
                emptied, parent = way.pop()
                here = os.open("..", OPEN, dir_fd=here)
                os.close(left)
                if not os.path.samestat(os.fstat(here), parent):
                    raise OSError(errno.EBUSY, "a folder was moved while it was removed", emptied)
                os.rmdir(emptied, dir_fd=here)
            else:
                return
    finally:
        os.close(here)


def _first_folder(here: int) -> str | None:
    """The name of a folder's first folder, None if there is none; what is no folder is removed on the way."""
    with os.scandir(here) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                return entry.name
            os.unlink(entry.name, dir_fd=here)
    return None


def _open(name: str, above: int) -> int:
    """A descriptor of a folder that we can read and change, whatever its permissions were."""
    mode = os.stat(name, dir_fd=above, follow_symlinks=False).st_mode
    if mode & stat.S_IRWXU != stat.S_IRWXU and stat.S_ISDIR(mode):
        os.chmod(name, mode | stat.S_IRWXU, dir_fd=above)
    return os.open(name, OPEN, dir_fd=above)


def _folders(folder: Path) -> list[str]:
    """The names of the folders in a folder, links left out; none of one that is gone meanwhile."""
    try:
        if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
            folder.chmod(folder.stat().st_mode | stat.S_IRWXU)
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return []
