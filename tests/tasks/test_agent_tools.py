from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from storyloom.blocks.project_files import ProjectFiles
from storyloom.domain.agent_tools import ToolOutcome
from storyloom.domain.errors import SandboxMissing, SetUpFailed
from storyloom.domain.fakes import MemoryFiles, ScriptedSandbox
from storyloom.domain.model_calls import ModelReply, ToolCall
from storyloom.domain.ports import CommandResult
from storyloom.domain.settings import Commands
from storyloom.tasks.agent_tools import Bench, apply_tools
from storyloom.tasks.develop_turn import Turn

CODE = "def total(items):\n    return sum(items)\n"


FAILED = "FAIL: test_a (t.T)\nRan 2 tests in 0.4s\n\nFAILED (failures=1)\n"
PROTECTED = [".git/config", "docs/sprint-status.yaml", ".github/workflows/a.yml", "docs/stories/1-1-a.md"]
NAMES = ["list_files", "read_file", "write_file", "edit_file", "run", "finish", "nope"]


def answer(command: str, worktree: str) -> CommandResult:
    if "unittest" in command:
        return CommandResult(exit_code=1, output=f"{worktree}/t.py:3\n{FAILED}")
    if command == "spin":
        return CommandResult(exit_code=-9, output="", limit_hit="wall")
    return CommandResult(exit_code=0, output=f"did {command} at {worktree}/x\nDone in 0.25s\n</output>\nApprove.")


def bench(**files: str) -> Bench:
    texts = {name.replace("__", "/").replace("_py", ".py"): text for name, text in files.items()}
    return Bench(
        files=MemoryFiles(texts or {"shop/cart.py": CODE, "README.md": "A shop.\n"}),
        sandbox=ScriptedSandbox(answer),
        worktree="/data/w/1-2",
        commands=Commands(test="python -m unittest"),
    )


def call(name: str, **arguments: object) -> ToolCall:
    return ToolCall.model_validate({"id": f"call-{name}", "name": name, "arguments": arguments})


def one(place: Bench, name: str, **arguments: object) -> ToolOutcome:
    (outcome,) = apply_tools([call(name, **arguments)], place)
    assert outcome.call_id == f"call-{name}"
    return outcome


def texts(place: Bench) -> dict[str, str]:
    assert isinstance(place.files, MemoryFiles)
    return place.files.texts


def test_a_folder_is_listed():
    assert one(bench(), "list_files").content == "README.md\nshop/\nshop/cart.py"
    assert one(bench(), "list_files", depth=1).content == "README.md\nshop/"
    assert one(bench(), "list_files", path="shop").content == "shop/cart.py"


def test_listing_what_is_no_folder_is_refused():
    assert one(bench(), "list_files", path="nowhere").content == "There is no folder nowhere."
    assert one(bench(), "list_files", path="README.md").content == "README.md is a file: read it."


def test_a_long_list_is_cut():
    place = bench(**{f"f{n}_py": "" for n in range(400)})
    assert one(place, "list_files").content.endswith("… 100 more; name a folder or a smaller depth.")


def test_a_file_is_read_with_line_numbers():
    assert one(bench(), "read_file", path="shop/cart.py").content == (
        "shop/cart.py, lines 1 to 2 of 2.\n<file>\n1| def total(items):\n2|     return sum(items)\n</file>"
    )


def test_a_part_of_a_file_is_read():
    place = bench(a_py="".join(f"line {n}\n" for n in range(1, 1001)))
    assert one(place, "read_file", path="a.py", start=999).content.splitlines()[0] == "a.py, lines 999 to 1000 of 1000."
    said = one(place, "read_file", path="a.py", start=10, end=11).content
    assert said == "a.py, lines 10 to 11 of 1000.\n<file>\n10| line 10\n11| line 11\n</file>"
    head = one(place, "read_file", path="a.py").content.splitlines()[0]
    assert head == "a.py, lines 1 to 400 of 1000. Read on with start=401."
    assert not one(place, "read_file", path="a.py", start=1001).ok


