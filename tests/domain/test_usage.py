"""Vendors' counts become the same disjoint classes, and impossible counts an error."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from storyloom.domain.errors import ModelBadUsage
from storyloom.domain.model_calls import Message, ModelRequest, ToolSpec, Usage
from storyloom.domain.usage import Shape, estimated_usage, most_input_tokens, most_tokens, read_usage

ALL = Usage(input=7, cache_read=20, cache_write=5, cache_write_1h=2, output=9, reasoning=4)
REPORTS: dict[Shape, dict[str, object]] = {
    "anthropic": {
        "input_tokens": 7,
        "cache_read_input_tokens": 20,
        "cache_creation_input_tokens": 5,
        "cache_creation": {"ephemeral_5m_input_tokens": 3, "ephemeral_1h_input_tokens": 2},
        "output_tokens": 9,
        "output_tokens_details": {"thinking_tokens": 4},
    },
    "openai_chat": {
        "prompt_tokens": 32,
        "prompt_tokens_details": {"cached_tokens": 20, "cache_write_tokens": 5},
        "completion_tokens": 9,
        "completion_tokens_details": {"reasoning_tokens": 4},
    },
    "openai_responses": {
        "input_tokens": 32,
        "input_tokens_details": {"cached_tokens": 20, "cache_write_tokens": 5},
        "output_tokens": 9,
        "output_tokens_details": {"reasoning_tokens": 4},
    },
    "litellm": {
        "prompt_tokens": 32,
        "prompt_tokens_details": {
            "cached_tokens": 20,
            "cache_creation_tokens": 5,
            "cache_creation_token_details": {"ephemeral_1h_input_tokens": 2},
        },
        "completion_tokens": 9,
        "completion_tokens_details": {"reasoning_tokens": 4},
    },
}


@pytest.mark.parametrize("shape", REPORTS)
def test_every_vendors_report_of_one_call_is_the_same_usage(shape: Shape) -> None:
    hour = 0 if shape.startswith("openai") else 2  # OpenAI knows no cache of an hour
    assert read_usage(shape, REPORTS[shape]) == ALL.model_copy(update={"cache_write_1h": hour})


@pytest.mark.parametrize("shape", REPORTS)
def test_details_may_be_missing_but_not_the_counts(shape: Shape) -> None:
    whole = {key: value for key, value in REPORTS[shape].items() if not isinstance(value, dict)}
    assert read_usage(shape, whole).output == 9
    for missing in [key for key in whole if not key.startswith("cache")]:
        with pytest.raises(ModelBadUsage, match=missing):
            read_usage(shape, {key: value for key, value in whole.items() if key != missing})


@pytest.mark.parametrize("report", [None, {}])
def test_no_report_is_an_error_not_zero(report: dict[str, object] | None) -> None:
    with pytest.raises(ModelBadUsage, match="no token counts"):
        read_usage("anthropic", report)


@pytest.mark.parametrize("wrong", [-1, "many", 1.5, True, [3]])
def test_a_count_that_is_none_is_an_error(wrong: object) -> None:
    with pytest.raises(ModelBadUsage, match="output_tokens"):
        read_usage("anthropic", {"input_tokens": 1, "output_tokens": wrong})


def test_parts_that_exceed_their_whole_are_an_error() -> None:
    with pytest.raises(ModelBadUsage, match="contradict"):
        read_usage("openai_chat", {**REPORTS["openai_chat"], "prompt_tokens": 24})
    with pytest.raises(ModelBadUsage, match="contradict"):
        read_usage("litellm", {**REPORTS["litellm"], "completion_tokens": 3})


@given(st.text())
def test_an_estimate_is_between_half_a_token_and_one_token_a_byte(text: str) -> None:
    size = len(text.encode("utf-8", "surrogatepass"))
    assert size / 2 <= most_tokens(text) <= size or not text


@given(st.lists(st.text(max_size=50), max_size=5), st.text(max_size=50))
def test_a_longer_request_is_never_estimated_lower(texts: list[str], more: str) -> None:
    def request(messages: list[str]) -> ModelRequest:
        made = tuple(Message(role="user", content=text) for text in messages)
        return ModelRequest(persona="p", model="m", system="s", messages=made)

    assert most_input_tokens(request([*texts, more])) > most_input_tokens(request(texts))


def test_tools_and_schemas_count_and_an_estimate_says_that_it_is_one() -> None:
    plain = ModelRequest(persona="p", model="m", system="s", messages=(Message(role="user", content="x"),))
    tool = ToolSpec(name="run", description="Run it.", parameters={"type": "object"})
    assert most_input_tokens(plain.model_copy(update={"tools": (tool,)})) > most_input_tokens(plain) + 100
    assert most_input_tokens(plain.model_copy(update={"schema_": {"type": "object"}})) > most_input_tokens(plain)
    assert estimated_usage(plain, None).output == plain.max_output_tokens
    assert estimated_usage(plain, "word").source == "estimated"
    assert estimated_usage(plain, "word").output == 2
