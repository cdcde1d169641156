"""Every route carries the same conversations, and the bill is the server's own count."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import SecretStr
from storyloom.blocks.anthropic_route import AnthropicRoute
from storyloom.blocks.call_journal import CallJournal
from storyloom.blocks.ledger import Ledger
from storyloom.blocks.litellm_route import LitellmRoute
from storyloom.blocks.model_door import Door
from storyloom.blocks.openai_route import OpenAIRoute
from storyloom.domain import errors
from storyloom.domain.budget import Cap, Scope
from storyloom.domain.events import CallRecorded
from storyloom.domain.model_calls import CallTags, Message, ModelRequest, ToolSpec, Usage
from storyloom.domain.prices import bundled_prices, cost
from storyloom.domain.routing import RoutingPolicy
from storyloom.domain.wire import Endpoint, Route
from storyloom.rehearsal.conversation import Conversation
from storyloom.rehearsal.faults import Fault
from storyloom.rehearsal.server import RehearsalServer

KEY = "sk-ant-conformance-0123456789abcdef"
MODELS = {  # route: class: model
    "anthropic": {"standard": "anthropic/claude-haiku-5-5", "unpriced": "anthropic/claude-fable-5-2"},
    "openai": {"standard": "openai/gpt-6-luna", "unpriced": "openai/gpt-7-nova"},
    "responses": {"standard": "openai/gpt-5.1-codex", "unpriced": "openai/gpt-7-nova-pro"},
    "litellm-anthropic": {"standard": "litellm/anthropic/claude-haiku-5-5", "unpriced": "litellm/anthropic/claude-x"},
    "litellm-openai": {"standard": "litellm/openai/gpt-6-luna", "unpriced": "litellm/openai/gpt-7-nova"},
}
TOOLS = (
    ToolSpec(
        name="write_file",
        description="Write a file.",
        parameters={
            "type": "object",
            "properties": {"path": {"type": "string"}, "content": {"type": "string"}},
            "required": ["path", "content"],
        },
    ),
    ToolSpec(name="run_tests", description="Run the tests.", parameters={"type": "object", "properties": {}}),
)
_TITLE = {"title": {"type": "string"}}
SCHEMAS: dict[str, Any] = {
    "story": {
        "type": "object",
        "properties": {**_TITLE, "points": {"type": "integer", "minimum": 0, "maximum": 13}},
        "required": ["title", "points"],
    },
    "optional": {"type": "object", "properties": {**_TITLE, "note": {"type": "string"}}, "required": ["title"]},
    "dictionary": {"type": "object", "additionalProperties": {"type": "integer"}},
    "references": {
        "type": "object",
        "properties": {"items": {"type": "array", "items": {"$ref": "#/$defs/Item"}}},
        "required": ["items"],
        "$defs": {"Item": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}},
    },
    "choice": {"type": "object", "properties": {"kind": {"enum": ["a", "b"]}}, "required": ["kind"]},
    "wrong": {"type": "objekt", "properties": 7},
}


def _expanded(value: Any) -> Any:
    if isinstance(value, dict):
        if set(value) == {"repeat"}:
            return value["repeat"][0] * value["repeat"][1]
        return {key: _expanded(part) for key, part in value.items()}
    return [_expanded(part) for part in value] if isinstance(value, list) else value


CASES: list[dict[str, Any]] = _expanded(
    yaml.safe_load(Path(__file__).with_name("door_cases.yaml").read_text(encoding="utf-8"))
)
assert len({case["name"] for case in CASES}) == len(CASES) >= 60


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


class Events:
    def __init__(self) -> None:
        self.calls: list[CallRecorded] = []

    def record(self, event: Any) -> None:
        self.calls.append(event)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RehearsalServer]:
    folder = tmp_path_factory.mktemp("talk")
    entries = [{"subject": case["name"], "turn": at, **turn} for case in CASES for at, turn in enumerate(case["turns"])]
    (folder / "talk.yaml").write_text(yaml.safe_dump(entries, allow_unicode=True), encoding="utf-8")
    with RehearsalServer(Conversation.load(folder)) as running:
        yield running


@pytest.fixture(scope="module")
def routes(server: RehearsalServer) -> dict[str, Route]:
    claude = Endpoint(api_key=SecretStr(KEY), base_url=server.anthropic_base)
    gpt = Endpoint(api_key=SecretStr(KEY), base_url=server.openai_base)
    return {
        "anthropic": AnthropicRoute(claude),
        "openai": OpenAIRoute(gpt),
        "*": LitellmRoute({"anthropic": claude, "openai": gpt}),
    }


def _request(case: dict[str, Any], model: str) -> ModelRequest:
    given = dict(case.get("request", {}))
    first = Message(role="user", content=f"# {case['name']}\nDo it.", cache=given.pop("first_is_stable", False))
    rest = tuple(Message.model_validate(message) for message in given.pop("messages", ()))
    return ModelRequest.model_validate(
        {
            "persona": "amelia",
            "model": model,
            "system": "You are Amelia, a developer.",
            "tools": TOOLS if case.get("tools") else (),
            "schema_": SCHEMAS[case["schema"]] if "schema" in case else None,
            "schema_name": case.get("schema", ""),
            "deadline_s": case.get("deadline_s", 120),
            "tags": CallTags(project="shelf", run="r1", story="1.1", agent="developer"),
            **given,
            "messages": (first, *rest),
        }
    )


def _sum(usages: list[Usage]) -> dict[str, int]:
    total: dict[str, int] = {}
    for usage in usages:
        for name, count in usage.model_dump(exclude={"source"}).items():
            total[name] = total.get(name, 0) + count
    return total


@pytest.mark.parametrize(
    ("route", "case"),
    [
        pytest.param(route, case, id=f"{route}-{case['name']}")
        for route in MODELS
        for case in CASES
        if route in case["expect"].get("only", MODELS)
    ],
)
def test_a_case_ends_as_written_and_is_billed_to_the_token(
    route: str, case: dict[str, Any], server: RehearsalServer, routes: dict[str, Route], tmp_path: Path
) -> None:
    expect = {**case["expect"], **case.get("but", {}).get(route, {})}
    model = MODELS[route][case.get("model", "standard")]
    cap = Cap(usd=Decimal(str(case.get("cap_usd", 10))), tokens=case.get("cap_tokens"))
    book = Ledger(f"sqlite:///{tmp_path}/ledger.db", {"run": cap})
    clock, events, journal = QuickClock(), Events(), CallJournal(tmp_path)
    door = Door(routes, journal, book, events, RoutingPolicy(), bundled_prices(), clock=clock)
    request = _request(case, model)
    server.faults.clear()
    for fault in case.get("faults", ()):
        server.faults.add(Fault(subject=case["name"], **fault))
    before = len(server.calls)

    error: errors.StoryloomError | None = None
    reply = None
    try:
        reply = door.complete(request)
        if case.get("twice"):
            again = door.complete(request)
            assert again == reply.model_copy(update={"cached": True})
    except errors.StoryloomError as raised:
        error = raised

    assert type(error).__name__ == expect.get("error", "NoneType"), error
    if reply is not None:
        _check_reply(reply, expect)
    if "retry_after" in expect:
        assert isinstance(error, errors.ModelBusy)
        assert error.retry_after_s == expect["retry_after"]
    if "slept" in expect:
        assert clock.slept == expect["slept"]

    calls = _asked(server, case, before, expect.get("calls", 1))
    attempts = [event for event in events.calls if event.status != "cache_hit"]
    assert len(calls) == expect.get("calls", 1)
    assert len(attempts) == len(calls)
    counted = _sum([Usage.model_validate(call["usage"]) for call in calls])
    billed = _sum([event.usage for event in attempts])
    spent = book.spent(Scope(kind="run", id="r1"))
    assert (spent.usd_reserved, spent.tokens_reserved) == (0, 0)
    assert spent.tokens == sum(event.usage.total for event in attempts)
    assert spent.usd == sum((event.cost or Decimal(0) for event in attempts), Decimal(0))
    if expect.get("estimated"):
        assert billed == counted or any(event.usage.source == "estimated" for event in attempts)
        assert sum(event.usage.total for event in attempts) >= sum(_total(call["usage"]) for call in calls)
    else:
        assert billed == (counted or billed)
        price = bundled_prices().price(model, clock_day())
        if price is not None:
            assert spent.usd == sum((cost(Usage.model_validate(call["usage"]), price) for call in calls), Decimal(0))
    if reply is not None:
        assert reply.usage.total == sum(event.usage.total for event in attempts)
        assert reply.cost == spent.usd
    _check_journal(journal, error, attempts)
    assert KEY not in "".join(path.read_text("utf-8", "replace") for path in tmp_path.rglob("*.jsonl"))
    assert KEY not in f"{error!r} {error} {getattr(error, 'raw', '')}"


def _asked(server: RehearsalServer, case: dict[str, Any], before: int, wanted: int) -> list[dict[str, Any]]:
    """The server's own record of a case; a call that we gave up may reach it a moment later."""
    until = time.monotonic() + 10
    while True:
        calls = [call for call in server.calls[before:] if call["subject"] == case["name"]]
        if len(calls) >= wanted or time.monotonic() > until:
            return calls
        time.sleep(0.01)


