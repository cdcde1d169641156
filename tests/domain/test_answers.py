"""A schema reaches a provider in the form it takes, and an answer is used only when it can be."""

from __future__ import annotations

from typing import Any

import pytest
from storyloom.domain import errors
from storyloom.domain.answer_schema import in_prompt, json_in, native_schema, repaired, strict
from storyloom.domain.model_calls import Message, ModelRequest, ToolCall
from storyloom.domain.verdict import judge, next_question
from storyloom.domain.wire import RawReply

STORY: Any = {
    "type": "object",
    "title": "Story",
    "properties": {"title": {"type": "string", "minLength": 1}, "points": {"type": "integer", "maximum": 13}},
    "required": ["title", "points"],
}


def request(**changes: object) -> ModelRequest:
    given = {"persona": "p", "model": "m", "system": "S", "messages": [Message(role="user", content="x")]}
    return ModelRequest.model_validate({**given, **changes})


def test_a_native_schema_is_closed_and_a_property_may_have_a_keywords_name() -> None:
    native = native_schema(STORY, drop_checks=True)
    assert native == {
        "type": "object",
        "properties": {"title": {"type": "string"}, "points": {"type": "integer"}},
        "required": ["title", "points"],
        "additionalProperties": False,
    }
    kept = native_schema(STORY, drop_checks=False)
    assert kept is not None
    assert kept["properties"]["points"] == {"type": "integer", "maximum": 13}  # type: ignore[index, call-overload]


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "additionalProperties": {"type": "integer"}},
        {"type": "object", "properties": {"a": {"type": "object"}}},
        {"type": "object", "properties": {"a": {}}, "patternProperties": {"x": {}}},
        {"type": "object", "properties": {"a": {"oneOf": [{"type": "string"}, {"type": "null"}]}}},
        {"type": "array", "items": {"type": "string"}},
    ],
)
def test_what_a_grammar_would_get_wrong_has_no_native_form(schema: Any) -> None:
    assert native_schema(schema, drop_checks=True) is None


def test_strict_needs_every_property_of_every_object() -> None:
    assert strict(native_schema(STORY, drop_checks=False))
    optional = {"type": "object", "properties": {"a": {"type": "string"}}, "required": []}
    assert not strict(
        native_schema({**STORY, "properties": {**STORY["properties"], "more": optional}}, drop_checks=False)
    )
    assert not strict([optional])


def test_without_a_native_form_the_schema_stands_in_the_prompt() -> None:
    system = in_prompt(request(schema_=STORY)).system
    assert system.startswith("S\n\nAnswer with one JSON value")
    assert '"maximum": 13' in system


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": 1}', {"a": 1}),
        (" \n[1, 2]", [1, 2]),
        ('```json\n{"a": 1}\n```', {"a": 1}),
        ('Sure: {"a": [1]} - as you wished {', {"a": [1]}),
    ],
)
def test_json_is_found_in_what_models_wrap_around_it(text: str, value: object) -> None:
    assert json_in(text) == value


@pytest.mark.parametrize("text", ["", "nothing", '{"a": ', "tru"])
def test_what_is_no_json_is_never_guessed(text: str) -> None:
    with pytest.raises(ValueError):
        json_in(text)


def test_json_that_nests_beyond_all_measure_is_none() -> None:
    for text in ("[" * 100_000, "see: " + "[" * 100_000 + "]" * 100_000):
        with pytest.raises(ValueError, match="nests too deeply"):
            json_in(text)


def test_a_repair_shows_the_answer_and_its_faults() -> None:
    question = repaired(request(), '{"a"}', ["points: 99 is too large"])
    assert [m.role for m in question.messages] == ["user", "assistant", "user"]
    assert "- points: 99 is too large" in question.messages[-1].content
    assert question.purpose == "repair"


def verdict(raw: RawReply, faults: list[str] | None = None, **changes: object) -> tuple[Any, errors.ModelError | None]:
    return judge(raw, request(**changes), lambda schema, value: faults or [])


def test_the_reason_to_stop_goes_before_what_looks_like_broken_json() -> None:
    _, error = verdict(RawReply(content='{"a', stop_reason="length"), schema_=STORY)
    assert isinstance(error, errors.ModelTruncated)
    _, error = verdict(RawReply(content="no", refusal="I must not.", stop_reason="refusal"), schema_=STORY)
    assert isinstance(error, errors.ModelRefused)
    assert "I must not." in str(error)


def test_an_answer_is_parsed_checked_or_left_alone() -> None:
    good = RawReply(content='{"a": 1}', stop_reason="stop")
    assert verdict(good, schema_=STORY) == ({"a": 1}, None)
    assert verdict(good) == (None, None)
    call = ToolCall(id="1", name="run", arguments={})
    assert verdict(RawReply(tool_calls=(call,), stop_reason="tool_calls"), schema_=STORY) == (None, None)
    _, error = verdict(good, ["a: wrong"], schema_=STORY)
    assert isinstance(error, errors.ModelBadOutput)
    assert (error.answer, error.faults) == ('{"a": 1}', ("a: wrong",))


@pytest.mark.parametrize("content", ["", " \n"])
def test_an_answer_that_says_nothing_is_broken(content: str) -> None:
    _, error = verdict(RawReply(content=content, stop_reason="stop"))
    assert isinstance(error, errors.ModelBroken)


def test_a_truncated_answer_gets_more_room_until_the_model_has_no_more() -> None:
    error = errors.ModelTruncated()
    more = next_question(request(max_output_tokens=1000), error, 1500)
    assert more is not None
    assert more.max_output_tokens == 1500
    assert next_question(more, error, 1500) is None
    unknown = next_question(request(max_output_tokens=1000), error, 0)
    assert unknown is not None
    assert unknown.max_output_tokens == 2000
