"""Which text of the method holds for a project: its own, or the one that ships with Storyloom?

The method is a plug-in like any other: a file below `.bmad/method/` in the project replaces the shipped file of the
same relative path, and new files there add to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path, PurePosixPath

OVERRIDES = Path(".bmad") / "method"
MAX_BYTES = 1 << 20


class MethodTexts:
    """Content of the method by relative path, overridden file by file by the project's."""

    def __init__(self, repository: str | Path | None = None) -> None:
        self._own = Path(repository) / OVERRIDES if repository else None
        self._shipped = resources.files("storyloom.method")

    def read(self, path: str) -> str | None:
        """The text of a file, the project's before the shipped one; None if there is neither."""
        pure = PurePosixPath(path)
        if pure.is_absolute() or ".." in pure.parts or not pure.parts:
            return None
        if self._own is not None:
            own = self._own / pure
            if own.is_file() and not own.is_symlink() and own.stat().st_size <= MAX_BYTES:
                return own.read_text(encoding="utf-8")
        shipped = self._shipped.joinpath(*pure.parts)
        return shipped.read_text(encoding="utf-8") if shipped.is_file() else None

    def names(self, under: str) -> list[str]:
        """Relative paths of all files below a folder, sorted, each once."""
        found = set(_walk(self._shipped.joinpath(*PurePosixPath(under).parts), under))
        if self._own is not None and (self._own / under).is_dir():
            base = self._own
            found |= {f.relative_to(base).as_posix() for f in (base / under).rglob("*") if f.is_file()}
        return sorted(found)


def _walk(folder: Traversable, name: str) -> Iterator[str]:
    if not folder.is_dir():
        return
    for child in folder.iterdir():
        path = f"{name}/{child.name}" if name else child.name
        if child.is_dir():
            if child.name != "__pycache__":
                yield from _walk(child, path)
        elif not child.name.endswith((".py", ".pyc")):
            yield path
