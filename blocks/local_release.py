"""How does a commit become the release that runs on this host?

FOLDER/releases/ID/     the tree of a commit, read-only
FOLDER/current          a link to the live release, switched atomically
FOLDER/previous         a link to the one that was live before it, for the way back
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import stat
from pathlib import Path

from storyloom.domain.errors import InputError
from storyloom.domain.ports import HealthCheck, Limits, Sandbox, Workspace

from .atomic_files import sync_folder, write_atomic
from .disk import storage_errors

RELEASE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,100}")


class LocalRelease:
    """The DeployTarget port on a folder of this host. Health is what `health` says, run in the sandbox.

    The command runs in the release's folder, which it cannot change, with a network of its own: it may start the
    program and ask it on the loopback address.
    """

    def __init__(
        self,
        folder: str | Path,
        workspace: Workspace,
        sandbox: Sandbox,
        health: str = "",
        limits: Limits | None = None,
    ) -> None:
        self.folder = Path(folder).absolute()
        self._workspace, self._sandbox, self._health = workspace, sandbox, health
        self._limits = limits or Limits(wall_s=60)

    def current(self) -> str:
        """The release that is live, "" if none."""
        return self._pointed_at("current")

    def previous(self) -> str:
        """The release that was live before the current one, "" if none."""
        return self._pointed_at("previous")

    def release(self, release: str, commit: str) -> str:
        """Prepare the release's folder from a commit and return its path; idempotent.

        Raises:
            InputError: the release exists with another commit, or its name cannot be a folder's.
            StorageFull: nothing was prepared.
        """
        path = self._path(release)
        if path.is_dir():
            if (found := self._commit_of(release)) != commit:
                raise InputError(
                    f"The release {release} was made from {found[:12]}, not {commit[:12]}.",
                    remedy="Give the new release another name.",
                )
            return str(path)
        unfinished = path.parent / f".{release}-{secrets.token_hex(4)}"
        with storage_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            for left in path.parent.glob(f".{release}-????????"):
                _remove(left)
            try:
                self._workspace.export(commit, str(unfinished))
                write_atomic(self.folder / "commits" / release, commit + "\n")
                _make_read_only(unfinished)
                unfinished.chmod(0o755)  # a folder must be writable to be renamed
                unfinished.rename(path)
                path.chmod(0o555)
            except BaseException:
                _remove(unfinished)
                raise
            sync_folder(path.parent)
        return str(path)

    def switch(self, release: str) -> None:
        """Make a prepared release live, atomically, and remember the one before it.

        Raises:
            InputError: the release was not prepared.
        """
        if not self._path(release).is_dir():
            raise InputError(f"There is no release {release} in {self.folder}.", remedy="Prepare it first.")
        before = self.current()
        if before == release:
            return
        if before:
            self._point("previous", before)
        self._point("current", release)

    def check(self, release: str) -> HealthCheck:
        """Ask a prepared release for its health: the health command's exit code and the end of what it said."""
        path = self._path(release)
        if not path.is_dir():
            return HealthCheck(healthy=False, detail=f"There is no release {release}.")
        if not self._health:
            return HealthCheck(healthy=True, detail="No health command is set; the release's files are complete.")
        result = self._sandbox.run(self._health, str(path), self._limits, writable=False)
        stopped = f" ({result.limit_hit} reached)" if result.limit_hit else ""
        detail = f"`{self._health}` ended with {result.exit_code}{stopped}. {result.output[-1000:].strip()}".strip()
        return HealthCheck(healthy=result.exit_code == 0 and not result.limit_hit, detail=detail)

    def releases(self) -> list[str]:
        """Names of the prepared releases, sorted."""
        folder = self.folder / "releases"
        return sorted(path.name for path in folder.glob("*") if path.is_dir() and not path.name.startswith("."))

    def prune(self, keep: int = 5) -> list[str]:
        """Remove all but the `keep` youngest releases, never the current or the previous one; return their names."""
        kept = {self.current(), self.previous()}
        old = sorted(self.releases(), key=lambda name: self._path(name).stat().st_mtime, reverse=True)[keep:]
        removed = [name for name in old if name not in kept]
        for name in removed:
            _remove(self._path(name))
            (self.folder / "commits" / name).unlink(missing_ok=True)
        return sorted(removed)

    def _path(self, release: str) -> Path:
        if RELEASE.fullmatch(release) is None or ".." in release:
            raise InputError(f"{release!r} cannot be a release's name.", remedy="Use letters, digits, '.', '_', '-'.")
        return self.folder / "releases" / release

    def _commit_of(self, release: str) -> str:
        try:
            return (self.folder / "commits" / release).read_text().strip()
        except FileNotFoundError:
            return ""

    def _pointed_at(self, link: str) -> str:
        try:
            name = (self.folder / link).readlink().name
        except FileNotFoundError:
            return ""
        return name if self._path(name).is_dir() else ""

    def _point(self, link: str, release: str) -> None:
        with storage_errors(self.folder):
            for left in self.folder.glob(f".{link}-????????"):
                left.unlink(missing_ok=True)
            fresh = self.folder / f".{link}-{secrets.token_hex(4)}"
            fresh.symlink_to(Path("releases") / release)
            fresh.replace(self.folder / link)
            sync_folder(self.folder)


def _make_read_only(folder: Path) -> None:
    for parent, _, files in os.walk(folder, topdown=False):
        for path in (Path(parent, name) for name in files):
            if not path.is_symlink():
                path.chmod(0o555 if path.stat().st_mode & stat.S_IXUSR else 0o444)
        Path(parent).chmod(0o555)


def _remove(folder: Path) -> None:
    for parent, _, _ in os.walk(folder):
        with contextlib.suppress(OSError):
            Path(parent).chmod(0o755)
    shutil.rmtree(folder, ignore_errors=True)
