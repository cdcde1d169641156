"""Which outside things does the method need, and what may it ask of each?

Blocks implement these; tasks call them; tests bring small fakes. Paths are absolute strings, times seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from pydantic import Field

from .budget import Cap, Scope, Spending
from .events import Event
from .model_calls import ModelReply, ModelRequest, Value


@runtime_checkable
class ModelDoor(Protocol):
    """The one door to models: routing, retries, budget, journal and price are behind it."""

    def complete(self, request: ModelRequest) -> ModelReply:
        """Answer `request`, from the journal if it was answered before.

        Raises:
            ModelError: one of its subclasses; `may_pass` tells whether waiting helps.
            BudgetExceeded: before the call, when its worst case would pass a cap.
        """
        ...


class Budgets(Protocol):
    """What is spent, and the caps that one scope alone has; the same for all processes at once."""

    def spent(self, scope: Scope) -> Spending:
        """What a scope has spent and holds reserved, and its cap."""
        ...

    def set_cap(self, scope: Scope, cap: Cap) -> None:
        """Give one scope a cap of its own."""
        ...

    def drop_cap(self, scope: Scope) -> None:
        """Take the scope's own cap away: what holds for its kind holds again."""
        ...


class Limits(Value):
    """Bounds of one sandboxed command. Bytes and seconds.

    `memory_bytes` and `processes` bound the whole tree of processes, `cpu_s` and `file_bytes` each process and file,
    `disk_bytes` what the worktree may grow by, `tmp_bytes` the temporary folder.
    """

    wall_s: float = 120.0
    cpu_s: int = 120
    memory_bytes: int = 2 << 30
    file_bytes: int = 100 << 20
    processes: int = 512
    tmp_bytes: int = 256 << 20
    disk_bytes: int = 1 << 30
    output_bytes: int = 64 << 10


class CommandResult(Value):
    """What a command did. `output` is the tail, decoded and without terminal escapes.

    `limit_hit` is the name of the field of Limits that stopped it, "" if none did. `exit_code` is 128 + n when signal n
    ended it. `note` says what was undone of it, "" if nothing was.
    """

    exit_code: int
    output: str = ""
    output_bytes: int = 0
    wall_s: float = 0.0
    peak_memory_bytes: int | None = None
    limit_hit: str = ""
    sandboxed: bool = True
    note: str = ""


class SandboxProbe(Value):
    """What running the canaries showed. `name` is the mechanism ("bubblewrap", "none")."""

    name: str
    ok: bool
    detail: str = ""
    remedy: str = ""


@runtime_checkable
class Sandbox(Protocol):
    """Runs commands written by a model, without network, secrets or a way out."""

    def probe(self) -> SandboxProbe:
        """Run the canaries and say what holds."""
        ...

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
        """Run `command` (a string goes to `bash -c`) with `worktree` as its folder.

        `shared` are folders of the host, by the path in the worktree at which they are to be seen too, read-only; one
        that something else stands in the way of is left out.

        Raises:
            SandboxMissing: no sandbox works here, and running without one was not chosen.
            SetUpFailed: the project has a set-up, and it did not succeed.
        """
        ...


class DiffStat(Value):
    """How large a change is."""

    files: tuple[str, ...] = ()
    insertions: int = 0
    deletions: int = 0


TextsThere = Callable[[Sequence[str]], Mapping[str, str]]
"""Gives the texts of files by path; what is not there is left out."""


@dataclass(frozen=True)
class Merge:
    """One commit that is to enter the main line. `edit` gets the texts of the merged tree and returns those that the
    merge commit changes besides (None deletes)."""

    commit: str
    message: str
    op_id: str
    edit: Callable[[TextsThere], Mapping[str, str | None]] | None = None


