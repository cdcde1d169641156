"""What one story's failure means for the others: conflicts, tests that fail on the tip, prerequisites."""

import importlib.util
import os
import subprocess
import threading
from pathlib import Path

import pytest
from storyloom.blocks.git_workspace import GitWorkspace
from storyloom.blocks.method_texts import MethodTexts
from storyloom.blocks.project_files import ProjectFiles
from storyloom.blocks.shelf import FileShelf
from storyloom.domain.errors import ModelBusy, StorageFull
from storyloom.domain.fakes import ScriptedModels, ScriptedSandbox
from storyloom.domain.model_calls import ModelReply, ToolCall
from storyloom.domain.ports import CommandResult
from storyloom.tasks.ports import use

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.usefixtures("prefect_harness")]

_spec = importlib.util.spec_from_file_location("people", Path(__file__).with_name("people.py"))
people = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(people)

GOOD = CommandResult(exit_code=0, output="Ran 1 test in 0.001s\n\nOK\n")
BAD = CommandResult(exit_code=1, output="FAIL: test_it\n\nRan 1 test in 0.001s\n\nFAILED (failures=1)\n")


def story(number, files, after="None"):
    return f"### Story 1.{number}: Part\n\n**Prerequisites:** {after}\n\n**Files:** {files}\n"


def finishing(path, text):
    calls = [("write_file", {"path": path, "content": text}), ("finish", {"summary": "done"})]
    return ModelReply(
        tool_calls=tuple(ToolCall(id=str(i), name=name, arguments=a) for i, (name, a) in enumerate(calls))
    )


def approved(request):
    return ModelReply(parsed={"verdict": "approve", "summary": "fine", "criteria": [], "findings": []})


@pytest.fixture
def batch(tmp_path):
    """Runs the implementation phase for some stories; gives the outcomes by key, and the workspace."""
    repository = tmp_path / "repo"

    def run(stories, model, tests=lambda *_: GOOD, files=None, **settings):
        from storyloom.flows.implementation import implementation

        (repository / "docs").mkdir(parents=True)
        (repository / "docs" / "epics.md").write_text("## Epic 1: Parts\n\n" + "\n".join(stories))
        for path, text in (files or {}).items():
            (repository / path).write_text(text)
        for arguments in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "start"]):
            who = ["-c", "user.name=t", "-c", "user.email=t@localhost"]
            subprocess.run(["git", *who, *arguments], cwd=repository, check=True, env=dict(os.environ))
        workspace = GitWorkspace(str(repository), tmp_path / "state", "storyloom/main")
        ports = people.project_ports(
            repository,
            {"settings": {"max_concurrent_agents": 3, "max_attempts": 1, **settings}},
            models=ScriptedModels(model),
            workspace=workspace,
            sandbox=ScriptedSandbox(tests),
            files=ProjectFiles,
            texts=MethodTexts(),
            shelf=FileShelf(tmp_path / "shelf"),
        )
        with use(lambda project: ports):
            report = implementation(ports.project)
        return {outcome.story: outcome for outcome in report.stories}, workspace

    return run


def test_a_story_that_fails_blocks_those_that_need_it_and_no_others(batch):
    def model(request):
        if request.purpose == "review":
            return approved(request)
        return finishing(f"part{request.tags.story.split('-')[1]}.py", "X = 1\n")

    def tests(command, worktree, *_):
        return BAD if (Path(worktree) / "part1.py").exists() else GOOD

    ends, workspace = batch(
        [story(1, "`part1.py`"), story(2, "`part2.py`", "1.1"), story(3, "`part3.py`", "1.2"), story(4, "`part4.py`")],
        model,
        tests,
    )
    got = {key: (end.status, end.lane and end.lane.value) for key, end in ends.items()}
    assert got["1-1-part"] == ("failed", "code")
    assert got["1-2-part"][0] == got["1-3-part"][0] == "blocked"
    assert "1-1-part" in ends["1-2-part"].reason or "1.1" in ends["1-2-part"].reason
    assert got["1-4-part"][0] == "merged"
    assert workspace.read(workspace.tip(), "part4.py") == "X = 1\n"
    assert workspace.read(workspace.tip(), "part1.py") is None


def test_a_story_that_conflicts_is_sent_back_once_onto_the_new_tip_and_merges(batch):
    """Both say that they touch files of their own, and both change the same line."""
    first, second, together = set(), [], threading.Barrier(2)
    attempts = []

    def model(request):
        if request.purpose == "review":
            return approved(request)
        key = request.tags.story
        attempts.append(request.tags.attempt)
        if key in first:
            second.append((key, str(request.messages[0].content)))
            return finishing("shared.txt", "first\nboth\nlast\n")
        first.add(key)
        together.wait(60)  # neither is merged before the other has started
        return finishing("shared.txt", f"first\n{key}\nlast\n")

    ends, workspace = batch(
        [story(1, "`part1.py`"), story(2, "`part2.py`")], model, files={"shared.txt": "first\nmiddle\nlast\n"}
    )
    assert {end.status for end in ends.values()} == {"merged"}, {k: (e.status, e.reason) for k, e in ends.items()}
    assert len(second) == 1, "one of the two was sent back, once"
    assert "shared.txt" in second[0][1], "what it conflicts with is said"
    assert attempts == [1, 1, 2], "the bill tells the first attempt's calls from the second's"
    assert workspace.read(workspace.tip(), "shared.txt") == "first\nboth\nlast\n"


def test_a_story_whose_tests_fail_only_on_the_tip_is_sent_back_once(batch):
    """Each passes alone; with the other's change the tests fail until the second one is mended."""
    tries, together = {}, threading.Barrier(2)

    def model(request):
        if request.purpose == "review":
            return approved(request)
        key = request.tags.story
        tries.setdefault(key, []).append(str(request.messages[0].content))
        if len(tries[key]) == 1:
            together.wait(60)  # neither is merged before the other has started
        return finishing(f"part{key.split('-')[1]}.py", f"TRY = {len(tries[key])}\n")

    def tests(command, worktree, *_):
        there = [Path(worktree) / f"part{n}.py" for n in (1, 2)]
        together = all(path.exists() for path in there)
        return BAD if together and all("TRY = 1" in path.read_text() for path in there) else GOOD

    ends, workspace = batch([story(1, "`part1.py`"), story(2, "`part2.py`")], model, tests)
    assert {end.status for end in ends.values()} == {"merged"}, {k: (e.status, e.reason) for k, e in ends.items()}
    assert sorted(len(asked) for asked in tries.values()) == [1, 2]
    texts = sorted(str(workspace.read(workspace.tip(), f"part{n}.py")) for n in (1, 2))
    assert texts == ["TRY = 1\n", "TRY = 2\n"]


@pytest.mark.parametrize(
    ("error", "lane"),
    [(ModelBusy("The provider is down."), "provider"), (StorageFull("No room is left."), "infrastructure")],
)
def test_what_is_not_the_codes_fault_waits_and_the_others_merge(batch, error, lane, monkeypatch):
    from storyloom.tasks.develop_turn import develop_turn

    monkeypatch.setattr(develop_turn, "retries", 0)

    def model(request):
        if request.purpose == "review":
            return approved(request)
        if request.tags.story == "1-1-part":
            raise error
        return finishing("part2.py", "X = 1\n")

    ends, _ = batch([story(1, "`part1.py`"), story(2, "`part2.py`")], model)
    assert (ends["1-1-part"].status, ends["1-1-part"].lane.value) == ("waiting", lane)
    assert error.message in ends["1-1-part"].reason
    assert ends["1-2-part"].status == "merged"
