import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
from storyloom.blocks.method_texts import MethodTexts
from storyloom.domain.errors import ModelRefused
from storyloom.domain.fakes import MemoryDocuments, MemoryShelf, MemoryTexts, ScriptedModels
from storyloom.domain.model_calls import ModelReply
from storyloom.domain.ports import ProjectRef
from storyloom.domain.settings import Project, ProjectConfig, Settings
from storyloom.tasks.ports import Ports, use

pytestmark = [pytest.mark.server, pytest.mark.usefixtures("prefect_harness")]


def scripted(request):
    """A text that follows from the subject, in the form that the request's schema asks for."""
    subject = request.messages[0].content.splitlines()[0].removeprefix("# ")
    answers = {
        "verdict": {"holds": False, "reason": "nothing shows it"},
        "answer": {"answer": f"as simple as can be: {subject}", "confidence": 0.6, "reason": "a guess", "quote": ""},
        "report": {
            "report": f"did {subject}", "document": "", "variables": [], "files": [], "assumptions": [],
            "open_questions": [], "stop": "",
        },
        "checks": {"items": [{"item": "it is there", "verdict": "PASS", "evidence": "line 1"}]},
    }  # fmt: skip
    if request.schema_name == "remaining":
        return ModelReply(content="", parsed={name: f"the {name}" for name in request.schema_["required"]})
    if request.schema_name:
        return ModelReply(content=json.dumps(answers[request.schema_name]))
    return f"Text of {subject}."


class World:
    """One project in memory."""

    def __init__(self, tmp_path, texts, documents=None, answer=scripted):
        self.project = ProjectRef(repository=str(tmp_path))
        self.documents, self.models, self.shelf = MemoryDocuments(documents), ScriptedModels(answer), MemoryShelf()
        config = ProjectConfig(project=Project(name="Shelf", id="shelf"), settings=Settings(questions="simulate"))
        self.ports = Ports(
            self.project, config=config, models=self.models, documents=self.documents, texts=texts, shelf=self.shelf,
            recorder=SimpleNamespace(record=lambda _event: None),
        )  # fmt: skip

    def run(self, workflow, inputs=None, **more):
        from storyloom.flows.run_workflow import run_workflow

        with use(lambda _project: self.ports):
            return run_workflow(self.project, workflow, inputs, **more)


def test_a_workflow_of_the_method_writes_its_whole_document(tmp_path):
    world = World(tmp_path, MethodTexts(), {"docs/brief.md": "A shelf for books.", "docs/product-brief.md": "# Shelf"})
    outcome = world.run("prd")
    assert (outcome.status, outcome.artefacts) == ("complete", ("docs/prd.md",)), outcome.reason
    text = world.documents.read("docs/prd.md")
    assert text.startswith("# Shelf: Product Requirements\n\n## Overview\n\nText of prd · overview.\n")
    assert "{{" not in text
    subjects = [request.messages[0].content.splitlines()[0] for request in world.models.asked]
    assert subjects[0] == "# prd · overview"
    assert subjects[-1] == "# prd · checklist"
    assert all(request.system.startswith("You are ") for request in world.models.asked)
    assert [a.answer[:62] for a in outcome.assumptions] == [
        "as simple as can be: prd · question · When the product cannot "
    ]


def test_a_workflow_without_its_inputs_is_blocked_with_the_reason_and_writes_nothing(tmp_path):
    world = World(tmp_path, MethodTexts())
    outcome = world.run("prd")
    assert (outcome.status, outcome.artefacts) == ("blocked", ())
    assert "nothing to derive requirements from" in outcome.reason
    assert world.documents.written == []
    assert world.models.asked == []


SAMPLE = {
    "workflows/note/workflow.yaml": """
name: note
description: A note about a thing
agent: mary
instructions: instructions.md
template: template.md
validation: checklist.md
default_output_file: "docs/note.md"
input_file_patterns:
  idea: {whole: "docs/idea*.md"}
""",
    "workflows/note/template.md": "# {{project_name}}\n\n{{opening}}\n\n## Points\n\n{{points}}\n\n{{closing}}\n",
    "workflows/note/checklist.md": "- [ ] it is there\n",
    "workflows/note/instructions.md": """
<workflow>
<step n="2" goal="Points"><ask response="tone">Which tone?</ask><action>Use {{tone}}</action>
<template-output>points</template-output>
<template-output>extra</template-output></step>
<step n="1" goal="Open"><action>Begin</action><template-output>opening</template-output></step>
<step n="3" goal="Look around"><check if="something prose decides"><action>Look</action></check>
<action>Remember what was seen</action></step>
<step n="4" goal="Call">
<invoke-workflow path="workflows/side/workflow.yaml"><param>mode: data</param></invoke-workflow></step>
</workflow>
""",
    "workflows/side/workflow.yaml": "name: side\ndescription: x\ninstructions: instructions.md\ntemplate: false\n",
    "workflows/side/instructions.md": """
<workflow><step n="0" goal="Route"><check if="mode == data"><action>Jump to Step 20</action></check>
<check if="mode == check"><action>Jump to Step 10</action></check></step>
<step n="10" goal="Check"><template-output>checked = true</template-output></step>
<step n="20" goal="Data"><template-output>found = 3</template-output></step></workflow>
""",
}


