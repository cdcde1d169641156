"""What comes next in a run, given the program and the state?

`advance` moves over everything that code alone can do and stops at the first thing that needs the outside: a judgement,
an answer, a text, a document, another workflow, or the end of a step. The shell does it and hands the outcome back to
one of the small functions below. The same program, state and outcomes always give the same next state.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pydantic import JsonValue

from .condition_facts import Facts, Probe, Verdict, slug
from .conditions import decide
from .escalations import Answer
from .program import Op, Program
from .run_state import Assumption, Called, DecidedCondition, Loop, RunState, Told
from .templates import fill_names

MAX_STEP_VISITS = 12
MAX_OPERATIONS = 20_000
MAX_ITEMS = 200
REPEATS = 3


@dataclass(frozen=True)
class World:
    """What code may look at without asking anybody."""

    exists: Callable[[str], bool | None] = lambda _path: None
    ask_people: bool = False
    optional_steps: bool = True
    max_step_visits: int = MAX_STEP_VISITS


@dataclass(frozen=True)
class Judge:
    """A condition that needs judgement."""

    condition: str
    reason: str


@dataclass(frozen=True)
class Ask:
    """A question to answer; `response` is the variable that takes the answer ("" if none)."""

    question: str
    response: str = ""
    optional: bool = False


@dataclass(frozen=True)
class Write:
    """A section to write. `file` is the document's path ("" for the workflow's own)."""

    section: str
    file: str = ""
    last: bool = True


@dataclass(frozen=True)
class Work:
    """Actions of a step that no section took up."""

    step: str


@dataclass(frozen=True)
class Discover:
    """Input documents to look for and read."""


@dataclass(frozen=True)
class Load:
    """A document that an action names, to be read by code."""

    path: str


@dataclass(frozen=True)
class Validate:
    """The checklist to go through."""


@dataclass(frozen=True)
class StepDone:
    """The step is over; the next state begins another one, or the run has ended."""


Need = Judge | Ask | Write | Work | Discover | Load | Validate | StepDone


@dataclass
class _Run:
    """The state under way within one `advance`."""

    program: Program
    state: RunState
    world: World
    need: Need | None = None
    changes: dict[str, object] = field(default_factory=dict)

    def set(self, **changes: object) -> None:
        self.state = self.state.model_copy(update=changes)

    def go(self, at: int) -> None:
        self.set(at=at)

    def next(self) -> None:
        self.set(at=self.state.at + 1)


def advance(program: Program, state: RunState, world: World) -> tuple[RunState, Need]:
    """The state after all that code could do alone, and what is needed now; `StepDone` when control leaves the step."""
    run = _Run(program, state, world)
    began = program.step_at(state.at)
    for _ in range(MAX_OPERATIONS):
        at = run.state.at
        if run.state.status != "running":
            return run.state, StepDone()
        if at >= len(program.ops):
            return run.state.end("complete"), StepDone()
        op = program.ops[at]
        if op.step != began or (
            op.kind == "step" and run.state.visits.get(str(at)) and run.state.visits != state.visits
        ):
            return run.state, StepDone()
        if not _visited(run, at, op):
            return run.state, StepDone()
        _HANDLERS[op.kind](run, op)
        if run.need is not None:
            return run.state, run.need
    return run.state.end("partial", f"the step did not end within {MAX_OPERATIONS} operations"), StepDone()


def _visited(run: _Run, at: int, op: Op) -> bool:
    count = run.state.visits.get(str(at), 0) + 1
    run.set(visits={**run.state.visits, str(at): count})
    limit = run.world.max_step_visits * (MAX_ITEMS if op.kind not in {"step", "jump"} else 1)
    if count > limit:
        step = step_name(run.program, op.step)
        run.set(status="partial", reason=f"{step} was entered more than {limit} times (line {op.line})")
        return False
    return True


# -- outcomes that the shell hands back


def judged(program: Program, state: RunState, holds: bool, reason: str) -> RunState:
    """The state once a model has judged the condition at hand."""
    op = program.ops[state.at]
    state = _learned(op.text, holds, state)
    return _branch(program, state, op, DecidedCondition(
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


def step_name(program: Program, index: int) -> str:
    """How a step is called in records: "step 2 functional requirements"."""
    if not 0 <= index < len(program.workflow.steps):
        return ""
    step = program.workflow.steps[index]
    number = step.number or str(index + 1)
    return f"step {number} {step.title}".strip()


def facts_of(program: Program, state: RunState, world: World, op: Op) -> Facts:
    """What is known for deciding the condition of an operation."""
    return Facts(
        variables=state.known(),
        answer=state.answer,
        touched=_touched(program, state),
        loaded={group: bool(files) for group, files in state.inputs.items()},
        exists=world.exists,
        probe=Probe(*state.probe) if state.probe else None,
        otherwise=not state.taken.get(str(op.group), False),
    )


# -- one handler per kind of operation


def _step(run: _Run, op: Op) -> None:
    known = run.state.known()
    front = {key: fill_names(value, known) for key, value in op.attrs.items() if key not in {"number", "file"}}
    if front:
        run.set(variables={**run.state.variables, **front})
    rules = tuple(Told(kind="rule", text=text) for text in run.program.workflow.critical)
    run.set(told=rules if run.program.workflow.critical else ())
    run.next()


def _when(run: _Run, op: Op) -> None:
    if op.attrs.get("optional"):
        taken = run.world.optional_steps
        if not taken:
            run.set(skipped=(*run.state.skipped, f"{step_name(run.program, op.step)}: optional"))
        run.go(run.state.at + 1 if taken else op.target)
        return
    state = run.state
    if op.group == state.at and str(op.group) in state.taken:
        run.set(taken={key: value for key, value in state.taken.items() if key != str(op.group)})
    verdict: Verdict = decide(op.text, facts_of(run.program, run.state, run.world, op))
    if verdict.value is None:
        run.need = Judge(op.text, verdict.reason)
        return
    run.state = _branch(run.program, run.state, op, DecidedCondition(
        condition=op.text, held=verdict.value, by="code", reason=verdict.reason, step=step_name(run.program, op.step)
    ))  # fmt: skip


def _branch(program: Program, state: RunState, op: Op, decided: DecidedCondition) -> RunState:
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


_EQUALS = re.compile(r"""^\{{0,2}\s*([A-Za-z_]\w*)\s*\}{0,2}\s*==\s*['"]?([\w\-. ]+?)['"]?$""")


