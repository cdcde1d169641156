"""What do commits hold, and how do they differ?  Reads the repository, changes nothing in it."""

from __future__ import annotations

import os
import re
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
BLOB = re.compile(rb"[0-9a-f]+ blob ([0-9]+)")


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


def tracked_files(git: Git, commit: str) -> list[str]:
    """Paths tracked at a commit, sorted."""
    out = git.shown("ls-tree", "-r", "-z", "--name-only", "--full-tree", git.commit(commit))
    return sorted(path for path in out.split("\0") if path)


def text_at(git: Git, commit: str, path: str) -> str | None:
    """A file's text at a commit, None if it is not there; bytes that are no UTF-8 become replacement signs."""
    if "\n" in path or "\0" in path:
        return None
    asked = f"{git.commit(commit)}:{path}\n".encode(errors="surrogatepass")
    header, _, rest = git.run("cat-file", "--batch", stdin=asked).stdout.partition(b"\n")
    blob = BLOB.fullmatch(header)
    return rest[: int(blob[1])].decode(errors="replace") if blob else None


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
