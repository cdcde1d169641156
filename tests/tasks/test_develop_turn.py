"""A turn whose files cannot be committed is taken back and said so; the story goes on."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
from storyloom.blocks.git_workspace import GitWorkspace
from storyloom.blocks.project_files import ProjectFiles
from storyloom.domain.fakes import ScriptedModels, ScriptedSandbox
from storyloom.domain.model_calls import Message, ModelReply, ModelRequest, ToolCall
from storyloom.domain.ports import CommandResult, ProjectRef
from storyloom.domain.stories import Story
from storyloom.tasks.develop_turn import Turn, develop_turn
from storyloom.tasks.ports import Ports, use

STORY = Story(key="1-1-a", id="1.1", epic="epic-1", title="A")
BRANCH = "storyloom/1-1-a"


class Unheard:
    """Takes events and forgets them."""

    def record(self, event: object) -> None:
        pass


def nested(tree: Path) -> None:
    (tree / "sub").mkdir()
    who = ["-c", "user.name=t", "-c", "user.email=t@localhost"]
    for line in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "x"]):
        subprocess.run(["git", *who, *line], cwd=tree / "sub", check=True)


def odd(tree: Path) -> None:
    (tree / "a\nb").write_text("x")


def coded(tree: Path) -> None:
    (tree / ".gitattributes").write_text("* working-tree-encoding=UTF-16\n")


def in_submodule(tree: Path) -> None:
    (tree / "module/helper.py").write_text("x")


def ports_on(tmp_path: Path, model: Any, run: Any) -> Ports:
    """A repository of one commit, with this model and these commands."""
    repository = tmp_path / "repo"
    repository.mkdir()
    who = ["-c", "user.name=t", "-c", "user.email=t@localhost"]
    gitlink = ["update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},module"]
    for line in (["init", "-q", "-b", "main"], gitlink, ["commit", "-q", "-m", "Start"]):
        subprocess.run(["git", *who, *line], cwd=repository, check=True)
    return Ports(
        ProjectRef(repository=str(repository)),
        models=ScriptedModels(model),
        workspace=GitWorkspace(repository, tmp_path / "state"),
        sandbox=ScriptedSandbox(run),
        files=ProjectFiles,
        recorder=Unheard(),
    )


@pytest.mark.parametrize(
    ("make", "named"), [(nested, "sub"), (odd, "nb"), (coded, "BOM is required"), (in_submodule, "module")]
)
def test_what_cannot_be_committed_is_undone_and_told_to_who_made_it(tmp_path: Path, make: Any, named: str):
    def model(request: ModelRequest) -> ModelReply:
        first = len(request.messages) == 1
        calls = [("run", {"command": "make it"})] if first else []
        calls += [("write_file", {"path": "fine.txt", "content": "x\n"}), ("finish", {"summary": "done"})]
        return ModelReply(tool_calls=tuple(ToolCall(id=str(n), name=k, arguments=a) for n, (k, a) in enumerate(calls)))

    def run(command: str, worktree: str) -> CommandResult:
        make(Path(worktree))
        return CommandResult(exit_code=0)

    ports = ports_on(tmp_path, model, run)
    workspace = ports.workspace
    base = workspace.tip()
    tree = Path(workspace.open(STORY.key, BRANCH, base))
    with use(lambda _project: ports):
        said = (Message(role="user", content="begin"),)
        turn: Turn = develop_turn.fn(ports.project, STORY, "amelia", "", said, base, 1, base)
        assert turn.commit == base
        assert [outcome.ok for outcome in turn.outcomes] == [False, False, False]
        assert all("taken back" in outcome.content and named in outcome.content for outcome in turn.outcomes)
        assert turn.outcomes[-1].finish is None
        assert sorted(path.relative_to(tree).as_posix() for path in tree.rglob("*")) == [".git", "module"]
        again: Turn = develop_turn.fn(ports.project, STORY, "amelia", "", (*said, *said), base, 2, base)
    assert workspace.files(again.commit) == ["fine.txt", "module"]
    assert again.outcomes[-1].finish is not None


def test_a_turn_keeps_how_long_it_took_the_commands_and_a_recorded_models_time_included(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    now = [100.0]

    def model(_: ModelRequest) -> ModelReply:
        call = ToolCall(id="1", name="run", arguments={"command": "make"})
        return ModelReply(tool_calls=(call,), latency_s=30)

    def run(command: str, worktree: str) -> CommandResult:
        now[0] += 200
        return CommandResult(exit_code=0)

    monkeypatch.setattr("storyloom.tasks.develop_turn.monotonic", lambda: now[0])
    ports = ports_on(tmp_path, model, run)
    base = ports.workspace.tip()
    ports.workspace.open(STORY.key, BRANCH, base)
    with use(lambda _project: ports):
        said = (Message(role="user", content="begin"),)
        turn: Turn = develop_turn.fn(ports.project, STORY, "amelia", "", said, base, 1, base)
    assert turn.wall_s == turn.duration_s == 230
    assert Turn.model_validate_json(turn.model_dump_json()) == turn
    of_before = Turn.model_validate(turn.model_dump(exclude={"wall_s"}))
    assert of_before.duration_s == 30
