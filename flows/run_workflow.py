"""How does a workflow run from its first step to its end?"""

from __future__ import annotations

from collections.abc import Mapping

from prefect import flow
from pydantic import JsonValue

from ..domain.errors import InputError, WorkflowError
from ..domain.escalations import Question
from ..domain.ports import ProjectRef
from ..domain.program import Program
from ..domain.run_state import ENDED, Outcome, RunState
from ..domain.sequencer import decided, returned
from ..tasks.library import program_of
from ..tasks.ports import ports_for
from ..tasks.workflow_machine import RunOptions
from ..tasks.workflow_runs import close_run, open_run
from ..tasks.workflow_steps import begin_workflow, finish_workflow, next_label, outcome_of, run_step, settle, speaker
from .asking import settle as settle_question

MAX_DEPTH = 6
MAX_STEPS = 500


@flow(name="run-workflow", flow_run_name="{workflow}")
def run_workflow(
    project: ProjectRef,
    workflow: str,
    inputs: dict[str, str] | None = None,
    options: RunOptions | None = None,
    callers: tuple[str, ...] = (),
    fresh: bool = False,
) -> Outcome:
    """Run a workflow to its end, or to the question that waits for a person.

    `inputs` answer questions by the name of their variable. Running it again goes on where a run was interrupted, and
    returns the same outcome when it had ended and its documents are as it left them; `fresh` begins anew.
    """
    options = options or RunOptions()
    try:
        program, content = program_of(ports_for(project), workflow)
    except (WorkflowError, InputError) as error:
        return Outcome(workflow=workflow, status="blocked", reason=str(error))
    if program.workflow.path in callers or len(callers) >= MAX_DEPTH:
        return Outcome(
            workflow=workflow, status="blocked", reason=f"it is called by itself: {' → '.join((*callers, workflow))}"
        )
    who = speaker(project, workflow)
    run = open_run(project, program, content, inputs or {}, fresh=fresh)
    state = _state(begin_workflow(project, workflow, content, inputs or {}, run.world, f"{who} · begin"))
    for _ in range(MAX_STEPS):
        if state.status in ENDED:
            break
        if state.status == "waiting":
            answer = settle_question(project, _question(project, state))
            if answer is None:
                break
            state = decided(program, state, answer)
        elif state.status == "calling":
            state = _call(project, program, state, options, callers)
        else:
            label = next_label(project, workflow, state)
            state = _state(run_step(project, workflow, content, state.model_dump_json(), options, label))
            settle(project, workflow, state, options)
    else:
        state = state.end("partial", f"it did not end within {MAX_STEPS} steps")
    if state.status in ENDED:
        done = finish_workflow(project, workflow, content, state.model_dump_json(), options, f"{who} · finish")
        state = _state(done)
        settle(project, workflow, state, options)
    outcome = outcome_of(project, workflow, state, options)
    close_run(project, run, outcome)
    return outcome


def _call(
    project: ProjectRef, program: Program, state: RunState, options: RunOptions, callers: tuple[str, ...]
) -> RunState:
    """The state once the workflow that it calls has ended."""
    assert state.call is not None
    child: Outcome = run_workflow(
        project, state.call.workflow, state.call.inputs, options, callers=(*callers, program.workflow.path)
    )
    note = f"the workflow {child.workflow} ended {child.status}" + (f": {child.reason}" if child.reason else "")
    values = _new(child.variables, state.variables) if child.status != "blocked" else {}
    return returned(state, values, note, stop=note if state.call.halt and child.status == "blocked" else "")


def _question(project: ProjectRef, state: RunState) -> Question:
    asked = state.question
    assert asked is not None
    return Question(
        project=project.repository, workflow=state.workflow, step=asked.step, asked_by=asked.asked_by,
        question=asked.question, recommendation=asked.recommendation, reasoning=asked.reasoning,
        confidence=asked.confidence,
    )  # fmt: skip


def _new(values: Mapping[str, JsonValue], known: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    return {name: value for name, value in values.items() if name not in known}


def _state(text: str) -> RunState:
    return RunState.model_validate_json(text)
