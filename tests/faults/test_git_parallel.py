"""Twenty stories at once: each commit holds its own story's content, and each merge happens once.

Rounds by STORYLOOM_ROUNDS (2 in CI, 20 at night), width by STORYLOOM_WIDTH.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from storyloom.blocks.git_workspace import GitWorkspace
from storyloom.domain.errors import MergeConflict

ROUNDS = int(os.environ.get("STORYLOOM_ROUNDS", "2"))
WIDTH = int(os.environ.get("STORYLOOM_WIDTH", "20"))
COMMITS = 3


def at_once(work: Callable[[int], object]) -> list[object]:
    with ThreadPoolExecutor(WIDTH) as pool:
        return list(pool.map(work, range(WIDTH)))


@pytest.mark.parametrize("turn", range(ROUNDS))
def test_parallel_stories_never_mix(repository: Path, workspace: GitWorkspace, turn: int):
    base = workspace.tip()

    def develop(number: int) -> list[str]:
        tree = workspace.open(f"s{number}", f"storyloom/s{number}", base)
        commits = []
        for step in range(COMMITS):
            Path(tree, f"story-{number}-{step}.txt").write_text(f"{number} {step}\n")
            Path(tree, "shared.txt").write_text(f"only {number}\n")
            commits.append(workspace.checkpoint(tree, f"Story {number}, step {step}"))
        Path(tree, "shared.txt").unlink()
        return [*commits, workspace.checkpoint(tree, f"Story {number}, end")]

    results = at_once(develop)
    for number, commits in enumerate(results):
        assert len(set(commits)) == COMMITS + 1
        for step, commit in enumerate(commits[:COMMITS]):
            expected = sorted(
                ["README.md", "app.py", "shared.txt", *(f"story-{number}-{n}.txt" for n in range(step + 1))]
            )
            assert workspace.files(commit) == expected
            assert workspace.read(commit, f"story-{number}-{step}.txt") == f"{number} {step}\n"
            assert workspace.read(commit, "shared.txt") == f"only {number}\n"

    def merge(number: int) -> str:
        return workspace.merge(
            workspace.head(workspace.path(f"s{number}")), f"Merge story {number}", f"merge:s{number}"
        )

    merges, again = at_once(merge), at_once(merge)
    assert merges == again
    assert len(set(merges)) == WIDTH
    stories = [f"story-{number}-{step}.txt" for number in range(WIDTH) for step in range(COMMITS)]
    assert workspace.files(workspace.tip()) == sorted(["README.md", "app.py", *stories])
    assert sorted(path.name for path in Path(workspace.integration()).glob("story-*")) == sorted(stories)

    at_once(lambda number: workspace.abandon(f"s{number}", f"storyloom/s{number}"))
    assert workspace.leftovers() == []
    asked = ["git", "-C", str(repository), "fsck", "--no-dangling"]
    checked = subprocess.run(asked, capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")
    assert list((repository / ".git").rglob("*.lock")) == [repository / ".git/storyloom.lock"]


def test_of_parallel_merges_that_conflict_one_enters_and_the_others_change_nothing(workspace: GitWorkspace):
    base = workspace.tip()

    def develop(number: int) -> tuple[str, ...]:
        tree = workspace.open(f"s{number}", f"storyloom/s{number}", base)
        Path(tree, "app.py").write_text(f"one = {number}\n")
        commit = workspace.checkpoint(tree, "Change")
        try:
            workspace.merge(commit, "Merge", f"merge:s{number}")
        except MergeConflict as conflict:
            return conflict.files
        return ()

    conflicts = at_once(develop)
    assert sorted(set(conflicts)) == [(), ("app.py",)]
    assert conflicts.count(()) == 1
    assert Path(workspace.integration(), "app.py").read_text() == f"one = {conflicts.index(())}\n"


def test_two_processes_share_one_repository(repository: Path, tmp_path: Path):
    program = """
import sys
from pathlib import Path
from storyloom.blocks.git_workspace import GitWorkspace
repository, state, who = sys.argv[1:]
workspace = GitWorkspace(repository, state)
for number in range(8):
    name = f"{who}{number}"
    tree = workspace.open(name, f"storyloom/{name}", workspace.tip())
    Path(tree, name).write_text(name)
    workspace.merge(workspace.checkpoint(tree, name), name, f"merge:{name}")
    workspace.abandon(name, f"storyloom/{name}")
"""
    children = [
        subprocess.Popen([sys.executable, "-c", program, str(repository), str(tmp_path / "state"), who])
        for who in ("a", "b", "c")
    ]
    assert [child.wait(120) for child in children] == [0, 0, 0]
    workspace = GitWorkspace(repository, tmp_path / "state")
    assert len([name for name in workspace.files(workspace.tip()) if len(name) == 2]) == 24
