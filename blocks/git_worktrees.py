"""How do our worktrees come into being, and how are they put right after a crash?

Linked worktrees of the person's repository, all below one folder outside of it. `git worktree add` fails when it runs
twice at once, so it is serialised by a lock; the check-out of the files is not. A half-made worktree is rebuilt, never
repaired: a worktree is a pure function of its branch.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import psutil
from storyloom.domain.errors import GitError, RepositoryError
from storyloom.domain.keys import plain

from .deep_folders import cut_deep, remove_tree
from .disk import storage_errors
from .file_lock import exclusive
from .git import MARK, Git, Identity, Place

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,120}")
UNFINISHED = ("index.lock", "HEAD.lock", "locked", "MERGE_HEAD", "CHERRY_PICK_HEAD", "rebase-merge", "rebase-apply")
ORPHAN_WAIT_S = 10.0
LOCK_LOOKS, LOCK_PAUSE_S = 3, 0.1  # git holds a ref's lock for milliseconds


class Worktrees:
    """The worktrees of one repository that belong to us."""

    def __init__(self, place: Place, state_folder: Path, identity: Identity) -> None:
        self.place = place
        self.folder = state_folder / "worktrees"
        self.scratch = state_folder / "scratch"
        self._identity = identity
        self._held = threading.local()
        with storage_errors(state_folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            self.scratch.mkdir(parents=True, exist_ok=True)

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the repository's lock; a thread that holds it already just goes on."""
        if getattr(self._held, "descriptor", None) is not None:
            yield
            return
        with exclusive(self.place.common_dir / "storyloom.lock") as descriptor:
            self._held.descriptor = descriptor
            try:
                yield
            finally:
                self._held.descriptor = None

    def repository(self) -> Git:
        """Git on the repository itself, without any work tree."""
        return Git(self.place.common_dir, None, self._identity, keep_open=self._descriptors())

    def checkout(self) -> Git:
        """Git on the person's own checkout: read it, never change it."""
        return Git(self.place.git_dir, self.place.work_tree, self._identity, keep_open=self._descriptors())

    def at(self, worktree: str | Path) -> Git:
        """Git on one of our worktrees.

        Raises:
            GitError: there is no such worktree.
        """
        path = Path(worktree)
        admin = self.admin(path)
        if admin is None or not path.is_dir():
            raise GitError(f"{path} is not a worktree of {self.place.common_dir}.", remedy="Open it again.")
        if not os.access(path, os.R_OK | os.W_OK | os.X_OK):  # what ran in it locked us out
            path.chmod(path.stat().st_mode | stat.S_IRWXU)
        return Git(admin, path, self._identity, keep_open=self._descriptors())

    def path(self, name: str) -> Path:
        """Where the worktree `name` is or would be: a folder of that name in ASCII.

        Raises:
            GitError: the name is not letters, digits, '.', '_' and '-'.
        """
        name = plain(name)
        if NAME.fullmatch(name) is None or name.endswith((".", ".lock")) or ".." in name:
            raise GitError(f"{name!r} is not a worktree's name.", remedy="Use letters, digits, '.', '_' and '-'.")
        return self.folder / name

    def admin(self, path: Path) -> Path | None:
        """The git directory that the repository keeps for the worktree at `path`.

        Looked up from the repository's side: the worktree's own `.git` file may have been written by anybody.
        """
        wanted = str(path / ".git")
        likely = self.place.common_dir / "worktrees" / path.name
        if _first_line(likely / "gitdir") == wanted:
            return likely
        for admin in self._admins():
            if _first_line(admin / "gitdir") == wanted:
                return admin
        return None

    def sound(self, path: Path, branch: str) -> bool:
        """Whether a worktree is complete, on its branch, and in the middle of nothing."""
        admin = self.admin(path)
        return (
            admin is not None
            and path.is_dir()
            and not path.is_symlink()
            and _first_line(path / ".git") == f"gitdir: {admin}"
            and not (path / ".git").is_symlink()
            and _first_line(admin / "HEAD") == f"ref: refs/heads/{branch}"
            and (admin / "index").is_file()
            and not any((admin / name).exists() for name in UNFINISHED)
            and self.repository().ref(f"refs/heads/{branch}") is not None
        )

    def make(self, path: Path, branch: str, base: str) -> None:
        """Make a worktree afresh, on `branch` where it stands, or on a new branch from commit `base`."""
        with self.lock():
            self.remove(path)
            git = self.repository()
            new = [] if git.ref(f"refs/heads/{branch}") else ["-b", branch]
            git.run("worktree", "add", "-q", "--no-checkout", *new, "--", str(path), branch if not new else base)
        self.at(path).run("reset", "-q", "--hard")

    def remove(self, path: Path) -> None:
        """Remove a worktree in whatever state it is; its branch stays.

        By hand instead of by `git worktree remove` and `prune`: those give up on a half-made one, and prune would
        also drop worktrees of the person's that are merely not mounted.
        """
        with self.lock():
            admin = self.admin(path)
            half_made = [
                other
                for other in self._admins()
                if re.fullmatch(re.escape(path.name) + r"\d*", other.name) and not _first_line(other / "gitdir")
            ]
            with storage_errors(path):
                remove_tree(path)
                for folder in (*([admin] if admin else []), *half_made):
                    remove_tree(folder)
                with contextlib.suppress(OSError):
                    (self.place.common_dir / "worktrees").rmdir()

    def forget_lost(self, path: Path) -> bool:
        """Drop the registration of a worktree of an earlier state folder of ours; True if there is none any more.

        It is lost when its folder is gone, or belongs to the repository that this one was copied or moved from. No file
        of a folder is touched, and a registration that somebody locked stays.
        """
        with self.lock():
            admin = self.admin(path)
            if admin is None:
                return True
            points_to = _first_line(path / ".git")
            lost = not path.exists() or (points_to.startswith("gitdir: ") and points_to != f"gitdir: {admin}")
            if not lost or path.parent.name != self.folder.name or (admin / "locked").exists():
                return False
            with storage_errors(admin):
                remove_tree(admin)
            return True

    def ours(self) -> list[str]:
        """Names of our worktrees, those included of which only the registration is left; sorted."""
        registered = (Path(_first_line(admin / "gitdir")).parent for admin in self._admins())
        found = {path.name for path in registered if path.parent == self.folder}
        return sorted(found | {path.name for path in self.folder.iterdir()})

    def recover(self) -> list[str]:
        """Put right what a crash left behind and say what was done. Idempotent."""
        done = self._wait_for_orphans()
        with self.lock():
            for path in sorted(self.scratch.iterdir()):
                remove_tree(path)
                done.append(f"removed {path}")
            for lock in self._stale_locks():
                lock.unlink(missing_ok=True)
                done.append(f"removed the stale lock {lock}")
            for name in self.ours():
                path = self.folder / name
                branch = self._branch(path)
                if branch and self.sound(path, branch):
                    continue
                self.remove(path)
                done.append(f"removed the unfinished worktree {name}")
        return done

    def _branch(self, path: Path) -> str:
        admin = self.admin(path)
        head = _first_line(admin / "HEAD") if admin else ""
        return head.removeprefix("ref: refs/heads/") if head.startswith("ref: refs/heads/") else ""

    def _admins(self) -> list[Path]:
        try:
            return sorted((self.place.common_dir / "worktrees").iterdir())
        except FileNotFoundError:
            return []

    def _descriptors(self) -> tuple[int, ...]:
        held = getattr(self._held, "descriptor", None)
        return () if held is None else (held,)

    def _wait_for_orphans(self) -> list[str]:
        """Let git processes end that a killed predecessor started; end those that don't."""
        deadline = time.monotonic() + ORPHAN_WAIT_S
        while orphans := [process for process, starter in self._gits() if starter and not psutil.pid_exists(starter)]:
            if time.monotonic() > deadline:
                for process in orphans:
                    with contextlib.suppress(psutil.Error):
                        process.kill()
                return [f"ended {len(orphans)} git processes of a crashed run"]
            time.sleep(0.05)
        return []

    def _stale_locks(self) -> list[Path]:
        """Locks of shared refs that stay for a while in which no git is at work; the person's own are not looked at."""
        common = self.place.common_dir
        found = [common / "packed-refs.lock", *sorted((common / "refs" / "heads").rglob("*.lock"))]
        found = [lock for lock in found if lock.is_file()]
        for _ in range(LOCK_LOOKS if found else 0):
            if any(True for _ in self._gits()):
                return []
            time.sleep(LOCK_PAUSE_S)
        return [lock for lock in found if lock.is_file()]

    def _gits(self) -> Iterator[tuple[psutil.Process, int]]:
        """Git processes that work on this repository, each with the process of ours that started it, 0 if none."""
        roots = tuple(map(str, (self.place.common_dir, self.folder, *filter(None, [self.place.work_tree]))))
        for process in psutil.process_iter(["name"]):
            if not (process.info["name"] or "").startswith("git"):
                continue
            try:
                environment, cwd = process.environ(), process.cwd()
            except psutil.Error:
                continue
            if environment.get("GIT_DIR", "").startswith(roots) or cwd.startswith(roots):
                starter = environment.get(MARK, "")
                yield process, int(starter) if starter.isdigit() else 0


