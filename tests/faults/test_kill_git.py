"""kill -9 inside of git's work: the next run puts it right and ends where an undisturbed one ends.

Kills per operation by STORYLOOM_KILLS (1 in CI, 60 at night). The moment of a kill is spread over the operation's usual
time; the orchestrator and its git die together, or the orchestrator alone while its git goes on.
"""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from storyloom.blocks.git_workspace import GitWorkspace

KILLS = int(os.environ.get("STORYLOOM_KILLS", "1"))
FILES = 300
WORK = """
import sys
from pathlib import Path
from storyloom.blocks.git_workspace import GitWorkspace
repository, state, until = sys.argv[1:]
workspace = GitWorkspace(repository, state)
workspace.recover()
print("ready", flush=True)
base = workspace.commit_files({"base.txt": "base"}, "Base", "base")
tree = workspace.open("1-1", "storyloom/1-1", base)
print("open", flush=True)
if not (Path(tree) / "story0.txt").exists():
    workspace.reset(tree, workspace.head(tree))
for number in range(200):
    Path(tree, f"story{number}.txt").write_text(f"{number}\\n" * 50)
head = workspace.checkpoint(tree, "Story")
print("checkpoint", flush=True)
workspace.commit_files({"other.txt": "moved"}, "Moved", "moved")
head = workspace.rebase(tree, workspace.tip())
print("rebase", flush=True)
workspace.merge(head, "Merge", "merge:1-1")
print("merge", flush=True)
workspace.abandon("1-1", "storyloom/1-1")
print("abandon", flush=True)
"""
STEPS = ["ready", "open", "checkpoint", "rebase", "merge", "abandon"]


@pytest.fixture
def project(repository: Path) -> Path:
    for number in range(FILES):
        (repository / f"file{number}.txt").write_text(f"{number}\n" * 100)
    for line in ("add -A", "-c user.name=a -c user.email=a@a commit -qm files"):
        subprocess.run(["git", *line.split()], cwd=repository, check=True)
    return repository


def start(project: Path, state: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WORK, str(project), str(state), ""]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)


def finish(project: Path, state: Path) -> None:
    child = start(project, state)
    output, _ = child.communicate(timeout=120)
    assert child.returncode == 0, output


def outcome(project: Path, state: Path) -> dict[str, object]:
    workspace = GitWorkspace(project, state)
    integration = Path(workspace.integration())

    def ask(*arguments: str, folder: Path = project) -> str:
        done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=False)
        return done.stdout.strip() + done.stderr.strip()

    return {
        "tree": ask("rev-parse", "storyloom/main^{tree}"),
        "merges": ask("log", "--merges", "--format=%s", "storyloom/main"),
        "commits": ask("rev-list", "--count", "--first-parent", "storyloom/main"),
        "worktrees": ask("worktree", "list").count("\n") + 1,
        "branches": ask("branch", "--format=%(refname:short)").split(),
        "dirty": ask("status", "--porcelain", folder=integration) + ask("status", "--porcelain"),
        "fsck": ask("fsck", "--no-dangling"),
        "locks": sorted(path.name for path in (project / ".git").rglob("*.lock")),
        "scratch": list((state / "scratch").iterdir()),
        "leftovers": workspace.leftovers(),
    }


@pytest.fixture
def gold(project: Path, tmp_path: Path) -> tuple[dict[str, object], dict[str, float]]:
    """How an undisturbed run ends, and how long each step takes."""
    child = start(project, tmp_path / "gold")
    assert child.stdout
    took, last = {}, 0.0
    for step in STEPS:
        assert child.stdout.readline().strip() == step
        took[step] = time.monotonic() - last
        last = time.monotonic()
    assert child.wait(60) == 0
    child.stdout.close()
    return outcome(project, tmp_path / "gold"), took


@pytest.mark.parametrize("alone", [False, True], ids=["with its git", "without its git"])
def test_a_killed_run_ends_as_an_undisturbed_one(
    project: Path, tmp_path: Path, gold: tuple[dict[str, object], dict[str, float]], alone: bool
):
    expected, took = gold
    for step, name in list(enumerate(STEPS))[1:]:
        for number in range(KILLS):
            forget_the_round_before(project)
            state = tmp_path / f"state-{name}-{number}"
            child = start(project, state)
            assert child.stdout
            for _ in range(step):
                child.stdout.readline()
            time.sleep(took[name] * random.uniform(number, number + 1) / KILLS)
            if alone:
                os.kill(child.pid, signal.SIGKILL)
            else:
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
            child.stdout.close()
            finish(project, state)
            assert outcome(project, state) == expected, (name, number)


