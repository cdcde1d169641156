"""What is a run's next state, once what it needed has been done?"""

from __future__ import annotations

import re
from collections.abc import Mapping

from pydantic import JsonValue

from .condition_facts import slug
from .escalations import Answer
from .program import Op, Program, step_name
from .run_state import Assumption, DecidedCondition, RunState, Told
from .templates import fill_names

_EQUALS = re.compile(r"""^\{{0,2}\s*([A-Za-z_]\w*)\s*\}{0,2}\s*==\s*['"]?([\w\-. ]+?)['"]?$""")


def judged(program: Program, state: RunState, holds: bool, reason: str) -> RunState:
    """The state once a model has judged the condition at hand."""
    op = program.ops[state.at]
    state = _learned(op.text, holds, state)
    return branch(program, state, op, DecidedCondition(
        condition=op.text, held=holds, by="model", reason=reason, step=step_name(program, op.step)
    ))  # fmt: skip


def answered(
    program: Program, state: RunState, answer: str, *, assumed: bool, reason: str = "", fact: str = ""
) -> RunState:
    """The state once the question at hand has its answer; `assumed` if no person or document gave it."""
    op = program.ops[state.at]
    question = fill_names(op.text, state.known())
    name = op.attrs.get("response", "")
    variables: dict[str, JsonValue] = {**state.variables, **({slug(name): answer, name: answer} if name else {})}
    told = Told(kind="answer", text=question, answer=answer)
    update: dict[str, object] = {
        "answer": answer,
        "variables": variables,
        "at": state.at + 1,
        "told": (*state.told, told),
        "question": None,
        "status": "running",
    }
    if assumed:
        assumption = Assumption(question=question, answer=answer, step=step_name(program, op.step), reason=reason)
        update["assumptions"] = (*state.assumptions, assumption)
    elif fact:
        update["history"] = (*state.history, Told(kind="shown", text=fact))
    return state.model_copy(update=update)


def decided(program: Program, state: RunState, answer: Answer) -> RunState:
    """The state once a question that waited has its answer; what no person and no document said is an assumption."""
    assumed = answer.source in {"model", "policy"}
    said = f"{state.question.question if state.question else ''} → {answer.answer} ({answer.by or answer.source})"
    return answered(
        program, state, answer.answer, assumed=assumed, reason=answer.reasoning, fact="" if assumed else said
    )


def written(program: Program, state: RunState, section: str) -> RunState:
    """The state once the section at hand stands in its draft; the last one of a tag has taken up the actions."""
    op = program.ops[state.at]
    told = tuple(t for t in state.told if t.kind != "action") if op.attrs.get("last") else state.told
    return state.model_copy(update={"told": told, "at": state.at + 1, "last_shown": section})


def worked(state: RunState, report: str, step: str) -> RunState:
    """The state once the remaining actions of the step have been done."""
    told = tuple(t for t in state.told if t.kind != "action")
    history = (*state.history, Told(kind="shown", text=f"{step}: {report}")) if report else state.history
    return state.model_copy(update={"told": told, "history": history})


def moved_on(state: RunState) -> RunState:
    """The state past the operation at hand."""
    return state.model_copy(update={"at": state.at + 1})


def returned(state: RunState, values: Mapping[str, JsonValue], note: str, *, stop: str = "") -> RunState:
    """The state once a workflow that was called has ended; `stop` is the reason to stop with it."""
    state = state.model_copy(
        update={
            "variables": {**state.variables, **values},
            "history": (*state.history, Told(kind="shown", text=note)),
            "call": None,
            "status": "running",
            "at": state.at + 1,
        }
    )
    return state.end("blocked", stop) if stop else state


def branch(program: Program, state: RunState, op: Op, decided: DecidedCondition) -> RunState:
    """The state once the condition of an operation has been decided, by whoever it was."""
    taken = {**state.taken, str(op.group): state.taken.get(str(op.group), False) or decided.held}
    update: dict[str, object] = {
        "taken": taken,
        "decisions": (*state.decisions, decided),
        "at": state.at + 1 if decided.held else op.target,
    }
    opens_step = state.at > 0 and program.ops[state.at - 1].kind == "step"
    if opens_step and not decided.held:
        update["skipped"] = (*state.skipped, f"{decided.step}: not {decided.condition}")
    return state.model_copy(update=update)


def _learned(condition: str, holds: bool, state: RunState) -> RunState:
    """A judged `x == 'v'` also says what x is, so that the next check on x is decided by code."""
    said = _EQUALS.match(condition.strip())
    if not (holds and said) or said[1] in state.variables:
        return state
    return state.model_copy(update={"variables": {**state.variables, said[1]: said[2]}})
