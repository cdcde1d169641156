"""What providers send becomes one reply, whatever they leave out or break in two."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from storyloom.domain import wire_anthropic, wire_openai, wire_responses
from storyloom.domain.answer_schema import json_in
from storyloom.domain.errors import ModelBroken
from storyloom.domain.model_calls import Message, ModelRequest, ToolCall, ToolSpec
from storyloom.domain.unicode_repair import whole
from storyloom.domain.wire import Abilities, arguments_text, parse_arguments

ALL = Abilities(schema_native=True, effort=True, cache_marks=True)
NONE = Abilities()
CALL = ToolCall(id="c1", name="run", arguments={"path": "a"})
TOOL = ToolSpec(name="run", description="Run.", parameters={"type": "object", "properties": {}})
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer", "minimum": 1}}, "required": ["a"]}


def request(*messages: Message, **changes: object) -> ModelRequest:
    given = {"persona": "p", "model": "m", "system": "S", "messages": messages or (Message(role="user", content="x"),)}
    return ModelRequest.model_validate({**given, **changes})


def claude(*deltas: str, stop: str = "end_turn", kind: str = "text_delta") -> list[dict[str, Any]]:
    key = "text" if kind == "text_delta" else "partial_json"
    block = {"type": "text", "text": ""} if kind == "text_delta" else {"type": "tool_use", "id": "c1", "name": "run"}
    usage = {"input_tokens": 5, "output_tokens": 1}
    return [
        {"type": "message_start", "message": {"id": "m1", "model": "claude", "usage": usage}},
        {"type": "content_block_start", "index": 0, "content_block": block},
        *({"type": "content_block_delta", "index": 0, "delta": {"type": kind, key: delta}} for delta in deltas),
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": stop}, "usage": {"output_tokens": 9}},
        {"type": "message_stop"},
    ]


def gpt(*deltas: dict[str, Any], stop: str = "stop") -> list[dict[str, Any]]:
    usage = {"prompt_tokens": 5, "completion_tokens": 9}
    return [
        *({"id": "m1", "model": "gpt", "choices": [{"delta": delta}]} for delta in deltas),
        {"id": "m1", "model": "gpt", "choices": [{"delta": {}, "finish_reason": stop}]},
        {"id": "m1", "model": "gpt", "choices": [], "usage": usage},
    ]


def test_a_streams_pieces_are_one_reply() -> None:
    one, other = (
        wire_anthropic.read_stream(claude("Good ", "morning")),
        wire_openai.read_stream(gpt({"role": "assistant", "content": "Good "}, {"content": "morning"})),
    )
    assert one.content == other.content == "Good morning"
    assert one.usage == other.usage
    assert one.usage is not None
    assert (one.usage.input, one.usage.output) == (5, 9)
    assert (one.stop_reason, other.stop_reason) == ("stop", "stop")


def test_a_tool_calls_pieces_are_one_call() -> None:
    one = wire_anthropic.read_stream(claude('{"pa', 'th": "a"}', stop="tool_use", kind="input_json_delta"))
    pieces = [{"index": 0, "id": "c1", "function": {"name": "run", "arguments": '{"pa'}}]
    more = [{"index": 0, "function": {"arguments": 'th": "a"}'}}]
    other = wire_openai.read_stream(gpt({"tool_calls": pieces}, {"tool_calls": more}))
    assert one.tool_calls == other.tool_calls == (CALL,)
    assert one.stop_reason == other.stop_reason == "tool_calls"


@pytest.mark.parametrize("cut", range(1, 6))
def test_a_stream_that_ends_before_its_answer_is_broken(cut: int) -> None:
    with pytest.raises(ModelBroken, match="ended before the answer did"):
        wire_anthropic.read_stream(claude("a", "b")[:-cut])
    with pytest.raises(ModelBroken, match="ended before the answer did"):
        wire_openai.read_stream(gpt({"content": "a"})[: -min(cut + 1, 3)])
    with pytest.raises(ModelBroken, match="ended before the answer did"):
        wire_responses.read_stream([{"type": "response.created"}])


def test_counts_that_came_only_at_the_start_are_no_counts() -> None:
    events = claude("a")
    del events[-2]["usage"]
    reply = wire_anthropic.read_stream(events)
    assert reply.usage is None
    assert "no token counts" in reply.problem


@pytest.mark.parametrize("error", [{"error": {"message": "overloaded"}}])
def test_an_error_among_chunks_ends_the_answer(error: dict[str, Any]) -> None:
    with pytest.raises(ModelBroken, match="overloaded"):
        wire_openai.read_stream([error])
    with pytest.raises(ModelBroken, match="overloaded"):
        wire_responses.read_stream([{"type": "error", "message": "overloaded"}])
    failed = {"type": "response.failed", "response": {"status": "failed", "output": [], "error": {"message": "oops"}}}
    with pytest.raises(ModelBroken, match="oops"):
        wire_responses.read_stream([failed])


def test_an_answer_that_was_not_streamed_is_read_as_well() -> None:
    usage = {"input_tokens": 5, "output_tokens": 9}
    content = [{"type": "text", "text": "a"}, {"type": "tool_use", "id": "c1", "name": "run", "input": {"path": "a"}}]
    message = {"type": "message", "content": content, "stop_reason": "tool_use", "usage": usage}
    calls = [{"id": "c1", "function": {"name": "run", "arguments": '{"path": "a"}'}}]
    choices = [{"message": {"content": "a", "tool_calls": calls}, "finish_reason": "tool_calls"}]
    completion = {"choices": choices, "usage": {"prompt_tokens": 5, "completion_tokens": 9}}
    for reply in (wire_anthropic.read_whole(message), wire_openai.read_whole(completion)):
        assert (reply.content, reply.tool_calls, reply.stop_reason) == ("a", (CALL,), "tool_calls")
        assert reply.usage is not None
    for read in (wire_anthropic.read_whole, wire_openai.read_whole, wire_responses.read_whole):
        with pytest.raises(ModelBroken):
            read({"detail": "Not Found"})


def test_a_responses_answer_knows_its_calls_refusals_and_limits() -> None:
    def answer(*output: dict[str, Any], **changes: object) -> Any:
        return wire_responses.read_whole({"status": "completed", "output": list(output), **changes})

    call = {"type": "function_call", "call_id": "c1", "name": "run", "arguments": '{"path": "a"}'}
    assert answer(call).tool_calls == (CALL,)
    refused = {"type": "message", "content": [{"type": "refusal", "refusal": "No."}]}
    assert (answer(refused).stop_reason, answer(refused).refusal) == ("refusal", "No.")
    cut = answer(status="incomplete", incomplete_details={"reason": "max_output_tokens"})
    assert cut.stop_reason == "length"
    assert answer(status="incomplete", incomplete_details={"reason": "content_filter"}).stop_reason == "refusal"


def test_anthropics_roles_alternate_and_marks_stand_on_the_last_four() -> None:
    conversation = (
        Message(role="user", content="1", cache=True),
        Message(role="user", content="2", cache=True),
        Message(role="assistant", tool_calls=(CALL,)),
        Message(role="tool", tool_call_id="c1", content="done", cache=True),
        Message(role="user", content="3", cache=True),
        Message(role="assistant", content=" "),
        Message(role="user", content="4", cache=True),
    )
    turns = wire_anthropic.messages(request(*conversation))
    assert [turn["role"] for turn in turns] == ["user", "assistant", "user", "assistant", "user"]
    blocks = [block for turn in turns for block in turn["content"]]
    assert ["cache_control" in block for block in blocks] == [False, True, False, True, True, False, True]
    assert blocks[5] == {"type": "text", "text": "(empty)"}


def test_a_body_says_only_what_its_model_takes() -> None:
    asked = request(schema_=SCHEMA, effort="high", tools=(TOOL,))
    rich, poor = wire_anthropic.body(asked, "m", ALL), wire_anthropic.body(asked, "m", NONE)
    assert rich["output_config"]["effort"] == "high"
    assert "minimum" not in json.dumps(rich["output_config"]["format"])
    assert "output_config" not in poor
    assert '"minimum": 1' in poor["system"]
    rich, poor = wire_openai.body(asked, "m", ALL), wire_openai.body(asked, "m", NONE)
    assert rich["response_format"]["json_schema"]["strict"]
    assert rich["reasoning_effort"] == "high"
    assert "response_format" not in poor
    assert '"minimum": 1' in poor["messages"][0]["content"]
    rich, poor = wire_responses.body(asked, "m", ALL), wire_responses.body(asked, "m", NONE)
    assert rich["reasoning"] == {"effort": "high"}
    assert rich["text"]["format"]["strict"]
    assert "text" not in poor
    assert rich["store"] is False


def test_marks_reach_litellm_only_for_providers_that_take_them() -> None:
    marked = request(Message(role="user", content="x", cache=True))
    assert wire_openai.messages(marked)[1]["content"] == "x"
    assert wire_openai.messages(marked, cache_marks=True)[1]["content"][0]["cache_control"] == {"type": "ephemeral"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text(max_size=8),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=5), children, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=5), JSON, max_size=4))
def test_arguments_survive_the_way_to_a_provider_and_back(arguments: dict[str, Any]) -> None:
    assert parse_arguments(arguments_text(arguments)) == arguments


@pytest.mark.parametrize("text", ['{"a": ', "[1]", "7", "no"])
def test_arguments_that_are_no_object_are_kept_raw(text: str) -> None:
    assert parse_arguments(text) == {"_raw": text}


@pytest.mark.parametrize("levels", [100, 300, 3_000, 100_000])
def test_arguments_nested_too_deeply_are_kept_raw(levels: int) -> None:
    text = '{"edits": ' + "[" * levels + "]" * levels + "}"
    arguments = parse_arguments(text)
    assert arguments == {"_raw": text}
    assert ToolCall(id="c1", name="edit_file", arguments=arguments).arguments == arguments


def test_arguments_may_be_nested_as_deeply_as_any_tool_asks() -> None:
    arguments = parse_arguments('{"edits": ' + "[" * 99 + "]" * 99 + "}")
    assert "_raw" not in arguments
    call = ToolCall(id="c1", name="edit_file", arguments=arguments)
    message = Message(role="assistant", tool_calls=(call,))
    assert Message.model_validate_json(message.model_dump_json()) == message


def test_a_character_that_was_sent_in_two_halves_is_whole_again() -> None:
    reply = wire_openai.read_stream(gpt({"content": "\ud83d"}, {"content": "\ude42 and \ud800."}))
    assert reply.content == "🙂 and \ufffd."
    assert wire_anthropic.read_stream(claude("\ud83d", "\ude42")).content == "🙂"
    assert parse_arguments('{"a": "\\ud800"}') == {"a": "\ufffd"}
    assert json_in('see: {"a": "\\ud83d\\ude42\\ud800"}') == {"a": "🙂\ufffd"}


@given(st.text(st.characters(codec=None)))
def test_a_whole_text_can_always_be_written(text: str) -> None:
    whole(text).encode()
    if not any(0xD800 <= ord(c) < 0xE000 for c in text):
        assert whole(text) is text
