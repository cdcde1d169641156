"""Which programs does a project's code find inside the sandbox?"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

SYSTEM_PATH = ("/usr/local/bin", "/usr/bin", "/bin")


@dataclass(frozen=True)
class Toolchain:
    """Host folders that are visible inside, read-only, and the folders of PATH in front of the system's.

    `folders` keep their paths inside. `python` is what a `python` link is made for where PATH has none, "" for no link.
    """

    folders: tuple[str, ...] = ()
    path: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    python: str = ""


def running_toolchain() -> Toolchain:
    """The interpreter that runs us, with its virtual environment if it has one; the system's if that is what it is."""
    return python_toolchain(Path(sys.prefix), Path(sys.base_prefix))


def python_toolchain(prefix: Path, base: Path) -> Toolchain:
    """A Python installation at `base` and the virtual environment at `prefix` (the same, if there is none)."""
    folders = [path for path in dict.fromkeys((base.resolve(), base, prefix)) if not _in_system(path)]
    path = [str(folder / "bin") for folder in dict.fromkeys((prefix, base)) if not _in_system(folder)]
    found = any((Path(folder) / "python").exists() for folder in (*path, *SYSTEM_PATH))
    return Toolchain(tuple(map(str, folders)), tuple(path), (), "" if found else "/usr/bin/python3")


def _in_system(path: Path) -> bool:
    return path == Path("/usr") or Path("/usr") in path.parents
