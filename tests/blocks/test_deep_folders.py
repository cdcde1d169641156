"""Trees of any depth are removed; what lies too deep is cut off, and nothing else."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from storyloom.blocks.deep_folders import DEEPEST, LONGEST, cut_deep, remove_tree, told
from storyloom.blocks.git_workspace import GitWorkspace

NEST = """
import os, sys
name, times = sys.argv[1], int(sys.argv[2])
for level in range(times):
    os.mkdir(name)
    os.chdir(name)
    open("file", "w").close()
os.symlink(sys.argv[3], "link")
"""


def nest(folder: Path, name: str, times: int, outside: Path) -> None:
    subprocess.run([sys.executable, "-c", NEST, name, str(times), str(outside)], cwd=folder, check=True)


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "kept").write_text("kept")
    return folder


def below(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def held(folder: Path) -> list[str]:
    """What this process still has open at or below a folder that may be gone."""
    places = list[str]()
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            places.append(str(descriptor.readlink()))
    return [place for place in places if place.startswith(str(folder))]


@pytest.mark.parametrize(("name", "times"), [("d", 3_000), ("d" * 200, 60), ("d", 3)])
def test_a_tree_is_removed_however_deep_it_is_and_no_link_is_followed(
    tmp_path: Path, outside: Path, name: str, times: int
):
    tree = tmp_path / "tree"
    tree.mkdir()
    nest(tree, name, times, outside)
    (tree / "beside").mkdir(mode=0o000)
    remove_tree(tree)
    assert not tree.exists()
    assert below(outside) == ["kept"]
    assert held(tree) == []


@pytest.mark.parametrize("make", [Path.touch, lambda path: path.symlink_to("/nowhere"), lambda path: None])
def test_a_file_a_link_and_nothing_are_removed_too(tmp_path: Path, make):
    make(tmp_path / "it")
    remove_tree(tmp_path / "it")
    assert not os.path.lexists(tmp_path / "it")


def test_only_what_lies_too_deep_is_cut(tmp_path: Path, outside: Path):
    tree = tmp_path / "tree"
    (tree / "a/b").mkdir(parents=True)
    (tree / "a/b/file").write_text("x")
    before = below(tree)
    assert cut_deep(tree) == []
    assert below(tree) == before
    nest(tree, "d", 1_500, outside)
    nest(tree / "a", "long" * 50, 60, outside)
    (long, levels) = cut_deep(tree)
    assert levels.count("/") == DEEPEST
    assert LONGEST < len(long) <= LONGEST + 256
    assert max(path.count("/") for path in below(tree)) == DEEPEST
    assert set(before) < set(below(tree))
    assert below(outside) == ["kept"]
    assert cut_deep(tree) == []


def test_what_was_cut_is_told_in_one_line():
    assert told([]) == ""
    said = told(["d\n/d" * 100, "e"])
    assert "too deep" in said
    assert said.endswith(" and 1 more.")
    assert "\n" not in said
    assert len(said) < 300


@pytest.mark.parametrize(("name", "times"), [("d", 1_500), ("dd", 1_500), ("d" * 200, 60)])
def test_a_worktree_is_reset_and_given_up_however_deep_its_folders_are(
    workspace: GitWorkspace, outside: Path, name: str, times: int
):
    base = workspace.tip()
    tree = Path(workspace.open("1-1", "storyloom/1-1", base))
    nest(tree, name, times, outside)
    workspace.reset(str(tree), base)
    assert not (tree / name).exists()
    nest(tree, name, times, outside)
    workspace.abandon("1-1", "storyloom/1-1")
    assert not tree.exists()
    assert below(outside) == ["kept"]
