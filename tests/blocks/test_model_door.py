"""A question is asked once, paid once, by whoever can answer it, and nothing is lost when somebody dies over it."""

from __future__ import annotations

import base64
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from storyloom.blocks.call_journal import CallJournal
from storyloom.blocks.ledger import Ledger
from storyloom.blocks.model_door import Door
from storyloom.blocks.openai_route import OpenAIRoute
from storyloom.blocks.provider_traffic import ProviderTraffic
from storyloom.domain import errors
from storyloom.domain.budget import Alert, Cap, Scope
from storyloom.domain.model_calls import CallTags, Message, ModelRequest, Usage
from storyloom.domain.prices import bundled_prices
from storyloom.domain.rate_limit import RateLimit
from storyloom.domain.redaction import MASK, Redactor, forms_of
from storyloom.domain.routing import RoutingPolicy
from storyloom.domain.wire import Abilities, Abort, Endpoint, RawReply
from storyloom.rehearsal.conversation import Conversation
from storyloom.rehearsal.script_files import Entry
from storyloom.rehearsal.server import RehearsalServer

CLAUDE, GPT = "anthropic/claude-haiku-5-5", "openai/gpt-6-luna"
POLICY = RoutingPolicy(classes={"standard": (CLAUDE, GPT)})
RUN = Scope(kind="run", id="r1")
GOOD = RawReply(content="fine", stop_reason="stop", usage=Usage(input=100, output=10))


class Clock:
    def __init__(self) -> None:
        self.time = 1_795_000_000.0  # in November 2026

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds


class Scripted:
    """A route that answers, or raises, what it was given, in order; the last one for ever."""

    name = "scripted"

    def __init__(self, *script: Any) -> None:
        self.script, self.asked = list(script), list[tuple[str, ModelRequest, float, Abilities]]()

    def send(
        self, request: ModelRequest, model: str, *, deadline_s: float, abilities: Abilities, abort: Abort
    ) -> RawReply:
        self.asked.append((model, request, deadline_s, abilities))
        step = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(step, BaseException):
            raise step
        return step() if callable(step) else step  # type: ignore[no-any-return]

    @property
    def models(self) -> list[str]:
        return [model for model, *_ in self.asked]


class Spool(list[Any]):
    def record(self, event: Any) -> None:
        self.append(event)


class World:
    """One project's door with everything behind it in a folder."""

    def __init__(self, folder: Path, *, cap: str = "10", **given: Any) -> None:
        self.clock, self.events, self.journal = Clock(), Spool(), CallJournal(folder)
        self.url = f"sqlite:///{folder}/ledger.db"
        self.book = Ledger(self.url, {"run": Cap(usd=Decimal(cap))}, wall=self.clock.now)
        self.alerts: list[Alert] = []
        routes = given.pop("routes")
        self.door = Door(
            routes,
            self.journal,
            self.book,
            self.events,
            given.pop("policy", POLICY),
            bundled_prices(),
            clock=given.pop("clock", self.clock),
            on_alert=self.alerts.append,
            **given,
        )

    def spent(self) -> tuple[Decimal, Decimal]:
        spending = self.book.spent(RUN)
        return spending.usd, spending.usd_reserved


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Callable[..., World]]:
    made: list[World] = []

    def make(**given: Any) -> World:
        made.append(World(tmp_path, **given))
        return made[-1]

    yield make
    for one in made:
        one.book.close()


def ask(**changes: object) -> ModelRequest:
    given = {
        "persona": "amelia",
        "model": "standard",
        "system": "S",
        "messages": [Message(role="user", content="x")],
        "tags": CallTags(project="shelf", run="r1"),
    }
    return ModelRequest.model_validate({**given, **changes})