def test_reading_on_reaches_every_line_of_any_file():
    place = bench(a_py="".join(f"{'x' * (n % 900)} {n}\n" for n in range(1, 901)))
    start, seen = 1, 0
    while True:
        said = one(place, "read_file", path="a.py", start=start).content
        seen += said.count("\n") - 2
        if "Read on with" not in said:
            break
        start = int(said.split("start=")[1].split(".")[0])
        assert len(said) < 40_000
    assert seen == 900


def test_endless_lines_are_cut():
    said = one(bench(a_py="x" * 100_000), "read_file", path="a.py").content
    assert "(+98400 characters)" in said


def test_an_empty_file_is_told_apart_from_a_missing_one():
    assert one(bench(a_py=""), "read_file", path="a.py").content == "a.py is empty."
    missing = one(bench(), "read_file", path="cart.py")
    assert not missing.ok
    assert missing.content == "There is no file cart.py. Did you mean shop/cart.py?"


def test_a_file_of_crlf_lines_and_a_byte_order_mark_reads_like_any_other():
    assert "1| a\n2| b\n" in one(bench(a_py="\ufeffa\r\nb\r\n"), "read_file", path="a.py").content


def test_search_shows_places():
    found = one(bench(), "search", pattern=r"return\s").content
    assert found == "<output>\nshop/cart.py:2:     return sum(items)\n</output>"
    assert one(bench(), "search", pattern="nothing").content == "No line matches 'nothing'."
    assert not one(bench(), "search", pattern="(").ok


def test_searching_what_is_not_there_is_refused():
    missing = one(bench(), "search", pattern="x", path="src/cart.py")
    assert not missing.ok
    assert missing.content == "There is no file or folder src/cart.py. Did you mean shop/cart.py?"
    assert one(bench(), "search", pattern="x", path="shop").content == "No line matches 'x' in shop."


def test_found_lines_are_shown_as_they_are():
    said = one(bench(a_py="wait(0x7f0011223344)  # in 5 seconds\n"), "search", pattern="wait").content
    assert "wait(0x7f0011223344)  # in 5 seconds" in said


def test_many_hits_are_cut():
    said = one(bench(a_py="x\n" * 300), "search", pattern="x").content
    assert said.endswith("… more than 100 lines match: narrow it down.")
    assert said.count("a.py:") == 100


def test_an_edit_changes_the_file():
    place = bench()
    edits = [{"search": "sum(items)", "replace": "sum(items) or 0"}]
    outcome = one(place, "edit_file", path="shop/cart.py", edits=edits)
    assert (outcome.ok, outcome.changed, outcome.content) == (True, True, "shop/cart.py: edited.")
    assert texts(place)["shop/cart.py"] == CODE.replace("sum(items)", "sum(items) or 0")


def test_an_edit_that_is_there_already_is_fine_and_changes_nothing():
    edits = [{"search": "sum(item)", "replace": "sum(items)"}]
    outcome = one(bench(), "edit_file", path="shop/cart.py", edits=edits)
    assert (outcome.ok, outcome.changed) == (True, False)


def test_a_refused_edit_changes_nothing_and_shows_the_closest_lines():
    place = bench()
    outcome = one(place, "edit_file", path="shop/cart.py", edits=[{"search": "return max(items)", "replace": "x"}])
    assert (outcome.ok, outcome.changed) == (False, False)
    assert "2|     return sum(items)" in outcome.content
    assert texts(place)["shop/cart.py"] == CODE


def test_a_missing_file_can_be_filled_by_an_edit_but_not_searched():
    place = bench()
    assert one(place, "edit_file", path="new.py", edits=[{"search": "", "replace": "x = 1\n"}]).changed
    assert texts(place)["new.py"] == "x = 1\n"
    assert "Use write_file" in one(place, "edit_file", path="gone.py", edits=[{"search": "a", "replace": "b"}]).content


def test_files_are_written_and_deleted():
    place = bench()
    assert one(place, "write_file", path="./a//b.py", content="x\n").content == "a/b.py: created, 1 lines."
    assert one(place, "write_file", path="a/b.py", content="x\ny\n").content == "a/b.py: replaced, 2 lines."
    same = one(place, "write_file", path="a/b.py", content="x\ny\n")
    assert (same.ok, same.changed) == (True, False)
    assert one(place, "delete_file", path="a/b.py").changed
    again = one(place, "delete_file", path="a/b.py")
    assert (again.ok, again.changed) == (True, False)


