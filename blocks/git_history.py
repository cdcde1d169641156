"""What do commits hold, and how do they differ?  Reads the repository, changes nothing in it."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable
from pathlib import Path

from storyloom.domain.errors import GitError
from storyloom.domain.ports import DiffStat

from .disk import storage_errors
from .git import Git

SHOWN = (
    "--no-ext-diff",
    "--no-textconv",
    "--no-color",
    "--ignore-submodules=all",
    "--src-prefix=a/",
    "--dst-prefix=b/",
)
PREFIXES = ("--src-prefix=a/", "--dst-prefix=b/")
COUNTED = ("--numstat", "-z", "--no-renames", "--no-ext-diff", "--no-textconv")
OBJECT = re.compile(rb"[0-9a-f]+ (\w+) ([0-9]+)")


def diff_text(git: Git, base: str, head: str, context: int) -> str:
    """The unified diff between two commits; bytes that are no UTF-8 are shown as replacement signs."""
    pair = (git.commit(base), git.commit(head))
    return git.shown("diff", *SHOWN, *PREFIXES, f"--unified={max(0, context)}", *pair, "--")


def diff_stat(git: Git, base: str, head: str) -> DiffStat:
    """Files and lines changed between two commits; a binary file counts no lines."""
    out = git.shown("diff", *COUNTED, git.commit(base), git.commit(head), "--")
    rows = [entry.split("\t", 2) for entry in out.split("\0") if entry]
    return DiffStat(
        files=tuple(row[2] for row in rows),
        insertions=sum(int(row[0]) for row in rows if row[0] != "-"),
        deletions=sum(int(row[1]) for row in rows if row[1] != "-"),
    )


def changed_files(git: Git, since: str) -> list[str]:
    """Paths that differ between a commit and what stands in a worktree, untracked files included, sorted."""
    known = git.shown("diff", "--name-only", "-z", "--no-renames", "--ignore-submodules=all", since, "--")
    fresh = git.shown("ls-files", "-z", "--others", "--exclude-standard")
    return sorted({path for path in (known + fresh).split("\0") if path})


def tracked_files(git: Git, commit: str) -> list[str]:
    """Paths tracked at a commit, sorted."""
    out = git.shown("ls-tree", "-r", "-z", "--name-only", "--full-tree", git.commit(commit))
    return sorted(path for path in out.split("\0") if path)


def content_digest(git: Git, commit: str, without: Iterable[str]) -> str:
    """sha256 of modes, blobs and paths of all files at a commit but these files and folders; hexadecimal."""
    left_out = [os.fsencode(place.rstrip("/")) for place in without]
    digest = hashlib.sha256()
    for row in git.run("ls-tree", "-r", "-z", "--full-tree", git.commit(commit)).stdout.split(b"\0"):
        path = row.partition(b"\t")[2]
        if not any(path == place or path.startswith(place + b"/") for place in left_out):
            digest.update(row + b"\0")
    return digest.hexdigest()


def texts_at(git: Git, commit: str, paths: Iterable[str]) -> dict[str, str]:
    """Files' texts at a commit by path, in one process; what is not there is left out, bytes that are no UTF-8 become
    replacement signs."""
    asked = [path for path in paths if "\n" not in path and "\0" not in path]
    return texts_of_tree(git, git.commit(commit), asked) if asked else {}


def texts_of_tree(git: Git, tree: str, paths: Iterable[str]) -> dict[str, str]:
    """Files' texts in a tree, given by its id, by path; what is not there is left out."""
    return {path: raw.decode(errors="replace") for path, raw in bytes_at(git, tree, paths).items()}


def bytes_at(git: Git, tree: str, paths: Iterable[str]) -> dict[str, bytes]:
    """Files' contents in a tree or at a commit, given by its id, by path; what is not there is left out."""
    asked = [path for path in paths if "\n" not in path and "\0" not in path]
    if not asked:
        return {}
    names = "".join(f"{tree}:{path}\n" for path in asked)
    out = git.run("cat-file", "--batch", stdin=names.encode(errors="surrogatepass")).stdout
    found: dict[str, bytes] = {}
    at = 0
    for path in asked:
        end = out.index(b"\n", at)
        header, at = out[at:end], end + 1
        size = OBJECT.fullmatch(header)
        if size is None:
            continue
        length = int(size[2])
        if size[1] == b"blob":
            found[path] = out[at : at + length]
        at += length + 1
    return found


def text_at(git: Git, commit: str, path: str) -> str | None:
    """A file's text at a commit, None if it is not there; bytes that are no UTF-8 become replacement signs."""
    return texts_at(git, commit, [path]).get(path)


def export_tree(git: Git, commit: str, folder: Path, index: Path) -> None:
    """Write the tree of a commit into an empty folder, by way of a temporary index file.

    Raises:
        GitError: the folder is not empty.
        StorageFull: the folder holds a part of it.
    """
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        if next(os.scandir(folder), None) is not None:
            raise GitError(f"{folder} is not empty.")
    there, env = Git(git.git_dir, folder), {"GIT_INDEX_FILE": str(index)}
    there.run("read-tree", git.commit(commit), env=env)
    there.run("checkout-index", "-q", "--all", "--force", env=env)
