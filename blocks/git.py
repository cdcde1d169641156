"""How do we run git so that nothing in a repository, a worktree or the host's configuration runs with it?

The one module that runs git. Every call pins GIT_DIR and GIT_WORK_TREE, reads no system or user configuration, runs no
hook, file-system monitor, pager, editor, signing program or external diff, and reaches no network.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from storyloom.domain.errors import GitError, RepositoryError, StorageFull

from .disk import REMEDY, was_full

OLDEST = (2, 38)  # `merge-tree --write-tree`
SWITCHES = {
    "core.fsmonitor": "false",
    "core.hooksPath": "/dev/null",
    "core.sshCommand": "false",
    "core.pager": "cat",
    "core.editor": "true",
    "core.askPass": "true",
    "core.attributesFile": "/dev/null",
    "core.excludesFile": "/dev/null",
    "core.quotePath": "false",
    "core.sparseCheckout": "false",
    "core.splitIndex": "false",
    "core.untrackedCache": "false",
    "core.logAllRefUpdates": "true",
    "core.trustctime": "true",  # a change whose time was set back must still be seen
    "core.checkStat": "default",
    "core.safecrlf": "false",  # where it is "true" with autocrlf, no file with LF could be committed
    "core.preferSymlinkRefs": "false",
    "core.ignoreStat": "false",
    "core.protectNTFS": "true",
    "core.protectHFS": "true",
    "core.bigFileThreshold": "8m",  # larger files are told apart, not shown line by line
    "safe.bareRepository": "explicit",
    "safe.directory": "*",
    "protocol.allow": "never",
    "protocol.ext.allow": "never",
    "protocol.file.allow": "never",
    "submodule.recurse": "false",
    "diff.external": "",
    "diff.noprefix": "false",
    "diff.mnemonicPrefix": "false",
    "diff.renames": "true",
    "diff.algorithm": "default",
    "diff.orderFile": "/dev/null",
    "diff.relative": "false",
    "diff.interHunkContext": "0",
    "log.showSignature": "false",
    "trailer.separators": ":",
    "color.ui": "false",
    "credential.helper": "",
    "commit.gpgSign": "false",
    "i18n.commitEncoding": "utf-8",
    "i18n.logOutputEncoding": "utf-8",
    "rebase.backend": "merge",
    "rebase.rebaseMerges": "false",
    "rebase.missingCommitsCheck": "ignore",
    "rebase.autoStash": "false",
    "rebase.autoSquash": "false",
    "rebase.updateRefs": "false",
    "merge.renormalize": "true",  # or line ends that .gitattributes changes in every branch conflict with any edit
    "merge.conflictStyle": "merge",
    "rerere.enabled": "false",
    "worktree.useRelativePaths": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "core.packedRefsTimeout": "10000",
    "core.filesRefLockTimeout": "10000",
}
MARK = "STORYLOOM_GIT"  # in the environment of every git that we run: the process that started it
COMMITS_KEPT = 100_000
_commits: set[tuple[Path, str]] = set()
"""Ids that a repository was seen to hold as commits: there they always will be, and asking costs a process."""
COMMIT_ID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


@dataclass(frozen=True)
class Identity:
    """Who signs our commits."""

    name: str = "Storyloom"
    email: str = "storyloom@localhost"


@dataclass(frozen=True)
class Git:
    """Runs git on one git directory and, where files matter, one work tree."""

    git_dir: Path
    work_tree: Path | None = None
    identity: Identity = Identity()
    timeout_s: float = 600.0
    keep_open: tuple[int, ...] = ()  # descriptors that the child inherits: a lock that must outlive us

    def run(
        self,
        *arguments: str,
        stdin: bytes = b"",
        codes: Collection[int] = (0,),
        env: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[bytes]:
        """Run git and return its result; an exit code outside of `codes` is an error.

        Raises:
            GitError: with the command and the last lines of what git said.
            StorageFull: git found no room.
        """
        command = [_program(), *_switches(), *self._cases(), *arguments]
        shown = "git " + " ".join(arguments)[:200]
        try:
            done = subprocess.run(
                command,
                input=stdin,
                capture_output=True,
                cwd=self.work_tree or self.git_dir,
                env={**self._environment(), **(env or {})},
                timeout=self.timeout_s,
                pass_fds=self.keep_open,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise GitError(f"`{shown}` in {self.git_dir} took more than {self.timeout_s:g} s.") from None
        except FileNotFoundError as error:
            raise GitError(f"`{shown}` cannot run: {error.filename} does not exist.") from None
        if done.returncode not in codes:
            said = (done.stderr or done.stdout).decode(errors="replace").strip()
            tail = "\n".join(said.splitlines()[-5:])[-1000:]
            if was_full(said, self.git_dir, self.work_tree or self.git_dir):
                raise StorageFull(f"`{shown}` in {self.git_dir} found no room: {tail}", remedy=REMEDY)
            raise GitError(f"`{shown}` in {self.work_tree or self.git_dir} ended with {done.returncode}: {tail}")
        return done

    def text(
        self,
        *arguments: str,
        stdin: bytes = b"",
        codes: Collection[int] = (0,),
        env: Mapping[str, str] | None = None,
    ) -> str:
        """What git printed, without the last newline; bytes that are no UTF-8 survive `os.fsencode`."""
        out = self.run(*arguments, stdin=stdin, codes=codes, env=env).stdout
        return os.fsdecode(out).removesuffix("\n")

    def shown(self, *arguments: str, codes: Collection[int] = (0,)) -> str:
        """What git printed, for people and models: bytes that are no UTF-8 become replacement signs."""
        return self.run(*arguments, codes=codes).stdout.decode(errors="replace")

    def commit(self, revision: str) -> str:
        """The commit id that a revision names.

        Raises:
            GitError: there is no such commit.
        """
        exact = COMMIT_ID.fullmatch(revision) is not None
        if exact and (self._store(), revision) in _commits:
            return revision
        if not exact:
            check_branch(revision.removeprefix("refs/heads/"))
        asked = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        if not (found := self.text(*asked, codes=(0, 1))):
            raise GitError(f"There is no commit {revision} in {self.git_dir} (any more).")
        if exact and found == revision:
            self.know(found)
        return found

    def know(self, commit: str) -> str:
        """Remember that the repository holds this commit, and return its id."""
        if len(_commits) >= COMMITS_KEPT:
            _commits.clear()
        _commits.add((self._store(), commit))
        return commit

    def _store(self) -> Path:
        """Where the objects are: shared by a repository and its linked worktrees."""
        linked = self.git_dir.parent.name == "worktrees" and (self.git_dir / "commondir").is_file()
        return self.git_dir.parent.parent if linked else self.git_dir

    def ref(self, name: str) -> str | None:
        """The commit id a full ref name points at, None if there is no such ref.

        A branch that stands in a file of its own is read from there, as git does first: a process costs milliseconds.
        """
        if name.startswith("refs/heads/") and (loose := _loose_ref(self._store() / name)) is not None:
            return loose
        return self.text("rev-parse", "--verify", "--quiet", "--end-of-options", name, codes=(0, 1)) or None

    def is_ancestor(self, older: str, newer: str) -> bool:
        """Whether `newer` contains `older`."""
        return self.run("merge-base", "--is-ancestor", older, newer, codes=(0, 1)).returncode == 0

    def _cases(self) -> tuple[str, ...]:
        """Tell names apart by case where the file system does, also in a clone that comes from where it does not."""
        one = os.path.lexists(self.git_dir / "hEAD")
        return () if one else ("-c", "core.ignoreCase=false")

    def _environment(self) -> dict[str, str]:
        pinned = {"GIT_DIR": str(self.git_dir)}
        if self.work_tree is not None:
            pinned["GIT_WORK_TREE"] = str(self.work_tree)
        return {
            **pinned,
            "PATH": os.pathsep.join((str(Path(_program()).parent), os.defpath)),
            "LC_ALL": "C.UTF-8",
            MARK: str(os.getpid()),
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_OPTIONAL_LOCKS": "0",
            "GIT_LITERAL_PATHSPECS": "1",
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_EDITOR": "true",
            "GIT_SEQUENCE_EDITOR": "true",
            "GIT_AUTHOR_NAME": self.identity.name,
            "GIT_AUTHOR_EMAIL": self.identity.email,
            "GIT_COMMITTER_NAME": self.identity.name,
            "GIT_COMMITTER_EMAIL": self.identity.email,
        }


@dataclass(frozen=True)
class Place:
    """Where a repository keeps its things: `git_dir` is this checkout's own, `common_dir` is shared by all."""

    git_dir: Path
    common_dir: Path
    work_tree: Path | None


