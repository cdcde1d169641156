from decimal import Decimal

import pytest
from storyloom.domain.agent_loop import (
    AgentState,
    ChangeTactics,
    Continue,
    Finished,
    GiveBack,
    LoopLimits,
    after_turn,
    changed_tactics,
    limits_from,
    next_move,
    say,
)
from storyloom.domain.agent_tools import Ask, Finish, ToolOutcome
from storyloom.domain.model_calls import Message, ModelReply, ToolCall, Usage
from storyloom.domain.settings import Settings
from storyloom.domain.stories import Lane, TestReport

LIMITS = LoopLimits(turns=50, same_call=3, idle_turns=5, same_failure=3, refused_turns=3, silent_turns=2)


def turn(
    state: AgentState,
    *calls: tuple[str, dict],
    commit: str = "c0",
    changed: bool = False,
    ok: bool = True,
    tests: TestReport | None = None,
    **extra: object,
) -> AgentState:
    made = tuple(ToolCall(id=f"t{state.turn}-{n}", name=name, arguments=given) for n, (name, given) in enumerate(calls))
    outcomes = tuple(
        ToolOutcome(call_id=call.id, name=call.name, ok=ok, content="…", changed=changed, tests=tests, **extra)
        for call in made
    )
    reply = ModelReply(content="", tool_calls=made, usage=Usage(input=90, output=10), cost=Decimal("0.01"))
    return after_turn(state, reply, outcomes, commit=commit, wall_s=2.0)


def read(state: AgentState, path: str, **how: object) -> AgentState:
    return turn(state, ("read_file", {"path": path}), **how)  # type: ignore[arg-type]


def edit(state: AgentState, number: int, **how: object) -> AgentState:
    call = ("edit_file", {"path": "a", "edits": [{"search": str(number), "replace": "x"}]})
    return turn(state, call, commit=f"c{state.turn + 1}", changed=True, **how)  # type: ignore[arg-type]


def after_tests(state: AgentState, *failing: str) -> AgentState:
    report = TestReport(passed=not failing, failing=failing)
    return turn(state, ("run_tests", {}), commit=state.commits[-1], tests=report)


def test_a_turn_adds_its_messages_and_what_it_cost():
    state = read(read(AgentState(messages=(Message(role="user", content="go"),)), "a"), "b")
    assert [message.role for message in state.messages] == ["user", "assistant", "tool", "assistant", "tool"]
    assert (state.turn, state.tokens, state.cost, state.wall_s) == (2, 200, Decimal("0.02"), 4.0)
    assert state.commits == ("c0", "c0")
    assert AgentState.model_validate_json(state.model_dump_json()) == state


def test_a_new_conversation_goes_on():
    assert next_move(AgentState(), LIMITS) == Continue()


def test_finish_ends_the_work_with_its_summary():
    state = turn(AgentState(), ("finish", {"summary": "done"}), finish=Finish(summary="done", notes="mind the gap"))
    assert next_move(state, LIMITS) == Finished("done", "mind the gap")


def test_what_is_said_after_finish_makes_it_void():
    state = turn(AgentState(), ("finish", {"summary": "done"}), finish=Finish(summary="done"))
    assert next_move(say(state, Message(role="user", content="The tests fail.")), LIMITS) == Continue()


def test_a_question_is_kept_until_the_next_turn():
    state = turn(AgentState(), ("ask", {"question": "Which?"}), question=Ask(question="Which?"))
    assert state.question == Ask(question="Which?")
    assert read(state, "a").question is None


@pytest.mark.parametrize(
    ("limits", "lane", "word"),
    [
        (LoopLimits(turns=2), Lane.CODE, "2 turns"),
        (LoopLimits(tokens=200), Lane.BUDGET, "200 tokens"),
        (LoopLimits(cost=Decimal("0.02")), Lane.BUDGET, "$0.02"),
        (LoopLimits(wall_s=4), Lane.CODE, "4 s"),
    ],
)
def test_a_limit_that_is_reached_gives_the_story_back(limits: LoopLimits, lane: Lane, word: str):
    state = read(AgentState(), "a")
    assert next_move(state, limits) == Continue()
    move = next_move(read(state, "b"), limits)
    assert isinstance(move, GiveBack)
    assert move.lane is lane
    assert word in move.reason


