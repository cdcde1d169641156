"""Of eight stories three stop at a gate that needs two people: five merge, and the three once they are let pass."""

import importlib.util
import os
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prefect import resume_flow_run
from prefect.task_runners import ThreadPoolTaskRunner
from storyloom.blocks.git_workspace import GitWorkspace
from storyloom.blocks.method_texts import MethodTexts
from storyloom.blocks.project_files import ProjectFiles
from storyloom.blocks.shelf import FileShelf
from storyloom.domain.approvals import Given
from storyloom.domain.fakes import ScriptedModels, ScriptedSandbox
from storyloom.domain.model_calls import ModelReply, ToolCall
from storyloom.domain.ports import CommandResult
from storyloom.tasks.answers import cancel, submit
from storyloom.tasks.ports import use
from storyloom.tasks.questions import escalations, mirror, mirrored

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.whole, pytest.mark.usefixtures("prefect_harness")]

_spec = importlib.util.spec_from_file_location("people", Path(__file__).with_name("people.py"))
people = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(people)

EPICS = "## Epic 1: Parts\n\n" + "\n".join(
    f"### Story 1.{n}: Part\n\n**Prerequisites:** None\n\n**Files:** `part{n}.py`\n" for n in range(1, 9)
)
CHECKPOINTS = """\
- {id: "1-2", title: Part, description: The second part, spec_checkpoint: true}
- {id: "1-5", title: Part, description: The fifth part, done_checkpoint: true}
- {id: "1-7", title: Part, description: The seventh part, spec_checkpoint: true, done_checkpoint: true}
"""
SPEC2, DONE5, SPEC7 = ("1-2-part", "spec gate"), ("1-5-part", "done gate"), ("1-7-part", "spec gate")
GATED = {"1-2-part", "1-5-part", "1-7-part"}
SETTINGS = {
    "settings": {"max_concurrent_agents": 4, "requested_by": "Cy"},
    "gates": {"approvals": 2},
    "people": [
        {"name": "Ada", "role": "approver"},
        {"name": "Bo", "role": "approver"},
        {"name": "Cy", "role": "admin"},
        {"name": "Dan", "role": "developer"},
    ],
}


def model(request):
    """Writes the story's file and approves."""
    if request.purpose == "review":
        return ModelReply(parsed={"verdict": "approve", "summary": "fine", "criteria": [], "findings": []})
    write = {"path": f"part{request.tags.story.split('-')[1]}.py", "content": "DONE = True\n"}
    calls = [("write_file", write), ("run_tests", {}), ("finish", {"summary": "done"})]
    return ModelReply(
        tool_calls=tuple(ToolCall(id=str(i), name=name, arguments=a) for i, (name, a) in enumerate(calls, 2))
    )


@pytest.fixture
def ports(tmp_path):
    docs = tmp_path / "repo" / "docs"
    docs.mkdir(parents=True)
    (docs / "epics.md").write_text(EPICS)
    (docs / "stories.yaml").write_text(CHECKPOINTS)
    for arguments in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "start"]):
        who = ["-c", "user.name=t", "-c", "user.email=t@localhost"]
        subprocess.run(["git", *who, *arguments], cwd=docs.parent, check=True, env=dict(os.environ))
    passed = CommandResult(exit_code=0, output="Ran 1 test in 0.001s\n\nOK\n")
    return people.project_ports(
        docs.parent,
        SETTINGS,
        models=ScriptedModels(model),
        workspace=GitWorkspace(str(docs.parent), tmp_path / "state", "storyloom/main"),
        sandbox=ScriptedSandbox(lambda *_: passed),
        files=ProjectFiles,
        texts=MethodTexts(),
        shelf=FileShelf(tmp_path / "shelf"),
    )


def started(ports, done=()):
    """A batch in a thread of its own; call what is returned for its end."""
    from storyloom.flows.implementation import batch

    flow = batch.with_options(task_runner=ThreadPoolTaskRunner(max_workers=4))
    return people.in_thread(lambda: flow(ports.project, list(done), 4))


