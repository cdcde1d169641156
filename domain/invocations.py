"""Which workflows does a workflow start, and do any of them lead back to it?"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from .errors import InputError
from .references import References
from .resolver import Resolver
from .workflow_tree import Node, Note, Workflow


def invoked_path(node: Node) -> str:
    """The workflow that an <invoke-workflow> names, by attribute or as its text; "" if it names none."""
    body = "".join(child.text for child in node.children if child.kind == "text")
    first = (node.attrs.get("path") or body).strip().split("\n")[0]
    return re.sub(r"^(?:workflow|path)\s*:\s*", "", first).strip()


def invoked_file(node: Node, folder: str, variables: Mapping[str, object], references: References) -> str | None:
    """The first file of the workflow that an <invoke-workflow> starts; None if it is not among the files.

    Raises:
        UnsafePath: its path leads out of the project.
        DocumentError: its path is an address on the network, or holds a variable without a value.
    """
    target = Resolver(variables=variables).text(invoked_path(node)).text
    return references.find_workflow(target, folder) if target else None


def invocations(workflow: Workflow, references: References) -> Iterator[tuple[Node, str]]:
    """Every <invoke-workflow> of a workflow with the first file of the workflow that it starts, where that is known."""
    for step in workflow.steps:
        for node in step.node.walk():
            if node.kind == "invoke-workflow":
                try:
                    target = invoked_file(node, workflow.folder, workflow.variables, references)
                except InputError:
                    continue
                if target:
                    yield node, target


def invocation_cycles(workflows: Mapping[str, Workflow], references: References) -> tuple[Note, ...]:
    """An error for each workflow that, by way of others, starts itself again; `workflows` by their first files."""
    starts = {path: dict(_first_nodes(workflow, references)) for path, workflow in workflows.items()}
    notes = []
    for path, targets in starts.items():
        for target, node in targets.items():
            way = _way_back(target, path, starts)
            if way:
                names = " → ".join(workflows[p].name for p in (path, *way) if p in workflows)
                message = f"the workflow starts itself again: {names}"
                notes.append(Note(workflows[path].path, node.line, message, "error"))
    return tuple(notes)


def _first_nodes(workflow: Workflow, references: References) -> Iterator[tuple[str, Node]]:
    seen: set[str] = set()
    for node, target in invocations(workflow, references):
        if target not in seen and target != workflow.path:  # its own name is reported where it is read
            seen.add(target)
            yield target, node


def _way_back(start: str, goal: str, starts: Mapping[str, Mapping[str, Node]]) -> list[str]:
    """The way from one workflow to another, both included; [] if there is none."""
    before: dict[str, str] = {start: ""}
    todo = [start]
    while todo:
        here = todo.pop(0)
        if here == goal:
            way = [here]
            while before[way[0]]:
                way.insert(0, before[way[0]])
            return way
        for there in starts.get(here, {}):
            if there not in before:
                before[there] = here
                todo.append(there)
    return []
