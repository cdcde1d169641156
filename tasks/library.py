"""Which workflow and which persona are meant by a name, and what would a run of it ask of a model at most?"""

from __future__ import annotations

import difflib
import hashlib
import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from ..domain.agent_reader import Persona as Agent
from ..domain.agent_reader import find_agents, read_agent
from ..domain.compiler import compile_workflow
from ..domain.errors import DocumentError, InputError, WorkflowError
from ..domain.installed_config import read_config
from ..domain.program import Program
from ..domain.prompts import BY_WORD, DEFAULT_PERSONA, PERSONAS, ROLES, Persona
from ..domain.references import References
from ..domain.workflow_catalog import find_workflows, pick
from ..domain.workflow_plan import plan_workflow
from ..domain.workflow_reader import read_workflow, refuse_errors
from ..domain.workflow_tree import Workflow
from .ports import Ports

MOST_KEPT = 64
_opened: dict[str, Opened] = {}  # by digest: what a task finds again without reading
_read_agents: dict[str, list[Agent]] = {}  # by the digest of their texts


@dataclass(frozen=True)
class Opened:
    """A workflow ready to run. `digest` stands for everything that it was read from, persona and configuration too."""

    program: Program
    persona: Persona
    config: Mapping[str, object]
    digest: str

    @property
    def workflow(self) -> Workflow:
        """The workflow as read."""
        return self.program.workflow


@dataclass(frozen=True)
class PlannedCalls:
    """How many model calls a run makes at most if it takes each step once, and by which model."""

    most: int
    model: str


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
        ours = [one for one in ends if one.path.startswith("workflows/")]
        if len(ours) == 1 and len(ends) > 1:  # a bare name means the project's own method before an installed one
            return ours[0].path
        if len(meant) == 1 or len(ends) == 1:
            return (ends or list(meant))[0].path
        if meant:
            choices = ", ".join(one.id for one in meant)
            raise WorkflowError(f"{name!r} may be any of {choices}.", remedy="Name one of these.")
    known = [one.id for one in found]
    near = difflib.get_close_matches(tail, known, 5, 0.3) or known[:10]
    raise WorkflowError(f"There is no workflow {name!r}.", remedy=f"Near it: {', '.join(near) or 'none'}.")


def open_workflow(ports: Ports, name: str) -> Opened:
    """The workflow of that name, read and compiled.

    Raises:
        WorkflowError: there is none of that name, or a jump in it leads nowhere.
        DocumentError: it cannot be run as it is written; with file and line.
    """
    files = _Files(ports, "")
    path = _find(files, name)
    workflow = _with_template(refuse_errors(read_workflow(path, files)), files)
    persona = _persona(workflow, files)
    module = next((one.module for one in find_workflows(files) if one.path == path), "")
    config = read_config(files, module)
    digest = hashlib.sha256(f"{workflow!r}\0{persona!r}\0{config!r}".encode()).hexdigest()
    if digest not in _opened:
        program = compile_workflow(workflow)
        for note in program.notes:
            if note.severity == "error":
                raise WorkflowError(f"{note.path}:{note.line}: {note.message}.", remedy="Correct the workflow.")
        while len(_opened) >= MOST_KEPT:
            _opened.pop(next(iter(_opened)), None)
        _opened[digest] = Opened(program, persona, config, digest)
    return _opened[digest]


def opened(ports: Ports, name: str, digest: str) -> Opened:
    """The workflow that was opened before with this digest, read again in a process that does not know it yet.

    Raises:
        WorkflowError: it has changed since.
    """
    found = _opened.get(digest) or open_workflow(ports, name)
    if found.digest != digest:
        raise WorkflowError(f"The workflow {name!r} was changed while it ran.", remedy="Start the run again.")
    return found


def planned_calls(ports: Ports, name: str) -> PlannedCalls:
    """What a run of a workflow asks of a model at most.

    Raises:
        WorkflowError, DocumentError: as `open_workflow`.
    """
    found = open_workflow(ports, name)
    model = ports.config.agents.get(found.persona.id, "standard")
    plan = plan_workflow(found.program, {"project_name": "", "date": "", "project_level": ports.config.project.level})
    return PlannedCalls(plan.most_calls, model if isinstance(model, str) else model[0])


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


def _persona(workflow: Workflow, files: Mapping[str, str]) -> Persona:
    """Who speaks: the agent that the workflow names, else one that offers it, else by a word of its name."""
    agents = _agents(files)
    named = (workflow.persona or str(workflow.variables.get("agent") or "")).strip().lower()
    wanted = {named, ROLES.get(named, named)} if named else set()
    chosen = next((agent for agent in agents if {agent.id.lower(), agent.name.lower()} & wanted), None)
    chosen = chosen or (_offering(workflow, agents, files) if not named else None)
    if chosen is None:
        guess = next((who for word, who in BY_WORD.items() if word in workflow.name.lower()), DEFAULT_PERSONA)
        known = PERSONAS.get(ROLES.get(named, named)) or PERSONAS[guess]
        chosen = next((agent for agent in agents if known.id in (agent.id, agent.name.lower())), None)
        if chosen is None:
            return known
    return Persona(
        id=chosen.id,
        name=chosen.name,
        title=chosen.title,
        role=chosen.role,
        identity=chosen.identity.strip(),
        communication_style=chosen.communication_style.strip(),
        principles=chosen.principles,
    )


def _agents(files: Mapping[str, str]) -> list[Agent]:
    """All agents that can be read, found again as long as their texts stay the same."""
    paths = find_agents(files)
    texts = [path + files[path] for path in files if path in paths or "customize" in path or "/custom/" in path]
    key = hashlib.sha256("\0".join(texts).encode()).hexdigest()
    if key not in _read_agents:
        agents = []
        for path in paths:
            try:
                agents.append(read_agent(path, files))
            except DocumentError:
                continue  # `storyloom workflow validate` says what is wrong with it
        while len(_read_agents) >= MOST_KEPT:
            _read_agents.pop(next(iter(_read_agents)), None)
        _read_agents[key] = agents
    return _read_agents[key]


def _offering(workflow: Workflow, agents: list[Agent], files: Mapping[str, str]) -> Agent | None:
    references = References(files)
    for agent in agents:
        for item in agent.menu:
            try:
                if item.target and references.find_workflow(item.target, "") == workflow.path:
                    return agent
            except InputError:
                continue
    return None