class Killed(BaseException):
    """The process dies here, as far as the run can tell."""


def subjects(models):
    return [request.messages[0].content.splitlines()[0] for request in models.asked]


def test_steps_run_in_numeric_order_and_a_called_service_hands_its_results_back(tmp_path):
    world = World(tmp_path, MemoryTexts(SAMPLE), {"docs/idea.md": "An idea."})
    outcome = world.run("note")
    assert outcome.status == "complete", outcome.reason
    assert outcome.variables["found"] == 3
    assert "checked" not in outcome.variables
    assert subjects(world.models) == [
        "# note · opening",
        "# note · question · Which tone?",
        "# note · points",
        "# note · extra",
        "# note · condition · something prose decides",
        "# note · step 3",
        "# note · remaining sections",
        "# note · checklist",
    ]
    assert world.documents.read("docs/note.md") == (
        "# Shelf\n\nText of note · opening.\n\n## Points\n\nText of note · points.\n\nthe closing\n\n"
        "## Extra\n\nText of note · extra.\n"
    )


@pytest.mark.parametrize("dies_at", range(1, 9))
@pytest.mark.whole
def test_a_run_killed_at_any_call_resumes_and_writes_the_same_document_without_asking_twice(tmp_path, dies_at):
    calls = []

    def dies_once(request):
        calls.append(request.content_key())
        if len(calls) == dies_at:
            raise Killed
        return scripted(request)

    world = World(tmp_path, MemoryTexts(SAMPLE), {"docs/idea.md": "An idea."}, dies_once)
    with pytest.raises(Killed):
        world.run("note")
    outcome = world.run("note")
    assert outcome.status == "complete"
    undisturbed = World(tmp_path / "other", MemoryTexts(SAMPLE), {"docs/idea.md": "An idea."})
    undisturbed.run("note")
    assert world.documents.texts == undisturbed.documents.texts
    assert subjects(world.models) == subjects(undisturbed.models)
    finished = [key for at, key in enumerate(calls, 1) if at != dies_at]
    assert len(finished) == len(set(finished))


def test_running_again_calls_nobody_and_changes_nothing_until_an_input_or_the_document_changes(tmp_path):
    world = World(tmp_path, MemoryTexts(SAMPLE), {"docs/idea.md": "An idea."})
    first = world.run("note")
    asked = len(world.models.asked)
    assert world.run("note") == first
    assert (len(world.models.asked), world.models.repeated) == (asked, [])
    world.documents.write("docs/idea.md", "Another idea.")
    assert world.run("note").status == "complete"
    assert len(world.models.asked) > asked


QUESTION = {
    "workflows/q/workflow.yaml": "name: q\ninstructions: i.md\ntemplate: false\ndefault_output_file: docs/q.md\n",
    "workflows/q/i.md": (
        "<workflow><step n='1' goal='Ask'><action>Think</action><ask response='tone'>Which tone?</ask>"
        "<template-output>text</template-output></step></workflow>"
    ),
}


def test_a_question_for_a_person_is_set_aside_and_its_answer_goes_on_from_there(tmp_path):
    from storyloom.domain.escalations import Answer, Question
    from storyloom.tasks.questions import keep_answer

    world = World(tmp_path, MemoryTexts(QUESTION))
    settings = Settings(questions="person", when_asked="set_aside")
    world.ports = replace(world.ports, config=ProjectConfig(project=Project(name="Shelf"), settings=settings))
    outcome = world.run("q")
    assert (outcome.status, outcome.reason) == ("blocked", "waits for an answer: Which tone?")
    assert outcome.question.recommendation.startswith("as simple as can be")
    assert world.documents.written == []
    asked = Question(project=str(tmp_path), workflow="q", step="step 1 Ask", question="Which tone?")
    keep_answer(world.ports, asked, Answer(answer="dry", source="person", by="Kim"))
    outcome = world.run("q")
    assert (outcome.status, outcome.variables["tone"], outcome.assumptions) == ("complete", "dry", ())
    assert subjects(world.models) == ["# q · question · Which tone?", "# q · text"]
    assert world.models.repeated == []


