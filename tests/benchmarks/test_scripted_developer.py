"""The scripted developer answers by the conversation alone, errs once where it is told to, and mends it."""

import json
from types import SimpleNamespace

import pytest
from storyloom.domain.edits import apply_edits
from storyloom.domain.errors import ModelBroken, ModelBusy, ModelTimeout
from storyloom.domain.model_calls import Message, ModelReply, ModelRequest
from storyloom.domain.review import Approve, SendBack, verdict
from storyloom.domain.settings import Settings
from storyloom.domain.stories import ReviewReport, TestReport
from storyloom.domain.wire import Abilities

from benchmarks.scripted_developer import FAULTS, FORTUNE, Script, ScriptedRoute, choose_faults, wire_faults
from benchmarks.task_sets import Change, Task

NEW = Task("one", "One", "", "assert True\n", (Change("one.py", "x = 1\n"),))
EDIT = Task("two", "Two", "", "assert True\n", (Change("two.py", "  y = 2\n", "  y = 1\n"),))
PASSED, FAILED = "The tests pass (1 ran, 0 failed)", "The tests fail (1 ran, 1 failed)"
DEVELOP, REVIEW = "# Story 1.{} · develop", "# Story 1.{} · review · round {}"


def names(script: Script, story: int, turn: int, news: str = "") -> list[str]:
    said = script.answer(DEVELOP.format(story), turn, news)
    assert said
    return [name for name, _ in said.calls]


def script(fault: str = "") -> Script:
    return Script([NEW, EDIT], {"1.1": fault, "1.2": fault} if fault else {})


def test_without_a_fault_a_story_takes_two_turns_and_reads_what_it_changes():
    assert names(script(), 1, 0) == ["write_file", "write_file", "run_tests"]
    assert names(script(), 2, 0) == ["read_file", "edit_file", "write_file", "run_tests"]
    assert names(script(), 1, 1, PASSED) == ["finish"]


@pytest.mark.parametrize("fault", ["buggy", "unchecked", "malformed", "not_json", "half"])
@pytest.mark.parametrize("story", [1, 2])
def test_a_fault_is_made_once_and_mended_in_the_next_turn(fault: str, story: int):
    faulty, right = script(fault), script()
    assert faulty.answer(DEVELOP.format(story), 0, "") != right.answer(DEVELOP.format(story), 0, "")
    mended = names(faulty, story, 1, FAILED)
    assert mended[-1] == "run_tests"
    assert "write_file" in mended
    assert names(faulty, story, 2, PASSED) == ["finish"]


@pytest.mark.parametrize("fault", ["buggy", "unchecked", "malformed"])
@pytest.mark.parametrize(
    ("given", "changes"),
    [
        ("a = 1\nb = 1\n", [("a = 1\n", "a = 2\n"), ("b = 1\n", "b = 2\n")]),
        ("x = max(a, b) - 1\n", [("max(a, b)", "min(a, b)")]),
        ("x = 1\ny = 1\n", [("x = 1", "x = -1"), ("y", "-y")]),
        ("def f(x):\n    return x\n", [("    return x", "    return x\n    # end"), ("# end", "# the end")]),
        ("import os\nimport re\n", [("import os\n", ""), ("import re\n", "import re\nimport ast\n")]),
        ("def f():\r\n    return 1\r\n", [("    return 1\r\n", "    return 2\r\n")]),
    ],
)
def test_wrong_edits_are_mended_to_the_same_text_as_right_ones(fault: str, given: str, changes: list[tuple[str, str]]):
    task = Task("e", "E", "", "assert True\n", tuple(Change("e.py", new, search) for search, new in changes))

    def played(*turns: int, fault: str = "") -> str:
        text = given
        for turn in turns:
            said = Script([task], {"1.1": fault}).answer(DEVELOP.format(1), turn, FAILED)
            for call in said.calls if said else ():
                if call[0] == "edit_file":
                    text = apply_edits(text, [(e["search"], e["replace"]) for e in call[1]["edits"]]).text
        return text

    right = played(0)
    assert played(0, 1, fault=fault) == right != given
    assert fault == "malformed" or played(0, fault=fault) not in (right, given)


