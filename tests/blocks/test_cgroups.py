"""Control groups of version 2, on a folder that looks like one: what the kernel does with the files is not tested."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from storyloom.blocks import cgroups
from storyloom.blocks.cgroups import Cgroup, make_cgroup, sweep_cgroups


@pytest.fixture
def mount(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Version 2, where our own group may not hand the memory controller down and the one above it does."""
    own = tmp_path / "user" / "own"
    own.mkdir(parents=True)
    (tmp_path / "cgroup.controllers").write_text("cpu memory pids\n")
    for folder, handed_down in ((tmp_path, "cpu"), (tmp_path / "user", "memory pids"), (own, "")):
        (folder / "cgroup.subtree_control").write_text(handed_down)
        (folder / "cgroup.procs").write_text("")
    monkeypatch.setattr(cgroups, "_own", lambda mount, controller: own)
    return tmp_path


def test_a_group_is_made_where_memory_is_handed_down(mount: Path):
    group = make_cgroup(1 << 20, 7, mount)
    assert group is not None
    (folder,) = group.folders
    assert folder.parent == mount / "user"
    assert folder.name.startswith(f"storyloom-{os.getpid()}-")
    assert (folder / "memory.max").read_text() == "1048576"
    assert (folder / "pids.max").read_text() == "7"
    assert (folder / "memory.oom.group").read_text() == "1"
    assert group.procs == (str(folder / "cgroup.procs"),)


def test_no_group_is_made_where_memory_is_handed_down_nowhere(mount: Path):
    (mount / "user" / "cgroup.subtree_control").write_text("cpu")
    assert make_cgroup(1 << 20, 7, mount) is None
    assert not list(mount.rglob("storyloom-*"))


def test_no_group_is_made_without_any_controllers(tmp_path: Path):
    assert make_cgroup(1 << 20, 7, tmp_path) is None


def test_what_the_kernel_counted_is_read(tmp_path: Path):
    group = Cgroup((tmp_path,))
    assert group.peak_bytes() is None
    assert not group.out_of_memory()
    (tmp_path / "memory.peak").write_text("4096\n")
    (tmp_path / "memory.events").write_text("low 0\noom 1\noom_kill 2\n")
    (tmp_path / "pids.events").write_text("max 3\n")
    assert group.peak_bytes() == 4096
    assert group.out_of_memory()
    assert group.out_of_processes()


def test_processes_left_in_a_group_are_ended_with_it(tmp_path: Path):
    child = subprocess.Popen(["sleep", "600"])
    (tmp_path / "group").mkdir()
    (tmp_path / "group" / "cgroup.procs").write_text(f"{child.pid}\n")
    Cgroup((tmp_path / "group",)).kill()
    assert child.wait() == -9


def test_a_process_of_another_name_space_is_not_taken_for_ourselves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "cgroup.procs").write_text("0\n1\n")
    monkeypatch.setattr(os, "kill", lambda *given: pytest.fail(f"kill{given}"))
    Cgroup((tmp_path,)).kill()


def test_groups_of_the_dead_are_swept_and_those_of_the_living_are_not(mount: Path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    for pid in (dead.pid, os.getpid()):
        (mount / "user" / f"storyloom-{pid}-x").mkdir()
    assert [Path(path).name for path in sweep_cgroups(mount)] == [f"storyloom-{dead.pid}-x"]
    assert [path.name for path in (mount / "user").glob("storyloom-*")] == [f"storyloom-{os.getpid()}-x"]
