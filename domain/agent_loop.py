"""How does an agent's work go on after a turn: on, differently, back to where it came from, or is it done?"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from .agent_tools import Ask, Finish, ToolOutcome
from .model_calls import Message, ModelReply, ToolCall, Value
from .settings import Settings
from .stories import Lane, TestReport


class LoopLimits(Value):
    """Bounds of one story's development. None is no bound; the counts after `wall_s` say when an agent is stuck."""

    turns: int = 40
    tokens: int | None = None
    cost: Decimal | None = None
    wall_s: float | None = None
    same_call: int = 3
    idle_turns: int = 8
    same_failure: int = 4
    refused_turns: int = 4
    silent_turns: int = 2


class TurnMark(Value):
    """What one turn looked like, as far as getting stuck is concerned. Digests, not contents."""

    calls: tuple[str, ...] = ()
    changing: tuple[str, ...] = ()
    refused: bool = False
    commit: str = ""
    failure: str = ""


class AgentState(Value):
    """A conversation and what it has cost, after `turn` turns. Small enough to be a task's result.

    `commits` holds the worktree's commit after each turn. `tactics_turn` is the turn after which tactics were changed.
    """

    messages: tuple[Message, ...] = ()
    turn: int = 0
    tokens: int = 0
    cost: Decimal = Decimal(0)
    wall_s: float = 0.0
    commits: tuple[str, ...] = ()
    marks: tuple[TurnMark, ...] = ()
    tactics_turn: int | None = None
    question: Ask | None = None
    finish: Finish | None = None
    tests: TestReport | None = None


@dataclass(frozen=True)
class Continue:
    """Take another turn, after saying `message` if there is one."""

    message: Message | None = None


@dataclass(frozen=True)
class ChangeTactics:
    """The agent is stuck: say `message`, then take another turn."""

    reason: str
    message: Message


@dataclass(frozen=True)
class GiveBack:
    """The story goes back with a reason; the lane says whether it counts as an attempt."""

    reason: str
    lane: Lane


@dataclass(frozen=True)
class Finished:
    """The agent says that it is done."""

    summary: str
    notes: str = ""


Move = Continue | ChangeTactics | GiveBack | Finished


def say(state: AgentState, *messages: Message) -> AgentState:
    """The state with messages to the agent at the end of its conversation; a `finish` before them is void."""
    return state.model_copy(update={"messages": (*state.messages, *messages), "finish": None, "question": None})


def changed_tactics(state: AgentState, move: ChangeTactics) -> AgentState:
    """The state after the agent was told to try something else; being stuck is counted anew from here."""
    return say(state, move.message).model_copy(update={"tactics_turn": state.turn})


def after_turn(
    state: AgentState,
    reply: ModelReply,
    outcomes: Sequence[ToolOutcome],
    *,
    commit: str,
    wall_s: float = 0.0,
) -> AgentState:
    """The state after the model's reply, the outcomes of its calls, and the checkpoint `commit`."""
    said = (*state.messages, reply.as_message(), *(outcome.as_message() for outcome in outcomes))
    tests = next((outcome.tests for outcome in reversed(outcomes) if outcome.tests is not None), None)
    return state.model_copy(
        update={
            "messages": said,
            "turn": state.turn + 1,
            "tokens": state.tokens + reply.usage.total,
            "cost": state.cost + reply.cost,
            "wall_s": state.wall_s + wall_s,
            "commits": (*state.commits, commit),
            "marks": (*state.marks, _mark(reply.tool_calls, outcomes, commit, tests)),
            "question": next((outcome.question for outcome in outcomes if outcome.question is not None), None),
            "finish": next((outcome.finish for outcome in outcomes if outcome.finish is not None), None),
            "tests": tests or state.tests,
        }
    )


def _mark(
    calls: Sequence[ToolCall], outcomes: Sequence[ToolOutcome], commit: str, tests: TestReport | None
) -> TurnMark:
    digests = tuple(_digest(call.name, call.arguments) for call in calls)
    changing = tuple(
        digest for digest, outcome in zip(digests, outcomes, strict=False) if outcome.changed and outcome.name != "run"
    )
    failure = ""
    if tests is not None and tests.passed is not True:
        failure = _digest("tests", sorted(tests.failing) or tests.tail)
    return TurnMark(
        calls=digests,
        changing=changing,
        refused=bool(outcomes) and not any(outcome.ok for outcome in outcomes),
        commit=commit,
        failure=failure,
    )


def _digest(name: str, value: object) -> str:
    body = json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
    return f"{name}:{hashlib.sha256(body.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"


def limits_from(settings: Settings, *, tokens: int | None = None) -> LoopLimits:
    """The loop's limits as the project's settings have them."""
    return LoopLimits(
        turns=settings.max_turns, cost=settings.story_budget_usd, tokens=tokens, wall_s=settings.story_wall_s
    )