def _learned(condition: str, holds: bool, state: RunState) -> RunState:
    """A judged `x == 'v'` also says what x is, so that the next check on x is decided by code."""
    said = _EQUALS.match(condition.strip())
    if not (holds and said) or said[1] in state.variables:
        return state
    return state.model_copy(update={"variables": {**state.variables, said[1]: said[2]}})


def _jump(run: _Run, op: Op) -> None:
    run.go(op.target)


_READS = re.compile(
    r"^(?:\w+\s+)?(?:load|read|open|search|look|check|find|locate|parse|verify|examine|review)\b", re.IGNORECASE
)
_PATH = re.compile(r"(?:[\w.\-*]+/)*[\w.\-*]*\w+\.(?:md|ya?ml|json|xml|csv|toml|txt)\b")


def _do(run: _Run, op: Op) -> None:
    text = fill_names(op.text, run.state.known())
    path = _named_path(text) if not op.attrs.get("whole") else ""
    if path and _READS.match(text) and path not in run.state.probed:
        there = run.world.exists(path)
        if there is not None:
            run.set(probe=(path, there), probed={**run.state.probed, path: there})
            if there:
                run.need = Load(path)
                run.state = run.state.tell(Told(kind="action", text=text))
                run.next()
                return
    run.state = run.state.tell(Told(kind="action", text=text))
    run.next()


def _named_path(text: str) -> str:
    found = _PATH.search(text)
    return found[0] if found and "{" not in found[0] else ""


def _context(run: _Run, op: Op) -> None:
    kind = "rule" if op.attrs.get("as") == "rule" else "guidance"
    run.state = run.state.tell(Told(kind=kind, text=fill_names(op.text, run.state.known())))
    run.next()


def _say(run: _Run, op: Op) -> None:
    text = fill_names(op.text, run.state.known())
    run.state = run.state.tell(Told(kind="shown", text=text))
    run.set(last_shown=text)
    run.next()


def _ask(run: _Run, op: Op) -> None:
    run.need = Ask(fill_names(op.text, run.state.known()), op.attrs.get("response", ""), bool(op.attrs.get("optional")))


def _write(run: _Run, op: Op) -> None:
    run.need = Write(op.text, fill_names(op.attrs.get("file", ""), run.state.known()), bool(op.attrs.get("last")))


def _discover(run: _Run, _op: Op) -> None:
    run.need = Discover()


def _invoke(run: _Run, op: Op) -> None:
    known = run.state.known()
    inputs = {key: fill_names(value, known) for key, value in op.attrs.items()}
    run.set(status="calling", call=Called(workflow=fill_names(op.text, known), inputs=inputs))


def _task(run: _Run, op: Op) -> None:
    if re.search(r"elicit|party", op.text, re.IGNORECASE):
        run.set(
            skipped=(*run.state.skipped, f"{step_name(run.program, op.step)}: {op.text[:80]} (needs a conversation)")
        )
        run.next()
    elif re.search(r"validat|checklist", op.text, re.IGNORECASE):
        run.need = Validate()
    else:
        run.state = run.state.tell(Told(kind="action", text=f"Do the task {op.text}"))
        run.next()


def _set(run: _Run, op: Op) -> None:
    name, known = op.attrs["name"], run.state.known()
    if not (op.attrs.get("default") and known.get(name) not in (None, "")):
        value = _literal(fill_names(op.text, known))
        run.set(variables={**run.state.variables, name: value})
    run.next()


def _literal(text: str) -> JsonValue:
    if text in {"true", "false"}:
        return text == "true"
    return int(text) if re.fullmatch(r"-?\d{1,15}", text) else text