def test_a_provider_that_is_down_is_replaced_and_the_reason_is_on_record(world: Callable[..., World]) -> None:
    route, other = Scripted(errors.ModelBroken("no route to host")), Scripted(GOOD)
    here = world(routes={"anthropic": route, "openai": other})
    reply = here.door.complete(ask())
    assert (reply.model, reply.provider, reply.attempt) == (GPT, "openai", 4)
    assert [event.status for event in here.events] == ["error", "error", "error", "ok"]
    assert here.events[-1].fallback_reason.startswith(f"instead of {CLAUDE}: ModelBroken 3 times")
    assert "no route to host" in here.events[-1].fallback_reason


@pytest.mark.parametrize(
    "error", [errors.ModelUnauthorised("wrong key"), errors.ModelRefused("bad request"), errors.ModelTooLong("long")]
)
def test_a_wrong_key_or_request_never_becomes_another_models_work(
    world: Callable[..., World], error: errors.ModelError
) -> None:
    route, other = Scripted(error), Scripted(GOOD)
    here = world(routes={"anthropic": route, "openai": other})
    with pytest.raises(type(error)):
        here.door.complete(ask())
    assert (len(route.asked), len(other.asked)) == (1, 0)


def test_half_of_the_time_is_kept_for_the_others(world: Callable[..., World]) -> None:
    route = Scripted(errors.ModelRefused())
    here = world(routes={"*": route})
    with pytest.raises(errors.ModelRefused):
        here.door.complete(ask(deadline_s=100))
    with pytest.raises(errors.ModelRefused):
        here.door.complete(ask(deadline_s=100, model=GPT))
    assert [seconds for *_, seconds, _ in route.asked] == [50, 100]


def test_an_outage_parks_the_work_and_says_when_to_come_back(world: Callable[..., World]) -> None:
    here = world(routes={"*": Scripted(errors.ModelBusy("full", retry_after_s=900))})
    with pytest.raises(errors.ModelBusy, match="Ask again in about 900 s") as parked:
        here.door.complete(ask())
    assert parked.value.may_pass
    assert parked.value.retry_after_s == 900
    assert here.spent() == (0, 0)


def test_a_provider_that_failed_for_others_is_not_asked_first(world: Callable[..., World]) -> None:
    route, other = Scripted(errors.ModelBusy(retry_after_s=300)), Scripted(GOOD)
    here = world(routes={"anthropic": route, "openai": other})
    traffic = ProviderTraffic(here.url)
    here = world(routes={"anthropic": route, "openai": other}, traffic=traffic)
    here.door.complete(ask())
    reply = here.door.complete(ask(sample=1))
    assert reply.model == GPT
    assert (len(route.asked), len(other.asked)) == (1, 2)
    assert here.events[-1].fallback_reason == "anthropic resting"
    here.clock.sleep(301)
    route.script = [GOOD]
    assert here.door.complete(ask(sample=2)).model == CLAUDE
    assert traffic.health() == {}
    traffic.close()


def test_a_lone_provider_that_rests_is_waited_for_or_the_work_is_parked(world: Callable[..., World]) -> None:
    route = Scripted(GOOD)
    here = world(routes={"*": route})
    traffic = ProviderTraffic(here.url, {"anthropic": RateLimit(requests=1)}, wall=here.clock.now)
    here = world(routes={"*": route}, traffic=traffic)
    traffic._wall = here.clock.now
    start = here.clock.now()
    here.door.complete(ask(model=CLAUDE))
    here.door.complete(ask(model=CLAUDE, sample=1))
    assert here.clock.now() - start == 60
    with pytest.raises(errors.ModelBusy, match="at its rate limit"):
        here.door.complete(ask(model=CLAUDE, sample=2, deadline_s=20))
    traffic.close()


def test_an_answer_is_found_again_by_another_process_and_costs_nothing(world: Callable[..., World]) -> None:
    route = Scripted(GOOD)
    first = world(routes={"*": route})
    reply = first.door.complete(ask())
    again = world(routes={"*": route})
    assert again.door.complete(ask()) == reply.model_copy(update={"cached": True})
    assert len(route.asked) == 1
    hit = again.events[-1]
    assert (hit.status, hit.cost, hit.cost_if_uncached, hit.usage.total) == ("cache_hit", 0, reply.cost, 0)
    # The first event comes once more, under its own name, in case the first process died before it was written.
    assert again.events[0].event_id == first.events[0].event_id
    assert again.spent() == (reply.cost, 0)


