"""Where do stories become commits?  Story worktrees, and one integration worktree that alone moves the main line."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from storyloom.domain.errors import GitError, MergeConflict, RepositoryError
from storyloom.domain.ports import DiffStat, Merge

from .deep_folders import cut_deep, remove_tree
from .disk import storage_errors
from .git import COMMIT_ID, Git, Identity, check_branch, locate
from .git_commits import (
    Operations,
    commit_on,
    commit_tree,
    empty_submodules,
    message_with_op,
    plain_message,
    stage_everything,
)
from .git_history import (
    changed_files,
    content_digest,
    diff_stat,
    diff_text,
    export_tree,
    text_at,
    texts_at,
    tracked_files,
)
from .git_merges import check_texts, conflicting_texts, merge_into, merged_tree, plain_paths, tree_with
from .git_publish import checked_out, move_forward
from .git_worktrees import Worktrees, open_up, require_commit, require_room

INTEGRATION = "integration"


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
        self._operations = Operations()
        self._last_diff = ("", "", 0, "")

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
            if not self._trees.sound(path, self._branch):
                tip = self.tip()
                self._take_back(self._branch, path)
                self._trees.make(path, self._branch, tip)
        return str(path)

    def tip(self) -> str:
        """The main line's commit id; the main line starts at the person's HEAD.

        Raises:
            RepositoryError: there is no commit to start from, or another branch's name is in the way of its name.
        """
        git = self._trees.repository()
        tip = git.ref(self._ref)
        if tip is None:
            start = require_commit(self._trees.checkout(), self._trees.place.work_tree)
            require_room(git, self._branch)
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

        Raises:
            RepositoryError: the person has the branch checked out, or another's name is in the way of its name.
        """
        path = self._trees.path(self._story(name))
        check_branch(branch)
        if not self._trees.sound(path, branch):
            commit = self._trees.repository().commit(base)
            with self._trees.lock():  # git cannot list worktrees while another one is being made
                require_room(self._trees.repository(), branch)
                self._take_back(branch, path)
            self._trees.make(path, branch, commit)
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
            git, ref = self._trees.repository(), f"refs/heads/{branch}"
            there = git.ref(ref) is not None
            places = self._elsewhere(branch, path) if there else []
            if there and not places:
                git.run("update-ref", "-d", ref)  # before the worktree, which shows that there is something to clear
            self._trees.remove(path)
            if places:
                raise GitError(f"The branch {branch} is checked out in {places[0]} and is not removed.")

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
            UnsafePath: a repository inside of the worktree would be recorded as a submodule, a submodule's folder is
                not empty, a new file's name is not UTF-8 or not safe on every system, or git refuses what a file holds;
                nothing was committed.
        """
        git = self._trees.at(worktree)
        head = require_commit(git, None)
        if not stage_everything(git, head):
            return head
        return commit_tree(git, git.text("write-tree"), [head], plain_message(message), "HEAD")

    def reset(self, worktree: str, commit: str) -> None:
        """Make the worktree exactly `commit`, untracked and ignored files gone."""
        git = self._trees.at(worktree)
        wanted = self._trees.repository().commit(commit)
        self._abort_rebase(git)
        cut_deep(worktree)
        try:
            _restore(git, wanted)
        except GitError:  # what ran in it may have taken permissions away
            open_up(Path(worktree))
            _restore(git, wanted)
        empty_submodules(git)

    def rebase(self, worktree: str, onto: str) -> str:
        """Rebase the worktree's branch onto a commit and return its new head.

        A branch with merges in it becomes one commit: what they settled would conflict again if it were replayed.

        Raises:
            MergeConflict: the rebase was aborted and the worktree is as before; `files` names the paths.
        """
        git = self._trees.at(worktree)
        target = self._trees.repository().commit(onto)
        if git.text("rev-list", "--merges", "--max-count=1", f"{target}..HEAD"):
            head = require_commit(git, None)
            tree = merged_tree(git, target, head, f"in {target[:12]}")
            message = git.text("log", "--max-count=1", "--format=%B", head)
            git.run("reset", "-q", "--hard", commit_on(git, tree, [target], plain_message(message)))
            return require_commit(git, None)
        try:
            git.run("rebase", "-q", "--no-autostash", "--no-fork-point", "--empty=drop", target)
        except GitError as error:
            unmerged = git.shown("diff", "--name-only", "--diff-filter=U", "-z", "--ignore-submodules=all")
            self._abort_rebase(git)
            files = plain_paths(path for path in unmerged.split("\0") if path)
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
        return self.merge_all([Merge(branch_commit, message, op_id)])[0]

    def merge_all(self, merges: Sequence[Merge]) -> list[str]:
        """Merge commits one after the other, each once however often it is asked for, and return the merge commits.

        Raises:
            MergeConflict: those before the one that conflicts are merged.
        """
        with self._trees.lock():
            commits = [self.find_op(merge.op_id) or "" for merge in merges]
            if all(commits):
                return commits
            git = self._trees.at(self.integration())
            tip = self.tip()
            try:
                for number, merge in enumerate(merges):
                    if not commits[number]:
                        with self._scratch() as scratch:
                            commits[number] = tip = merge_into(git, self._ref, tip, merge, scratch)
            finally:
                git.run("reset", "-q", "--hard")
            return commits

    def commit_files(self, files: Mapping[str, str | None], message: str, op_id: str) -> str:
        """Write texts (None deletes) in the integration worktree and commit them with `Op-Id: op_id`; once.

        Texts are kept as they are, newlines included; a file that exists keeps its mode.

        Raises:
            UnsafePath: a path leaves the worktree; nothing was changed.
            InputError: a text cannot be written as UTF-8; nothing was changed.
        """
        texts = check_texts(files)
        with self._trees.lock(), self._scratch() as scratch:
            if done := self.find_op(op_id):
                return done
            git = self._trees.at(self.integration())
            tip = self.tip()
            tree = tree_with(git, tip, texts, scratch)
            commit = commit_tree(git, tree, [tip], message_with_op(message, op_id), self._ref)
            self._operations.made(tip, commit, op_id)
            git.run("reset", "-q", "--hard")
            return commit

    def find_op(self, op_id: str) -> str | None:
        """The main line's commit that carries `Op-Id: op_id`."""
        git = self._trees.repository()
        tip = git.ref(self._ref)
        return self._operations.find(git, tip, op_id) if tip else None

    def undone_op(self, op_id: str) -> str | None:
        """The main line's last commit that carries `Op-Id: op_id`, if a person has reverted it and all before it."""
        git = self._trees.repository()
        tip = git.ref(self._ref)
        return self._operations.undone(git, tip, op_id) if tip else None

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
                try:
                    return self.merge(theirs, f"Merge branch '{branch}'", f"follow:{theirs}")
                except MergeConflict as conflict:
                    conflict.remedy = f"Settle it on {branch} and run again: git merge {self._branch}"
                    raise
            git.run("update-ref", "-m", f"storyloom: follow {branch}", self._ref, theirs, tip)
            self._trees.at(path).run("reset", "-q", "--hard")
            return theirs

    def person_branch(self) -> str:
        """The branch that the person's checkout is on, "" when it is on none."""
        ref = self._trees.checkout().text("symbolic-ref", "-q", "HEAD", codes=(0, 1))
        return "" if ref == self._ref or not ref.startswith("refs/heads/") else ref.removeprefix("refs/heads/")

    def publish(self, target_branch: str, *, checkout: bool = False) -> str:
        """Move the person's branch forward to the main line's tip; return "" when it stands there, else why not.

        A branch that is checked out is moved only with `checkout`, and only where no tracked file is changed.
        """
        with self._trees.lock():
            return move_forward(self._trees, check_branch(target_branch), self.tip(), checkout=checkout)

    # Reading

    def diff(self, base: str, head: str, *, context: int = 3) -> str:
        """The unified diff between two commits; bytes that are no UTF-8 are shown as replacement signs."""
        last = self._last_diff  # a reviewer and our own checks look at the same change
        if last[:3] != (base, head, context):
            last = (base, head, context, diff_text(self._trees.repository(), base, head, context))
            if COMMIT_ID.fullmatch(base) and COMMIT_ID.fullmatch(head):
                self._last_diff = last
        return last[3]

    def stat(self, base: str, head: str) -> DiffStat:
        """Files and lines changed between two commits; a binary file counts no lines."""
        return diff_stat(self._trees.repository(), base, head)

    def changed(self, worktree: str, since: str) -> list[str]:
        """Paths that differ between a commit and what stands in a worktree, untracked files included, sorted."""
        return changed_files(self._trees.at(worktree), self._trees.repository().commit(since))

    def content(self, commit: str, *, without: Sequence[str] = ()) -> str:
        """A digest of all tracked files at a commit but these files and folders: equal for equal files."""
        return content_digest(self._trees.repository(), commit, without)

    def branch(self, name: str) -> str | None:
        """The commit a branch of the repository stands on, None if there is no such branch."""
        return self._trees.repository().ref(f"refs/heads/{check_branch(name)}")

    def files(self, commit: str) -> list[str]:
        """Paths tracked at a commit, sorted."""
        return tracked_files(self._trees.repository(), commit)

    def read(self, commit: str, path: str) -> str | None:
        """A file's text at a commit, None if it is not there; bytes that are no UTF-8 become replacement signs."""
        return text_at(self._trees.repository(), commit, path)

    def texts(self, commit: str, paths: Iterable[str]) -> dict[str, str]:
        """Many files' texts at a commit by path, at the cost of one; what is not there is left out."""
        return texts_at(self._trees.repository(), commit, paths)

    def conflicts(self, ours: str, theirs: str) -> dict[str, str]:
        """The files that two commits change so that they conflict, by path: texts with git's conflict marks."""
        return conflicting_texts(self._trees.repository(), ours, theirs)

    def export(self, commit: str, folder: str) -> None:
        """Write the tree of a commit into an empty folder."""
        with self._scratch() as scratch:
            export_tree(self._trees.repository(), commit, Path(folder).absolute(), scratch / "index")

    # Inside

    def _story(self, name: str) -> str:
        if name == INTEGRATION:
            raise GitError(f"{name!r} is the integration worktree's name; a story needs another.")
        return name

    def _elsewhere(self, branch: str, path: Path) -> list[Path]:
        """Where else than at `path` a branch is checked out; what is left of a lost worktree of ours is dropped."""
        places = [place for place in checked_out(self._trees, branch) if place != path]
        return [place for place in places if place.name != path.name or not self._trees.forget_lost(place)]

    def _take_back(self, branch: str, path: Path) -> None:
        """Make sure that no other worktree than the one at `path` has a branch of ours."""
        if places := self._elsewhere(branch, path):
            choice = ", or set another integration_branch" if branch == self._branch else ""
            raise RepositoryError(
                f"The branch {branch} is checked out in {places[0]}.",
                remedy=f"Switch that checkout to another branch{choice}. If you need nothing that is in it: "
                f"git worktree remove --force '{places[0]}' (if it is locked: git worktree unlock, first).",
            )

    def _abort_rebase(self, git: Git) -> None:
        """Leave a rebase that stands still, or one that a full disk or a crash cut off."""
        if (git.git_dir / "rebase-merge").exists():
            git.run("rebase", "--abort")

    @contextmanager
    def _scratch(self) -> Iterator[Path]:
        folder = self._trees.scratch / f"{os.getpid()}-{secrets.token_hex(6)}"
        with storage_errors(folder):
            folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            remove_tree(folder)


def _restore(git: Git, wanted: str) -> None:
    """Reset and clean a worktree; cleaned before as well, or a .gitattributes lying there shapes what is written."""
    git.run("clean", "-q", "-ffdx")
    git.run("reset", "-q", "--hard", wanted)
    git.run("clean", "-q", "-ffdx")
