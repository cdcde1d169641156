"""Where do stories become commits?  Story worktrees, and one integration worktree that alone moves the main line."""

from __future__ import annotations

import os
import re
import secrets
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from storyloom.domain.errors import GitError, InputError, MergeConflict, RepositoryError, UnsafePath
from storyloom.domain.ports import DiffStat
from storyloom.domain.safe_paths import check_path

from .disk import storage_errors
from .git import Git, Identity, check_branch, locate
from .git_worktrees import Worktrees, open_up, remove_tree, require_commit

INTEGRATION = "integration"
GITLINK = "160000"
TRAILER = "Op-Id"
ODD = re.compile(r"[\x00-\x1f\x7f\\\ud800-\udfff]")  # in a file's name: control signs, "\", bytes that are no UTF-8
OP_ID = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,198}[\x21-\x7e])?")


class GitWorkspace:
    """The Workspace port on a git repository. Worktrees live below `state_folder`, outside of the repository.

    The person's checkout, index, stash, branches and hooks are read at most; only `publish` moves a branch of theirs,
    and only forward.
    """

    def __init__(
        self,
        repository: str | Path,
        state_folder: str | Path,
        integration_branch: str = "storyloom/main",
        *,
        identity: Identity | None = None,
    ) -> None:
        state = Path(state_folder).absolute()
        place = locate(repository)
        if place.work_tree and state.resolve().is_relative_to(place.work_tree):
            raise RepositoryError(f"The state folder {state} lies inside the repository {place.work_tree}.")
        self._branch = check_branch(integration_branch)
        self._ref = f"refs/heads/{integration_branch}"
        self._trees = Worktrees(place, state.resolve(), identity or Identity())
        self._ops: dict[str, str] = {}
        self._ops_at = ""

    # Worktrees

    def recover(self) -> list[str]:
        """Remove what a crash left behind (locks, half-made worktrees, merges); say what was done. Idempotent."""
        done = self._trees.recover()
        path = self._trees.path(INTEGRATION)
        if path.exists():
            self.reset(str(path), self._ref)
        return done

    def integration(self) -> str:
        """The integration worktree's path; made on first use.

        Raises:
            RepositoryError: there is no commit to start from, or the person has the integration branch checked out.
        """
        path = self._trees.path(INTEGRATION)
        with self._trees.lock():
            tip = self.tip()
            if not self._trees.sound(path, self._branch):
                if elsewhere := [place for place in self._checked_out(self._branch) if place != path]:
                    raise RepositoryError(
                        f"The branch {self._branch} is checked out in {elsewhere[0]}.",
                        remedy="Switch that checkout to another branch, or set another integration_branch.",
                    )
                self._trees.make(path, self._branch, tip)
        return str(path)

    def tip(self) -> str:
        """The main line's commit id; the main line starts at the person's HEAD."""
        git = self._trees.repository()
        tip = git.ref(self._ref)
        if tip is None:
            start = require_commit(self._trees.checkout(), self._trees.place.work_tree)
            try:
                git.run("update-ref", "-m", "storyloom: start", self._ref, start, "")
            except GitError:
                tip = git.ref(self._ref)  # another process may have been quicker
                if tip is None:
                    raise
            else:
                tip = start
        return tip

    def open(self, name: str, branch: str, base: str) -> str:
        """The path of the worktree `name`, on `branch`; made from commit `base` unless it exists in good order.

        A branch that exists is gone on with where it stands.
        """
        path = self._trees.path(self._story(name))
        check_branch(branch)
        if not self._trees.sound(path, branch):
            self._trees.make(path, branch, self._trees.repository().commit(base))
        return str(path)

    def path(self, name: str) -> str:
        """Where the worktree `name` is or would be."""
        return str(self._trees.path(self._story(name)))

    def abandon(self, name: str, branch: str) -> None:
        """Remove the worktree and its branch; what is gone already is fine."""
        path = self._trees.path(self._story(name))
        if check_branch(branch) == self._branch:
            raise GitError(f"{branch} is the main line and is not given up.")
        with self._trees.lock():
            self._trees.remove(path)
            git = self._trees.repository()
            if git.ref(f"refs/heads/{branch}") is not None:
                if places := self._checked_out(branch):
                    raise GitError(f"The branch {branch} is checked out in {places[0]} and is not removed.")
                git.run("branch", "-q", "-D", "--", branch)

    def leftovers(self) -> list[str]:
        """Names of story worktrees that still exist."""
        return [name for name in self._trees.ours() if name != INTEGRATION]

    # Commits

    def head(self, worktree: str) -> str:
        """The commit a worktree stands on."""
        return require_commit(self._trees.at(worktree), None)

    def checkpoint(self, worktree: str, message: str) -> str:
        """Commit everything in the worktree and return the commit id; HEAD's when nothing changed.

        Raises:
            UnsafePath: a repository inside of the worktree would be recorded as a submodule, or a new file's name is
                not UTF-8 or not safe on every system; nothing was committed.
        """
        git = self._trees.at(worktree)
        head = require_commit(git, None)
        try:
            self._add_all(git)
            changed = git.run("diff-index", "--cached", "--raw", "--no-abbrev", "--no-renames", "-z", head).stdout
            fields = os.fsdecode(changed).split("\0")
            entries = [(*entry.split(" "), path) for entry, path in zip(fields[::2], fields[1::2], strict=False)]
            if links := [path for _, mode, *_, path in entries if mode == GITLINK]:
                raise _nested(links)
            if odd := [path for *_, status, path in entries if status == "A" and ODD.search(path)]:
                raise _unsafe_name(odd)
        except (GitError, UnsafePath):
            git.run("reset", "-q", "--mixed")
            raise
        if not changed:
            return head
        return self._commit(git, git.text("write-tree"), [head], _plain(message), "HEAD", head)

    def reset(self, worktree: str, commit: str) -> None:
        """Make the worktree exactly `commit`, untracked and ignored files gone."""
        git = self._trees.at(worktree)
        wanted = self._trees.repository().commit(commit)
        try:
            git.run("reset", "-q", "--hard", wanted)
            git.run("clean", "-q", "-ffdx")
        except GitError:  # what ran in it may have taken permissions away
            open_up(Path(worktree))
            git.run("reset", "-q", "--hard", wanted)
            git.run("clean", "-q", "-ffdx")

    def rebase(self, worktree: str, onto: str) -> str:
        """Rebase the worktree's branch onto a commit and return its new head.

        Raises:
            MergeConflict: the rebase was aborted and the worktree is as before; `files` names the paths.
        """
        git = self._trees.at(worktree)
        target = self._trees.repository().commit(onto)
        before = require_commit(git, None)
        try:
            git.run("rebase", "-q", "--no-autostash", "--no-fork-point", "--empty=drop", target)
        except GitError as error:
            unmerged = _text(git.run("diff", "--name-only", "--diff-filter=U", "-z", "--ignore-submodules=all"))
            if (git.git_dir / "rebase-merge").exists():
                git.run("rebase", "--abort")
            if require_commit(git, None) != before:
                raise
            files = tuple(path for path in unmerged.split("\0") if path)
            if not files:
                raise
            raise MergeConflict(f"{', '.join(files)}: changed both here and in {target[:12]}.", files=files) from error
        return require_commit(git, None)

    # The main line

    def merge(self, branch_commit: str, message: str, op_id: str) -> str:
        """Merge a commit into the main line with a merge commit that carries `Op-Id: op_id`; once, however often asked.

        Raises:
            MergeConflict: nothing was changed; `files` names the paths.
        """
        with self._trees.lock():
            if done := self.find_op(op_id):
                return done
            path = self.integration()
            git = self._trees.at(path)
            tip = self.tip()
            theirs = self._trees.repository().commit(branch_commit)
            merged = git.run(
                "merge-tree", "--write-tree", "--name-only", "--no-messages", "-z", tip, theirs, codes=(0, 1)
            )
            tree, *files = _text(merged).rstrip("\0").split("\0")
            if merged.returncode:
                names = tuple(sorted(set(files)))
                raise MergeConflict(f"{', '.join(names)}: changed both here and on {self._branch}.", files=names)
            commit = self._commit(git, tree, [tip, theirs], _with_op(message, op_id), self._ref, tip)
            git.run("reset", "-q", "--hard")
            return commit

    def commit_files(self, files: Mapping[str, str | None], message: str, op_id: str) -> str:
        """Write texts (None deletes) in the integration worktree and commit them with `Op-Id: op_id`; once.

        Texts are kept as they are, newlines included; a file that exists keeps its mode.

        Raises:
            UnsafePath: a path leaves the worktree; nothing was changed.
        InputError: a text cannot be written as UTF-8; nothing was changed.
        """
        for path in files:
            check_path(path, writing=False)
        texts = {path: _encoded(path, text) for path, text in files.items() if text is not None}
        with self._trees.lock(), self._scratch() as scratch:
            if done := self.find_op(op_id):
                return done
            git = self._trees.at(self.integration())
            tip = self.tip()
            index = {"GIT_INDEX_FILE": str(scratch / "index")}
            git.run("read-tree", tip, env=index)
            lines = []
            for path, text in files.items():
                if text is None:
                    lines.append(f"0 {'0' * len(tip)}\t{path}")
                    continue
                blob = git.text("hash-object", "-w", "--stdin", "--no-filters", stdin=texts[path])
                lines.append(f"{self._mode(git, tip, path)} {blob}\t{path}")
            git.run("update-index", "-z", "--index-info", stdin=os.fsencode("\0".join([*lines, ""])), env=index)
            tree = git.text("write-tree", env=index)
            commit = self._commit(git, tree, [tip], _with_op(message, op_id), self._ref, tip)
            git.run("reset", "-q", "--hard")
            return commit

    def find_op(self, op_id: str) -> str | None:
        """The main line's commit that carries `Op-Id: op_id`."""
        git = self._trees.repository()
        tip = git.ref(self._ref)
        if tip is None:
            return None
        if tip != self._ops_at:
            known = self._ops_at if self._ops_at and git.is_ancestor(self._ops_at, tip) else ""
            found = git.text(
                "log",
                "-z",
                "--fixed-strings",
                f"--grep={TRAILER}: ",
                f"--format=%H %(trailers:key={TRAILER},valueonly,separator=%x0a)",
                f"{known}..{tip}" if known else tip,
            )
            fresh = {}
            for entry in reversed([entry for entry in found.split("\0") if entry]):
                commit, *ops = entry.replace(" ", "\n", 1).split("\n")
                fresh.update({op.strip(): commit for op in ops if op.strip()})
            self._ops = {**(self._ops if known else {}), **fresh}
            self._ops_at = tip
        return self._ops.get(op_id)

    def follow(self, branch: str) -> str:
        """Bring new commits of the person's branch into the main line, and return its tip.

        Raises:
            MergeConflict: nothing was changed.
        """
        with self._trees.lock():
            path, git = self.integration(), self._trees.repository()
            tip, theirs = self.tip(), git.commit(f"refs/heads/{check_branch(branch)}")
            if git.is_ancestor(theirs, tip):
                return tip
            if not git.is_ancestor(tip, theirs):
                return self.merge(theirs, f"Merge branch '{branch}'", f"follow:{theirs}")
            git.run("update-ref", "-m", f"storyloom: follow {branch}", self._ref, theirs, tip)
            self._trees.at(path).run("reset", "-q", "--hard")
            return theirs

    def person_branch(self) -> str:
        """The branch that the person's checkout is on, "" when it is on none."""
        found = self._trees.checkout().text("symbolic-ref", "-q", "--short", "HEAD", codes=(0, 1))
        return "" if found == self._branch else found

    def publish(self, target_branch: str, *, checkout: bool = False) -> str:
        """Move the person's branch forward to the main line's tip; return "" when it stands there, else why not.

        A branch that is checked out is moved only with `checkout`, and only where no tracked file is changed.
        """
        ref = f"refs/heads/{check_branch(target_branch)}"
        with self._trees.lock():
            git, tip = self._trees.repository(), self.tip()
            old = git.ref(ref)
            if old == tip:
                return ""
            if old is None:
                return f"There is no branch {target_branch}."
            if not git.is_ancestor(old, tip):
                ahead = git.text("rev-list", "--count", f"{tip}..{old}")
                return f"{target_branch} has {ahead} commits that {self._branch} lacks; bring them over first."
            places = self._checked_out(target_branch)
            if not places:
                git.run("update-ref", "-m", "storyloom: publish", ref, tip, old)
                return ""
            if not checkout:
                return f"{target_branch} is checked out in {places[0]}; run `git merge --ff-only {self._branch}` there."
            return self._forward(places[0], target_branch, tip)

    # Reading

    def diff(self, base: str, head: str, *, context: int = 3) -> str:
        """The unified diff between two commits; bytes that are no UTF-8 are shown as replacement signs."""
        git = self._trees.repository()
        pair = (git.commit(base), git.commit(head))
        shown = ("--no-ext-diff", "--no-textconv", "--no-color", "--ignore-submodules=all", "--src-prefix=a/")
        out = git.run("diff", *shown, "--dst-prefix=b/", f"--unified={max(0, context)}", *pair, "--").stdout
        return out.decode(errors="replace")

    def stat(self, base: str, head: str) -> DiffStat:
        """Files and lines changed between two commits; a binary file counts no lines."""
        git = self._trees.repository()
        pair = (git.commit(base), git.commit(head))
        out = _text(git.run("diff", "--numstat", "-z", "--no-renames", "--no-ext-diff", "--no-textconv", *pair, "--"))
        rows = [entry.split("\t", 2) for entry in out.split("\0") if entry]
        return DiffStat(
            files=tuple(row[2] for row in rows),
            insertions=sum(int(row[0]) for row in rows if row[0] != "-"),
            deletions=sum(int(row[1]) for row in rows if row[1] != "-"),
        )

    def files(self, commit: str) -> list[str]:
        """Paths tracked at a commit, sorted."""
        git = self._trees.repository()
        out = _text(git.run("ls-tree", "-r", "-z", "--name-only", "--full-tree", git.commit(commit)))
        return sorted(path for path in out.split("\0") if path)

    def read(self, commit: str, path: str) -> str | None:
        """A file's text at a commit, None if it is not there; bytes that are no UTF-8 become replacement signs."""
        if "\n" in path or "\0" in path:
            return None
        git = self._trees.repository()
        out = git.run("cat-file", "--batch", stdin=os.fsencode(f"{git.commit(commit)}:{path}\n")).stdout
        header, _, rest = out.partition(b"\n")
        words = header.split(b" ")
        if len(words) != 3 or words[1] != b"blob":
            return None
        return rest[: int(words[2])].decode(errors="replace")

    def export(self, commit: str, folder: str) -> None:
        """Write the tree of a commit into an empty folder."""
        target = Path(folder).absolute()
        with storage_errors(target):
            target.mkdir(parents=True, exist_ok=True)
            if any(target.iterdir()):
                raise GitError(f"{target} is not empty.")
        with self._scratch() as scratch:
            index = {"GIT_INDEX_FILE": str(scratch / "index")}
            git = Git(self._trees.place.common_dir, target)
            git.run("read-tree", git.commit(commit), env=index)
            git.run("checkout-index", "-q", "--all", "--force", env=index)

    # Inside

    def _story(self, name: str) -> str:
        if name == INTEGRATION:
            raise GitError(f"{name!r} is the integration worktree's name; a story needs another.")
        return name

    def _add_all(self, git: Git) -> None:
        try:
            git.run("add", "--all")
        except GitError as error:
            if "does not have a commit checked out" in error.message:
                raise _nested(re.findall(r"'([^']+)/' does not have a commit", error.message)) from error
            if refused := re.findall(r"[Ii]nvalid path '([^']*)'", error.message):
                raise _unsafe_name(refused) from error
            if "Permission denied" not in error.message:
                raise
            assert git.work_tree is not None
            open_up(git.work_tree)
            git.run("add", "--all")

    def _commit(self, git: Git, tree: str, parents: list[str], message: str, ref: str, old: str) -> str:
        """Make a commit object and move `ref` to it, if it still points at `old`."""
        flags = [part for parent in parents for part in ("-p", parent)]
        commit = git.text("commit-tree", *flags, "-F", "-", tree, stdin=message.encode(errors="replace"))
        git.run("update-ref", "-m", "storyloom: " + message.split("\n", 1)[0][:60], ref, commit, old)
        return commit

    def _mode(self, git: Git, commit: str, path: str) -> str:
        entry = git.text("ls-tree", "-z", "--full-tree", commit, "--", path).split(" ")
        return "100755" if entry[0] == "100755" else "100644"

    def _checked_out(self, branch: str) -> list[Path]:
        """Where a branch is checked out, or is being rebased or bisected."""
        place, ref = self._trees.place, f"refs/heads/{branch}"
        found = []
        listed = self._trees.repository().text("worktree", "list", "--porcelain", "-z").split("\0\0")
        for number, block in enumerate(listed):
            fields = dict(line.partition(" ")[::2] for line in block.split("\0") if line)
            path = Path(fields.get("worktree", ""))
            if number == 0 and place.work_tree and place.git_dir == place.common_dir:
                path = place.work_tree  # for a submodule git names its git directory here
            if fields.get("branch") == ref or ("detached" in fields and ref in self._busy_with(path)):
                found.append(path)
        return found

    def _busy_with(self, path: Path) -> set[str]:
        place = self._trees.place
        git_dir = self._trees.admin(path) or place.common_dir
        names = ("rebase-merge/head-name", "rebase-apply/head-name", "BISECT_START")
        texts = [(git_dir / name).read_text().strip() for name in names if (git_dir / name).is_file()]
        return {text if text.startswith("refs/") else f"refs/heads/{text}" for text in texts}

    def _forward(self, place: Path, branch: str, tip: str) -> str:
        git = Git(self._trees.admin(place) or self._trees.place.common_dir, place)
        if f"refs/heads/{branch}" in self._busy_with(place):
            return f"{branch} is being rebased or bisected in {place}."
        dirty = git.text("status", "--porcelain", "-z", "--untracked-files=no", "--ignore-submodules=all")
        if dirty:
            return f"{place} has changes that are not committed."
        try:
            git.run("merge", "-q", "--ff-only", tip)
        except GitError as error:
            return f"{place} could not be moved forward: {error.message}"
        return ""

    @contextmanager
    def _scratch(self) -> Iterator[Path]:
        folder = self._trees.scratch / f"{os.getpid()}-{secrets.token_hex(6)}"
        with storage_errors(folder):
            folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            remove_tree(folder)