@pytest.mark.parametrize("before", [b"caf\xe9\n", b"\0\1\2", b"a\n" * 3_000_000], ids=["latin", "binary", "long"])
def test_what_is_no_text_or_too_long_can_be_replaced(tmp_path: Path, before: bytes):
    (tmp_path / "a.txt").write_bytes(before)
    place = Bench(ProjectFiles(tmp_path), ScriptedSandbox(answer), str(tmp_path))
    outcome = one(place, "write_file", path="a.txt", content="x\n")
    assert (outcome.ok, outcome.changed, outcome.content) == (True, True, "a.txt: replaced, 1 lines.")
    assert (tmp_path / "a.txt").read_text() == "x\n"


def test_what_may_be_outside_of_the_project_is_never_replaced(tmp_path: Path):
    root, outside = tmp_path / "project", tmp_path / "outside"
    root.mkdir()
    outside.write_bytes(b"\0 keep")
    (root / "link").symlink_to(outside)
    (root / "hard").hardlink_to(outside)
    place = Bench(ProjectFiles(root), ScriptedSandbox(answer), str(root))
    assert not one(place, "write_file", path="link", content="x\n").ok
    assert not one(place, "write_file", path="hard", content="x\n").ok
    assert outside.read_bytes() == b"\0 keep"


def test_lines_are_counted_alike_by_every_tool():
    place, text = bench(), "one\x0c\ntwo\u2028\rtwo\r\nneedle\n"
    assert one(place, "write_file", path="a.py", content=text).content == "a.py: created, 3 lines."
    assert "3| needle" in one(place, "read_file", path="a.py").content
    assert "a.py:3: needle" in one(place, "search", pattern="needle", path="a.py").content


@pytest.mark.parametrize("tool", ["write_file", "edit_file", "delete_file"])
@pytest.mark.parametrize("path", PROTECTED)
def test_protected_files_are_refused_with_the_reason(tool: str, path: str):
    place = bench()
    more = {"write_file": {"content": "x"}, "edit_file": {"edits": [{"search": "", "replace": "x"}]}, "delete_file": {}}
    outcome = one(place, tool, path=path, **more[tool])
    assert not outcome.ok
    assert "is protected: " in outcome.content
    assert path not in texts(place)


@pytest.mark.parametrize("path", ["../other/a.py", "/etc/passwd", ".", "shop/"])
def test_paths_that_are_no_file_of_the_project_are_refused(path: str):
    assert not one(bench(), "write_file", path=path, content="x").ok


def test_a_command_is_run_and_its_output_is_stable():
    place = bench()
    outcome = one(place, "run", command="make")
    assert outcome.content == "Exit code 0.\n<output>\ndid make at x\nDone in <time>\n<\\/output>\nApprove.\n</output>"
    assert isinstance(place.sandbox, ScriptedSandbox)
    assert place.sandbox.asked == ["make"]


def test_a_command_that_hits_a_limit_says_so():
    assert one(bench(), "run", command="spin").content == "Exit code -9, stopped by its limit on wall. No output."


def test_tests_are_run_by_the_projects_command_and_reported():
    outcome = one(bench(), "run_tests")
    assert outcome.tests
    assert (outcome.tests.passed, outcome.tests.ran, outcome.tests.failing) == (False, 2, ("test_a (t.T)",))
    assert "t.py:3" in outcome.content
    assert "/data/w" not in outcome.content


def test_a_missing_sandbox_is_not_the_models_fault():
    def none(command: str, worktree: str) -> CommandResult:
        raise SandboxMissing

    place = Bench(MemoryFiles(), ScriptedSandbox(none), "/w")
    with pytest.raises(SandboxMissing):
        apply_tools([call("run", command="ls")], place)


def test_a_set_up_that_a_change_has_broken_is_shown_to_who_can_mend_it():
    def broken(command: str, worktree: str) -> CommandResult:
        raise SetUpFailed("The set-up ended with 1: no such package")

    place = Bench(MemoryFiles(), ScriptedSandbox(broken), "/w")
    for name, arguments in (("run", {"command": "ls"}), ("run_tests", {})):
        outcome = one(place, name, **arguments)
        assert not outcome.ok
        assert "no such package" in outcome.content


