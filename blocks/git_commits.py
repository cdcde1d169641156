"""How does a commit of ours come about, and how is it found again?

Commits are made by plumbing (commit-tree, then update-ref from the commit we started from), so that no hook, template
or signing program has a say, and a commit is there whole or not at all. An operation's id stands in a trailer.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from storyloom.domain.errors import GitError, InputError, UnsafePath

from .deep_folders import remove_tree
from .disk import storage_errors
from .git import Git
from .git_worktrees import open_up

GITLINK = "160000"
GITLINKS = re.compile(rb"(?:\A|(?<=\0))160000 [^\t\0]*\t([^\0]+)")  # in an index that is listed
TRAILER = "Op-Id"
REVERTS = "This reverts commit"
"""How `git revert` says what it reverts."""
ODD = re.compile(r"[\x00-\x1f\x7f\\\ud800-\udfff]")  # in a file's name: control signs, "\", bytes that are no UTF-8
REFUSED = re.compile(r" ended with 128: (.*)", re.DOTALL)
OP_ID = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,198}[\x21-\x7e])?")


def stage_everything(git: Git, head: str) -> bool:
    """Stage all changes of a worktree that stands on `head`, and tell whether there are any.

    Raises:
        UnsafePath: a repository inside would be recorded as a submodule, a submodule's folder is not empty, a new
            file's name is not UTF-8 or not safe on every system, or git refuses what a file holds; nothing is staged.
    """
    try:
        _add_all(git)
        if full := [folder for folder in submodule_folders(git) if _contents(folder)]:
            raise _in_submodule([str(folder.relative_to(git.work_tree or folder)) for folder in full])
        changed = git.run("diff-index", "--cached", "--raw", "--no-abbrev", "--no-renames", "-z", head).stdout
        fields = os.fsdecode(changed).split("\0")
        entries = [(*entry.split(" "), path) for entry, path in zip(fields[::2], fields[1::2], strict=False)]
        if links := [path for _, mode, *_, path in entries if mode == GITLINK]:
            raise _nested(links)
        if odd := [path for *_, status, path in entries if status == "A" and ODD.search(path)]:
            raise _unsafe_name(odd)
    except (GitError, UnsafePath):
        _unstage(git)
        raise
    return bool(changed)


def submodule_folders(git: Git) -> list[Path]:
    """Where submodules stand in a worktree: empty folders, for git neither adds nor cleans what is written in them."""
    found = GITLINKS.findall(git.run("ls-files", "--stage", "-z").stdout) if git.work_tree else []
    return [(git.work_tree or Path()) / os.fsdecode(path) for path in found]


def empty_submodules(git: Git) -> None:
    """Make submodules' folders empty in a worktree that git has reset and cleaned."""
    for folder in submodule_folders(git):
        with storage_errors(folder):
            for inside in _contents(folder):
                remove_tree(inside)
            folder.mkdir(parents=True, exist_ok=True)


def commit_tree(git: Git, tree: str, parents: list[str], message: str, ref: str) -> str:
    """Make a commit and move `ref` to it, if it still stands at the first parent; return the commit's id."""
    commit = commit_on(git, tree, parents, message)
    git.run("update-ref", "-m", "storyloom: " + message.split("\n", 1)[0][:60], ref, commit, parents[0])
    return commit


def commit_on(git: Git, tree: str, parents: list[str], message: str) -> str:
    """Make a commit that no ref points at, and return its id."""
    flags = [part for parent in parents for part in ("-p", parent)]
    return git.know(git.text("commit-tree", *flags, "-F", "-", tree, stdin=message.encode(errors="replace")))


def write_blobs(git: Git, texts: Mapping[str, bytes], scratch: Path) -> dict[str, str]:
    """Keep texts as objects, in one process and unchanged by any filter, and return their ids by path."""
    places = [scratch / f"text-{number}" for number in range(len(texts))]
    with storage_errors(scratch):
        for place, text in zip(places, texts.values(), strict=True):
            place.write_bytes(text)
    listed = "".join(f"{place}\n" for place in places)
    ids = git.text("hash-object", "-w", "--no-filters", "--stdin-paths", stdin=os.fsencode(listed)).split()
    return dict(zip(texts, ids, strict=True))


def modes_at(git: Git, tree: str, paths: Collection[str]) -> dict[str, str]:
    """The mode of each path in a tree, or at a commit; an ordinary file's for those that are not there."""
    modes = dict.fromkeys(paths, "100644")
    if paths:
        entries = git.text("ls-tree", "-z", "--full-tree", tree, "--", *paths).split("\0")
        modes.update(dict.fromkeys((e.split("\t", 1)[1] for e in entries if e.startswith("100755 ")), "100755"))
    return modes


def plain_message(message: str) -> str:
    """A commit message whose text cannot pass for one of our trailers, nor for a person's revert."""
    text = message.replace("\0", "").replace(REVERTS, REVERTS.replace(" ", " (quoted) ", 1)).strip() or "Checkpoint"
    return re.sub(rf"(?im)^(\s*){TRAILER}\s*:", rf"\1{TRAILER} (quoted):", text) + "\n"


def message_with_op(message: str, op_id: str) -> str:
    """A commit message that carries an operation's id.

    Raises:
        GitError: the id is not one line of printable ASCII.
    """
    if OP_ID.fullmatch(op_id) is None:
        raise GitError(f"{op_id!r} is no operation id.", remedy="Use up to 200 printable ASCII characters.")
    return f"{plain_message(message)}\n{TRAILER}: {op_id}\n"


