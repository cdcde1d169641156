"""How does a step of a workflow become a task run that is kept, found again and shown?

The result of a step is the run's next state as JSON text. Its key is made of the workflow's content, the state before
and the project, so a killed run finds its finished steps again, and a changed workflow or input does not.
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

from prefect import task
from prefect.context import TaskRunContext
from pydantic import JsonValue

from ..domain import sequencer
from ..domain.ports import ProjectRef
from ..domain.program import Program
from ..domain.resolver import Resolver
from ..domain.run_state import ENDED, Outcome, RunState
from ..domain.safe_yaml import load_yaml
from .library import persona_of, program_of
from .ports import Ports, ports_for
from .recording import tags_for
from .retries import may_pass
from .workflow_machine import Machine, RunOptions

# ruff: noqa: ARG001 - parameters of a task are what its key is made of, used or not
VERSION = "1"
SYSTEM_NAMES = {"date", "current_date", "today"}


def content_key(_context: TaskRunContext, parameters: dict[str, Any]) -> str:
    """The cache key of a step: all its parameters but its label."""
    kept = {name: _plain(value) for name, value in parameters.items() if name != "label"}
    body = json.dumps(kept, sort_keys=True, ensure_ascii=False)
    return f"workflow-step-v{VERSION}-{hashlib.sha256(body.encode()).hexdigest()}"


def _plain(value: Any) -> Any:
    return value.model_dump(mode="json") if hasattr(value, "model_dump") else value


@task(
    name="begin-workflow", task_run_name="{label}", cache_key_fn=content_key, persist_result=True,
    retries=2, retry_delay_seconds=[2, 10], retry_condition_fn=may_pass,
)  # fmt: skip
def begin_workflow(
    project: ProjectRef, workflow: str, content: str, inputs: dict[str, str], world: str, label: str
) -> str:
    """The state in which a run begins; `world` tells beginnings apart that found other documents."""
    ports = ports_for(project)
    program, _ = program_of(ports, workflow)
    today = datetime.now(UTC).date().isoformat()
    state = initial_state(ports, program, inputs, today, world)
    return _machine(project, workflow, RunOptions()).adopt(state).model_dump_json()


@task(
    name="workflow-step", task_run_name="{label}", cache_key_fn=content_key, persist_result=True,
    retries=2, retry_delay_seconds=[2, 10], retry_condition_fn=may_pass,
)  # fmt: skip
def run_step(project: ProjectRef, workflow: str, content: str, state: str, options: RunOptions, label: str) -> str:
    """The state after the step in which `state` stands."""
    return _machine(project, workflow, options).run_step(RunState.model_validate_json(state)).model_dump_json()


@task(
    name="finish-workflow", task_run_name="{label}", cache_key_fn=content_key, persist_result=True,
    retries=2, retry_delay_seconds=[2, 10], retry_condition_fn=may_pass,
)  # fmt: skip
def finish_workflow(
    project: ProjectRef, workflow: str, content: str, state: str, options: RunOptions, label: str
) -> str:
    """The state of an ended run with its document completed and checked."""
    return _machine(project, workflow, options).finish(RunState.model_validate_json(state)).model_dump_json()


def initial_state(ports: Ports, program: Program, inputs: dict[str, str], today: str, world: str = "") -> RunState:
    """The state in which a run begins: variables resolved, inputs on top."""
    workflow = program.workflow
    facts = _facts(ports, str(workflow.variables.get("config_source") or ""))
    system = {
        "project-root": ".",
        "project_root": ".",
        "installed_path": workflow.folder,
        **dict.fromkeys(SYSTEM_NAMES, today),
    }
    system |= {"current_year": today[:4], "current_month": today[5:7]}
    resolver = Resolver(variables=workflow.variables, config=facts, system=system, runtime=inputs)
    variables: dict[str, JsonValue] = {}
    for name in (*facts, *workflow.variables, *system, *inputs):
        value = resolver.value(name)
        if value is not None and value != "" and not isinstance(value, dict) and name not in _PARTS:
            variables[str(name)] = json.loads(json.dumps(value, default=str))
    given: dict[str, JsonValue] = dict(inputs)
    return RunState(workflow=workflow.name, variables=variables, given=given, today=today, world=world)


def _facts(ports: Ports, config_source: str) -> dict[str, object]:
    """What is known of the project: an installed module's configuration over what the settings say."""
    settings, project = ports.config.settings, ports.config.project
    planning, stories = settings.planning_folder, settings.stories_folder
    facts: dict[str, object] = {
        "project_name": project.name or project.id or ports.project.repository.rstrip("/").rsplit("/", 1)[-1],
        "project_level": project.level,
        "non_interactive": True,
        "user_name": "the owner",
        "user_skill_level": "intermediate",
        "communication_language": "English",
        "document_output_language": "English",
        **dict.fromkeys(("planning_folder", "output_folder", "planning_artifacts", "project_knowledge"), planning),
        **dict.fromkeys(("stories_folder", "sprint_artifacts", "implementation_artifacts", "story_dir"), stories),
    }
    path = config_source.rsplit("{project-root}/", 1)[-1].rsplit("{project_root}/", 1)[-1]
    text = ports.documents.read(path) if config_source and "{" not in path else None
    loaded = load_yaml(text, path) if text else None
    return {**facts, **loaded} if isinstance(loaded, dict) else facts


