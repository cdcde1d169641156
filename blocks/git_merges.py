"""What tree does the main line get: of a merge, and of texts written into it?  Made beside any worktree and index."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from storyloom.domain.errors import MergeConflict
from storyloom.domain.kept_bytes import SIGN, keep_bytes
from storyloom.domain.ports import Merge
from storyloom.domain.safe_paths import check_path

from .git import Git
from .git_commits import commit_tree, encoded, message_with_op, modes_at, write_blobs
from .git_history import bytes_at, texts_of_tree

ASIDE = re.compile(r"~(?:HEAD|[0-9a-f]{7,64}(?: \(.*\))?)(?:_\d+)?\Z", re.DOTALL)


def merged_tree(git: Git, ours: str, theirs: str, where: str) -> str:
    """The tree of a merge of two commits; `where` names ours.

    Raises:
        MergeConflict: `files` names the paths.
    """
    tree, names = _merge(git, ours, theirs)
    if names := plain_paths(names):
        raise MergeConflict(f"{', '.join(names)}: changed both here and {where}.", files=names)
    return tree


def conflicting_texts(git: Git, ours: str, theirs: str) -> dict[str, str]:
    """The files on which two commits conflict, by path: texts with conflict marks, "" where a side has no text."""
    tree, names = _merge(git, git.commit(ours), git.commit(theirs))
    found = texts_of_tree(git, tree, names) if names else {}
    return {plain: found.get(plain, found.get(name, "")) for name in names for plain in plain_paths([name])}


def plain_paths(names: Iterable[str]) -> tuple[str, ...]:
    """The paths that conflict, sorted, from the names that git gives them.

    What stands where the other side has a folder or a link, git sets aside as `name~HEAD` or `name~commit (subject)`.
    """
    return tuple(sorted({ASIDE.sub("", name) for name in names}))


def _merge(git: Git, ours: str, theirs: str) -> tuple[str, tuple[str, ...]]:
    """The tree of a merge of two commits, and the paths that conflict in it, sorted."""
    how = ("--write-tree", "--name-only", "--no-messages", "-z")
    merged = git.run("merge-tree", *how, ours, theirs, codes=(0, 1))
    tree, *files = merged.stdout.decode(errors="replace").rstrip("\0").split("\0")
    return tree, tuple(sorted(set(files))) if merged.returncode else ()


def merge_into(git: Git, ref: str, tip: str, merge: Merge, scratch: Path) -> str:
    """Make one merge commit on `tip`, move `ref` to it, and return it.

    Raises:
        MergeConflict: nothing was changed.
    """
    theirs = git.commit(merge.commit)
    tree = merged_tree(git, tip, theirs, f"on {ref.removeprefix('refs/heads/')}")
    if merge.edit is not None:
        texts = merge.edit(lambda paths: texts_of_tree(git, tree, paths))
        tree = tree_with(git, tree, check_texts(texts), scratch)
    return commit_tree(git, tree, [tip, theirs], message_with_op(merge.message, merge.op_id), ref)


def check_texts(files: Mapping[str, str | None]) -> dict[str, bytes | None]:
    """The texts as they stand in files.

    Raises:
        UnsafePath: a path leaves the worktree.
        InputError: a text cannot be written as UTF-8.
    """
    for path in files:
        check_path(path, writing=False)
    return {path: None if text is None else encoded(path, text) for path, text in files.items()}


def tree_with(git: Git, base: str, files: Mapping[str, bytes | None], scratch: Path) -> str:
    """A tree (of a tree or a commit) with files written or, for None, deleted; a file that exists keeps its mode.

    A text with replacement signs was read from bytes that are no UTF-8: what of them it did not change stays.
    `scratch` is a folder of the caller's for an index and the texts.
    """
    if not files:
        return git.text("rev-parse", "--verify", "--quiet", "--end-of-options", f"{base}^{{tree}}")
    written = {path: text for path, text in files.items() if text is not None}
    for path, old in bytes_at(git, base, [path for path, text in written.items() if SIGN.encode() in text]).items():
        written[path] = keep_bytes(old, written[path].decode())
    blobs, modes = write_blobs(git, written, scratch), modes_at(git, base, written)
    lines = [
        f"{modes[path]} {blobs[path]}\t{path}" if path in blobs else f"0 {'0' * len(base)}\t{path}" for path in files
    ]
    index = {"GIT_INDEX_FILE": str(scratch / "index")}
    git.run("read-tree", base, env=index)
    git.run("update-index", "-z", "--index-info", stdin=os.fsencode("\0".join([*lines, ""])), env=index)
    return git.text("write-tree", env=index)