@runtime_checkable
class Workspace(Protocol):
    """The git side of one project: story worktrees, and one integration worktree that alone moves the main line.

    The person's checkout, index, stash and hooks are never touched. The main line is a branch of its own
    (`settings.integration_branch`), created from the person's branch at the first run.
    """

    def recover(self) -> list[str]:
        """Remove what a crash left behind (locks, half-made worktrees, merges); say what was done. Idempotent."""
        ...

    def integration(self) -> str:
        """The integration worktree's path; made on first use."""
        ...

    def tip(self) -> str:
        """The main line's commit id."""
        ...

    def open(self, name: str, branch: str, base: str) -> str:
        """The path of the worktree `name`, on `branch`; made from commit `base` unless it exists in good order."""
        ...

    def path(self, name: str) -> str:
        """Where the worktree `name` is or would be."""
        ...

    def head(self, worktree: str) -> str:
        """The commit a worktree stands on."""
        ...

    def checkpoint(self, worktree: str, message: str) -> str:
        """Commit everything in the worktree and return the commit id; HEAD's when nothing changed."""
        ...

    def reset(self, worktree: str, commit: str) -> None:
        """Make the worktree exactly `commit`, untracked files gone."""
        ...

    def diff(self, base: str, head: str, *, context: int = 3) -> str:
        """The unified diff between two commits."""
        ...

    def stat(self, base: str, head: str) -> DiffStat:
        """Files and lines changed between two commits."""
        ...

    def changed(self, worktree: str, since: str) -> list[str]:
        """Paths that differ between a commit and what stands in a worktree, untracked files included, sorted."""
        ...

    def content(self, commit: str, *, without: Sequence[str] = ()) -> str:
        """A digest of all tracked files at a commit but these files and folders: equal for equal files."""
        ...

    def branch(self, name: str) -> str | None:
        """The commit a branch of the repository stands on, None if there is no such branch."""
        ...

    def files(self, commit: str) -> list[str]:
        """Paths tracked at a commit, sorted."""
        ...

    def read(self, commit: str, path: str) -> str | None:
        """A file's text at a commit, None if it is not there."""
        ...

    def texts(self, commit: str, paths: Iterable[str]) -> Mapping[str, str]:
        """Many files' texts at a commit by path, at the cost of one; what is not there is left out."""
        ...

    def rebase(self, worktree: str, onto: str) -> str:
        """Rebase the worktree's branch onto a commit and return its new head.

        A branch with merges in it becomes one commit: what they settled would conflict again if it were replayed.

        Raises:
            MergeConflict: the rebase was aborted and the worktree is as before; `files` names the paths.
        """
        ...

    def merge(self, branch_commit: str, message: str, op_id: str) -> str:
        """Merge a commit into the main line with a merge commit that carries `Op-Id: op_id`; once, however often asked.

        Raises:
            MergeConflict: nothing was changed.
        """
        ...

    def merge_all(self, merges: Sequence[Merge]) -> list[str]:
        """Merge commits one after the other, as `merge` does with each, and return the merge commits.

        Raises:
            MergeConflict: those before the one that conflicts are merged.
        """
        ...

    def commit_files(self, files: Mapping[str, str | None], message: str, op_id: str) -> str:
        """Write texts (None deletes) in the integration worktree and commit them with `Op-Id: op_id`; once."""
        ...

    def conflicts(self, ours: str, theirs: str) -> Mapping[str, str]:
        """The files that two commits change so that they conflict, by path: texts with git's conflict marks."""
        ...

    def find_op(self, op_id: str) -> str | None:
        """The main line's commit that carries `Op-Id: op_id`."""
        ...

    def undone_op(self, op_id: str) -> str | None:
        """The main line's last commit that carries an operation, if a person has reverted it and all before it."""
        ...

    def abandon(self, name: str, branch: str) -> None:
        """Remove the worktree and its branch."""
        ...

    def export(self, commit: str, folder: str) -> None:
        """Write the tree of a commit into an empty folder."""
        ...

    def leftovers(self) -> list[str]:
        """Names of story worktrees that still exist."""
        ...


@runtime_checkable
class Recorder(Protocol):
    """Appends events to the spool."""

    def record(self, event: Event) -> None:
        """Append one event; an event_id that was recorded before is harmless."""
        ...


class HealthCheck(Value):
    """Whether a release answers."""

    healthy: bool
    detail: str = ""


@runtime_checkable
class DeployTarget(Protocol):
    """A place where releases run."""

    def current(self) -> str:
        """The release that is live, "" if none."""
        ...

    def release(self, release: str, commit: str) -> str:
        """Prepare the release's folder from a commit and return its path; idempotent."""
        ...

    def switch(self, release: str) -> None:
        """Make a prepared release live, atomically."""
        ...

    def check(self, release: str) -> HealthCheck:
        """Ask a prepared release for its health."""
        ...


