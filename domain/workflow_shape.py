"""How do the parts of a workflow hang together: families of step files, mode services, sections, its document?"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence

from .condition_facts import slug
from .control_words import Control, read_control
from .jumps import goto_target
from .workflow_tree import Node, Step, Workflow

INTENTS = {"c": "create", "e": "edit", "v": "validate"}
_CONTINUES = re.compile(r"^step-\d+[a-z]?-continue|-continue\.md$")
_DOCUMENT = re.compile(
    r"\{(?:planning_artifacts|output_folder|implementation_artifacts|sprint_artifacts)\}/[\w.{}\-]+\.md\b"
)
_SECTION = re.compile(r"^[A-Za-z][\w.\- /&]{0,70}$")
ASSIGN = re.compile(r"^\{{0,2}([A-Za-z_]\w*)\}{0,2}\s*=\s*(.+)$")


def families_of(steps: Sequence[Step]) -> dict[str, list[int]]:
    """The step files by folder, each family by its name, in order; steps that only take up an old session left out."""
    families: dict[str, list[int]] = {}
    for index, step in enumerate(steps):
        folder = posixpath.basename(posixpath.dirname(step.file))
        name = re.sub(r"^steps?$|^steps?-|-steps?$", "", folder) or "steps"
        if not _CONTINUES.search(posixpath.basename(step.file)):
            families.setdefault(INTENTS.get(name, name), []).append(index)
    return families


def output_of(workflow: Workflow) -> str:
    """The path, as written, of the document that a workflow writes; "" if it says none.

    Step files name it in their frontmatter, or only in their text: the path that most of them mention.
    """
    named = workflow.variables.get("default_output_file")
    if isinstance(named, str) and named:
        return named
    for step in workflow.steps:
        for key, value in step.variables.items():
            if isinstance(value, str) and re.fullmatch(r"(?i)(?:default_?)?output_?file", key):
                return value
    if workflow.kind == "xml":
        return ""
    mentioned = [found for step in workflow.steps for found in _DOCUMENT.findall(step.node.inner_text())]
    return max(dict.fromkeys(mentioned), key=mentioned.count) if mentioned else ""


def condition_of(node: Node) -> str:
    """The condition that a <check> or an <if> states, "" if none."""
    if node.attrs.get("if"):
        return node.attrs["if"]
    if node.kind == "if":
        name, value = next(iter(node.attrs.items()), ("", ""))
        return f"{name} is {value}" if name else ""
    return ""


def discovers(workflow: Workflow) -> bool:
    """Whether a step says itself when input documents are looked for."""
    return any(node.kind == "invoke-protocol" for step in workflow.steps for node in step.node.walk())


def sections_of(body: str, title: str) -> tuple[list[str], str]:
    """The section names that a template-output asks for, and what else it says about them."""
    lines = [line.strip().lstrip("-*").strip() for line in body.splitlines() if line.strip()]
    if lines and all(ASSIGN.match(line) for line in lines):
        return lines, ""
    parts = [part.strip().strip("{}`\"' ") for line in lines for part in line.split(",") if part.strip()]
    if parts and all(_SECTION.match(part) and len(part.split()) <= 6 for part in parts):
        return list(dict.fromkeys(parts)), ""
    first = next((word for line in lines for word in re.findall(r"\{\{\s*(\w+)\s*\}\}", line)), "")
    heading = re.sub(r"[^\w\s\-]", "", lines[0])[:60].strip() if lines else ""
    return [first or slug(heading) or slug(title) or "section"], body.strip()


def services_of(steps: Sequence[Step]) -> frozenset[int]:
    """Indices of the steps that end a mode service: the first step routes by mode, and the next service begins after.

    Upstream ends each of these regions by words only ("Return to caller"), which must hold even where they are missing.
    """
    if not steps:
        return frozenset()
    routes = [
        control.target
        for node in steps[0].node.walk()
        if node.kind in {"check", "if"} and re.match(r"^\{*\s*mode\s*\}*\s*==", condition_of(node))
        for child in node.walk()
        for control in [goto_of(child)]
        if control
    ]
    if len(routes) < 2:
        return frozenset()
    numbers = [step.number.lower() for step in steps]
    entries = sorted({numbers.index(route.lower()) for route in routes if route.lower() in numbers})
    return frozenset([entry - 1 for entry in entries[1:]] + [len(steps) - 1])


def goto_of(node: Node) -> Control | None:
    """The jump that a tag or an action is, None if it is none."""
    if node.kind == "goto":
        return Control("goto", goto_target(node))
    if node.kind == "action" and (control := read_control(node.inner_text())) and control.kind == "goto":
        return control
    return None