def test_other_models_behind_a_class_are_asked_anew(world: Callable[..., World]) -> None:
    route = Scripted(GOOD)
    world(routes={"*": route}).door.complete(ask())
    changed = world(routes={"*": route}, policy=RoutingPolicy(classes={"standard": (GPT,)}))
    assert changed.door.complete(ask()).model == GPT
    turned = world(
        routes={"*": route}, policy=RoutingPolicy(classes={"standard": (GPT, CLAUDE)}, providers=("openai",))
    )
    assert turned.door.complete(ask()).cached


def test_an_answer_stands_as_long_as_its_purpose_says(world: Callable[..., World]) -> None:
    route = Scripted(GOOD)
    here = world(routes={"*": route})
    for purpose, seconds in (("decide", 3599), ("work", 10**7)):
        here.door.complete(ask(purpose=purpose))
        here.clock.sleep(seconds)
        assert here.door.complete(ask(purpose=purpose)).cached
    here.clock.sleep(3601)
    assert not here.door.complete(ask(purpose="decide")).cached
    here.clock.sleep(-500_000)  # the clock was set back
    assert here.door.complete(ask(purpose="decide")).cached


def test_a_crash_while_a_call_is_out_counts_as_its_worst_case(world: Callable[..., World]) -> None:
    route = Scripted(KeyboardInterrupt())
    here = world(routes={"*": route})
    with pytest.raises(KeyboardInterrupt):
        here.door.complete(ask())
    [attempt] = here.journal.all_attempts()
    assert attempt.status == "unknown"
    assert here.spent() == (attempt.worst_cost, 0)
    assert here.events[-1].status == "unknown"
    assert here.events[-1].cost == attempt.worst_cost


def test_what_a_dead_process_left_open_is_closed_by_whoever_asks_next(world: Callable[..., World]) -> None:
    here = world(routes={"*": Scripted(GOOD)})
    here.door.complete(ask())
    [attempt] = here.journal.all_attempts()
    path = next(here.journal._folder.rglob("*.jsonl"))
    path.write_bytes(path.read_bytes().split(b"\n")[1] + b"\n")  # as if it had died before the outcome was there
    later = world(routes={"*": Scripted(GOOD)})
    reply = later.door.complete(ask())
    assert not reply.cached
    assert [a.status for a in here.journal.all_attempts()] == ["unknown", "ok"]
    assert [event.status for event in later.events] == ["unknown", "ok"]
    assert later.events[0].event_id == attempt.event_id


def test_a_bill_that_a_crash_left_out_is_made_from_the_journal(world: Callable[..., World], tmp_path: Path) -> None:
    here = world(routes={"*": Scripted(GOOD)})
    here.door.complete(ask())
    here.book.close()
    for path in tmp_path.glob("ledger.db*"):
        path.unlink()
    later = world(routes={"*": Scripted(GOOD)})
    [attempt] = later.journal.all_attempts()
    assert later.door.recover(later.journal.all_attempts()) == 1
    assert later.spent() == (attempt.cost, 0)
    assert [event.event_id for event in later.events] == [attempt.event_id]


def test_the_same_question_at_once_is_asked_once(world: Callable[..., World]) -> None:
    def slowly() -> RawReply:
        threading.Event().wait(0.05)
        return GOOD

    route = Scripted(slowly)
    here = world(routes={"*": route})
    with ThreadPoolExecutor(6) as pool:
        replies = list(pool.map(here.door.complete, [ask()] * 6))
    assert len(route.asked) == 1
    assert sorted(reply.cached for reply in replies) == [False] + [True] * 5
    assert len({reply.call_id for reply in replies}) == 1


