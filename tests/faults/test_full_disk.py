"""A full or read-only disk is told as such at every place that writes, and what was there before stays whole."""

import contextlib
import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from storyloom.blocks.atomic_files import MARK, create_atomic, write_atomic
from storyloom.blocks.disk import free_bytes, require_free, storage_errors
from storyloom.blocks.git_workspace import GitWorkspace
from storyloom.blocks.lease import Lease
from storyloom.blocks.local_release import LocalRelease
from storyloom.blocks.project_files import ProjectFiles
from storyloom.blocks.sandbox import BubblewrapSandbox
from storyloom.blocks.shelf import FileShelf
from storyloom.blocks.unsandboxed import UnsandboxedRunner
from storyloom.domain.errors import StorageFull
from storyloom.domain.ports import Limits


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of four MiB."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small file system")
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)], check=False)
    if mounted.returncode:
        pytest.skip("this container may not mount a file system")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def fill(disk: Path) -> Path:
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 4096)
    return filler


def freeze(disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)


@pytest.mark.parametrize("stop", [fill, freeze], ids=["full", "read-only"])
def test_files_shelves_leases_and_project_files_keep_what_they_had(disk: Path, stop):
    shelf, files = FileShelf(disk / "shelf"), ProjectFiles(disk / "project")
    (disk / "project").mkdir()
    write_atomic(disk / "x", "old")
    shelf.put("name", "old")
    files.write("src/x", "old")
    stop(disk)
    new = "new" * 10_000
    for write in (
        lambda: write_atomic(disk / "x", new),
        lambda: create_atomic(disk / "y", new),
        lambda: shelf.put("name", new),
        lambda: shelf.put_new("other", new),
        lambda: files.write("src/x", new),
        lambda: files.write("src/y/z", new),
    ):
        with pytest.raises(StorageFull, match=r"full|read-only") as told:
            write()
        assert told.value.may_pass
        assert str(disk) in str(told.value)
    assert (disk / "x").read_text() == shelf.get("name") == files.read("src/x") == "old"
    assert shelf.get("other") is None
    assert not list(disk.rglob(f"{MARK}*"))
    with pytest.raises(StorageFull):
        Lease(disk / "lease").take()


def test_the_work_goes_on_once_there_is_room_again(disk: Path):
    repository, state = disk / "project", disk / "state"
    subprocess.run(["git", "init", "-q", "-b", "main", str(repository)], check=True)
    (repository / "app.py").write_text("one = 1\n")
    for line in ("add -A", "-c user.name=a -c user.email=a@a commit -qm Start"):
        subprocess.run(["git", *line.split()], cwd=repository, check=True)
    workspace = GitWorkspace(repository, state)
    base = workspace.tip()
    tree = Path(workspace.open("1-1", "storyloom/1-1", base))
    workspace.integration()
    (tree / "story.txt").write_text(os.urandom(60_000).hex())
    filler = fill(disk)
    for step in (
        lambda: workspace.checkpoint(str(tree), "Story"),
        lambda: workspace.commit_files({"big": "x" * 100_000}, "Big", "big"),
        lambda: workspace.open("1-2", "storyloom/1-2", base),
        lambda: workspace.export(base, str(disk / "out")),
        lambda: LocalRelease(disk / "site", workspace, UnsandboxedRunner()).release("r1", base),
    ):
        with pytest.raises(StorageFull):
            step()
    assert workspace.tip() == base
    filler.unlink()
    workspace.recover()
    tree = Path(workspace.open("1-1", "storyloom/1-1", base))
    (tree / "story.txt").write_text("small\n")
    workspace.merge(workspace.checkpoint(str(tree), "Story"), "Merge", "merge:1-1")
    assert Path(workspace.integration(), "story.txt").read_text() == "small\n"
    checked = subprocess.run(["git", "-C", str(repository), "fsck"], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    assert LocalRelease(disk / "site", workspace, UnsandboxedRunner()).release("r1", base)


@pytest.mark.sandbox
def test_a_command_that_meets_a_full_disk_is_not_blamed_for_it(disk: Path):
    sandbox = BubblewrapSandbox()
    if not (probe := sandbox.probe()).ok:
        pytest.skip(f"no sandbox works here: {probe.detail}")
    worktree = disk / "work"
    worktree.mkdir()
    fill(disk)
    with pytest.raises(StorageFull, match="free"):
        sandbox.run("head -c 1M /dev/zero > x", str(worktree), Limits())


def test_other_errors_are_not_taken_for_a_full_disk():
    with pytest.raises(PermissionError), storage_errors("x"):
        raise PermissionError(errno.EACCES, "no")
    for number in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
        with pytest.raises(StorageFull), storage_errors("x"):
            raise OSError(number, os.strerror(number))


def test_free_space_is_asked_for_where_the_folder_will_be(tmp_path: Path):
    assert free_bytes(tmp_path / "not/yet/there") > 0
    require_free(tmp_path / "not/yet/there", 1)
    with pytest.raises(StorageFull, match="MiB free"):
        require_free(tmp_path, 1 << 60)
