"""A review that does not settle goes to a person, whose word holds: dismissed, repaired or given back."""

import importlib.util
import os
import subprocess
from pathlib import Path

import pytest
from storyloom.blocks.git_workspace import GitWorkspace
from storyloom.blocks.method_texts import MethodTexts
from storyloom.blocks.project_files import ProjectFiles
from storyloom.blocks.shelf import FileShelf
from storyloom.domain.approvals import Given
from storyloom.domain.epics import read_epics
from storyloom.domain.fakes import ScriptedModels, ScriptedSandbox
from storyloom.domain.model_calls import ModelReply, ToolCall
from storyloom.domain.ports import CommandResult
from storyloom.domain.review import DISMISS, GIVE_BACK, REPAIR
from storyloom.tasks.answers import submit
from storyloom.tasks.ports import use
from storyloom.tasks.questions import escalations
from storyloom.tasks.waivers import waived

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.usefixtures("prefect_harness")]

_spec = importlib.util.spec_from_file_location("people", Path(__file__).with_name("people.py"))
people = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(people)

EPICS = "## Epic 1: Parts\n\n### Story 1.1: Part\n\n**Prerequisites:** None\n\n**Files:** `part1.py`\n"
(STORY,) = read_epics(EPICS, "epics.md").stories
PASSED = CommandResult(exit_code=0, output="Ran 1 test in 0.001s\n\nOK\n")


class Team:
    """A developer who only does what a person says, and a reviewer who holds one finding back until then."""

    def __init__(self):
        self.told, self.reviews, self.titles = "", 0, ["The name says nothing"]

    def __call__(self, request):
        if request.purpose == "review":
            self.reviews += 1
            settled = "shop_better" in str(request.messages)
            finding = {"severity": "medium", "title": self.titles[-1], "file": "part1.py", "detail": "Call it better."}
            said = {"verdict": "approve" if settled else "changes_requested", "summary": "", "criteria": []}
            return ModelReply(parsed={**said, "findings": [] if settled else [finding]})
        said = [m.content for m in request.messages if "A person says" in m.content]
        self.told = said[-1] if said else ""
        name = "shop_better" if said else f"x{len(request.messages)}"
        write = {"path": "part1.py", "content": f"{name} = {request.tags.attempt}\n"}
        calls = [("write_file", write), ("finish", {"summary": "done"})]
        number = len(request.messages)
        return ModelReply(
            tool_calls=tuple(ToolCall(id=f"{number}-{i}", name=n, arguments=a) for i, (n, a) in enumerate(calls))
        )


@pytest.fixture
def desk(tmp_path):
    """Runs the story, answers its question, and gives what came of it."""
    docs = tmp_path / "repo" / "docs"
    docs.mkdir(parents=True)
    (docs / "epics.md").write_text(EPICS)
    for arguments in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "start"]):
        who = ["-c", "user.name=t", "-c", "user.email=t@localhost"]
        subprocess.run(["git", *who, *arguments], cwd=docs.parent, check=True, env=dict(os.environ))

    class Desk:
        team = Team()
        ports = people.project_ports(
            docs.parent,
            {"settings": {"when_asked": "set_aside", "max_review_rounds": 2}},
            models=ScriptedModels(team),
            workspace=GitWorkspace(str(docs.parent), tmp_path / "state", "storyloom/main"),
            sandbox=ScriptedSandbox(lambda *_: PASSED),
            files=ProjectFiles,
            texts=MethodTexts(),
            shelf=FileShelf(tmp_path / "shelf"),
        )

        def develop(self, **more):
            from storyloom.flows.develop_story import develop_story

            with use(lambda _project: self.ports):
                return develop_story(self.ports.project, STORY, **more)

        def asked(self):
            (one,) = [e for e in escalations(self.ports) if e.status == "set_aside"]
            return one

        def answer(self, answer, notes=""):
            given = Given(answer=answer, by="Ada", notes=notes)
            assert submit(self.ports, self.asked().id, given).verdict == "holds"

    return Desk()


def test_a_person_is_asked_with_all_findings_and_what_they_dismiss_stays_dismissed_in_other_words(desk):
    waits = desk.develop()
    assert (waits.status, waits.lane.value, desk.team.reviews) == ("waiting", "person", 2)
    assert waits.reason.startswith("A person must decide: 2 of 2 rounds of review did not settle it")
    question = desk.asked().question
    assert (question.kind, question.options) == ("review-conflict", (GIVE_BACK, REPAIR, DISMISS))
    assert "- medium: The name says nothing (part1.py): Call it better." in question.context
    calls = len(desk.ports.models.asked)

    desk.answer(DISMISS, "It is a sample.")
    ended = desk.develop()
    assert ended.status == "reviewed"
    assert len(desk.ports.models.asked) == calls  # the work went on where it stood
    assert desk.develop().commit == ended.commit  # it ends where it ended, not in the round that holds nothing now
    (kept,) = waived(desk.ports, STORY.key, before=(1, 3))
    assert waived(desk.ports, STORY.key, before=(1, 2)) == ()
    assert (kept.status, kept.reason) == ("dismissed", "It is a sample.")

    desk.team.titles.append("This name says nothing")
    assert desk.develop(attempt=2, because="It conflicts.").status == "reviewed"  # onto a new tip, reviewed anew
    assert desk.team.reviews == 3
    assert len(escalations(desk.ports)) == 1


def test_what_a_person_says_is_passed_on_to_the_developer_and_the_review_goes_on(desk):
    desk.develop()
    desk.answer(REPAIR, "Name it after the shop.")
    ended = desk.develop()
    assert desk.team.told == "A person says: Name it after the shop.\n"
    assert (ended.status, desk.team.reviews) == ("reviewed", 3)
    assert waived(desk.ports, STORY.key, before=(9, 9)) == ()


def test_a_story_that_is_given_back_fails_and_its_branch_stays(desk):
    first = desk.develop()
    assert first.status == "waiting", first
    desk.answer(GIVE_BACK)
    ended = desk.develop()
    assert (ended.status, ended.lane.value) == ("failed", "code")
    assert desk.ports.workspace.read(ended.commit, "part1.py").startswith("x")
