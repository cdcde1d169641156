"""How do commands find what the project's set-up has installed?  Made once for the same inputs, then shown read-only.

The set-up runs in a folder of its own that stays where it is, since environments hold absolute paths. Later commands
see its folders twice: where they were made, and in the worktree. One without its note was cut off and is made again.
"""

from __future__ import annotations

import contextlib
import os
import platform
import stat
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from storyloom.domain.errors import ConfigError, LockTimeout, SetUpFailed
from storyloom.domain.merge_stack import only_below
from storyloom.domain.ports import CommandResult, Limits, Sandbox, SandboxProbe
from storyloom.domain.set_up import MANIFESTS, failure, is_input, named_paths, set_up_key
from storyloom.domain.settings import Commands

from .atomic_files import write_atomic
from .deep_folders import remove_tree
from .disk import storage_errors
from .file_lock import exclusive

MOST_FILES, MOST_BYTES = 2_000, 1 << 30
UNUSED_FOR_S = 30 * 86_400.0
"""After how long a set-up that no command has used is removed, when another one is made."""

FAILED_FOR_S = 60.0
"""For how long a failure holds: stories that wait for the same set-up need not all see it fail anew."""


class PreparedSandbox:
    """The Sandbox port for a project with a set-up: before a command runs, what it needs is installed.

    `setting_up` is the sandbox of the set-up alone, the one that may have a network; `limits` are its bounds.
    """

    def __init__(
        self,
        sandbox: Sandbox,
        setting_up: Sandbox,
        commands: Commands,
        folder: str | Path,
        limits: Limits,
        *,
        network: bool = False,
    ) -> None:
        self._sandbox, self._setting_up, self._commands = sandbox, setting_up, commands
        self._folder, self._limits, self._network = Path(folder), limits, network
        self._failed: dict[str, tuple[float, SetUpFailed]] = {}
        self._lock = threading.Lock()

    def probe(self) -> SandboxProbe:
        """Run the canaries and say what holds; the set-up's sandbox has its own before it runs."""
        return self._sandbox.probe()

    def run(
        self,
        command: str | Sequence[str],
        worktree: str,
        limits: Limits,
        *,
        env: Mapping[str, str] | None = None,
        writable: bool = True,
        shared: Mapping[str, str] | None = None,
    ) -> CommandResult:
        """Run `command` with `worktree` as its folder, in which the set-up's folders stand read-only.

        Raises:
            SandboxMissing: no sandbox works here.
            SetUpFailed: with the set-up's output; it is tried again after a minute.
            ConfigError: the set-up has more inputs than are copied.
        """
        made = self.prepared(Path(worktree))
        return self._sandbox.run(
            command, worktree, limits, env=env, writable=writable, shared={**made, **(shared or {})}
        )

    def prepared(self, worktree: Path) -> dict[str, str]:
        """The set-up's folders on this host, by their path in a worktree; installed now if they were not before."""
        files = inputs(self._commands, worktree)
        key = set_up_key(self._commands, files, f"{platform.machine()} {sys.version} network={self._network}")
        place = self._folder / key
        note = self._folder / f"{key}.done"
        try:
            os.utime(note)  # it is in use
        except FileNotFoundError:
            with storage_errors(self._folder):
                self._folder.mkdir(parents=True, exist_ok=True)
            with exclusive(self._folder / f"{key}.lock", timeout_s=self._limits.wall_s + 600):
                if not note.exists():
                    self._make(key, place, files)
                    write_atomic(note, self._commands.setup)
            self._remove_unused()
        found = {name: place / name for name in self._commands.setup_folders}
        return {name: str(path) for name, path in found.items() if path.is_dir() and not path.is_symlink()}

    def _remove_unused(self) -> None:
        for note in self._folder.glob("*.done"):
            with contextlib.suppress(FileNotFoundError, LockTimeout):  # another process removes it, or makes it anew
                if time.time() - note.stat().st_mtime > UNUSED_FOR_S:
                    with exclusive(note.with_suffix(".lock"), timeout_s=0):
                        note.unlink()  # first: a folder without its note is made again
                        remove_tree(note.with_suffix(""))

    def _make(self, key: str, place: Path, files: Mapping[str, bytes]) -> None:
        with self._lock:
            at, error = self._failed.get(key, (0.0, None))
        if error is not None and time.monotonic() - at < FAILED_FOR_S:
            raise error
        remove_tree(place)
        with storage_errors(place):
            place.mkdir(parents=True)
            for path, data in files.items():
                (place / path).parent.mkdir(parents=True, exist_ok=True)
                (place / path).write_bytes(data)
        result = self._setting_up.run(self._commands.setup, str(place), self._limits)
        if result.exit_code or result.limit_hit:
            wrong = failure(self._commands.setup, result, network=self._network)
            with self._lock:
                self._failed[key] = time.monotonic(), wrong
            raise wrong


def inputs(commands: Commands, worktree: Path) -> dict[str, bytes]:
    """What a set-up depends on in a worktree, by path: manifests at the root, files that the command names, and the
    manifests and packages in folders that it names. Nothing is read through a link, or in what it makes itself.

    Raises:
        ConfigError: there are more than 2,000 files, or more than 1 GiB.
    """
    found: dict[str, bytes] = {}
    size = 0
    for path in dict.fromkeys((*MANIFESTS, *_named(commands.setup, worktree))):
        if only_below([path], commands.setup_folders):
            continue
        data = _plain(worktree, path)
        if data is not None:
            found[path] = data
            size += len(data)
        if len(found) > MOST_FILES or size > MOST_BYTES:
            remedy = "Name a folder that holds only what is to be installed."
            raise ConfigError(f"commands.setup depends on too much: {len(found)} files so far.", remedy=remedy)
    return found


def _named(command: str, worktree: Path) -> Iterator[str]:
    for path in named_paths(command):
        yield path
        folder = worktree / path
        if _inside(worktree, path) and folder.is_dir():
            yield from sorted(f"{path}/{entry.name}" for entry in folder.iterdir() if is_input(entry.name))


def _plain(worktree: Path, path: str) -> bytes | None:
    """A regular file's bytes; None for what is none, or is reached through a link."""
    if not _inside(worktree, path):
        return None
    try:
        descriptor = os.open(worktree / path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return None
    with os.fdopen(descriptor, "rb") as file:
        return file.read(MOST_BYTES + 1)


def _inside(worktree: Path, path: str) -> bool:
    """Whether a cleaned path leads to itself: through no link, below the worktree."""
    return (worktree / path).resolve() == worktree.resolve() / path