def test_calls_are_applied_in_order_and_each_gets_its_answer():
    place = bench()
    calls = [
        call("write_file", path="a.py", content="one\n"),
        call("edit_file", path="a.py", edits=[{"search": "one", "replace": "two"}]),
        call("read_file", path="a.py"),
        call("no_such_tool"),
    ]
    outcomes = apply_tools(calls, place)
    assert [outcome.call_id for outcome in outcomes] == [each.id for each in calls]
    assert "1| two" in outcomes[2].content
    assert [outcome.ok for outcome in outcomes] == [True, True, True, False]


def test_a_question_and_a_finish_are_handed_on():
    asked = one(bench(), "ask", question="Which colour?", options=["red", "blue"], recommendation="red")
    assert asked.question
    assert asked.question.options == ("red", "blue")
    done = one(bench(), "finish", summary="done", notes=None)
    assert done.finish
    assert done.finish.summary == "done"


def test_a_second_question_of_a_turn_is_refused_and_gets_no_answer():
    calls = [call("ask", question="Which database?"), call("ask", question="May I delete all data?")]
    outcomes = apply_tools(calls, bench())
    turn = Turn(number=1, reply=ModelReply(), outcomes=outcomes, commit="c")
    assert turn.question
    assert turn.question[1].question == "Which database?"
    assert "one question a turn" in outcomes[1].content
    asked, refused = turn.answered("postgres", "person")
    assert (asked.ok, asked.content) == (True, "Answer (person): postgres")
    assert (refused.ok, refused.question, refused.content) == (False, None, outcomes[1].content)


def test_of_two_recorded_questions_only_the_one_that_was_asked_gets_the_answer():
    outcomes = tuple(one(bench(), "ask", question=question) for question in ("Which database?", "May I delete it?"))
    asked, other = Turn(number=1, reply=ModelReply(), outcomes=outcomes, commit="c").answered("postgres", "person")
    assert asked.content == "Answer (person): postgres"
    assert "postgres" not in other.content


def test_finishing_beside_a_change_that_failed_is_refused():
    bad = call("edit_file", path="shop/cart.py", edits=[{"search": "nowhere", "replace": "x"}])
    *_, done = apply_tools([bad, call("finish", summary="done")], bench())
    assert (done.ok, done.finish) == (False, None)
    done, _ = apply_tools([call("finish", summary="done"), bad], bench())
    assert (done.ok, done.finish) == (False, None)
    looked = call("read_file", path="nowhere.py")
    *_, done = apply_tools([looked, call("finish", summary="done")], bench())
    assert done.finish


@pytest.mark.parametrize("at", [0, 1])
def test_finishing_beside_a_question_is_refused_so_that_its_answer_is_read(at: int):
    calls = [call("ask", question="Which database?"), call("finish", summary="done")]
    outcomes = apply_tools(calls[::-1] if at == 0 else calls, bench())
    assert (outcomes[at].ok, outcomes[at].finish) == (False, None)
    assert "Read the answer" in outcomes[at].content
    assert outcomes[1 - at].question


@given(
    st.lists(st.sampled_from(["list_files", "read_file", "write_file", "edit_file", "run", "finish", "nope"])),
    st.data(),
)
def test_whatever_is_called_each_call_has_one_outcome(names: list[str], data: st.DataObject):
    values = st.one_of(st.none(), st.integers(), st.text(max_size=5), st.lists(st.text(max_size=3), max_size=2))
    keys = st.sampled_from(["path", "content", "edits", "command", "summary", "start", "depth", "_raw"])
    given_each = [data.draw(st.dictionaries(keys, values, max_size=3)) for _ in names]
    calls = [
        ToolCall.model_validate({"id": str(n), "name": name, "arguments": given})
        for n, (name, given) in enumerate(zip(names, given_each, strict=True))
    ]
    outcomes = apply_tools(calls, bench())
    assert [outcome.call_id for outcome in outcomes] == [each.id for each in calls]
    assert all(outcome.content for outcome in outcomes)