def test_a_finish_in_the_last_turn_counts():
    state = turn(read(AgentState(), "a"), ("finish", {"summary": "s"}), finish=Finish(summary="s"))
    assert isinstance(next_move(state, LoopLimits(turns=2)), Finished)


def test_a_turn_without_a_call_is_told_so():
    move = next_move(turn(AgentState()), LIMITS)
    assert isinstance(move, Continue)
    assert move.message
    assert "no tool" in move.message.content


def test_stuck_once_changes_tactics_and_stuck_again_gives_back():
    state = AgentState()
    for _ in range(3):
        state = read(state, "a")
    move = next_move(state, LIMITS)
    assert isinstance(move, ChangeTactics)
    assert move.reason == "the same read_file call came 3 times"
    state = changed_tactics(state, move)
    assert state.messages[-1] == move.message
    assert next_move(state, LIMITS) == Continue()
    for _ in range(3):
        state = read(state, "b")
    again = next_move(state, LIMITS)
    assert again == GiveBack("Stuck again after a change of tactics: the same read_file call came 3 times.", Lane.CODE)


def test_the_same_call_within_one_turn_counts_once():
    call = ("read_file", {"path": "a"})
    assert next_move(turn(AgentState(), call, call, call), LIMITS) == Continue()


def test_reading_again_after_a_change_is_not_stuck():
    state = AgentState()
    for number in range(4):
        state = edit(read(state, "a", commit=f"c{state.turn}"), number)
    assert next_move(state, LIMITS) == Continue()


def test_running_the_tests_after_every_change_is_not_stuck():
    state = AgentState()
    for number in range(4):
        state = edit(state, number)
        state = turn(
            state, ("run_tests", {}), commit=f"c{state.turn}", tests=TestReport(passed=False, failing=(str(number),))
        )
    assert next_move(state, LIMITS) == Continue()


def test_going_back_and_forth_is_stuck():
    state = AgentState()
    for _ in range(3):
        state = edit(edit(state, 1), 2)
    move = next_move(state, LIMITS)
    assert isinstance(move, ChangeTactics)
    assert "same edit_file call" in move.reason


def test_turns_that_change_nothing_are_stuck():
    state = edit(AgentState(), 1)
    for number in range(5):
        assert next_move(state, LIMITS) == Continue()
        state = read(state, f"file {number}", commit="c1")
    move = next_move(state, LIMITS)
    assert isinstance(move, ChangeTactics)
    assert move.reason == "no file has changed for 5 turns"


def test_tests_that_fail_the_same_way_are_stuck():
    state = AgentState()
    for number in range(3):
        state = edit(state, number)
        state = turn(
            state, ("run_tests", {}), commit=f"c{state.turn}", tests=TestReport(passed=False, failing=("t.a",))
        )
    move = next_move(state, LIMITS)
    assert isinstance(move, ChangeTactics)
    assert move.reason == "the tests failed the same way 3 times"


def test_tests_that_pass_in_between_are_not_stuck():
    state = AgentState()
    for number, passed in enumerate((False, True, False, True)):
        state = edit(state, number)
        state = after_tests(state) if passed else after_tests(state, "t.a")
    assert next_move(state, LIMITS) == Continue()
    assert state.tests == TestReport(passed=True)


def test_calls_that_are_all_refused_are_stuck():
    state = AgentState()
    for number in range(3):
        state = turn(state, ("edit_file", {"path": str(number)}), ok=False)
    move = next_move(state, LIMITS)
    assert isinstance(move, ChangeTactics)
    assert "every call of the last 3 turns was refused" in move.reason
    assert "write_file" in move.message.content


def test_turns_without_calls_are_stuck():
    move = next_move(turn(turn(AgentState())), LIMITS)
    assert isinstance(move, ChangeTactics)
    assert "called no tool" in move.reason


def test_limits_come_from_the_settings():
    limits = limits_from(Settings(max_turns=7, story_budget_usd=Decimal(2)), tokens=10)
    assert (limits.turns, limits.cost, limits.tokens, limits.wall_s) == (7, Decimal(2), 10, None)
    assert limits_from(Settings(story_wall_s=90)).wall_s == 90
