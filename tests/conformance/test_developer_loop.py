"""A developer's conversation from its opening to its review, played from recorded replies without a model."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from storyloom.blocks.project_files import ProjectFiles
from storyloom.domain.agent_loop import (
    AgentState,
    ChangeTactics,
    Continue,
    Finished,
    GiveBack,
    LoopLimits,
    Move,
    after_turn,
    changed_tactics,
    next_move,
    say,
)
from storyloom.domain.context import Material, assemble
from storyloom.domain.developer_prompts import opening, repair_message, review_request
from storyloom.domain.fakes import ScriptedSandbox
from storyloom.domain.masking import mask_old
from storyloom.domain.model_calls import ModelReply, ToolCall
from storyloom.domain.ports import CommandResult
from storyloom.domain.review import Approve, SendBack, verdict
from storyloom.domain.settings import Commands, ProjectConfig
from storyloom.domain.stories import CriterionVerdict, Finding, ReviewReport, Story
from storyloom.tasks.agent_tools import Bench, apply_tools, run_project_tests

STORY = Story(key="1-1-total", id="1.1", epic="1", title="A total", acceptance_criteria=("The total sums up",))
TESTS = """\
import unittest
from shop import total


class T(unittest.TestCase):
    def test_it(self):
        self.assertEqual(total([1, 2]), 3)
"""
LIMITS = LoopLimits(turns=20, same_call=3)


class Persona:
    name, title, role, identity, communication_style, principles = "Amelia", "Developer", "Develops.", "", "", ()


def call(name: str, **arguments: object) -> tuple[str, dict]:
    return name, arguments


def edit(search: str, replace: str) -> tuple[str, dict]:
    return call("edit_file", path="shop.py", edits=[{"search": search, "replace": replace}])


SCRIPT = (
    (call("list_files"), call("read_file", path="shop.py")),
    (edit("    return nothing\n", "    return len(items)\n"), call("finish", summary="too early")),
    (
        edit("    return None\n", "    return len(items)\n"),
        call("write_file", path="tests/test_shop.py", content=TESTS),
    ),
    (call("run_tests"),),
    (edit("return len(items) \n", "return sum(items)\n"), call("run_tests")),
    (call("finish", summary="The total sums up.", notes="Integers only."),),
)


def sandbox() -> ScriptedSandbox:
    """Runs the tests as they are, without a sandbox: the code is this file's own."""

    def answer(command: str, worktree: str) -> CommandResult:
        done = subprocess.run(
            [sys.executable, "-m", "unittest", "discover", "-s", "tests"],
            cwd=worktree,
            env={**os.environ, "PYTHONPATH": worktree, "PYTHONDONTWRITEBYTECODE": "1"},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        return CommandResult(exit_code=done.returncode, output=done.stdout)

    return ScriptedSandbox(answer)


def tree(folder: Path) -> str:
    return "".join(f"{path}\n{path.read_text()}" for path in sorted(folder.rglob("*.py")))


def play(folder: Path, script: tuple = SCRIPT) -> tuple[AgentState, Move, Bench]:
    folder.mkdir()
    (folder / "shop.py").write_text("def total(items):\n    return None\n")
    place = Bench(ProjectFiles(folder), sandbox(), str(folder), Commands(test="python -m unittest discover -s tests"))
    context = assemble(Material(story=STORY, files={"shop.py": (folder / "shop.py").read_text()}), 2_000)
    _, messages = opening(STORY, context, ProjectConfig(), Persona())  # type: ignore[arg-type]
    state = AgentState(messages=messages)
    for number, calls in enumerate(script):
        made = tuple(ToolCall(id=f"{number}-{n}", name=name, arguments=given) for n, (name, given) in enumerate(calls))
        outcomes = apply_tools(made, place)
        state = after_turn(state, ModelReply(tool_calls=made), outcomes, commit=str(hash(tree(folder))))
        move = next_move(state, LIMITS)
        if isinstance(move, ChangeTactics):
            state = changed_tactics(state, move)
        elif not isinstance(move, Continue):
            break
    return state, move, place


def test_a_story_is_developed_through_refusals_and_failing_tests(tmp_path: Path):
    state, move, place = play(tmp_path / "w")
    assert move == Finished("The total sums up.", "Integers only.")
    assert (tmp_path / "w" / "shop.py").read_text() == "def total(items):\n    return sum(items)\n"
    said = [message.content for message in state.messages if message.role == "tool"]
    assert "The closest lines are" in said[2]
    assert said[3].startswith("Not finished")
    assert [text.split(" (")[0] for text in said if text.startswith("The tests")] == [
        "The tests fail",
        "The tests pass",
    ]
    assert run_project_tests(place).passed is True


def test_the_same_replies_give_the_same_conversation_in_another_place(tmp_path: Path):
    first, _, _ = play(tmp_path / "here")
    second, _, _ = play(tmp_path / "there")
    assert first.messages == second.messages
    assert mask_old(first.messages, 4, 600) == mask_old(second.messages, 4, 600)


def test_an_agent_that_goes_in_circles_gives_the_story_back(tmp_path: Path):
    state, move, _ = play(tmp_path / "w", ((call("read_file", path="shop.py"),),) * 10)
    assert isinstance(move, GiveBack)
    assert state.turn == 6
    assert "Stuck again" in move.reason


@pytest.mark.parametrize("mended", [True, False])
def test_a_review_sends_back_what_is_open_and_approves_what_is_mended(tmp_path: Path, mended: bool):
    state, _, place = play(tmp_path / "w")
    tests = run_project_tests(place)
    judged = (CriterionVerdict(criterion=STORY.acceptance_criteria[0], met=True, evidence="tests/test_shop.py:5"),)
    held = Finding(severity="medium", title="An empty list is not tested", file="tests/test_shop.py")
    first = ReviewReport(verdict="changes_requested", criteria=judged, findings=(held,))
    decision = verdict([first], ProjectConfig().settings, criteria=STORY.acceptance_criteria, tests=tests)
    assert decision == SendBack((held,))
    state = say(state, repair_message(decision.findings))
    assert next_move(state, LIMITS) == Continue()
    again = review_request(STORY, "+x", tests, Persona(), model="heavy", round_number=2, earlier=[held])  # type: ignore[arg-type]
    assert "An empty list is not tested" in again.messages[0].content
    second = ReviewReport(verdict="approve", criteria=judged, findings=() if mended else (held,))
    decision = verdict([first, second], ProjectConfig().settings, criteria=STORY.acceptance_criteria, tests=tests)
    assert isinstance(decision, Approve if mended else SendBack)
