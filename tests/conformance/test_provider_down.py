"""With any one provider down the same conversation goes on by the other, and the record shows where and why."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from storyloom.blocks.call_journal import CallJournal
from storyloom.blocks.ledger import Ledger
from storyloom.blocks.model_door import Door
from storyloom.blocks.provider_traffic import ProviderTraffic
from storyloom.blocks.routes import routes
from storyloom.domain.errors import ModelBusy, ModelUnauthorised
from storyloom.domain.model_calls import CallTags, Message, ModelReply, ModelRequest
from storyloom.domain.prices import bundled_prices
from storyloom.domain.retry import RetryPolicy
from storyloom.domain.routing import RoutingPolicy
from storyloom.domain.wire import Endpoint
from storyloom.rehearsal.conversation import Conversation
from storyloom.rehearsal.faults import Kind
from storyloom.rehearsal.script_files import Entry
from storyloom.rehearsal.server import RehearsalServer

CLAUDE, GPT = "anthropic/claude-sonnet-5-5", "openai/gpt-6.1-sol"
TURNS = 6


class QuickClock:
    """The real time, in which sleeping takes none."""

    def __init__(self) -> None:
        self.slept = 0.0

    def now(self) -> float:
        return time.time() + self.slept

    def monotonic(self) -> float:
        return time.monotonic() + self.slept

    def sleep(self, seconds: float) -> None:
        self.slept += seconds


class Events(list[Any]):
    def record(self, event: Any) -> None:
        self.append(event)


@pytest.fixture
def server() -> Iterator[RehearsalServer]:
    with RehearsalServer(Conversation([Entry(text=f"turn {n}", turn=n) for n in range(TURNS)])) as running:
        yield running


def door(
    folder: Path, server: RehearsalServer, events: Events, order: tuple[str, ...], clock: QuickClock | None = None
) -> Door:
    key = SecretStr("sk-fallback-0123456789abcdef")
    ends = {
        "anthropic": Endpoint(api_key=key, base_url=server.anthropic_base),
        "openai": Endpoint(api_key=key, base_url=server.openai_base),
    }
    url, clock = f"sqlite:///{folder}/ledger.db", clock or QuickClock()
    return Door(
        routes(ends),
        CallJournal(folder),
        Ledger(url),
        events,
        RoutingPolicy(classes={"standard": order}),
        bundled_prices(),
        traffic=ProviderTraffic(url, wall=clock.now),
        retry=RetryPolicy(first_wait_s=0.01),
        clock=clock,
    )


def conversation(door: Door) -> list[ModelReply]:
    messages: tuple[Message, ...] = (Message(role="user", content="# Story\nDevelop it.", cache=True),)
    replies = []
    for turn in range(TURNS):
        tags = CallTags(project="shelf", run="r1", turn=turn)
        request = ModelRequest(persona="amelia", model="standard", system="S", messages=messages, tags=tags)
        replies.append(door.complete(request))
        messages = (*messages, replies[-1].as_message(), Message(role="user", content="Go on."))
    return replies


@pytest.mark.parametrize("order", [(CLAUDE, GPT), (GPT, CLAUDE)], ids=["anthropic first", "openai first"])
@pytest.mark.parametrize("kind", ["overloaded", "unavailable", "server_error", "drop", "html_ok"])
def test_the_other_provider_carries_on_and_the_reason_is_on_record(
    server: RehearsalServer, tmp_path: Path, order: tuple[str, ...], kind: Kind
) -> None:
    first, other = (model.split("/")[0] for model in order)
    server.down(first, kind=kind)
    events, clock = Events(), QuickClock()
    replies = conversation(door(tmp_path, server, events, order, clock))
    assert [reply.content for reply in replies] == [f"turn {n}" for n in range(TURNS)]
    assert {reply.provider for reply in replies} == {other}
    answered = [event for event in events if event.status == "ok"]
    assert all(first in event.fallback_reason for event in answered)
    assert answered[0].fallback_reason.startswith(f"instead of {order[0]}")
    assert answered[-1].fallback_reason == f"{first} resting"
    assert clock.slept < 5  # nobody waits for a provider that rests while the other stands by
    asked_in_vain = [event for event in events if event.status != "ok"]
    assert len(asked_in_vain) <= 6  # then its circuit is open, and nobody asks it any more


def test_with_both_down_the_work_is_parked_and_costs_nothing(server: RehearsalServer, tmp_path: Path) -> None:
    server.down("anthropic", "openai", kind="overloaded")
    events = Events()
    here = door(tmp_path, server, events, (CLAUDE, GPT))
    with pytest.raises(ModelBusy) as parked:
        conversation(here)
    assert parked.value.may_pass
    assert parked.value.retry_after_s
    assert sum(event.cost for event in events) == 0


def test_a_wrong_key_is_not_covered_up_by_the_other_provider(server: RehearsalServer, tmp_path: Path) -> None:
    server.down("anthropic", kind="unauthorised")
    events = Events()
    with pytest.raises(ModelUnauthorised):
        conversation(door(tmp_path, server, events, (CLAUDE, GPT)))
    assert [event.provider for event in events] == ["anthropic"]
