"""What comes next in a run, given the program and the state?

`advance` moves over everything that code alone can do and stops at the first thing that needs the outside: a judgement,
an answer, a text, a document, another workflow, or the end of a step. The shell does it and hands the outcome back to
one of the functions of `outcomes`. The same program, state and outcomes always give the same next state.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from pydantic import JsonValue

from .condition_facts import Facts, Probe, Verdict, slug
from .conditions import decide
from .loops import MAX_ITEMS, loop_items
from .needs import Ask, Discover, Judge, Load, Need, StepDone, Validate, Work, World, Write
from .outcomes import branch
from .program import Op, Program, step_name
from .run_state import Called, DecidedCondition, Loop, RunState, Told
from .templates import fill_names

MAX_OPERATIONS = 20_000
_READS = re.compile(
    r"^(?:\w+\s+)?(?:load|read|open|search|look|check|find|locate|parse|verify|examine|review)\b", re.IGNORECASE
)
_PATH = re.compile(r"(?:[\w.\-*]+/)*[\w.\-*]*\w+\.(?:md|ya?ml|json|xml|csv|toml|txt)\b")


@dataclass
class _Run:
    """The state under way within one `advance`."""

    program: Program
    state: RunState
    world: World
    need: Need | None = None

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
    run.state = branch(run.program, run.state, op, DecidedCondition(
        condition=op.text, held=verdict.value, by="code", reason=verdict.reason, step=step_name(run.program, op.step)
    ))  # fmt: skip


def _jump(run: _Run, op: Op) -> None:
    run.go(op.target)


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