def _halt(run: _Run, op: Op) -> None:
    reason = fill_names(op.text, run.state.known()) or _first_line(run.state.last_shown)
    run.set(status="blocked", reason=reason or f"{step_name(run.program, op.step)} halts")


def _exit(run: _Run, op: Op) -> None:
    run.set(
        status="complete",
        reason=f"ended early in {step_name(run.program, op.step)}" + (f": {op.text}" if op.text else ""),
    )


def _return(run: _Run, op: Op) -> None:
    run.set(
        status="complete", reason="" if op.attrs.get("service") else f"returned from {step_name(run.program, op.step)}"
    )


def _each(run: _Run, op: Op) -> None:
    state = run.state
    if state.loops and state.loops[-1].at == state.at:
        run.next()
        return
    items = loop_items(op.text, state.known())
    if items is None:
        items = (f"each {op.attrs.get('item') or op.text}",)
        run.state = state.tell(Told(kind="guidance", text=f"Do the following for each of: {op.text}"))
    if not items:
        run.go(op.target)
        return
    name = op.attrs.get("item") or "item"
    loop = Loop(at=state.at, name=name, items=items)
    run.set(loops=(*run.state.loops, loop), variables={**run.state.variables, name: items[0]})
    run.next()


def _next(run: _Run, op: Op) -> None:
    state = run.state
    if not state.loops or state.loops[-1].at != op.target:
        run.next()
        return
    loop = state.loops[-1]
    if loop.index + 1 < len(loop.items):
        loop = loop.model_copy(update={"index": loop.index + 1})
        run.set(
            loops=(*state.loops[:-1], loop),
            variables={**state.variables, loop.name: loop.items[loop.index]},
            at=op.target,
        )
    else:
        run.set(loops=state.loops[:-1], at=state.at + 1)


def loop_items(collection: str, known: Mapping[str, JsonValue]) -> tuple[JsonValue, ...] | None:
    """The items of a for-each ("epics", "1 to story_count", "a, b"), None if the collection is not known."""
    text = fill_names(collection, known).strip()
    if span := re.match(r"^(\w+)\s+(?:to|\.\.|through)\s+(\w+)$", text):
        first, last = (_number(part, known) for part in span.groups())
        return None if first is None or last is None else tuple(range(first, min(last, first + MAX_ITEMS - 1) + 1))
    for name in (text, slug(text), f"{slug(text)}s", f"{slug(text)}_list"):
        value = known.get(name)
        if isinstance(value, list):
            return tuple(value[:MAX_ITEMS])
        if isinstance(value, str) and re.search(r"[,\n]", value) and len(value) < 2000:
            return tuple(part.strip(" -*") for part in re.split(r"[,\n]", value) if part.strip(" -*"))[:MAX_ITEMS]
    return None


def _number(part: str, known: Mapping[str, JsonValue]) -> int | None:
    value = known.get(part, part)
    return int(value) if isinstance(value, int | str) and re.fullmatch(r"\d+", str(value)) else None


def _finish(run: _Run, op: Op) -> None:
    state = run.state
    name = step_name(run.program, op.step)
    if any(told.kind == "action" for told in state.told):
        run.need = Work(name)
        return
    answers = tuple(told for told in state.told if told.kind == "answer")
    history = (*state.history, *answers)
    done = state.repeats.get(str(state.at), 0) + 1
    wanted = op.attrs.get("repeat", "")
    times = int(wanted) if wanted.isdigit() else 1
    run.set(history=history, told=(), repeats={**state.repeats, str(state.at): done})
    if done < min(times, MAX_ITEMS):
        run.go(op.target)
        return
    run.set(repeats={key: n for key, n in run.state.repeats.items() if key != str(state.at)})
    run.set(steps_done=(*state.steps_done, name))
    if file := op.attrs.get("completed"):
        run.set(completed=tuple(dict.fromkeys((*state.completed, file))))
    run.next()


_HANDLERS: dict[str, Callable[[_Run, Op], None]] = {
    "step": _step, "when": _when, "jump": _jump, "do": _do, "context": _context, "say": _say, "ask": _ask,
    "write": _write, "discover": _discover, "invoke": _invoke, "task": _task, "set": _set, "halt": _halt,
    "exit": _exit, "return": _return, "each": _each, "next": _next, "finish": _finish,
}  # fmt: skip


def _first_line(text: str) -> str:
    return next((line.strip(" #*📋❌⚠️") for line in text.splitlines() if line.strip()), "")[:200]


def _touched(program: Program, state: RunState) -> frozenset[str]:
    """Names that instructions which ran may have meant to set."""
    names: set[str] = set()
    for key in state.visits:
        op = program.ops[int(key)] if int(key) < len(program.ops) else None
        if op and op.kind in {"do", "context", "ask", "invoke", "write"}:
            names.update(slug(name) for name in re.findall(r"[A-Za-z_][\w\-]*", op.text))
    return frozenset(names)