def test_no_call_is_made_that_a_budget_cannot_bear_and_alerts_come_once(world: Callable[..., World]) -> None:
    big = RawReply(content="fine", stop_reason="stop", usage=Usage(input=80, output=8000))
    here = world(routes={"*": Scripted(big)}, cap="0.012")
    for sample in range(2):
        here.door.complete(ask(model=CLAUDE, sample=sample))
    with pytest.raises(errors.BudgetExceeded) as refused:
        here.door.complete(ask(model=CLAUDE, sample=2))
    assert refused.value.scope == "run r1"
    assert here.spent() == (Decimal("0.008016"), 0)
    assert [alert.level for alert in here.alerts] == [50]
    assert len(list(here.journal.all_attempts())) == 2


def test_nothing_is_sent_when_the_intent_cannot_be_written(
    world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    route = Scripted(GOOD)
    here = world(routes={"*": route})

    def full(attempt: object) -> None:
        raise errors.StorageFull("full")

    monkeypatch.setattr(here.journal, "begin", full)
    with pytest.raises(errors.StorageFull):
        here.door.complete(ask())
    assert route.asked == []
    assert here.spent() == (0, 0)


def test_an_outcome_that_cannot_be_written_is_still_paid(
    world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    here = world(routes={"*": Scripted(GOOD)})

    def full(attempt: object) -> None:
        raise errors.StorageFull("full")

    monkeypatch.setattr(here.journal, "end", full)
    with pytest.raises(errors.StorageFull):
        here.door.complete(ask(model=CLAUDE))
    assert here.spent() == (Decimal("0.000015"), 0)


def test_a_known_secret_in_an_answer_is_kept_nowhere(world: Callable[..., World], tmp_path: Path) -> None:
    secret = "correct-horse-battery"
    leaky = RawReply(content=f"the key is {secret}", stop_reason="stop", usage=Usage(input=1, output=1))
    here = world(routes={"*": Scripted(leaky)}, redact=Redactor([secret]))
    assert here.door.complete(ask()).content == "the key is [redacted]"
    broken = errors.ModelRefused(f"no: {secret}")
    broken.raw = f"raw {secret}"
    here = world(routes={"*": Scripted(broken)}, redact=Redactor([secret]))
    with pytest.raises(errors.ModelRefused):
        here.door.complete(ask(sample=1))
    kept = "".join(path.read_text("utf-8") for path in tmp_path.rglob("*.jsonl"))
    assert secret not in kept
    assert "raw [redacted]" in kept
    assert secret not in repr(here.events)


def test_a_known_secret_is_taken_out_of_tool_calls_refusals_and_what_is_raised(
    world: Callable[..., World], tmp_path: Path
) -> None:
    secret = "correct/horse+battery"
    hidden = base64.b64encode(f"x {secret} y".encode()).decode()
    calls = [
        {
            "id": secret,
            "name": "write_file",
            "arguments": {"path": "a.py", "content": [f"# {secret}", hidden], secret: 1},
        }
    ]
    usage = Usage(input=1, output=1)
    tools = RawReply.model_validate({"tool_calls": calls, "stop_reason": "tool_calls", "usage": usage})
    refusal = RawReply(refusal=f"Not with {secret}.", stop_reason="refusal", usage=usage)
    here = world(
        routes={"*": Scripted(tools, refusal, errors.ModelRefused(f"no: {secret}"))}, redact=Redactor([secret])
    )
    [call] = here.door.complete(ask()).tool_calls
    assert call.id == MASK
    assert call.arguments["content"][0] == f"# {MASK}"  # type: ignore[index]
    assert MASK in call.arguments
    with pytest.raises(errors.ModelRefused, match=r"declined: Not with \[redacted\]\.") as refused:
        here.door.complete(ask(sample=1))
    assert refused.value.words == f"Not with {MASK}."
    assert f"Not with {MASK}." in refused.value.raw
    with pytest.raises(errors.ModelRefused, match=r"no: \[redacted\]"):
        here.door.complete(ask(sample=2))
    kept = "".join(path.read_text("utf-8") for path in tmp_path.rglob("*.jsonl"))
    assert [form for form in forms_of(secret) if form in kept] == []


def test_a_request_never_asks_for_more_than_the_model_can_give(world: Callable[..., World]) -> None:
    route = Scripted(GOOD)
    here = world(routes={"*": route})
    here.door.complete(ask(model="openai/gpt-4.1", max_output_tokens=500_000))
    _, question, _, abilities = route.asked[0]
    assert question.max_output_tokens == 32_768
    assert (abilities.schema_native, abilities.effort, abilities.cache_marks) == (True, False, False)


def test_a_model_without_a_route_is_refused_and_least_loaded_looks_at_what_is_out(world: Callable[..., World]) -> None:
    here = world(routes={"openai": Scripted(GOOD)}, policy=POLICY.model_copy(update={"strategy": "least_loaded"}))
    here.book.reserve("other", CallTags(run="r2"), usd=Decimal(1), tokens=1, provider="anthropic")
    assert here.door.complete(ask()).model == GPT
    with pytest.raises(errors.ModelRefused, match="No route leads to anthropic"):
        here.door.complete(ask(model=CLAUDE))


CHILD = """
import sys
from decimal import Decimal
from pydantic import SecretStr
from storyloom.blocks.call_journal import CallJournal
from storyloom.blocks.ledger import Ledger
from storyloom.blocks.model_door import Door
from storyloom.blocks.openai_route import OpenAIRoute
from storyloom.domain.budget import Cap
from storyloom.domain.model_calls import ModelRequest
from storyloom.domain.prices import bundled_prices
from storyloom.domain.routing import RoutingPolicy
from storyloom.domain.wire import Endpoint

folder, url, request = sys.argv[1:4]
class Recorder:
    def record(self, event): pass
route = OpenAIRoute(Endpoint(api_key=SecretStr("sk-child-0123456789abcdef"), base_url=url))
book = Ledger(f"sqlite:///{folder}/ledger.db", {"run": Cap(usd=Decimal(10))})
door = Door({"openai": route}, CallJournal(folder), book, Recorder(), RoutingPolicy(), bundled_prices())
print("ready", flush=True)
print(door.complete(ModelRequest.model_validate_json(request)).content, flush=True)
"""


def _child(folder: Path, url: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", CHILD, str(folder), url, ask(model=GPT).model_dump_json()]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_two_processes_that_ask_the_same_pay_once(tmp_path: Path) -> None:
    with RehearsalServer(Conversation([Entry(text="fine", latency_s=0.2)])) as server:
        children = [_child(tmp_path, server.openai_base) for _ in range(2)]
        for child in children:
            out, _ = child.communicate(timeout=120)
            assert out.split() == ["ready", "fine"]
        assert len(server.calls) == 1


def test_after_kill_9_the_call_in_flight_counts_as_spent(tmp_path: Path) -> None:
    with RehearsalServer(Conversation([Entry(text="fine")])) as server:
        server.fault("slow", delay_s=60)
        child = _child(tmp_path, server.openai_base)
        deadline = time.monotonic() + 120
        while not server.calls and time.monotonic() < deadline:
            time.sleep(0.02)
        child.send_signal(signal.SIGKILL)
        child.communicate()
        book = Ledger(f"sqlite:///{tmp_path}/ledger.db")
        [attempt] = CallJournal(tmp_path).all_attempts()
        assert attempt.status == "open"
        assert attempt.worst_cost
        assert book.spent(RUN).usd_reserved == attempt.worst_cost
        assert book.expire() == [attempt.reservation]
        assert (book.spent(RUN).usd, book.spent(RUN).usd_reserved) == (attempt.worst_cost, 0)

        server.faults.clear()
        events = Spool()
        endpoint = Endpoint(api_key=SecretStr("sk-child-0123456789abcdef"), base_url=server.openai_base)
        routes = {"openai": OpenAIRoute(endpoint)}
        door = Door(routes, CallJournal(tmp_path), book, events, RoutingPolicy(), bundled_prices())
        reply = door.complete(ask(model=GPT))
        assert [event.status for event in events] == ["unknown", "ok"]
        assert book.spent(RUN).usd == attempt.worst_cost + reply.cost
        book.close()