def open_up(folder: Path) -> None:
    """Give ourselves read and write permission on everything below a folder, without following links.

    What lies too deep to be reached is removed.
    """
    cut_deep(folder)
    waiting = [str(folder)]
    while waiting:
        at = waiting.pop()
        os.chmod(at, os.stat(at).st_mode | stat.S_IRWXU)  # noqa: PTH101, PTH116
        for entry in os.scandir(at):
            mode = entry.stat(follow_symlinks=False).st_mode
            if stat.S_ISDIR(mode):
                waiting.append(entry.path)
            elif stat.S_ISREG(mode) and mode & 0o600 != 0o600:
                os.chmod(entry.path, mode | 0o600)  # noqa: PTH101


def require_commit(git: Git, folder: Path | None) -> str:
    """The commit a checkout stands on.

    Raises:
        RepositoryError: the repository has no commits yet.
    """
    commit = git.ref("HEAD")
    if commit is None:
        raise RepositoryError(
            f"{folder or git.git_dir} has no commits yet.",
            remedy="Make a first commit, for example `git commit --allow-empty -m 'Start'`.",
        )
    return commit


def require_room(git: Git, branch: str) -> None:
    """See to it that a branch can be made: git keeps none beside another whose name is a folder of its own name.

    Raises:
        RepositoryError: there is such a branch.
    """
    if git.ref(f"refs/heads/{branch}") is not None:
        return
    below = git.text("for-each-ref", "--count=1", "--format=%(refname)", f"refs/heads/{branch}/")
    above = [f"refs/heads/{parent}" for parent in PurePosixPath(branch).parents if parent.name]
    for ref in (*above, below):
        if ref and git.ref(ref) is not None:
            name = ref.removeprefix("refs/heads/")
            raise RepositoryError(
                f"The branch {branch} cannot be made beside the branch {name}.",
                remedy=f"Rename that: git branch -m {name} {name.replace('/', '-')}-old",
            )


def _first_line(path: Path) -> str:
    try:
        return path.read_text(errors="surrogateescape").split("\n", 1)[0]
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError):
        return ""