def test_an_answer_over_budget_bills_what_no_story_may_cost():
    said = script("over_budget").answer(DEVELOP.format(1), 0, "")
    assert said
    assert said.extra_tokens == FORTUNE


@pytest.mark.parametrize(("fault", "first"), [("", Approve), ("rejected", SendBack)])
def test_a_review_approves_by_its_own_words_unless_it_is_to_send_back_once(fault: str, first: type):
    reports = []
    for number, wanted in ((1, first), (2, Approve)):
        said = script(fault).answer(REVIEW.format(1, number), 0, "")
        assert said
        reports.append(ReviewReport.model_validate(json.loads(said.text)))
        criteria = tuple(each.criterion for each in reports[-1].criteria)
        found = verdict(tuple(reports), Settings(), criteria=criteria, tests=TestReport(passed=True))
        assert isinstance(found, wanted)
    assert names(script(fault), 1, 3, "The review sent the story back.") == ["finish"]


def test_a_conflict_is_developed_again_without_the_fault():
    faulty = script("buggy").answer("# Story 1.1 · conflict", 0, "")
    assert faulty == script().answer(DEVELOP.format(1), 0, "")


def test_what_it_does_not_know_it_does_not_answer():
    assert script().answer("# Story 9.9 · develop", 0, "") is None
    assert script().answer("Which database?", 0, "") is None


def test_faults_are_chosen_for_three_stories_in_four_the_same_for_the_same_seed():
    tasks = [Task(f"t{n}", "T", "", "", (Change(f"t{n}.py", ""),)) for n in range(400)]
    chosen = choose_faults(tasks, 7)
    assert chosen == choose_faults(tasks, 7) != choose_faults(tasks, 8)
    assert 250 < len(chosen) < 350
    assert set(chosen.values()) == set(FAULTS)
    assert {fault.kind for fault in wire_faults(chosen)} == {"cut", "overloaded", "drop"}


def send(route: ScriptedRoute, subject: str, *after: str) -> ModelReply:
    messages = [Message(role="user", content=f"{subject}\nmore")]
    for said in after:
        messages += [Message(role="assistant", content="."), Message(role="user", content=said)]
    request = ModelRequest(persona="amelia", model="m", system="", messages=tuple(messages))
    raw = route.send(request, "m", deadline_s=1, abilities=Abilities(), abort=SimpleNamespace(aborted=False))
    return ModelReply(content=raw.content, tool_calls=raw.tool_calls, model=raw.model)


def test_the_route_answers_by_the_turn_and_counts_what_it_was_asked():
    route = ScriptedRoute(script())
    assert [call.name for call in send(route, DEVELOP.format(1)).tool_calls][-1] == "run_tests"
    assert [call.name for call in send(route, DEVELOP.format(1), PASSED).tool_calls] == ["finish"]
    assert dict(route.asked) == {(DEVELOP.format(1), 0): 1, (DEVELOP.format(1), 1): 1}
    with pytest.raises(ModelBroken):
        send(route, "something else")


@pytest.mark.parametrize(
    ("fault", "error"), [("timeout", ModelTimeout), ("overloaded", ModelBusy), ("broken", ModelBroken)]
)
def test_a_fault_of_the_wire_comes_once(fault: str, error: type[Exception]):
    route = ScriptedRoute(script(fault))
    with pytest.raises(error):
        send(route, DEVELOP.format(1))
    assert send(route, DEVELOP.format(1)).tool_calls
    assert send(route, REVIEW.format(1, 1)).content


def test_the_same_question_takes_the_same_time_within_the_bounds():
    route = ScriptedRoute(script(), latency_s=0.5, spread_s=1.5)
    times = [route.latency(f"story {n}", 0) for n in range(200)]
    assert times == [route.latency(f"story {n}", 0) for n in range(200)]
    assert 0.5 <= min(times) < 0.7 < 1.8 < max(times) <= 2.0
