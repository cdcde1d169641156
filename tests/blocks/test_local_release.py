"""A commit becomes the live release, and the way back stays open."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from storyloom.blocks.git_workspace import GitWorkspace
from storyloom.blocks.local_release import LocalRelease
from storyloom.blocks.sandbox import BubblewrapSandbox
from storyloom.blocks.unsandboxed import UnsandboxedRunner
from storyloom.domain.errors import InputError
from storyloom.domain.ports import DeployTarget

Story = Callable[..., str]


@pytest.fixture
def target(tmp_path: Path, workspace: GitWorkspace) -> LocalRelease:
    return LocalRelease(tmp_path / "site", workspace, UnsandboxedRunner(), "grep -q good state")


def test_a_release_is_the_read_only_tree_of_its_commit(target: LocalRelease, story: Story):
    commit = story("1-1", state="good\n", deep__er="x")
    path = Path(target.release("r1", commit))
    assert isinstance(target, DeployTarget)
    assert (path / "state").read_text() == "good\n"
    assert {entry.stat().st_mode & 0o222 for entry in (path, *path.rglob("*"))} == {0}
    assert (path / "run.sh").stat().st_mode & 0o111
    assert target.release("r1", commit) == str(path)
    with pytest.raises(InputError, match="another name"):
        target.release("r1", "0" * 40)


def test_the_live_release_is_switched_and_the_one_before_it_is_kept(target: LocalRelease, story: Story):
    assert target.current() == ""
    for name in ("r1", "r2"):
        target.release(name, story(name, state=name))
        target.switch(name)
        target.switch(name)
        assert target.current() == name
    assert target.previous() == "r1"
    target.switch(target.previous())
    assert (target.folder / "current" / "state").read_text() == "r1"
    with pytest.raises(InputError, match="no release"):
        target.switch("r3")
    assert target.current() == "r1"


def test_health_is_what_the_command_says(target: LocalRelease, story: Story, workspace: GitWorkspace, tmp_path: Path):
    target.release("r1", story("1-1", state="good"))
    target.release("r2", story("1-2", state="bad"))
    assert target.check("r1").healthy
    assert not target.check("r2").healthy
    assert "ended with 1" in target.check("r2").detail
    assert not target.check("r3").healthy
    silent = LocalRelease(tmp_path / "site", workspace, UnsandboxedRunner())
    assert "No health command" in silent.check("r1").detail


@pytest.mark.sandbox
def test_a_health_command_may_start_the_program_and_ask_it(tmp_path: Path, workspace: GitWorkspace, story: Story):
    sandbox = BubblewrapSandbox()
    if not (probe := sandbox.probe()).ok:
        pytest.skip(f"no sandbox works here: {probe.detail}")
    ask = (
        "python -m http.server 8123 --bind 127.0.0.1 >/dev/null 2>&1 & "
        "for i in $(seq 100); do (exec 3<>/dev/tcp/127.0.0.1/8123) 2>/dev/null && break; sleep 0.1; done; "
        "python -c \"import urllib.request as u; print(u.urlopen('http://127.0.0.1:8123/state').read())\""
    )
    target = LocalRelease(tmp_path / "site", workspace, sandbox, ask)
    path = Path(target.release("r1", story("1-1", state="good")))
    health = target.check("r1")
    assert health.healthy, health.detail
    assert "b'good'" in health.detail
    spoil = LocalRelease(tmp_path / "site", workspace, sandbox, "echo x > state || echo x > new")
    assert not spoil.check("r1").healthy
    assert (path / "state").read_text() == "good"


def test_what_a_crash_left_half_made_is_made_again(target: LocalRelease, story: Story):
    commit = story("1-1", state="good")
    half = target.folder / "releases" / ".r1-00000000"
    half.mkdir(parents=True)
    (half / "state").write_text("torn")
    (target.folder / ".current-00000000").symlink_to("nowhere")
    target.release("r1", commit)
    target.switch("r1")
    assert not half.exists()
    assert sorted(path.name for path in target.folder.iterdir()) == ["commits", "current", "releases"]


def test_a_link_in_the_tree_is_never_written_through(target: LocalRelease, workspace: GitWorkspace, tmp_path: Path):
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    victim.chmod(0o644)
    tree = Path(workspace.open("1-1", "storyloom/1-1", workspace.tip()))
    for name in (".storyloom-commit", "commits", "releases", "current", "file"):
        (tree / name).symlink_to(victim)
    path = Path(target.release("r1", workspace.checkpoint(str(tree), "Links")))
    target.switch("r1")
    target.check("r1")
    assert (path / "file").is_symlink()
    assert (victim.read_text(), victim.stat().st_mode & 0o777) == ("untouched", 0o644)


def test_old_releases_go_but_never_the_live_one_or_the_way_back(target: LocalRelease, story: Story):
    for number in range(4):
        target.release(f"r{number}", story(f"s{number}", state=str(number)))
    target.switch("r0")
    target.switch("r1")
    for number in range(4):
        os.utime(target.folder / "releases" / f"r{number}", (number, number))
    assert target.prune(keep=1) == ["r2"]
    assert target.releases() == ["r0", "r1", "r3"]


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "-x"])
def test_a_release_stays_in_its_folder(target: LocalRelease, name: str):
    with pytest.raises(InputError):
        target.release(name, "0" * 40)