_PARTS = frozenset({
    "name", "description", "author", "instructions", "template", "validation", "web_bundle", "input_file_patterns",
    "config_source", "standalone", "required_tools", "tags", "execution_hints", "phase", "agent", "variables",
})  # fmt: skip


def settle(project: ProjectRef, workflow: str, state: RunState, options: RunOptions) -> None:
    """Make the project's documents hold what the state says, whether its steps ran now or were found again."""
    ports = ports_for(project)
    machine = _machine(project, workflow, options)
    for key in state.drafts:
        machine.save(state, key)
    for path, text in state.files.items():
        if ports.documents.read(path) != text:
            ports.documents.write(path, text)


def speaker(project: ProjectRef, workflow: str) -> str:
    """How a workflow's task runs are called, before what each one does: "john · prd"."""
    ports = ports_for(project)
    program, _ = program_of(ports, workflow)
    return f"{persona_of(ports, program.workflow).id} · {program.workflow.name}"


def next_label(project: ProjectRef, workflow: str, state: RunState) -> str:
    """What the next step's task run is called: "john · prd · step 2 functional requirements"."""
    program, _ = program_of(ports_for(project), workflow)
    return f"{speaker(project, workflow)} · {sequencer.step_name(program, program.step_at(state.at)) or 'end'}"


def outcome_of(project: ProjectRef, workflow: str, state: RunState, options: RunOptions) -> Outcome:
    """The headless result of a run."""
    machine = _machine(project, workflow, options)
    paths = [machine.path_of(state, key) for key in state.drafts]
    failed = [item for item, verdict in state.checks.items() if verdict == "FAIL"]
    status, reason = (state.status, state.reason) if state.status in ENDED else ("blocked", state.reason)
    if state.status == "waiting" and state.question:
        reason = f"waits for an answer: {state.question.question}"
    if status == "complete" and failed:
        status, reason = "partial", f"the checklist failed: {'; '.join(failed)[:300]}"
    return Outcome(
        workflow=state.workflow,
        status=status,
        reason=reason,
        artefacts=tuple(dict.fromkeys(path for path in (*paths, *state.files) if path)),
        assumptions=state.assumptions,
        open_questions=state.open_questions,
        decisions=state.decisions,
        checks=state.checks,
        steps_done=state.steps_done,
        skipped=state.skipped,
        variables=_results(state),
        model_calls=state.model_calls,
        question=state.question if state.status == "waiting" else None,
    )


def _results(state: RunState) -> dict[str, JsonValue]:
    """What a workflow that called this one may use: its results, without the documents' whole text."""
    sections = {name: text for key, draft in state.drafts.items() if not key for name, text in draft.sections.items()}
    known = {**sections, **state.variables}
    return {name: value for name, value in known.items() if not isinstance(value, str) or len(value) < 2_000}


def _machine(project: ProjectRef, workflow: str, options: RunOptions) -> Machine:
    ports = ports_for(project)
    program, _ = program_of(ports, workflow)
    tags = tags_for(ports, phase=str(program.workflow.variables.get("phase") or ""))
    return Machine(ports, program, persona_of(ports, program.workflow), options, tags)