def test_a_workflow_that_calls_itself_through_another_stops_with_the_chain(tmp_path):
    ring = {}
    for name, other in (("a", "b"), ("b", "a")):
        ring[f"workflows/{name}/workflow.yaml"] = f"name: {name}\ninstructions: i.md\ntemplate: false\n"
        ring[f"workflows/{name}/i.md"] = (
            f"<workflow><step n='1'><invoke-workflow path='workflows/{other}/workflow.yaml'/></step></workflow>"
        )
    world = World(tmp_path, MemoryTexts(ring))
    outcome = world.run("a")
    assert (outcome.status, outcome.steps_done, world.models.asked) == ("complete", ("step 1",), [])


def test_an_unknown_and_a_broken_workflow_are_blocked_before_anything_changes(tmp_path):
    files = {**QUESTION, "workflows/q/i.md": "<workflow>\n<step n='1'><goto step='5'>x</goto></step></workflow>"}
    world = World(tmp_path, MemoryTexts(files))
    assert "There is no workflow 'z'" in world.run("z").reason
    outcome = world.run("q")
    assert outcome.status == "blocked"
    assert "workflows/q/i.md:2" in outcome.reason
    assert (world.documents.written, world.shelf.kept) == ([], {})


def test_a_changed_document_begins_a_new_run_and_fresh_does_too(tmp_path):
    world = World(tmp_path, MemoryTexts(QUESTION))
    world.run("q", {"tone": "dry"})
    calls = len(world.models.asked) + len(world.models.repeated)
    world.documents.write("docs/q.md", "changed by a person\n")
    world.run("q", {"tone": "dry"})
    assert len(world.models.asked) + len(world.models.repeated) > calls
    calls = len(world.models.asked) + len(world.models.repeated)
    world.run("q", {"tone": "dry"}, fresh=True)
    assert len(world.models.asked) + len(world.models.repeated) > calls


def test_a_run_that_ended_blocked_is_tried_again_and_a_fresh_one_asks_anew(tmp_path):
    files = {**QUESTION, "workflows/q/i.md": QUESTION["workflows/q/i.md"].replace(
        "<action>Think</action>", "<check if='it is too early'><action>HALT: too early</action></check>"
    )}  # fmt: skip
    early = [True]

    def answer(request):
        if request.schema_name == "verdict":
            return json.dumps({"holds": early[0], "reason": ""})
        return scripted(request)

    world = World(tmp_path, MemoryTexts(files), answer=answer)
    assert world.run("q", {"tone": "dry"}).reason == "too early"
    early[0] = False
    world.models._journal.clear()  # what the model would say has changed
    assert world.run("q", {"tone": "dry"}).status == "complete"
    asked = len(world.models.asked)
    assert world.run("q", {"tone": "dry"}, fresh=True).status == "complete"
    assert [request.sample for request in world.models.asked[asked:]] == [1, 1]


def test_a_model_that_refuses_ends_the_run_with_the_reason_and_it_goes_on_from_there(tmp_path):
    broken = [True]

    def answer(request):
        if broken[0] and request.messages[0].content.startswith("# note · points"):
            raise ModelRefused("It declined.")
        return scripted(request)

    world = World(tmp_path, MemoryTexts(SAMPLE), {"docs/idea.md": "An idea."}, answer)
    outcome = world.run("note")
    assert (outcome.status, outcome.reason, outcome.interrupted) == ("blocked", "It declined.", True)
    assert outcome.artefacts == ("docs/note.md",)
    broken[0] = False
    asked = subjects(world.models)
    assert world.run("note").status == "complete"
    assert subjects(world.models)[len(asked)] == "# note · points"


def test_a_caller_stops_with_the_workflow_that_it_calls(tmp_path):
    files = {**QUESTION, "workflows/c/workflow.yaml": "name: c\ninstructions: i.md\ntemplate: false\n"}
    files["workflows/c/i.md"] = (
        "<workflow><step n='1'><invoke-workflow path='workflows/q/workflow.yaml'/></step>"
        "<step n='2'><action>go on</action></step></workflow>"
    )
    world = World(tmp_path, MemoryTexts(files))
    settings = Settings(questions="person", when_asked="set_aside")
    world.ports = replace(world.ports, config=ProjectConfig(project=Project(name="Shelf"), settings=settings))
    outcome = world.run("c")
    assert outcome.interrupted
    assert outcome.reason.endswith("stopped: waits for an answer: Which tone?")
    assert subjects(world.models) == ["# q · question · Which tone?"]


@pytest.mark.whole
def test_a_document_that_was_lost_is_written_again_without_a_call(tmp_path):
    world = World(tmp_path, MemoryTexts(QUESTION))
    first = world.run("q", {"tone": "dry"})
    asked = len(world.models.asked)
    text = world.documents.texts.pop("docs/q.md")
    world.ports = replace(world.ports, shelf=MemoryShelf())  # nothing is known of the run but its results
    assert world.run("q", {"tone": "dry"}) == first
    assert (world.documents.read("docs/q.md"), len(world.models.asked)) == (text, asked)