def next_move(state: AgentState, limits: LoopLimits) -> Move:
    """What happens after the state's last turn. Stuck once changes tactics, stuck again gives the story back."""
    if state.finish is not None:
        return Finished(state.finish.summary, state.finish.notes)
    over = spent(state, limits)
    if over is not None:
        return over
    stuck = _stuck(state, limits)
    if stuck is None:
        silent = bool(state.marks) and not state.marks[-1].calls
        return Continue(Message(role="user", content=SILENT) if silent else None)
    reason, advice = stuck
    if state.tactics_turn is not None:
        return GiveBack(f"Stuck again after a change of tactics: {reason}.", Lane.CODE)
    return ChangeTactics(reason, Message(role="user", content=f"You are stuck: {reason}. {advice}\n"))


def spent(state: AgentState, limits: LoopLimits) -> GiveBack | None:
    """Why there is no further turn, None if there is one; a story that is finished ends in spite of it."""
    if limits.cost is not None and state.cost >= limits.cost:
        return GiveBack(f"The story's budget of ${limits.cost} is spent (${state.cost}).", Lane.BUDGET)
    if limits.tokens is not None and state.tokens >= limits.tokens:
        return GiveBack(f"The story's {limits.tokens} tokens are spent ({state.tokens}).", Lane.BUDGET)
    if limits.wall_s is not None and state.wall_s >= limits.wall_s:
        return GiveBack(f"The story was not done in {limits.wall_s:g} s.", Lane.CODE)
    if state.turn >= limits.turns:
        return GiveBack(f"The story was not done in {limits.turns} turns.", Lane.CODE)
    return None


def _stuck(state: AgentState, limits: LoopLimits) -> tuple[str, str] | None:
    """Why the agent is stuck and what to tell it, None if it is not. Only turns since the last tactics count."""
    marks = state.marks[state.tactics_turn or 0 :]
    for sign, advice in SIGNS:
        reason = sign(marks, limits)
        if reason:
            return reason, advice
    return None


def _same_call(marks: Sequence[TurnMark], limits: LoopLimits) -> str:
    """Reading or running the same again counts while nothing changes; the same change counts whenever it comes."""
    at = _last_change(marks)
    counts = Counter(call for mark in marks[at:] for call in set(mark.calls))
    counts.update(call for mark in marks[:at] for call in set(mark.changing))
    call, times = counts.most_common(1)[0] if counts else ("", 0)
    return f"the same {call.split(':')[0]} call came {times} times" if times >= limits.same_call else ""


def _last_change(marks: Sequence[TurnMark]) -> int:
    """How many turns it is from the beginning until the worktree stays as it is."""
    for at in range(len(marks), 0, -1):
        before = marks[at - 2].commit if at > 1 else ""
        if marks[at - 1].changing or (before and marks[at - 1].commit != before):
            return at
    return 0


def _no_change(marks: Sequence[TurnMark], limits: LoopLimits) -> str:
    if len(marks) <= limits.idle_turns or len({mark.commit for mark in marks[-limits.idle_turns - 1 :]}) > 1:
        return ""
    return f"no file has changed for {limits.idle_turns} turns"


def _same_failure(marks: Sequence[TurnMark], limits: LoopLimits) -> str:
    failures = [mark.failure for mark in marks if mark.failure]
    last = failures[-limits.same_failure :]
    stuck = len(last) == limits.same_failure and len(set(last)) == 1
    return f"the tests failed the same way {limits.same_failure} times" if stuck else ""


def _all_refused(marks: Sequence[TurnMark], limits: LoopLimits) -> str:
    last = marks[-limits.refused_turns :]
    stuck = len(last) == limits.refused_turns and all(mark.refused for mark in last)
    return f"every call of the last {limits.refused_turns} turns was refused" if stuck else ""


def _silent(marks: Sequence[TurnMark], limits: LoopLimits) -> str:
    last = marks[-limits.silent_turns :]
    stuck = len(last) == limits.silent_turns and not any(mark.calls for mark in last)
    return f"the last {limits.silent_turns} turns called no tool" if stuck else ""


SIGNS: tuple[tuple[Callable[[Sequence[TurnMark], LoopLimits], str], str], ...] = (
    (
        _silent,
        "Work only through tool calls. Call finish if everything is done, ask if a person must decide.",
    ),
    (
        _all_refused,
        "Read the reasons you were given. Use list_files and read_file to see what is really there, and copy search "
        "texts from what read_file shows; for a small file, write_file replaces it whole.",
    ),
    (
        _same_call,
        "Its answer will not change. Say to yourself what you expected and what came instead, then go at it from "
        "another side: read the code that calls it, make a smaller change, or ask.",
    ),
    (
        _same_failure,
        "Your changes do not reach the cause. Read the failing test and the code that it runs from the beginning, "
        "print what happens with a short run command, and only then change something else than before.",
    ),
    (
        _no_change,
        "You know enough to begin. Make the smallest change that brings the story on, then run the tests; if something "
        "only a person can tell is missing, ask.",
    ),
)
"""Signs of being stuck, in the order in which they are looked for, and what the agent is told to do instead."""

SILENT = "Nothing happened: you called no tool. Go on with a tool call; when the story is done, call finish.\n"
