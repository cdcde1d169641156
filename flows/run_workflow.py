"""How does a workflow run from its first step to its end?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from prefect import flow
from prefect.logging import get_run_logger
from pydantic import JsonValue

from ..domain.errors import InputError, StoryloomError, WorkflowError
from ..domain.escalations import Question
from ..domain.outcomes import decided, returned
from ..domain.ports import ProjectRef
from ..domain.run_state import ENDED, Outcome, RunState
from ..tasks.documents import commit_documents
from ..tasks.library import open_workflow
from ..tasks.ports import ports_for
from ..tasks.workflow_machine import RunOptions
from ..tasks.workflow_runs import OpenRun, close_run, open_run, outcome_of
from ..tasks.workflow_steps import RunRef, begin_workflow, finish_workflow, found, label_of, run_step, settle
from .asking import settle as settle_question
from .at_the_cap import past_the_cap
from .suspending import first_time, freeing_worker

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
    commit: bool = False,
) -> Outcome:
    """Run a workflow to its end, or to the question that waits for a person.

    `inputs` answer questions by the name of their variable. Running it again goes on where a run was interrupted, and
    returns the same outcome when it had ended and its documents are as it left them; `fresh` begins anew. With `commit`
    its documents enter the main line when it has ended; phases commit for themselves.
    """

    def work() -> Outcome:
        anew = fresh and first_time(project)  # a run that was suspended goes on from there
        return _run(project, workflow, inputs or {}, options or RunOptions(), callers, fresh=anew, commit=commit)

    return freeing_worker(project, work)


def _run(
    project: ProjectRef,
    workflow: str,
    inputs: dict[str, str],
    options: RunOptions,
    callers: tuple[str, ...],
    *,
    fresh: bool,
    commit: bool,
) -> Outcome:
    try:
        it = open_workflow(ports_for(project), workflow)
    except (WorkflowError, InputError) as error:
        return Outcome(workflow=workflow, status="blocked", reason=str(error))
    if it.workflow.path in callers or len(callers) >= MAX_DEPTH:
        chain = " → ".join((*callers, it.workflow.path))
        return Outcome(workflow=it.workflow.name, status="blocked", reason=f"it is called by itself: {chain}")
    run = RunRef(project=project, workflow=workflow, digest=it.digest, options=options)
    opened = open_run(run, inputs, fresh=fresh)
    state = RunState(workflow=it.workflow.name)

    def to_its_end() -> None:
        nonlocal state
        for state in _states(run, opened, inputs, callers):
            settle(run, state)

    try:
        past_the_cap(project, to_its_end, workflow=it.workflow.name)
    except StoryloomError as error:  # refused, spent, unreachable: an outcome; running it again goes on from there
        get_run_logger().warning("%s stopped: %s", it.workflow.name, error)
        return outcome_of(run, state.end("blocked", str(error))).model_copy(update={"interrupted": True})
    outcome = outcome_of(run, state)
    close_run(run, opened, outcome)
    if commit and outcome.artefacts and outcome.question is None:
        commit_documents(project, outcome.workflow)
    return outcome


def _states(run: RunRef, opened: OpenRun, inputs: dict[str, str], callers: tuple[str, ...]) -> Iterator[RunState]:
    """The states of a run, one after each step, the last one that of its end or of a question that stays open."""
    it = found(run)
    state = _state(begin_workflow(run, inputs, opened.world, opened.sample, label_of(run, what="begin")))
    for _ in range(MAX_STEPS):
        if state.status in ENDED:
            break
        if state.status == "waiting":
            answer = settle_question(run.project, _question(run.project, state, run.options))
            if answer is None:
                yield state
                return
            state = decided(it.program, state, answer)
        elif state.status == "calling":
            state = _call(run, it.workflow.path, state, callers)
        else:
            state = _state(run_step(run, state.model_dump_json(), label_of(run, state)))
            yield state
    else:
        state = state.end("partial", f"it did not end within {MAX_STEPS} steps")
    yield _state(finish_workflow(run, state.model_dump_json(), label_of(run, what="finish")))


def _call(run: RunRef, path: str, state: RunState, callers: tuple[str, ...]) -> RunState:
    """The state once the workflow that it calls has ended."""
    assert state.call is not None
    call = state.call
    child: Outcome = run_workflow(run.project, call.workflow, call.inputs, run.options, callers=(*callers, path))
    if child.interrupted or child.question:
        raise WorkflowError(f"The workflow {child.workflow}, which this one calls, stopped: {child.reason}")
    note = f"the workflow {child.workflow} ended {child.status}" + (f": {child.reason}" if child.reason else "")
    values = _new(child.variables, state.variables) if child.status != "blocked" else {}
    return returned(state, values, note, stop=note if call.halt and child.status == "blocked" else "")


def _question(project: ProjectRef, state: RunState, options: RunOptions | None) -> Question:
    asked = state.question
    assert asked is not None
    policy = (options.asking if options else "") or ports_for(project).config.settings.questions
    return Question(
        project=project.repository, workflow=state.workflow, step=asked.step, asked_by=asked.asked_by,
        question=asked.question, recommendation=asked.recommendation, reasoning=asked.reasoning,
        confidence=asked.confidence, must_ask=policy == "person",
    )  # fmt: skip


def _new(values: Mapping[str, JsonValue], known: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    return {name: value for name, value in values.items() if name not in known}


def _state(text: str) -> RunState:
    return RunState.model_validate_json(text)
