"""Where do the method's documents stand while they are written?

Documents that a workflow writes are staged in the project's state folder; they enter the main line in one commit when
the workflow has ended. Reading sees the staged text first, then the main line's tip, so a killed workflow goes on with
what it had written and the integration worktree is never dirty.
"""

from __future__ import annotations

import fnmatch
import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Protocol

from storyloom.domain.errors import StorageFull, UnsafePath


class Tip(Protocol):
    """The part of the Workspace port that documents need."""

    def tip(self) -> str:
        """The main line's commit."""
        ...

    def files(self, commit: str) -> list[str]:
        """Tracked paths."""
        ...

    def read(self, commit: str, path: str) -> str | None:
        """A file's text."""
        ...


class StagedDocuments:
    """Documents of one project: staged texts over the main line's tip."""

    def __init__(self, workspace: Tip, folder: str | Path) -> None:
        self._workspace = workspace
        self._folder = Path(folder)

    def read(self, path: str) -> str | None:
        """The document's text, staged or from the main line; None if there is none."""
        name = _checked(path)
        staged = self._folder / name
        if staged.is_file():
            return _exact(staged)
        return self._workspace.read(self._workspace.tip(), name)

    def write(self, path: str, text: str) -> None:
        """Stage a document's text, atomically."""
        target = self._folder / _checked(path)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(prefix=".", suffix=".tmp", dir=target.parent)
            try:
                with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
                    file.write(text)
                os.replace(name, target)  # noqa: PTH105 - atomic on one file system
            except BaseException:
                Path(name).unlink(missing_ok=True)
                raise
        except OSError as error:
            raise StorageFull(f"{target}: it could not be written ({error.strerror}).") from error

    def exists(self, path: str) -> bool:
        """Whether the document or folder is there, staged or in the main line."""
        name = _checked(path).rstrip("/")
        known = [*self._workspace.files(self._workspace.tip()), *self.staged()]
        return any(p == name or p.startswith(f"{name}/") for p in known)

    def glob(self, patterns: Iterable[str]) -> list[str]:
        """Paths of documents that match any of the patterns, without regard to case, sorted."""
        wanted = list(patterns)
        known = {*self._workspace.files(self._workspace.tip()), *self.staged()}
        return sorted(p for p in known if any(fnmatch.fnmatch(p.lower(), w.lower().removeprefix("./")) for w in wanted))

    def staged(self) -> Mapping[str, str]:
        """Texts by path that are not in the main line yet."""
        if not self._folder.is_dir():
            return {}
        files = (f for f in self._folder.rglob("*") if f.is_file() and not f.name.endswith(".tmp"))
        return {f.relative_to(self._folder).as_posix(): _exact(f) for f in sorted(files)}

    def clear(self) -> None:
        """Forget the staged texts: they have entered the main line."""
        for path in self.staged():
            (self._folder / path).unlink(missing_ok=True)


def _exact(path: Path) -> str:
    return path.read_bytes().decode("utf-8")


def _checked(path: str) -> str:
    pure = PurePosixPath(path.removeprefix("./"))
    if not path or pure.is_absolute() or ".." in pure.parts or "\0" in path or ".git" in pure.parts:
        raise UnsafePath(f"{path!r} is not a document inside the project.")
    return pure.as_posix()