@runtime_checkable
class Texts(Protocol):
    """Read access to content by relative path: the method's own, overridden file by file by the project's."""

    def read(self, path: str) -> str | None:
        """The text, None if there is none."""
        ...

    def names(self, under: str) -> Iterable[str]:
        """Relative paths of all files below a folder, sorted."""
        ...


@runtime_checkable
class Documents(Protocol):
    """The project's documents, by path relative to the repository's root ("docs/prd.md").

    Implementations keep every path inside the project and write atomically; a text that is there already is not
    written again. Planning writes in the integration worktree, never in the person's checkout.
    """

    def read(self, path: str) -> str | None:
        """The text, None if there is no such file.

        Raises:
            UnsafePath: the path leaves the project.
        """
        ...

    def write(self, path: str, text: str) -> None:
        """Make the file hold this text, folders included.

        Raises:
            UnsafePath: the path leaves the project or names something protected.
        """
        ...

    def glob(self, patterns: Sequence[str]) -> list[str]:
        """Relative paths of all files that match any pattern, sorted; the case of letters does not matter."""
        ...

    def exists(self, path: str) -> bool:
        """Whether there is such a file or folder."""
        ...

    def staged(self) -> Mapping[str, str]:
        """Texts by path that were written and are not in the main line yet."""
        ...

    def clear(self) -> None:
        """Forget the staged texts: they have entered the main line."""
        ...


class SearchHit(Value):
    """One line that a search found; `line` is 1-based."""

    path: str
    line: int
    text: str


@runtime_checkable
class FilesIn(Protocol):
    """The files of one worktree, by path relative to its root with "/" between folders.

    Every method raises UnsafePath for a path that leaves the worktree, goes through a symbolic link or names
    something protected (`.git`). Texts are exact: line ends and byte order marks are neither added nor lost.
    """

    def read(self, path: str) -> str | None:
        """The text, None if there is no such file.

        Raises:
            InputError: the file is not UTF-8 text, or too large to be one.
        """
        ...

    def write(self, path: str, text: str) -> None:
        """Make the file hold this text, folders included; the mode of a file that exists is kept."""
        ...

    def delete(self, path: str) -> bool:
        """Remove a file; False if there was none."""
        ...

    def exists(self, path: str) -> bool:
        """Whether there is such a file or folder."""
        ...

    def list(self, path: str = ".", depth: int = 2) -> Sequence[str]:
        """Files and folders below a folder, sorted, folders with "/" at their end; what git ignores is left out."""
        ...

    def search(self, pattern: str, path: str = ".", *, limit: int = 200) -> Sequence[SearchHit]:
        """Lines that a regular expression matches, sorted by path and line, at most `limit`.

        Raises:
            InputError: the pattern is not a regular expression.
        """
        ...


class ProjectRef(Value):
    """Which project. Small enough to be a flow parameter; `settings` holds for this run only and is recorded."""

    repository: str = Field(
        title="Repository", description="Absolute path of the project's git repository", examples=["/srv/shelf"]
    )
    settings: dict[str, str | int | float | bool] = Field(
        default_factory=dict,
        title="Settings for this run",
        description="Replace settings of the project file, for instance max_concurrent_agents: 2",
    )


@runtime_checkable
class Shelf(Protocol):
    """Small durable values of one project, by name: answers, leases, notes. Writes are atomic and synced."""

    def get(self, name: str) -> str | None:
        """The text kept under a name."""
        ...

    def put(self, name: str, text: str) -> None:
        """Keep a text under a name, replacing what was there."""
        ...

    def put_new(self, name: str, text: str) -> bool:
        """Keep a text under a name unless there is one; True if it was kept. Exactly one caller wins."""
        ...

    def names(self, prefix: str) -> list[str]:
        """All names that start with a prefix, sorted."""
        ...


@runtime_checkable
class Notifier(Protocol):
    """Tells people of something through named channels; their addresses are known to it alone."""

    def send(self, channel: str, title: str, body: str, severity: str) -> str:
        """ "" when the message was taken, else why not, without the address."""
        ...
