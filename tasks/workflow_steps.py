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

from ..domain.model_calls import Value
from ..domain.ports import ProjectRef
from ..domain.program import step_name
from ..domain.run_state import RunState
from .library import Opened, opened
from .ports import ports_for
from .recording import tags_for
from .retries import may_pass
from .workflow_begin import initial_state
from .workflow_machine import Machine, RunOptions

# ruff: noqa: ARG001 - parameters of a task are what its key is made of, used or not
VERSION = "2"


class RunRef(Value):
    """Which run of which workflow: `digest` stands for the workflow's content, `options` for how it is run."""

    project: ProjectRef
    workflow: str
    digest: str
    options: RunOptions = RunOptions()


def content_key(_context: TaskRunContext, parameters: dict[str, Any]) -> str:
    """The cache key of a step: all its parameters but its label."""
    kept = {name: _plain(value) for name, value in parameters.items() if name != "label"}
    body = json.dumps(kept, sort_keys=True, ensure_ascii=False)
    return f"workflow-step-v{VERSION}-{hashlib.sha256(body.encode()).hexdigest()}"


def _plain(value: Any) -> Any:
    """A parameter as JSON; of the project only its place, since settings of one run (a budget) change no result."""
    if isinstance(value, RunRef):
        return {**value.model_dump(mode="json", exclude={"project"}), "repository": value.project.repository}
    return value


@task(
    name="begin-workflow", task_run_name="{label}", cache_key_fn=content_key, persist_result=True,
    retries=2, retry_delay_seconds=[2, 10], retry_condition_fn=may_pass,
)  # fmt: skip
def begin_workflow(run: RunRef, inputs: dict[str, str], world: str, sample: int, label: str) -> str:
    """The state in which a run begins; `world` tells beginnings apart that found other documents."""
    today = datetime.now(UTC).date().isoformat()
    state = initial_state(ports_for(run.project), found(run), inputs, today, world)
    state = state.model_copy(update={"sample": sample})
    return machine_of(run).desk.adopt(state).model_dump_json()


@task(
    name="workflow-step", task_run_name="{label}", cache_key_fn=content_key, persist_result=True,
    retries=2, retry_delay_seconds=[2, 10], retry_condition_fn=may_pass,
)  # fmt: skip
def run_step(run: RunRef, state: str, label: str) -> str:
    """The state after the step in which `state` stands."""
    return machine_of(run).run_step(RunState.model_validate_json(state)).model_dump_json()


@task(
    name="finish-workflow", task_run_name="{label}", cache_key_fn=content_key, persist_result=True,
    retries=2, retry_delay_seconds=[2, 10], retry_condition_fn=may_pass,
)  # fmt: skip
def finish_workflow(run: RunRef, state: str, label: str) -> str:
    """The state of an ended run with its document completed and checked."""
    return machine_of(run).finish(RunState.model_validate_json(state)).model_dump_json()


def settle(run: RunRef, state: RunState) -> None:
    """Make the project's documents hold what the state says, whether its steps ran now or were found again."""
    desk = machine_of(run).desk
    for key in state.drafts:
        desk.save(state, key)
    for path, text in state.files.items():
        desk.write(path, text)


def label_of(run: RunRef, state: RunState | None = None, what: str = "") -> str:
    """What a task run is called: "john · prd · step 2 functional requirements"."""
    it = found(run)
    step = step_name(it.program, it.program.step_at(state.at)) if state else what
    return f"{it.persona.id} · {it.workflow.name} · {step or 'end'}"


def found(run: RunRef) -> Opened:
    """The workflow of a run."""
    return opened(ports_for(run.project), run.workflow, run.digest)


def machine_of(run: RunRef) -> Machine:
    """What carries out a run's steps."""
    ports, it = ports_for(run.project), found(run)
    tags = tags_for(ports, phase=str(it.workflow.variables.get("phase") or ""))
    return Machine(ports, it.program, it.persona, run.options, tags)