def forget_the_round_before(project: Path) -> None:
    listed = subprocess.run(["git", "-C", str(project), "worktree", "list"], capture_output=True, text=True, check=True)
    for place in [line.split(" ")[0] for line in listed.stdout.splitlines()][1:]:
        subprocess.run(["git", "worktree", "remove", "-f", "-f", place], cwd=project, check=True)
    branches = ["storyloom/main", "storyloom/1-1"]
    subprocess.run(["git", "branch", "-q", "-D", *branches], cwd=project, check=False, capture_output=True)


@pytest.mark.parametrize("lock", ["index.lock", "HEAD.lock", "MERGE_HEAD", "CHERRY_PICK_HEAD", "locked"])
def test_a_stale_lock_in_a_worktree_is_no_obstacle(workspace: GitWorkspace, repository: Path, lock: str):
    tree = Path(workspace.open("1-1", "storyloom/1-1", workspace.tip()))
    integration = Path(workspace.integration())
    for path in (tree, integration):
        (repository / ".git/worktrees" / path.name / lock).write_text("0" * 40)
    assert workspace.recover() != []
    assert workspace.recover() == []
    tree = Path(workspace.open("1-1", "storyloom/1-1", workspace.tip()))
    (tree / "new").write_text("x")
    workspace.merge(workspace.checkpoint(str(tree), "Work"), "Merge", "m")
    assert (integration / "new").read_text() == "x"


@pytest.mark.parametrize(
    "lock", ["packed-refs.lock", "refs/heads/storyloom/main.lock", "refs/heads/storyloom/1-1.lock"]
)
def test_a_stale_lock_of_the_repository_is_removed_when_no_git_runs(
    workspace: GitWorkspace, repository: Path, lock: str
):
    tree = Path(workspace.open("1-1", "storyloom/1-1", workspace.tip()))
    (repository / ".git" / lock).touch()
    assert any(lock.rsplit("/", 1)[-1] in done for done in workspace.recover())
    (tree / "new").write_text("x")
    workspace.merge(workspace.checkpoint(str(tree), "Work"), "Merge", "m")
    workspace.abandon("1-1", "storyloom/1-1")


def test_the_persons_own_locks_are_left_alone(workspace: GitWorkspace, repository: Path):
    for lock in ("index.lock", "HEAD.lock"):
        (repository / ".git" / lock).touch()
    workspace.recover()
    assert (repository / ".git/index.lock").exists()
    assert (repository / ".git/HEAD.lock").exists()


def test_a_half_made_worktree_without_a_way_back_is_cleared(workspace: GitWorkspace, repository: Path):
    workspace.integration()
    half = repository / ".git/worktrees/1-1"
    half.mkdir(parents=True)
    (half / "locked").write_text("initializing")
    Path(workspace.path("1-1")).mkdir()
    tree = workspace.open("1-1", "storyloom/1-1", workspace.tip())
    assert Path(tree, "app.py").exists()
    registered = sorted(path.name for path in (repository / ".git/worktrees").iterdir())
    assert registered == ["1-1", "integration"]


def test_a_persons_worktree_that_is_not_mounted_stays_registered(
    workspace: GitWorkspace, repository: Path, tmp_path: Path
):
    subprocess.run(["git", "worktree", "add", "-q", "-b", "side", str(tmp_path / "disk")], cwd=repository, check=True)
    (tmp_path / "disk").rename(tmp_path / "unplugged")
    workspace.open("1-1", "storyloom/1-1", workspace.tip())
    workspace.recover()
    workspace.abandon("1-1", "storyloom/1-1")
    (tmp_path / "unplugged").rename(tmp_path / "disk")
    status = subprocess.run(["git", "status"], cwd=tmp_path / "disk", capture_output=True, text=True, check=True)
    assert "On branch side" in status.stdout


def test_a_git_that_outlived_its_orchestrator_is_waited_for_and_then_ended(
    workspace: GitWorkspace, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("storyloom.blocks.git_worktrees.ORPHAN_WAIT_S", 0.3)
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    program = tmp_path / "git-slow"
    program.symlink_to("/bin/sleep")
    mark = {"GIT_DIR": str(repository / ".git"), "STORYLOOM_GIT": str(dead.pid)}
    orphan = subprocess.Popen([str(program), "600"], env=mark)
    of_the_person = subprocess.Popen([str(program), "600"], env={"GIT_DIR": str(repository / ".git")})
    try:
        (repository / ".git/packed-refs.lock").touch()
        assert workspace.recover() == ["ended 1 git processes of a crashed run"]
        assert orphan.wait(10) == -signal.SIGKILL
        assert (repository / ".git/packed-refs.lock").exists()
    finally:
        of_the_person.kill()
        of_the_person.wait()
    assert any("packed-refs.lock" in done for done in workspace.recover())
