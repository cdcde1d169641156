"""The method's own content can be read, and everything that it refers to is there."""

import re
from functools import cache

import pytest
from storyloom.blocks.method_texts import MethodTexts
from storyloom.domain.agent_reader import agent_problems, read_agent
from storyloom.domain.phases import JOBS
from storyloom.domain.safe_yaml import load_yaml
from storyloom.domain.workflow_reader import read_workflow, refuse_errors
from storyloom.domain.workflow_tree import Node, Workflow

TEXTS = MethodTexts()
FACTS = {"project_name", "project_level", "planning_folder", "output_folder", "stories_folder"}
"""Names that the phases give to every workflow."""

JUDGED = {
    "the product stores or moves personal or secret data",
    "the epics leave a decision open that users would notice",
    "the story leaves a decision open that users would notice",
    "the quality gate's verdict is FAIL",
    "the two changes contradict each other",
}
"""Conditions that only judgement can decide; all others are decided by code."""

PHASES = {"analysis", "planning", "solutioning", "implementation", "quality", "deployment", "operations"}


@cache
def files() -> dict[str, str]:
    return {name: TEXTS.read(name) or "" for name in (*TEXTS.names("workflows"), *TEXTS.names("personas"))}


FOLDERS = sorted(name.rsplit("/", 1)[0] for name in files() if name.endswith("/workflow.yaml"))
PERSONAS = sorted(name for name in files() if name.startswith("personas/"))


@cache
def workflow(folder: str) -> Workflow:
    return refuse_errors(read_workflow(folder, files()))


def nodes(found: Workflow, kind: str) -> list[Node]:
    return [node for step in found.steps for node in step.node.walk() if node.kind == kind]


def persona(path: str) -> dict:
    return load_yaml(files()[path], path)["agent"]


def placeholders(text: str) -> set[str]:
    return set(re.findall(r"\{\{(\w+)\}\}", text))


def test_every_phase_has_workflows_and_the_phases_find_theirs():
    assert {folder.split("/")[1] for folder in FOLDERS} == PHASES
    names = [workflow(folder).name for folder in FOLDERS]
    assert len(set(names)) == len(names)
    for phase, jobs in JOBS.items():
        for job in jobs:
            found = workflow(f"workflows/{phase.value}/{job.workflow}")
            assert found.variables["default_output_file"] == f"{{output_folder}}/{job.document}"


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_workflow_is_read_without_a_single_note(folder: str):
    found = workflow(folder)
    assert found.notes == ()
    assert found.kind == "xml"
    assert found.name == folder.split("/")[-1]
    assert found.variables["phase"] == folder.split("/")[1]
    assert f"personas/{found.variables['agent']}.agent.yaml" in PERSONAS
    assert found.description
    assert [step.number for step in found.steps] == [str(n) for n in range(1, len(found.steps) + 1)]
    assert all(step.title for step in found.steps)
    assert all(pattern.get("whole") or pattern.get("sharded") for pattern in found.input_patterns.values())


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_placeholder_has_a_section_or_a_variable_and_every_section_a_placeholder(folder: str):
    found = workflow(folder)
    sections = [node.inner_text() for node in nodes(found, "template-output")]
    assert len(set(sections)) == len(sections)
    assert set(sections) <= placeholders(found.template)
    assert placeholders(found.template) - set(sections) <= FACTS | set(found.variables)


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_name_in_the_instructions_is_known(folder: str):
    found = workflow(folder)
    known = FACTS | set(found.variables) | {f"{group}_content" for group in found.input_patterns}
    known |= {node.attrs["response"] for node in nodes(found, "ask") if "response" in node.attrs}
    text = files()[f"{folder}/instructions.md"]
    assert set(re.findall(r"\{(\w+)\}", text)) <= known


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_engine_is_really_used(folder: str):
    found = workflow(folder)
    asks = nodes(found, "ask")
    assert asks
    assert all(node.attrs.get("response") and node.inner_text().endswith((".", "?")) for node in asks)
    conditions = {node.attrs["if"] for node in nodes(found, "check")}
    assert conditions - JUDGED
    assert len(nodes(found, "invoke-protocol")) == 1
    for step in found.steps:
        kinds = {node.kind for node in step.node.walk()}
        assert "template-output" in kinds or "action" not in outside_of_checks(step.node), step.title


def outside_of_checks(node: Node) -> set[str]:
    """Kinds of nodes below a step that are not inside a check: an action without a section would be asked for alone."""
    found: set[str] = set()
    for child in node.children:
        if child.kind != "check":
            found |= {child.kind} | outside_of_checks(child)
    return found


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_checklist_has_items_and_the_template_a_title(folder: str):
    found = workflow(folder)
    assert found.checklist.startswith("# Checklist: ")
    assert len(re.findall(r"^- \[ \] \S", found.checklist, re.MULTILINE)) >= 4
    assert found.template.startswith("# ")


@pytest.mark.parametrize("path", PERSONAS)
def test_a_persona_says_who_it_is_and_its_menu_leads_to_workflows(path: str):
    agent, read = persona(path), read_agent(path, files())
    assert [note.message for note in agent_problems(path, files()[path]) if note.severity == "error"] == []
    assert (read.name, read.title, len(read.menu)) == (
        agent["metadata"]["name"],
        agent["metadata"]["title"],
        len(agent["menu"]),
    )
    assert path == f"personas/{agent['metadata']['id']}.agent.yaml"
    assert agent["metadata"]["name"].isalpha()
    assert agent["metadata"]["title"]
    assert all(agent["persona"][key].strip() for key in ("role", "identity", "communication_style"))
    assert 4 <= len(agent["persona"]["principles"]) <= 7
    triggers = [item["trigger"] for item in agent["menu"]]
    assert len(set(triggers)) == len(triggers)
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", trigger) for trigger in triggers)
    assert all(item["workflow"] in files() for item in agent["menu"])


def test_every_workflow_stands_on_its_personas_menu_and_names_are_given_once():
    names = [persona(path)["metadata"]["name"] for path in PERSONAS]
    assert len(set(names)) == len(names)
    offered = {(path.split("/")[1].split(".")[0], i["workflow"]) for path in PERSONAS for i in persona(path)["menu"]}
    for folder in FOLDERS:
        assert (workflow(folder).variables["agent"], f"{folder}/workflow.yaml") in offered, folder


def test_the_content_speaks_of_the_method_in_its_own_words():
    for name, text in files().items():
        assert not re.search(r"\bbmad\b", text.replace("{bmad_folder}", ""), re.IGNORECASE), name
        assert all(len(line) < 260 for line in text.splitlines()), name
