"""A project's ports are made from its file, this run's settings and the environment."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from storyloom.deployments.composition import compose, configured
from storyloom.deployments.environment import Environment, project_folder
from storyloom.domain.errors import ConfigError
from storyloom.domain.model_calls import Message, ModelRequest
from storyloom.domain.ports import Limits, ProjectRef


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "shelf"
    folder.mkdir()
    you = ("-c", "user.name=a", "-c", "user.email=a@b")
    subprocess.run(["git", "init", "-q", "-b", "trunk"], cwd=folder, check=True)
    subprocess.run(["git", *you, "commit", "-q", "--allow-empty", "-m", "start"], cwd=folder, check=True)
    return folder


def test_settings_of_a_run_win_over_the_project_file(repository: Path):
    (repository / ".bmad").mkdir()
    (repository / ".bmad" / "project-config.yaml").write_text("settings:\n  max_turns: 7\n  max_attempts: 2\n")
    config = configured(ProjectRef(repository=str(repository), settings={"max_turns": 9}))
    assert (config.settings.max_turns, config.settings.max_attempts) == (9, 2)
    assert config.project.name == "shelf"


def test_a_setting_that_does_not_exist_is_refused(repository: Path):
    with pytest.raises(ConfigError, match="no setting 'max_turn'"):
        configured(ProjectRef(repository=str(repository), settings={"max_turn": 9}))


def test_the_persons_branch_stays_alone_unless_the_settings_say_otherwise(repository: Path, tmp_path: Path):
    home = tmp_path / "home"
    ports = compose(ProjectRef(repository=str(repository)), Environment(home=home))
    ports.workspace.commit_files({"a.txt": "a\n"}, "add", "op-1")
    assert "git merge --ff-only storyloom/main" in ports.publish()
    assert not (repository / "a.txt").exists()
    follows = ProjectRef(repository=str(repository), settings={"auto_merge_prs": True})
    assert compose(follows, Environment(home=home)).publish() == ""
    assert (repository / "a.txt").read_text() == "a\n"


def test_what_the_person_commits_meanwhile_enters_the_main_line(repository: Path, tmp_path: Path):
    ports = compose(ProjectRef(repository=str(repository)), Environment(home=tmp_path / "home"))
    ports.workspace.tip()
    (repository / "b.txt").write_text("b\n")
    subprocess.run(["git", "add", "b.txt"], cwd=repository, check=True)
    you = ("-c", "user.name=a", "-c", "user.email=a@b")
    subprocess.run(["git", *you, "commit", "-q", "-m", "b"], cwd=repository, check=True)
    ports.follow()
    assert ports.workspace.read(ports.workspace.tip(), "b.txt") == "b\n"


def git(repository: Path, *arguments: str) -> None:
    subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments], cwd=repository, check=True)


@pytest.mark.parametrize("away", [("-D", "feature"), ("-m", "feature", "renamed")], ids=["deleted", "renamed"])
def test_when_the_persons_branch_is_gone_the_one_they_are_on_takes_its_place(
    repository: Path, tmp_path: Path, away: tuple[str, ...]
):
    git(repository, "checkout", "-q", "-b", "feature")
    ports = compose(ProjectRef(repository=str(repository)), Environment(home=tmp_path / "home"))
    ports.follow()
    if away[0] == "-D":
        git(repository, "checkout", "-q", "trunk")
    git(repository, "branch", "-q", *away)
    (repository / "b.txt").write_text("b\n")
    git(repository, "add", "b.txt")
    git(repository, "commit", "-q", "-m", "b")
    ports = compose(ProjectRef(repository=str(repository)), Environment(home=tmp_path / "home"))
    ports.follow()
    assert ports.workspace.read(ports.workspace.tip(), "b.txt") == "b\n"
    now = "trunk" if away[0] == "-D" else "renamed"
    assert ports.publish().startswith(f"{now} was left alone")
    git(repository, "checkout", "-q", "-b", "elsewhere")
    assert ports.publish().startswith(f"{now} was left alone"), "it is kept from then on"


def test_when_the_persons_branch_is_gone_and_they_are_on_none_nothing_is_followed_and_that_is_said(
    repository: Path, tmp_path: Path
):
    git(repository, "checkout", "-q", "-b", "feature")
    ports = compose(ProjectRef(repository=str(repository)), Environment(home=tmp_path / "home"))
    ports.follow()
    git(repository, "checkout", "-q", "--detach")
    git(repository, "branch", "-q", "-D", "feature")
    ports.follow()
    assert ports.publish() == "The branch feature is gone and no other is checked out; the work is on storyloom/main."
    git(repository, "checkout", "-q", "trunk")
    ports.follow()
    assert ports.publish().startswith("trunk was left alone")


def test_no_secret_is_written_below_the_projects_folder(repository: Path, tmp_path: Path):
    secret = "sk-test-0123456789abcdef0123"
    environment = Environment(
        home=tmp_path / "home", keys={"openai": secret}, base_urls={"openai": "http://127.0.0.1:9/v1"}
    )
    (repository / ".bmad").mkdir()
    (repository / ".bmad" / "project-config.yaml").write_text("agents:\n  mary: openai/gpt-6-luna\n")
    ports = compose(ProjectRef(repository=str(repository)), environment)
    request = ModelRequest(
        persona="mary",
        model="openai/gpt-6-luna",
        system="You are Mary.",
        messages=(Message(role="user", content="hello"),),
        deadline_s=5,
    )
    with pytest.raises(Exception) as caught:
        ports.models.complete(request)
    assert secret not in str(caught.value)
    written = [p for p in (tmp_path / "home").rglob("*") if p.is_file()]
    assert written
    assert all(secret.encode() not in p.read_bytes() for p in written)
    assert project_folder(tmp_path / "home", repository).is_dir()


def test_a_set_up_runs_before_the_first_command_and_its_folders_are_seen_by_all(repository: Path, tmp_path: Path):
    (repository / ".bmad").mkdir()
    config = "commands:\n  setup: mkdir lib; cp a.lock lib/\n  setup_folders: [lib]\nsettings:\n  sandbox: none\n"
    (repository / ".bmad" / "project-config.yaml").write_text(config)
    ports = compose(ProjectRef(repository=str(repository)), Environment(home=tmp_path / "home"))
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.lock").write_text("locked\n")
        assert ports.sandbox.run("cat lib/a.lock", str(tmp_path / name), Limits()).output == "locked\n"
    made = list((project_folder(tmp_path / "home", repository) / "set-ups").glob("*.done"))
    assert len(made) == 1


@pytest.mark.parametrize(("setting", "reaches"), [("false", False), ("true", True)])
def test_only_the_set_up_has_a_network_and_only_when_the_project_says_so(
    repository: Path, tmp_path: Path, setting: str, reaches: bool
):
    from storyloom.blocks.sandbox import BubblewrapSandbox
    from storyloom.blocks.set_up import PreparedSandbox

    (repository / ".bmad").mkdir()
    config = f"commands:\n  setup: 'true'\nsettings:\n  setup_network: {setting}\n"
    (repository / ".bmad" / "project-config.yaml").write_text(config)
    sandbox = compose(ProjectRef(repository=str(repository)), Environment(home=tmp_path / "home")).sandbox
    assert isinstance(sandbox, PreparedSandbox)
    assert isinstance(sandbox._sandbox, BubblewrapSandbox)
    assert isinstance(sandbox._setting_up, BubblewrapSandbox)
    assert (sandbox._sandbox._network, sandbox._setting_up._network) == (False, reaches)