def locate(repository: str | Path) -> Place:
    """Find a repository's git directory without running git: an ordinary clone, a linked worktree, or a bare one.

    Raises:
        RepositoryError: the folder is not the root of a git repository.
    """
    folder = Path(repository).absolute()
    if not folder.is_dir():
        raise RepositoryError(f"{folder} is not a folder.", remedy="Name the folder of a git repository.")
    folder = folder.resolve()
    dot_git = folder / ".git"
    if dot_git.is_file():
        text = dot_git.read_text(errors="surrogateescape")
        if not text.startswith("gitdir:"):
            raise RepositoryError(f"{dot_git} does not name a git directory.")
        git_dir = (folder / text.removeprefix("gitdir:").strip("\n").strip()).resolve()
    elif dot_git.is_dir():
        git_dir = dot_git.resolve()
    elif (folder / "HEAD").is_file() and (folder / "objects").is_dir() and (folder / "refs").is_dir():
        return Place(folder, folder, None)
    else:
        above = next((str(parent) for parent in folder.parents if (parent / ".git").exists()), "")
        hint = f"Its root may be {above}." if above else f"Run `git init {folder}` and make a first commit."
        raise RepositoryError(f"{folder} is not the root of a git repository.", remedy=hint)
    if not (git_dir / "HEAD").is_file():
        raise RepositoryError(f"{folder} names the git directory {git_dir}, which holds no repository.")
    common = git_dir / "commondir"
    common_dir = (git_dir / common.read_text().strip()).resolve() if common.is_file() else git_dir
    return Place(git_dir, common_dir, folder)


