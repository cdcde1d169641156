import json

import pytest
from storyloom.blocks.method_texts import MethodTexts
from storyloom.domain.fakes import MemoryDocuments, MemoryShelf, ScriptedModels
from storyloom.domain.model_calls import ModelReply
from storyloom.domain.ports import ProjectRef
from storyloom.domain.settings import Project, ProjectConfig
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
        self.ports = Ports(
            self.project, config=ProjectConfig(project=Project(name="Shelf", id="shelf")), models=self.models,
            documents=self.documents, texts=texts, shelf=self.shelf,
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
