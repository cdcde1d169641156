"""The three clients that the product uses get what the script says, over both providers' formats."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
from storyloom.rehearsal.conversation import Conversation
from storyloom.rehearsal.server import RehearsalServer

os.environ.update(
    LITELLM_LOCAL_MODEL_COST_MAP="True", LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS="True", LITELLM_MODE="PRODUCTION"
)

SCRIPT = """
defaults: {persona: amelia}
entries:
  - subject: hello
    text: Good morning to you, and a fine day for a very small test.
    usage: {input: 7, cache_read: 20, cache_write: 5, output: 9}
  - subject: tools
    tools:
      - name: write_file
        arguments:
          path: a.py
          content: |
            def f():
                return "ü"
      - {name: run_tests, arguments: {}}
  - subject: tools
    turn: 1
    text: Done.
  - subject: shape
    json: {title: A story, points: 3}
"""
SYSTEM = "You are Amelia, a developer.\nBe brief."
PARAMETERS = {"type": "object", "properties": {"path": {"type": "string"}, "content": {"type": "string"}}}
NAMES = ("write_file", "run_tests")
SHAPE = {
    "type": "object",
    "properties": {"title": {"type": "string"}, "points": {"type": "integer"}},
    "required": ["title", "points"],
    "additionalProperties": False,
}
CODE = 'def f():\n    return "ü"\n'
HELLO = "Good morning to you, and a fine day for a very small test."


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RehearsalServer]:
    (tmp_path / "talk.yaml").write_text(SCRIPT, encoding="utf-8")
    with RehearsalServer(Conversation.load(tmp_path), keep_bodies=True) as running:
        yield running


@pytest.fixture
def gpt(server: RehearsalServer) -> openai.OpenAI:
    return openai.OpenAI(base_url=server.openai_base, api_key="sk-test-000", max_retries=0)


@pytest.fixture
def claude(server: RehearsalServer) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=server.anthropic_base, api_key="sk-ant-test-000", max_retries=0)


def chat(subject: str, **more: Any) -> dict[str, Any]:
    said = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": f"# {subject}\nGo on."}]
    return {"model": "gpt-6-luna", "messages": said, **more}


def message(subject: str, **more: Any) -> dict[str, Any]:
    said = [{"role": "user", "content": f"# {subject}\nGo on."}]
    return {"model": "claude-haiku-5-5", "max_tokens": 900, "system": SYSTEM, "messages": said, **more}


CHAT_TOOLS = [{"type": "function", "function": {"name": name, "parameters": PARAMETERS}} for name in NAMES]
CLAUDE_TOOLS = [{"name": name, "input_schema": PARAMETERS} for name in NAMES]
RESPONSE_TOOLS = [{"type": "function", "name": name, "parameters": PARAMETERS, "strict": False} for name in NAMES]


def test_openai_chat_whole_and_streamed_say_the_same(gpt: openai.OpenAI, server: RehearsalServer):
    whole = gpt.chat.completions.create(**chat("hello"))
    assert whole.choices[0].message.content == HELLO
    assert whole.choices[0].finish_reason == "stop"
    assert (whole.usage.prompt_tokens, whole.usage.completion_tokens) == (32, 9)
    assert whole.usage.prompt_tokens_details.cached_tokens == 20
    chunks = list(gpt.chat.completions.create(**chat("hello", stream=True, stream_options={"include_usage": True})))
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == HELLO
    assert chunks[-1].usage == whole.usage
    assert server.totals() | {"calls": 2, "input": 14, "cache_read": 40, "output": 18} == server.totals()


def test_openai_chat_streams_no_usage_unless_asked(gpt: openai.OpenAI):
    assert all(chunk.usage is None for chunk in gpt.chat.completions.create(**chat("hello", stream=True)))


@pytest.mark.parametrize("streamed", [False, True])
def test_openai_chat_calls_tools_and_goes_on_with_their_results(gpt: openai.OpenAI, streamed: bool):
    if streamed:
        with gpt.chat.completions.stream(**chat("tools", tools=CHAT_TOOLS)) as stream:
            said = stream.get_final_completion().choices[0]
    else:
        said = gpt.chat.completions.create(**chat("tools", tools=CHAT_TOOLS)).choices[0]
    assert said.finish_reason == "tool_calls"
    first, second = said.message.tool_calls
    assert (first.function.name, json.loads(first.function.arguments)["content"]) == ("write_file", CODE)
    assert (second.function.name, second.function.arguments) == ("run_tests", "{}")
    assert first.id != second.id
    following = chat("tools", tools=CHAT_TOOLS)
    following["messages"] += [
        {
            "role": "assistant",
            "tool_calls": [c.model_dump(include={"id", "type", "function"}) for c in (first, second)],
        },
        {"role": "tool", "tool_call_id": first.id, "content": "written"},
        {"role": "tool", "tool_call_id": second.id, "content": "OK"},
    ]
    done = gpt.chat.completions.create(**following)
    assert done.choices[0].message.content == "Done."
    assert done.usage.prompt_tokens_details.cached_tokens > 0


def test_openai_chat_gives_structured_output(gpt: openai.OpenAI):
    shape = {"type": "json_schema", "json_schema": {"name": "story", "schema": SHAPE, "strict": True}}
    reply = gpt.chat.completions.create(**chat("shape", response_format=shape))
    assert json.loads(reply.choices[0].message.content) == {"title": "A story", "points": 3}


@pytest.mark.parametrize("streamed", [False, True])
def test_openai_responses_say_texts_tools_and_shapes(gpt: openai.OpenAI, streamed: bool):
    def ask(subject: str, **more: Any) -> Any:
        asked = {"model": "gpt-6-luna", "instructions": SYSTEM, "input": f"# {subject}\nGo on.", **more}
        if not streamed:
            return gpt.responses.create(**asked)
        with gpt.responses.stream(**asked) as stream:
            return stream.get_final_response()

    hello = ask("hello")
    assert (hello.output_text, hello.status) == (HELLO, "completed")
    assert (hello.usage.input_tokens, hello.usage.input_tokens_details.cached_tokens) == (32, 20)
    tools = ask("tools", tools=RESPONSE_TOOLS)
    assert [item.name for item in tools.output] == ["write_file", "run_tests"]
    assert json.loads(tools.output[0].arguments)["content"] == CODE
    results = [{"type": "function_call_output", "call_id": item.call_id, "output": "OK"} for item in tools.output]
    calls = [item.model_dump(exclude_none=True, exclude={"parsed_arguments"}) for item in tools.output]
    done = ask("ignored", input=[{"role": "user", "content": "# tools\nGo on."}, *calls, *results])
    assert done.output_text == "Done."
    shape = {"format": {"type": "json_schema", "name": "story", "schema": SHAPE, "strict": True}}
    assert json.loads(ask("shape", text=shape).output_text)["points"] == 3


def test_anthropic_whole_and_streamed_say_the_same(claude: anthropic.Anthropic):
    whole = claude.messages.create(**message("hello"))
    assert (whole.content[0].text, whole.stop_reason) == (HELLO, "end_turn")
    with claude.messages.stream(**message("hello")) as stream:
        assert "".join(stream.text_stream) == HELLO
        final = stream.get_final_message()
    for usage in (whole.usage, final.usage):
        assert (usage.input_tokens, usage.output_tokens) == (7, 9)
        assert (usage.cache_read_input_tokens, usage.cache_creation_input_tokens) == (20, 5)


@pytest.mark.parametrize("streamed", [False, True])
def test_anthropic_calls_tools_and_goes_on_with_their_results(claude: anthropic.Anthropic, streamed: bool):
    if streamed:
        with claude.messages.stream(**message("tools", tools=CLAUDE_TOOLS)) as stream:
            said = stream.get_final_message()
    else:
        said = claude.messages.create(**message("tools", tools=CLAUDE_TOOLS))
    assert said.stop_reason == "tool_use"
    assert [(block.name, block.input) for block in said.content] == [
        ("write_file", {"path": "a.py", "content": CODE}),
        ("run_tests", {}),
    ]
    following = message("tools", tools=CLAUDE_TOOLS)
    results = [{"type": "tool_result", "tool_use_id": block.id, "content": "OK"} for block in said.content]
    calls = [block.model_dump(include={"type", "id", "name", "input"}) for block in said.content]
    following["messages"] += [{"role": "assistant", "content": calls}, {"role": "user", "content": results}]
    assert claude.messages.create(**following).content[0].text == "Done."


def test_anthropic_gives_structured_output_and_counts_tokens(claude: anthropic.Anthropic, server: RehearsalServer):
    shape = {"format": {"type": "json_schema", "schema": SHAPE}}
    reply = claude.messages.create(**message("shape", output_config=shape))
    assert json.loads(reply.content[0].text) == {"title": "A story", "points": 3}
    asked = message("shape")
    asked.pop("max_tokens")
    assert claude.messages.count_tokens(**asked).input_tokens == reply.usage.input_tokens
    assert len(server.calls) == 1  # counting is no call


def test_both_sdks_list_the_models(gpt: openai.OpenAI, claude: anthropic.Anthropic):
    assert [model.id for model in gpt.models.list()] == ["rehearsal-1"]
    assert [model.id for model in claude.models.list()] == ["rehearsal-1"]
    assert gpt.models.retrieve("rehearsal-1").id == claude.models.retrieve("rehearsal-1").id


LITELLM_ROUTES = ["openai/gpt-6-luna", "anthropic/claude-haiku-5-5", "openai/unheard-of", "anthropic/claude-unheard-of"]


@pytest.mark.parametrize("model", LITELLM_ROUTES)
def test_litellm_says_texts_tools_and_shapes_on_either_route(server: RehearsalServer, model: str):
    import litellm

    base = server.openai_base if model.startswith("openai/") else server.anthropic_base

    def ask(subject: str, **more: Any) -> Any:
        asked = chat(subject, **{"model": model, "api_base": base, "api_key": "sk-test-000", "num_retries": 0, **more})
        return litellm.completion(**asked)

    hello = ask("hello")
    assert hello.choices[0].message.content == HELLO
    assert (hello.usage.prompt_tokens, hello.usage.completion_tokens) == (32, 9)
    chunks = list(ask("hello", stream=True, stream_options={"include_usage": True}))
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == HELLO
    assert (chunks[-1].usage.prompt_tokens, chunks[-1].usage.completion_tokens) == (32, 9)
    tools = ask("tools", tools=CHAT_TOOLS).choices[0]
    assert tools.finish_reason == "tool_calls"
    assert json.loads(tools.message.tool_calls[0].function.arguments)["content"] == CODE
    streamed = litellm.stream_chunk_builder(list(ask("tools", tools=CHAT_TOOLS, stream=True)))
    assert [c.function.name for c in streamed.choices[0].message.tool_calls] == ["write_file", "run_tests"]
    shape = {"type": "json_schema", "json_schema": {"name": "story", "schema": SHAPE, "strict": True}}
    assert json.loads(ask("shape", response_format=shape).choices[0].message.content)["title"] == "A story"