def encoded(path: str, text: str) -> bytes:
    """A text as it stands in a file.

    Raises:
        InputError: it cannot be written as UTF-8.
    """
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise InputError(f"{path}: the text cannot be written as UTF-8 (sign {error.start}).") from None


class Operations:
    """Which commits of a line carry which operation; reads only what is new since it was last asked."""

    def __init__(self) -> None:
        self._known = ("", _Line())  # replaced as a whole: threads read it without a lock

    def find(self, git: Git, tip: str, op_id: str) -> str | None:
        """The oldest commit in the history of `tip` that carries an operation's id and was not reverted."""
        line = self._line(git, tip)
        return next((commit for commit in line.made.get(op_id, ()) if not line.undone(commit)), None)

    def undone(self, git: Git, tip: str, op_id: str) -> str | None:
        """The youngest commit that carries an operation's id, if all that do were reverted."""
        made = self._line(git, tip).made.get(op_id, ())
        return made[-1] if made and self.find(git, tip, op_id) is None else None

    def _line(self, git: Git, tip: str) -> _Line:
        at, line = self._known
        if at != tip:
            if not at or not git.is_ancestor(at, tip):
                at, line = "", _Line()
            line = line.followed_by(_read(git, f"{at}..{tip}" if at else tip))
            self._known = (tip, line)
        return line

    def made(self, parent: str, commit: str, op_id: str) -> None:
        """Take note of a commit of our own whose only parent is `parent`."""
        at, line = self._known
        if at == parent:
            self._known = (commit, line.followed_by(_Line({op_id: (commit,)})))


@dataclass(frozen=True)
class _Line:
    """By operation the commits that carry it, and by commit those that revert it; the oldest first."""

    made: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    reverts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def followed_by(self, later: _Line) -> _Line:
        return _Line(_joined(self.made, later.made), _joined(self.reverts, later.reverts))

    def undone(self, commit: str) -> bool:
        """Whether a commit was reverted, by one that was not itself reverted."""
        return any(not self.undone(by) for by in self.reverts.get(commit, ()) if by != commit)


def _joined(one: Mapping[str, tuple[str, ...]], other: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    return {**one, **{name: (*one.get(name, ()), *commits) for name, commits in other.items()}}


def _read(git: Git, commits: str) -> _Line:
    grep = ("--fixed-strings", f"--grep={TRAILER}: ", f"--grep={REVERTS} ")
    shown = f"--format=%H%x01%(trailers:key={TRAILER},valueonly,separator=%x0a)%x01%B"
    made: dict[str, tuple[str, ...]] = {}
    reverts: dict[str, tuple[str, ...]] = {}
    for entry in reversed(git.shown("log", "-z", *grep, shown, commits).split("\0")):
        commit, ops, message = (*entry.split("\1", 2), "", "")[:3]
        for op in filter(None, map(str.strip, ops.split("\n"))):
            made[op] = (*made.get(op, ()), commit)
        for undone in re.findall(rf"(?m)^{REVERTS} ([0-9a-f]{{40,64}})\b", message):
            reverts[undone] = (*reverts.get(undone, ()), commit)
    return _Line(made, reverts)


def _add_all(git: Git) -> None:
    """Stage all changes. What git refuses twice, though it can write, it refuses for what stands in the tree."""
    try:
        git.run("add", "--all")
    except GitError as error:
        _raise_if_named(error)
        if git.work_tree is None or (refused := REFUSED.search(error.message)) is None:
            raise
        if "Permission denied" in refused[0]:
            open_up(git.work_tree)
        _unstage(git)
        git.run("hash-object", "-w", "--stdin", stdin=os.urandom(16))
        _add_again(git)


def _unstage(git: Git) -> None:
    """Make the index what HEAD is, without a look at the files: a filter that is broken would refuse that, too."""
    git.run("reset", "-q", "--mixed", "--no-refresh")


def _add_again(git: Git) -> None:
    try:
        git.run("add", "--all")
    except GitError as error:
        _raise_if_named(error)
        if (refused := REFUSED.search(error.message)) is None:
            raise
        raise _refused(refused[1]) from error


def _raise_if_named(error: GitError) -> None:
    """Raise UnsafePath if git named a path that it never takes."""
    if "does not have a commit checked out" in error.message:
        raise _nested(re.findall(r"'([^']+)/' does not have a commit", error.message)) from error
    if refused := re.findall(r"[Ii]nvalid path '([^']*)'", error.message):
        raise _unsafe_name(refused) from error


def _refused(said: str) -> UnsafePath:
    lines = [line for line in said.splitlines() if line.startswith(("fatal: ", "error: "))] or [said.strip()]
    return UnsafePath(
        f"git does not take what was made: {lines[-1]}.",
        remedy="Mend or remove that file, or what .gitattributes says of it.",
    )


def _contents(folder: Path) -> list[Path]:
    if folder.is_symlink() or not folder.is_dir():
        return []
    folder.chmod(folder.stat().st_mode | stat.S_IRWXU)  # what ran in it may have locked us out
    return list(folder.iterdir())


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


def _in_submodule(paths: list[str]) -> UnsafePath:
    return UnsafePath(
        f"{', '.join(paths)}: the folder of a submodule; what is written in it cannot be committed.",
        remedy="Write it elsewhere, and leave that folder empty.",
    )
