"""What would a run of a workflow do, and what would it ask of a model at most?  Nothing is executed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from .asking import known_answer
from .condition_facts import Kind, slug
from .conditions import classify
from .drafts import open_placeholders
from .program import Op, Program
from .run_state import Draft
from .templates import fill_names

REMAINING_AT_ONCE = 20
"""How many open placeholders one request asks for."""


@dataclass(frozen=True)
class PlannedCondition:
    """A condition of the workflow, what kind it is, and whether code decides it."""

    text: str
    kind: Kind
    by_code: bool
    line: int


@dataclass(frozen=True)
class PlannedStep:
    """One step: what stands in it, and the calls it makes at most when it runs once."""

    number: str
    title: str
    line: int
    optional: bool
    repeat: str
    conditions: tuple[PlannedCondition, ...]
    questions: tuple[str, ...]
    sections: tuple[str, ...]
    actions: int
    jumps: tuple[str, ...]
    calls_workflows: tuple[str, ...]
    most_calls: int


@dataclass(frozen=True)
class Plan:
    """The steps in the order in which they run, and sums. `most_calls` holds for a run that visits each step once."""

    workflow: str
    kind: str
    steps: tuple[PlannedStep, ...]
    conditions: Mapping[str, int]
    by_code: int
    most_calls: int

    @property
    def condition_count(self) -> int:
        """How many conditions there are."""
        return sum(self.conditions.values())


def plan_workflow(program: Program, known: Mapping[str, object] | None = None) -> Plan:
    """The plan of a run that begins with these values known."""
    known = known or {}
    set_by_code = frozenset(op.attrs["name"] for op in program.ops if op.kind == "set") | frozenset(known)
    steps = []
    for index in sorted(program.starts, key=lambda one: program.starts[one]):
        ops = [(at, op) for at, op in enumerate(program.ops) if op.step == index]
        steps.append(_planned(program, index, ops, known, set_by_code))
    conditions = [condition for step in steps for condition in step.conditions]
    return Plan(
        workflow=program.workflow.name,
        kind=program.workflow.kind,
        steps=tuple(steps),
        conditions=dict(Counter(condition.kind for condition in conditions)),
        by_code=sum(condition.by_code for condition in conditions),
        most_calls=sum(step.most_calls for step in steps) + _ending(program, steps, known),
    )


def _planned(
    program: Program, index: int, placed: list[tuple[int, Op]], known: Mapping[str, object], set_by_code: frozenset[str]
) -> PlannedStep:
    step, ops = program.workflow.steps[index], [op for _, op in placed]
    conditions = tuple(_condition(op, set_by_code) for op in ops if op.kind == "when" and not op.attrs.get("optional"))
    questions = [op for op in ops if op.kind == "ask"]
    unknown = [op for op in questions if not _known(op, known)]
    sections = tuple(op.text for op in ops if op.kind == "write")
    actions = sum(op.kind == "do" for op in ops)
    judged = sum(not condition.by_code for condition in conditions)
    return PlannedStep(
        number=step.number,
        title=step.title,
        line=step.line,
        optional=step.optional,
        repeat=step.repeat,
        conditions=conditions,
        questions=tuple(" ".join(op.text.split()) for op in questions),
        sections=sections,
        actions=actions,
        jumps=tuple(op.text for op in ops if op.kind == "jump"),
        calls_workflows=tuple(op.text for op in ops if op.kind == "invoke"),
        most_calls=judged + len(unknown) + len(sections) + _leftover(placed),
    )


def _condition(op: Op, set_by_code: frozenset[str]) -> PlannedCondition:
    kind = classify(op.text, set_by_code)
    return PlannedCondition(" ".join(op.text.split()), kind, kind not in {"prose", "flag"}, op.line)


def _known(op: Op, known: Mapping[str, object]) -> bool:
    facts = {name: str(value) for name, value in known.items()}
    return (
        bool(op.attrs.get("optional"))
        or known_answer(fill_names(op.text, known), op.attrs.get("response", ""), {}, facts) is not None
    )


def _leftover(placed: list[tuple[int, Op]]) -> int:
    """1 if actions may be left when the step ends: behind its last section, or because that one may not run."""
    last = max((at for at, op in placed if op.kind == "write"), default=-1)
    skipped = any(at < last < op.target for at, op in placed if op.kind in {"when", "jump", "each"})
    actions = [at for at, op in placed if op.kind == "do"]
    return int(bool(actions) if last < 0 or skipped else any(at > last for at in actions))


def _ending(program: Program, steps: list[PlannedStep], known: Mapping[str, object]) -> int:
    written = {slug(section): "" for step in steps for section in step.sections}
    open_names = open_placeholders(Draft(template=program.workflow.template, sections=written), known)
    remaining = -(-len(open_names) // REMAINING_AT_ONCE)
    return remaining + int(bool(program.workflow.checklist))
