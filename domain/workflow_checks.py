"""What would keep a workflow from running, as far as reading it tells?"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from .errors import DocumentError, InputError
from .invocations import invoked_file, invoked_path
from .jumps import Landings, goto_target
from .references import References, is_remote
from .workflow_tree import Node, Note, Step, Workflow


def refuse_errors(workflow: Workflow) -> Workflow:
    """The workflow itself.

    Raises:
        DocumentError: it has an error among its notes; the message names the first and counts the others.
    """
    errors = [note for note in workflow.notes if note.severity == "error"]
    if errors:
        others = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        raise DocumentError(
            f"{errors[0].message}{others}",
            path=errors[0].path,
            line=errors[0].line,
            remedy="Correct the file, then run again.",
        )
    return workflow


def variable_cycles(values: Mapping[str, object], place: Mapping[str, int], path: str) -> Iterator[Note]:
    """An error for each variable whose value leads into a circle; `place` has the lines of the keys."""
    nested = values.get("variables")
    flat = {**values, **(nested if isinstance(nested, dict) else {})}
    uses = {
        key.replace("-", "_"): {n.replace("-", "_") for n in re.findall(r"\{([A-Za-z_][\w-]*)\}", value)}
        for key, value in flat.items()
        if isinstance(value, str)
    }
    left = {name: {used for used in names if used in uses} for name, names in uses.items()}
    ends = [name for name, names in left.items() if not names]
    users: dict[str, list[str]] = {}
    for name, names in left.items():
        for used in names:
            users.setdefault(used, []).append(name)
    while ends:  # what leads to an end stands for no circle; what is left leads into one
        ended = ends.pop()
        for name in users.get(ended, []):
            left[name].discard(ended)
            if not left[name]:
                ends.append(name)
    for name in (name for name, names in left.items() if names):
        line = place.get(name, place.get(name.replace("_", "-"), place.get("variables", 1)))
        yield Note(path, line, f"the variable {name!r} leads back to itself or to one that does", "error")


def step_problems(
    steps: Sequence[Step], path: str, entry: str, variables: Mapping[str, object], references: References
) -> Iterator[Note]:
    """Jumps to nowhere, workflows that invoke themselves or cannot be invoked, and outputs outside of the project.

    `path` is the file with the steps (if they are no files of their own), `entry` the workflow's first file.
    """
    landings = Landings(steps)
    for step in steps:
        for node in step.node.walk():
            where = step.file or path
            if node.kind == "goto" and landings.find(goto_target(node)) is None:
                message = f"goto {goto_target(node)!r} leads nowhere: no step and no anchor has this name"
                yield Note(where, node.line, message, "error")
            elif node.kind == "invoke-workflow":
                yield from _invocation(node, where, entry, variables, references)
            elif node.kind == "template-output" and is_remote(node.attrs.get("file", "")):
                yield Note(where, node.line, "template-output: only files of the project are written", "error")


def _invocation(
    node: Node, path: str, entry: str, variables: Mapping[str, object], references: References
) -> Iterator[Note]:
    target = invoked_path(node)
    if not target:
        yield Note(path, node.line, "invoke-workflow names no workflow", "error")
        return
    try:
        found = invoked_file(node, entry.rpartition("/")[0], variables, references)
    except InputError as error:
        known_late = isinstance(error, DocumentError) and not is_remote(target)
        yield Note(path, node.line, f"invoke-workflow: {error.message}", "warning" if known_late else "error")
        return
    if found == entry:
        yield Note(path, node.line, "the workflow invokes itself", "error")
    elif found is None:
        yield Note(path, node.line, f"invoke-workflow: {target!r} does not exist here")