def open_gates(ports, *wanted):
    """The open questions at these gates, once all of them are asked and their runs paused."""
    found = {}

    def there():
        for e in escalations(ports):
            if e.status == "pending":
                found[e.question.story, e.question.step] = e
        return set(wanted) <= set(found) and all(people.paused(found[one].flow_run) for one in wanted)

    people.wait_for(there, 240)
    return [found[one] for one in wanted]


def merged(ports):
    there = ports.workspace.files(ports.workspace.tip())
    return {f"1-{path[4]}-part" for path in there if path.startswith("part")}


def given(ports, question, name, answer="approve", **more):
    ruling = submit(ports, question.id, Given(answer=answer, by=name, **more))
    return ruling.verdict, ruling.reason


def test_five_merge_while_three_wait_at_gates_which_two_people_pass_or_which_end_and_are_asked_anew(ports):
    with use(lambda _project: ports):
        join = started(ports)
        spec2, done5, spec7 = open_gates(ports, SPEC2, DONE5, SPEC7)
        people.wait_for(lambda: len(merged(ports)) == 5, 240)
        assert merged(ports) == {f"1-{n}-part" for n in range(1, 9)} - GATED
        assert spec2.audience == ("Ada", "Bo")  # Cy asked for the run, Dan is no approver
        assert "part5.py" in done5.question.context  # the change that is to be approved is shown

        assert given(ports, spec7, "Cy") == ("refused", "Cy asked for this; somebody else must approve it.")
        assert given(ports, spec7, "Dan")[1].startswith("Dan is developer; a phase-gate needs approver or admin")
        assert given(ports, spec7, "Bo", digest="an older text")[0] == "refused"
        assert given(ports, spec7, "Bo") == ("counted", "1 of 2 approvals: Bo.")
        assert given(ports, spec7, "Bo") == ("refused", "Bo has answered already.")
        resume_flow_run(spec7.flow_run, run_input={"answer": "approve", "by": "Ada"})  # the second one in the form
        (done7,) = open_gates(ports, ("1-7-part", "done gate"))
        assert mirrored(ports, spec7.id).response.by == "Bo, Ada"

        assert cancel(ports, done5.id, "Dan") == "Dan may not cancel questions."
        assert cancel(ports, done5.id, "Cy") == ""
        past = (datetime.now(UTC) - timedelta(hours=9)).isoformat()
        mirror(ports, mirrored(ports, spec2.id).model_copy(update={"deadline": past}))
        people.wait_for(lambda: mirrored(ports, spec2.id).status == "expired")
        assert given(ports, spec2, "Ada")[1].startswith("The question has expired")
        assert given(ports, done5, "Ada")[1] == "The question was cancelled."

        assert [given(ports, done7, name)[0] for name in ("Ada", "Bo")] == ["counted", "holds"]
        ends = join()
        assert {key: end.status for key, end in ends.items() if key in GATED} == {
            "1-2-part": "waiting", "1-5-part": "waiting", "1-7-part": "merged",
        }  # fmt: skip
        assert ends["1-2-part"].reason == "The story is not approved yet."
        calls = len(ports.models.asked)

        join = started(ports, merged(ports))
        done5, spec2 = open_gates(ports, DONE5, SPEC2)
        for question in (spec2, done5):
            assert [given(ports, question, name)[0] for name in ("Bo", "Ada")] == ["counted", "holds"]
        ends = join()
        assert {key: end.status for key, end in ends.items()} == {"1-2-part": "merged", "1-5-part": "merged"}
        assert len(merged(ports)) == 8
    later = [(request.tags.story, request.purpose) for request in ports.models.asked[calls:]]
    assert {story for story, _ in later} == {"1-2-part"}  # what was reviewed before its gate is not done again


def test_a_change_that_a_person_rejects_is_not_merged_and_says_who_and_why(ports):
    with use(lambda _project: ports):
        join = started(ports, {f"1-{n}-part" for n in range(1, 9)} - {"1-5-part"})
        (done5,) = open_gates(ports, DONE5)
        assert given(ports, done5, "Ada", "reject", notes="too long")[0] == "holds"  # one who says no is enough
        ends = join()
    assert ends["1-5-part"].reason == "The change is not approved: rejected by Ada (too long)."
    assert merged(ports) == set()
