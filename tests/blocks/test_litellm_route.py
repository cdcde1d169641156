"""litellm is asked so that it can neither hang the process nor hide what it leaves out."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any, get_args

import pytest
from pydantic import SecretStr
from storyloom.blocks.litellm_route import LitellmRoute
from storyloom.blocks.total_deadline import Aborting
from storyloom.domain.errors import ModelError, ModelRefused
from storyloom.domain.model_calls import Message, ModelRequest, ToolSpec
from storyloom.domain.wire import Abilities, Endpoint
from storyloom.rehearsal.conversation import Conversation
from storyloom.rehearsal.faults import Kind
from storyloom.rehearsal.script_files import Entry
from storyloom.rehearsal.server import RehearsalServer

QUICK = [kind for kind in get_args(Kind) if kind not in ("slow", "stall", "drip")]
MODELS = ("anthropic/claude-haiku-5-5", "openai/gpt-6-luna")


@pytest.fixture
def server() -> Iterator[RehearsalServer]:
    with RehearsalServer(Conversation([Entry(text="one two three four five six")])) as running:
        yield running


def route(server: RehearsalServer) -> LitellmRoute:
    key = SecretStr("sk-litellm-0123456789abcdef")
    ends = {"anthropic": server.anthropic_base, "openai": server.openai_base}
    return LitellmRoute({name: Endpoint(api_key=key, base_url=url) for name, url in ends.items()})


def send(route: LitellmRoute, model: str, **changes: Any) -> None:
    given = {"persona": "p", "model": model, "system": "S", "messages": [Message(role="user", content="x")]}
    request = ModelRequest.model_validate({**given, **changes})
    route.send(request, model, deadline_s=30, abilities=Abilities(), abort=Aborting())


def test_no_stream_is_left_to_the_garbage_collector(server: RehearsalServer) -> None:
    """It would be closed under the connection pool's lock, in the middle of a later call, which then never ends."""
    here = route(server)
    gc.collect()
    gc.disable()
    try:
        for kind in ("", *QUICK):
            server.faults.clear()
            if kind:
                server.fault(kind, times=0)
            for model in MODELS:
                try:
                    send(here, model)
                except ModelError:
                    pass
        streams = [thing for thing in gc.get_objects() if type(thing).__name__ == "PoolByteStream"]
        assert [stream for stream in streams if not stream._closed] == []
    finally:
        gc.enable()


@pytest.mark.parametrize("model", [*MODELS, "mistral/mistral-large-latest", "deepseek/deepseek-chat"])
def test_the_words_of_a_refusal_are_kept(server: RehearsalServer, model: str) -> None:
    server.fault("refusal", times=0)
    ends = {"anthropic": server.anthropic_base, **dict.fromkeys(("openai", "mistral", "deepseek"), server.openai_base)}
    key = SecretStr("sk-litellm-0123456789abcdef")
    here = LitellmRoute({name: Endpoint(api_key=key, base_url=url) for name, url in ends.items()})
    request = ModelRequest(persona="p", model=model, system="S", messages=(Message(role="user", content="x"),))
    reply = here.send(request, model, deadline_s=30, abilities=Abilities(), abort=Aborting())
    assert reply.stop_reason == "refusal"
    assert "I can't help with that." in (reply.refusal, reply.content)


def test_a_model_that_takes_no_tools_is_refused_before_they_are_dropped(server: RehearsalServer) -> None:
    tool = ToolSpec(name="run", description="Run.", parameters={"type": "object", "properties": {}})
    with pytest.raises(ModelRefused, match="takes no tools"):
        send(route(server), "perplexity/sonar", tools=(tool,))
    assert server.calls == []


def test_a_provider_that_nobody_knows_is_refused(server: RehearsalServer) -> None:
    with pytest.raises(ModelRefused):
        send(route(server), "nowhere/model")