def _text(done: subprocess.CompletedProcess[bytes]) -> str:
    return done.stdout.decode(errors="replace")


def _plain(message: str) -> str:
    """A commit message whose text cannot pass for one of our trailers."""
    text = message.replace("\0", "").strip() or "Checkpoint"
    return re.sub(rf"(?im)^(\s*){TRAILER}\s*:", rf"\1{TRAILER} (quoted):", text) + "\n"


def _encoded(path: str, text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise InputError(f"{path}: the text cannot be written as UTF-8 (sign {error.start}).") from None


def _with_op(message: str, op_id: str) -> str:
    if OP_ID.fullmatch(op_id) is None:
        raise GitError(f"{op_id!r} is no operation id.", remedy="Use up to 200 printable ASCII characters.")
    return f"{_plain(message)}\n{TRAILER}: {op_id}\n"


def _unsafe_name(paths: list[str]) -> UnsafePath:
    return UnsafePath(
        f"{', '.join(map(ascii, paths[:5]))}: a file's name that not every system can hold; it cannot be committed.",
        remedy="Rename or remove it.",
    )


def _nested(paths: list[str]) -> UnsafePath:
    return UnsafePath(
        f"{', '.join(paths) or 'A folder'} holds a git repository of its own; it cannot be committed.",
        remedy="Remove that folder, or its .git.",
    )