def clock_day() -> Any:
    from datetime import UTC, datetime

    return datetime.now(UTC)


def _total(usage: dict[str, int]) -> int:
    return Usage.model_validate(usage).total


def _check_reply(reply: Any, expect: dict[str, Any]) -> None:
    if "content" in expect:
        assert reply.content == expect["content"]
    if "contains" in expect:
        assert expect["contains"] in reply.content
    if "tools" in expect:
        assert [[call.name, call.arguments] for call in reply.tool_calls] == expect["tools"]
        assert all(call.id for call in reply.tool_calls)
    if "contains_tool" in expect:
        assert [call.name for call in reply.tool_calls] == [expect["contains_tool"]]
        assert len(json.dumps(reply.tool_calls[0].arguments)) > 10_000
    if "parsed" in expect:
        assert reply.parsed == expect["parsed"]
    if "stop" in expect:
        assert reply.stop_reason == expect["stop"]


def _check_journal(journal: CallJournal, error: Exception | None, attempts: list[CallRecorded]) -> None:
    kept = list(journal.all_attempts())
    assert [attempt.attempt_no for attempt in kept] == [event.attempt_no for event in attempts]
    assert all(attempt.status != "open" for attempt in kept)
    if error is not None and kept:
        assert kept[-1].error_class in (type(error).__name__, "ModelBusy")
        assert kept[-1].error
