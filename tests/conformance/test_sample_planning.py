"""The method's workflows run on the engine: the sample's to its documents, all others to an end with a reason."""

import json
import re
from functools import cache
from pathlib import Path

import pytest
import yaml
from storyloom.blocks.method_texts import MethodTexts
from storyloom.domain.epics import read_epics
from storyloom.domain.fakes import MemoryDocuments, MemoryShelf, ScriptedModels
from storyloom.domain.gates import read_verdict
from storyloom.domain.model_calls import ModelReply, ModelRequest
from storyloom.domain.phases import JOBS
from storyloom.domain.ports import ProjectRef
from storyloom.domain.run_state import ENDED, RunState
from storyloom.domain.settings import Project, ProjectConfig
from storyloom.rehearsal.conversation import Conversation, Miss
from storyloom.rehearsal.talk import Asked, Block
from storyloom.tasks.library import open_workflow
from storyloom.tasks.ports import Ports
from storyloom.tasks.workflow_begin import initial_state
from storyloom.tasks.workflow_machine import Machine, RunOptions

SAMPLE = Path(__file__).parents[2] / "examples" / "shelf"
TEXTS = MethodTexts()
EXPECTED = yaml.safe_load((SAMPLE / "expected" / "outcome.yaml").read_text(encoding="utf-8"))
GIVEN = {
    "project_name": "Shelf",
    "project_level": "2",
    "planning_folder": "docs",
    "output_folder": "docs",
    "stories_folder": "docs/stories",
}
MORE = {  # what the callers of the other workflows know
    "story_key": "1-1-links-in-one-file",
    "epic_number": "1",
    "diff": "--- a/x\n+++ b/x",
    "failed_release": "b",
    "previous_release": "a",
    "conflict": "both changed line 3 of a.py",
    "symptom": "no answer since nine",
}


@cache
def conversation() -> Conversation:
    return Conversation.load(SAMPLE / "conversation", strict=True)


def recorded(request: ModelRequest) -> ModelReply:
    blocks = (Block("system", request.system, 0), Block("user", request.messages[0].content, 1))
    reply = conversation().reply(Asked("test", request.model, blocks))
    assert not isinstance(reply, Miss), reply.message
    return ModelReply(content=reply.text)


def simple(request: ModelRequest) -> ModelReply:
    """Something that fits what is asked for."""
    answers = {
        "verdict": {"holds": True, "reason": "it is said"},
        "answer": {"answer": "the-simplest", "confidence": 0.9, "reason": "a guess", "quote": ""},
        "checks": {"items": []},
    }
    if request.schema_name == "remaining":
        return ModelReply(content=json.dumps({name: name for name in request.schema_["required"]}))
    if request.schema_name:
        return ModelReply(content=json.dumps(answers[request.schema_name]))
    return ModelReply(content="Some text.")


def run(name: str, documents: MemoryDocuments, answer, given: dict[str, str]) -> tuple[RunState, list[ModelRequest]]:
    models = ScriptedModels(answer)
    config = ProjectConfig(project=Project(name="Shelf", id="shelf"))
    ports = Ports(
        ProjectRef(repository="/nowhere"), config, models, documents=documents, texts=TEXTS, shelf=MemoryShelf()
    )
    found = open_workflow(ports, name)
    assert found.program.notes == ()
    machine = Machine(ports, found.program, found.persona, RunOptions(asking="unsure"))
    state = machine.desk.adopt(initial_state(ports, found, given, ""))
    while state.status not in ENDED:
        assert state.status == "running", state.question
        state = machine.run_step(state)
    return machine.finish(state), models.asked


@cache
def planned() -> tuple[MemoryDocuments, dict[str, RunState], list[str]]:
    """The sample's planning, in the order of the phases, from nothing but the brief."""
    documents = MemoryDocuments({"brief.md": (SAMPLE / "brief.md").read_text(encoding="utf-8")})
    states, subjects = {}, []
    for jobs in JOBS.values():
        for job in jobs:
            if 2 in job.levels:
                given = GIVEN | ({"evidence": "41 tests passed"} if job.workflow == "quality-gate" else {})
                states[job.workflow], asked = run(job.workflow, documents, recorded, given)
                subjects += [request.messages[0].content.splitlines()[0].removeprefix("# ") for request in asked]
    return documents, states, subjects


def test_all_documents_are_written_and_nothing_is_left_open():
    documents, states, _ = planned()
    assert {name: (state.status, state.reason) for name, state in states.items()} == dict.fromkeys(
        states, ("complete", "")
    )
    assert sorted(path for path in documents.texts if path != "brief.md") == sorted(EXPECTED["documents"])
    for path in EXPECTED["documents"]:
        text = documents.read(path)
        assert "{{" not in text
        assert not re.search(r"\[(ASSUMPTION|OPEN):", text)
        assert text.startswith("# Shelf")
    assert all(not state.open_questions for state in states.values())


def test_every_recorded_planning_answer_is_used():
    _, _, subjects = planned()
    written = [e.subject for e in conversation().entries if not e.subject.startswith(("Story ", "Decision "))]
    unused = [s for s in written if s not in subjects and not any(q.startswith(s.removesuffix("*")) for q in subjects)]
    assert unused == []
    assert len(subjects) == len(set(subjects)) == len(written)


def test_code_decides_all_conditions_but_one():
    _, states, _ = planned()
    decided = [c for state in states.values() for c in state.decisions]
    assert [c.condition for c in decided if c.by == "model"] == ["the product stores or moves personal or secret data"]
    assert sum(c.by == "code" for c in decided) >= 10


def test_the_epics_that_were_written_plan_the_stories_of_the_expected_board():
    documents, _, _ = planned()
    plan = read_epics(documents.read("docs/epics.md"))
    assert plan.notes == ()
    assert [story.key for story in plan.stories] == list(EXPECTED["board"])
    by_id = {story.id: story for story in plan.stories}
    for merge in EXPECTED["merges"]:
        assert by_id[merge["id"]].title == merge["title"]
        assert by_id[merge["id"]].depends_on == tuple(by_id[other].key for other in merge["after"])


def test_both_gates_state_a_verdict_that_code_can_read():
    documents, _, _ = planned()
    for name, verdict in EXPECTED["verdicts"].items():
        assert read_verdict(documents.read(f"docs/{name}.md")) == verdict.lower()


@pytest.mark.parametrize("name", sorted({path.split("/")[2] for path in TEXTS.names("workflows")}))
def test_every_workflow_of_the_method_runs_to_its_end_with_all_sections(name: str):
    documents = MemoryDocuments(
        {f"docs/{d}.md": f"# {d}" for d in ("brief", "product-brief", "prd", "architecture", "epics", "quality-gate")}
        | {"docs/stories/1-1-links-in-one-file.md": "# Story 1.1", "README.md": "# Shelf"}
    )
    state, asked = run(name, documents, simple, GIVEN | MORE)
    wanted = "blocked" if name == "deploy" else "complete"  # the answer "it holds" says that its gate failed
    assert (state.status, bool(state.reason)) == (wanted, wanted == "blocked")
    assert not any("· step " in request.messages[0].content.splitlines()[0] for request in asked)
    assert not state.open_questions
    if wanted == "complete":
        assert "{{" not in documents.written[-1][1]


@pytest.mark.parametrize("name", sorted({path.split("/")[2] for path in TEXTS.names("workflows")}))
def test_without_any_document_a_workflow_asks_or_says_what_is_missing(name: str):
    state, asked = run(name, MemoryDocuments(), simple, GIVEN)
    if state.status == "blocked":
        assert state.reason
        assert asked == []
    else:
        assert state.status == "complete"
