"""Which workflow and which persona are meant by a name?"""

from __future__ import annotations

import difflib
import hashlib
import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

import yaml

from ..domain.errors import InputError, WorkflowError
from ..domain.program import Program, compile_workflow
from ..domain.prompts import BY_WORD, DEFAULT_PERSONA, PERSONAS, ROLES, Persona
from ..domain.references import References
from ..domain.workflow_catalog import find_workflows, pick
from ..domain.workflow_reader import read_workflow, refuse_errors
from ..domain.workflow_tree import Workflow
from .ports import Ports

_compiled: dict[str, Program] = {}


class _Files(Mapping[str, str]):
    """The project's texts below a folder as a mapping; a text is read when it is asked for."""

    def __init__(self, ports: Ports, under: str) -> None:
        self.texts = ports.texts
        self.paths = dict.fromkeys(ports.texts.names(under))

    def __getitem__(self, path: str) -> str:
        if path not in self.paths:
            raise KeyError(path)
        return self.texts.read(path) or ""

    def __iter__(self) -> Iterator[str]:
        return iter(self.paths)

    def __len__(self) -> int:
        return len(self.paths)


def find_workflow(ports: Ports, name: str) -> str:
    """The path of a workflow's first file among the project's texts, by its name, id, folder or (end of a) path.

    Raises:
        WorkflowError: there is none of that name, or more than one.
    """
    return _find(_Files(ports, ""), name)


def _find(files: Mapping[str, str], name: str) -> str:
    plain = name.strip().rsplit("{project-root}/", 1)[-1].removeprefix("./").strip("/")
    if plain in files:
        return plain
    tail = re.sub(r"^(?:_bmad|\.bmad|bmad)/", "", re.sub(r"/?(?:workflow\.(?:ya?ml|md)|SKILL\.md)$", "", plain))
    found = find_workflows(files)
    for asked in dict.fromkeys([name, plain, tail, posixpath.basename(tail)]):
        meant = pick(found, asked)
        ends = [one for one in meant if posixpath.dirname(one.path).endswith(tail)]
        if len(meant) == 1 or len(ends) == 1:
            return (ends or list(meant))[0].path
        if meant:
            choices = ", ".join(one.id for one in meant)
            raise WorkflowError(f"{name!r} may be any of {choices}.", remedy="Name one of these.")
    known = [one.id for one in found]
    near = difflib.get_close_matches(tail, known, 5, 0.3) or known[:10]
    raise WorkflowError(f"There is no workflow {name!r}.", remedy=f"Near it: {', '.join(near) or 'none'}.")


def open_workflow(ports: Ports, name: str) -> Workflow:
    """The workflow of that name, read.

    Raises:
        WorkflowError: there is none of that name.
        DocumentError: it cannot be run as it is written; with file and line.
    """
    files = _Files(ports, "")
    return _with_template(refuse_errors(read_workflow(_find(files, name), files)), files)


def _with_template(workflow: Workflow, files: Mapping[str, str]) -> Workflow:
    """A workflow of step files with the template that its first step, or its own frontmatter, names."""
    if workflow.kind != "steps" or workflow.template:
        return workflow
    named = {**(workflow.steps[0].variables if workflow.steps else {}), **workflow.variables}
    references = References(files)
    for key, value in named.items():
        if isinstance(value, str) and "template" in key.lower() and value.endswith(".md"):
            try:
                path = references.find(value, workflow.folder)
            except InputError:
                continue
            if path:
                return replace(workflow, template=files[path])
    return workflow


def program_of(ports: Ports, name: str) -> tuple[Program, str]:
    """The compiled workflow and the digest of all that it was read from.

    Raises:
        WorkflowError: there is none, or a jump in it leads nowhere.
    """
    workflow = open_workflow(ports, name)
    digest = hashlib.sha256(repr(workflow).encode()).hexdigest()
    if digest not in _compiled:
        program = compile_workflow(workflow)
        wrong = [note for note in program.notes if note.severity == "error"]
        if wrong:
            first = wrong[0]
            raise WorkflowError(
                f"{first.path}:{first.line}: {first.message}.", remedy="Correct the workflow, then run it again."
            )
        _compiled[digest] = program
    return _compiled[digest], digest


def persona_of(ports: Ports, workflow: Workflow) -> Persona:
    """Who speaks in a workflow: the agent it names, as the project or the method describes that one."""
    guess = next((who for word, who in BY_WORD.items() if word in workflow.name.lower()), DEFAULT_PERSONA)
    wanted = (workflow.persona or str(workflow.variables.get("agent") or guess)).lower()
    name = ROLES.get(wanted, wanted)
    loaded = yaml.safe_load(ports.texts.read(f"personas/{name}.agent.yaml") or "") or {}
    agent = loaded.get("agent") or {}
    meta, about = agent.get("metadata") or {}, agent.get("persona") or {}
    known = PERSONAS.get(name, PERSONAS[DEFAULT_PERSONA])
    if not meta:
        return known
    principles = about.get("principles") or ()
    return Persona(
        id=name,
        name=str(meta.get("name") or known.name),
        title=str(meta.get("title") or known.title),
        role=str(about.get("role") or ""),
        identity=str(about.get("identity") or "").strip(),
        communication_style=str(about.get("communication_style") or "").strip(),
        principles=(principles,) if isinstance(principles, str) else tuple(str(one) for one in principles),
    )
