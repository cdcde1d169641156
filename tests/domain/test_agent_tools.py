import json

import pytest
from storyloom.domain.agent_tools import (
    ACTIONS,
    SPECS,
    TOOLS,
    Ask,
    Edit,
    EditFile,
    Finish,
    ListFiles,
    ReadFile,
    Refusal,
    RunTests,
    Search,
    ToolOutcome,
    parse_call,
)
from storyloom.domain.model_calls import ToolCall


def call(name: str, **arguments: object) -> ToolCall:
    return ToolCall.model_validate({"id": "c1", "name": name, "arguments": arguments})


def refusal(name: str, **arguments: object) -> str:
    parsed = parse_call(call(name, **arguments))
    assert isinstance(parsed, Refusal), parsed
    return parsed.message


def test_every_tool_has_an_action_and_the_same_arguments():
    assert [spec.name for spec in TOOLS] == list(ACTIONS)
    for spec in TOOLS:
        assert list(spec.parameters["properties"]) == list(ACTIONS[spec.name].model_fields)  # type: ignore[arg-type]


def test_schemas_are_strict_all_the_way_down():
    def check(schema: dict) -> None:
        if schema.get("type") == "object":
            assert schema["additionalProperties"] is False
            assert schema["required"] == list(schema["properties"])
            for inner in schema["properties"].values():
                check(inner)
        if schema.get("type") == "array":
            check(schema["items"])

    for spec in TOOLS:
        check(spec.parameters)  # type: ignore[arg-type]
        json.dumps(spec.parameters)


def test_optional_arguments_may_be_null_or_missing():
    assert parse_call(call("list_files")) == ListFiles()
    assert parse_call(call("list_files", path=None, depth=None)) == ListFiles(path=".", depth=2)
    assert parse_call(call("read_file", path="a.py", start=None, end=4)) == ReadFile(path="a.py", start=1, end=4)
    assert parse_call(call("search", pattern="x")) == Search(pattern="x", path=".")
    assert parse_call(call("finish", summary="done")) == Finish(summary="done")
    assert parse_call(call("run_tests")) == RunTests()


def test_numbers_as_text_are_understood():
    assert parse_call(call("read_file", path="a", start="3")) == ReadFile(path="a", start=3)


def test_edits_sent_as_json_text_or_as_one_object_are_understood():
    wanted = EditFile(path="a", edits=(Edit(search="x", replace="y"),))
    one = {"search": "x", "replace": "y"}
    assert parse_call(call("edit_file", path="a", edits=[one])) == wanted
    assert parse_call(call("edit_file", path="a", edits=one)) == wanted
    assert parse_call(call("edit_file", path="a", edits=json.dumps([one]))) == wanted


@pytest.mark.parametrize("levels", [300, 100_000])
def test_edits_nested_beyond_all_measure_are_refused(levels: int):
    assert "`edits" in refusal("edit_file", path="a", edits="[" * levels)
    assert "`edits" in refusal("edit_file", path="a", edits="[" * levels + "]" * levels)


def test_an_unknown_tool_is_refused_with_the_names_of_those_there_are():
    assert "read_file" in refusal("open_file", path="a")


def test_arguments_that_were_no_json_are_shown_back():
    assert "not a JSON object: '{\"path\": '" in refusal("read_file", _raw='{"path": ')


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("edit_file", {"path": "a", "edits": [{"search": "x"}]}, "`edits[0].replace` is missing"),
        ("edit_file", {"path": "a", "edits": []}, "`edits`"),
        ("edit_file", {"path": "a", "edits": "not json"}, "`edits`"),
        ("write_file", {"path": "a"}, "`content` is missing"),
        ("read_file", {"path": "a", "lines": 3}, "`lines` is not an argument"),
        ("read_file", {"path": "a", "start": 0}, "`start`"),
        ("run", {"command": ""}, "`command`"),
        ("ask", {"question": "Which?", "confidence": 1.5}, "`confidence`"),
    ],
)
def test_bad_arguments_are_refused_by_name_with_what_the_tool_takes(name: str, arguments: dict, said: str):
    message = refusal(name, **arguments)
    assert said in message
    assert "It takes" in message


def test_a_refusal_says_which_arguments_are_optional():
    assert "`path`, `start` (optional), `end` (optional)" in refusal("read_file")


def test_an_outcome_becomes_the_message_that_answers_its_call():
    outcome = ToolOutcome(call_id="c7", name="ask", ok=True, content="asked", question=Ask(question="Which?"))
    answered = outcome.answered("the blue one")
    assert answered.as_message().tool_call_id == "c7"
    assert answered.content == "Answer (person): the blue one"
    assert SPECS["ask"].name == "ask"
