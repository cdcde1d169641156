"""How does the main line reach the person's branch?  Only forward, and only where nothing of theirs is in the way."""

from __future__ import annotations

from pathlib import Path

from storyloom.domain.errors import GitError

from .git import Git
from .git_worktrees import Worktrees

UNDER_WAY = ("rebase-merge/head-name", "rebase-apply/head-name", "BISECT_START")


def checked_out(trees: Worktrees, branch: str) -> list[Path]:
    """Where a branch is checked out, or is being rebased or bisected."""
    place, ref, found = trees.place, f"refs/heads/{branch}", []
    listed = trees.repository().text("worktree", "list", "--porcelain", "-z").split("\0\0")
    for number, block in enumerate(listed):
        fields = dict(line.partition(" ")[::2] for line in block.split("\0") if line)
        path = Path(fields.get("worktree", ""))
        if number == 0 and place.work_tree and place.git_dir == place.common_dir:
            path = place.work_tree  # for a submodule git names its git directory here
        if fields.get("branch") == ref or ("detached" in fields and ref in _busy_with(trees, path)):
            found.append(path)
    return found


def move_forward(trees: Worktrees, branch: str, tip: str, *, checkout: bool) -> str:
    """Move a branch forward to `tip`; return "" when it stands there, else why it does not."""
    git, ref = trees.repository(), f"refs/heads/{branch}"
    old = git.ref(ref)
    if old == tip:
        return ""
    if old is None:
        return f"There is no branch {branch}."
    if not git.is_ancestor(old, tip):
        ahead = git.text("rev-list", "--count", f"{tip}..{old}")
        return f"{branch} has {ahead} commits of its own that are not in the main line; bring them over first."
    places = checked_out(trees, branch)
    if not places:
        git.run("update-ref", "-m", "storyloom: publish", ref, tip, old)
        return ""
    if not checkout:
        return f"{branch} is checked out in {places[0]}; run `git merge --ff-only {tip[:12]}` there."
    return _forward_checkout(trees, places[0], branch, tip)


def _forward_checkout(trees: Worktrees, place: Path, branch: str, tip: str) -> str:
    if f"refs/heads/{branch}" in _busy_with(trees, place):
        return f"{branch} is being rebased or bisected in {place}."
    git = Git(trees.admin(place) or trees.place.common_dir, place)
    if git.text("status", "--porcelain", "-z", "--untracked-files=no", "--ignore-submodules=all"):
        return f"{place} has changes that are not committed."
    try:
        git.run("merge", "-q", "--ff-only", "--no-overwrite-ignore", "--no-verify-signatures", tip)
    except GitError as error:
        return f"{place} could not be moved forward: {error.message}"
    return ""


def _busy_with(trees: Worktrees, path: Path) -> set[str]:
    git_dir = trees.admin(path) or trees.place.common_dir
    texts = [(git_dir / name).read_text().strip() for name in UNDER_WAY if (git_dir / name).is_file()]
    return {text if text.startswith("refs/") else f"refs/heads/{text}" for text in texts}