def _loose_ref(file: Path) -> str | None:
    """The id in a ref's own file; None where there is none, or it names another ref. Git replaces it atomically."""
    try:
        text = file.read_text().strip()
    except (OSError, ValueError):
        return None
    return text if COMMIT_ID.fullmatch(text) and not file.is_symlink() else None


def check_branch(name: str) -> str:
    """The branch name itself, if it is a safe one.

    Raises:
        GitError: it could be read as an option, or git would not accept it (git-check-ref-format).
    """
    bad = (
        not name
        or name.startswith(("-", "/", "refs/"))
        or name.endswith(("/", "."))
        or name in ("@", "HEAD")
        or ".." in name
        or "@{" in name
        or "//" in name
        or len(name.encode(errors="replace")) > 200
        or any(ord(sign) <= 32 or ord(sign) == 127 or sign in "~^:?*[\\" for sign in name)
        or any(part.startswith((".", "-")) or part.endswith(".lock") for part in name.split("/"))
    )
    if bad:
        raise GitError(f"{name!r} is not a safe branch name.", remedy="Use letters, digits, '.', '_', '-' and '/'.")
    return name


def version() -> tuple[int, ...]:
    """The installed git's version.

    Raises:
        RepositoryError: git is missing.
    """
    said = subprocess.run([_program(), "--version"], capture_output=True, text=True, check=True).stdout
    return tuple(int(part) for part in re.findall(r"\d+", said)[:3])


@cache
def _program() -> str:
    found = shutil.which("git")
    if found is None:
        raise RepositoryError("git is not installed.", remedy="Install git 2.38 or newer.")
    return found


@cache
def _switches() -> tuple[str, ...]:
    return tuple(part for key, value in SWITCHES.items() for part in ("-c", f"{key}={value}"))
