"""How is a model asked, so that every call is journalled, paid for within budget, and never made twice?"""

from __future__ import annotations

import itertools
import json
import logging
import random
import time
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, Protocol

from storyloom.domain import answer_schema
from storyloom.domain.attempts import Attempt, Book, Journal, logical_call_id
from storyloom.domain.budget import Alert
from storyloom.domain.errors import (
    ModelBadOutput,
    ModelBusy,
    ModelError,
    ModelRefused,
    ModelTimeout,
    ModelUnpriced,
)
from storyloom.domain.events import CallRecorded
from storyloom.domain.model_calls import ModelReply, ModelRequest, Usage
from storyloom.domain.ports import Recorder
from storyloom.domain.prices import Price, PriceTable, cost, cost_if_uncached, cost_status, worst_cost
from storyloom.domain.redaction import Redactor
from storyloom.domain.retry import Action, RetryPolicy, decide
from storyloom.domain.routing import (
    Candidate,
    HealthPolicy,
    RoutingPolicy,
    Traffic,
    after_failure,
    after_success,
    candidates,
    rest_left,
)
from storyloom.domain.usage import estimated_usage, most_input_tokens
from storyloom.domain.verdict import MOST_REPAIRS, judge, next_question
from storyloom.domain.wire import Abilities, RawReply, Route

from .total_deadline import within

# How long an answer stands for an identical question, in seconds; a purpose that is not named: for good.
LIFETIMES: Mapping[str, float] = {"decide": 3600.0}

log = logging.getLogger(__name__)


class Clock(Protocol):
    """Time, so that tests need none."""

    def now(self) -> float:
        """Unix time."""
        ...

    def monotonic(self) -> float:
        """Seconds from some start; never goes back."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class SystemClock:
    """The machine's time."""

    def now(self) -> float:
        """Unix time."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds since the machine started."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


class Door:
    """The one door to models. `routes` by provider name; the route "*" takes the providers that are not named."""

    def __init__(
        self,
        routes: Mapping[str, Route],
        journal: Journal,
        book: Book,
        recorder: Recorder,
        policy: RoutingPolicy,
        prices: PriceTable,
        *,
        traffic: Traffic | None = None,
        retry: RetryPolicy | None = None,
        health: HealthPolicy | None = None,
        lifetimes: Mapping[str, float] = LIFETIMES,
        redact: Redactor | None = None,
        clock: Clock | None = None,
        on_alert: Callable[[Alert], None] | None = None,
    ) -> None:
        self._routes, self._journal, self._book, self._recorder = dict(routes), journal, book, recorder
        self._policy, self._prices, self._traffic = policy, prices, traffic
        self._retry, self._health = retry or RetryPolicy(), health or HealthPolicy()
        self._lifetimes, self._redact = dict(lifetimes), redact or Redactor()
        self._clock, self._on_alert = clock or SystemClock(), on_alert or _say
        self._turns = itertools.count()
        self._seen: set[str] = set()

    def complete(self, request: ModelRequest) -> ModelReply:
        """Answer `request`, from the journal if it was answered within its lifetime. Usage and cost sum all attempts.

        Raises:
            ModelError: one of its subclasses; `may_pass` tells whether waiting helps.
            BudgetExceeded: before the call, when its worst case would pass a cap.
            StorageFull: the journal cannot be written; nothing is sent that is not in it.
        """
        if request.schema_ is not None:
            _validator(answer_schema.text(request.schema_))
        call = _Call(request, self._clock.monotonic())
        with self._journal.alone(call.key, wait_s=request.deadline_s):
            before = self._journal.attempts(call.key)
            if known := self._known(call, before):
                return known
            for attempt in before:
                if attempt.status == "open":  # its sender is dead, for we hold the question's lock
                    self._finish(attempt.lost())
            call.attempts = len(before)
            return self._ask(call)

    def recover(self, attempts: Any) -> int:
        """Bring budget and events in line with the journal's `attempts` after a crash; returns their number."""
        count = 0
        for count, attempt in enumerate(attempts, 1):  # noqa: B007 - the last number is the answer
            if attempt.status != "open":
                self._book.settle(attempt.reservation, usd=attempt.cost, tokens=attempt.usage.total)
                self._recorder.record(_event(attempt))
        return count

    def _known(self, call: _Call, before: list[Attempt]) -> ModelReply | None:
        answered = next((a for a in reversed(before) if a.status == "ok" and a.reply is not None), None)
        lifetime = self._lifetimes.get(call.request.purpose)
        if answered is None or answered.reply is None:
            return None
        if lifetime is not None and self._clock.now() - answered.at > lifetime:
            return None
        if call.key not in self._seen:  # a crash may have come between outcome and bill; both are idempotent
            self.recover(before)
            self._seen.add(call.key)
        reply = answered.reply.model_copy(update={"cached": True})
        self._recorder.record(
            CallRecorded(
                event_id=uuid.uuid4().hex,
                ts=_iso(self._clock.now()),
                logical_call_id=call.key,
                attempt_no=answered.attempt_no,
                tags=call.request.tags,
                purpose=call.request.purpose,
                provider=reply.provider,
                model_requested=call.request.model,
                model=reply.model,
                usage=Usage(source="none"),
                cost=Decimal(0),
                cost_if_uncached=reply.cost,
                cost_status=answered.cost_status,
                status="cache_hit",
                stop_reason=reply.stop_reason,
                prompt_sha256=answered.prompt_sha256,
            )
        )
        return reply

    def _ask(self, call: _Call) -> ModelReply:
        question, repairs, fallback = call.request, 0, ""
        plan = self._plan(call.request)
        for at, candidate in enumerate(plan):
            tries, alternatives = 0, at + 1 < len(plan)
            while True:
                tries += 1
                try:
                    self._wait_for_turn(call, candidate, question)
                    return self._attempt(call, candidate, question, fallback or candidate.reason, alternatives)
                except ModelBadOutput as error:
                    following = next_question(question, error, self._most_output(candidate))
                    if repairs == MOST_REPAIRS or following is None:
                        raise
                    question, repairs, tries = following, repairs + 1, 0
                except ModelError as error:
                    decision = decide(
                        error,
                        attempt=tries,
                        elapsed_s=self._clock.monotonic() - call.began,
                        deadline_s=call.request.deadline_s,
                        alternatives=alternatives,
                        policy=self._retry,
                        spread=random.random(),  # noqa: S311 - spreads parallel workers, guards nothing
                    )
                    if decision.action is Action.STOP:
                        raise
                    if decision.action is Action.PARK:
                        raise ModelBusy(
                            error.message,
                            retry_after_s=decision.wait_s,
                            remedy=f"Ask again in about {decision.wait_s:.0f} s.",
                        ) from error
                    if decision.action is Action.FALL_BACK:
                        fallback = f"instead of {candidate.model}: {decision.reason}"[:500]
                        log.warning("asking %s %s", plan[at + 1].model, fallback)
                        break
                    self._clock.sleep(decision.wait_s)
        raise AssertionError("a plan is never empty, and its last model never falls back")

    def _plan(self, request: ModelRequest) -> list[Candidate]:
        now = self._clock.now()
        states = self._traffic.health() if self._traffic else {}
        return candidates(
            request,
            self._policy,
            price=self._price,
            resting={name: rest for name, state in states.items() if (rest := rest_left(state, now, self._health))},
            in_flight=self._book.in_flight() if self._policy.strategy == "least_loaded" else {},
            turn=next(self._turns),
        )

    def _wait_for_turn(self, call: _Call, candidate: Candidate, question: ModelRequest) -> None:
        """Hold back while the provider rests or its rate limit is used up.

        Raises:
            ModelBusy: for longer than we wait.
        """
        if self._traffic is None:
            return
        most = min(self._retry.longest_wait_s, self._left(call))
        rest = rest_left(self._traffic.health().get(candidate.provider), self._clock.now(), self._health)
        if rest <= most:
            rest += self._traffic.admit(candidate.provider, most_input_tokens(question), most_wait_s=most - rest)
        if rest > most:
            raise ModelBusy(f"{candidate.provider} is resting or at its rate limit.", retry_after_s=rest)
        if rest:
            self._clock.sleep(rest)

    def _attempt(
        self, call: _Call, candidate: Candidate, question: ModelRequest, fallback: str, alternatives: bool
    ) -> ModelReply:
        """Send one request, with its intent, reservation, outcome, bill and event."""
        price = self._price(candidate.model)
        question = self._within_limits(question, price)
        left = self._left(call)
        if left <= 0:
            raise ModelTimeout(f"{call.request.deadline_s:.0f} s had passed before {candidate.model} could be asked.")
        call.attempts += 1
        worst = Usage(input=most_input_tokens(question), output=question.max_output_tokens, source="estimated")
        attempt = Attempt(
            logical_call_id=call.key,
            attempt_no=call.attempts,
            reservation=f"{call.key[:32]}-{call.attempts}-{uuid.uuid4().hex[:8]}",
            at=self._clock.now(),
            tags=call.request.tags,
            purpose=question.purpose,
            provider=candidate.provider,
            model_requested=call.request.model,
            model=candidate.model,
            worst_cost=worst_cost(worst.input, worst.output, price) if price else None,
            worst_usage=worst,
            cost_status=cost_status(price),
            fallback_reason=fallback,
            prompt_sha256=question.content_key(),
        )
        self._begin(attempt, left)
        began = self._clock.monotonic()
        try:
            raw, failure = self._send(question, candidate, price, left / 2 if alternatives else left)
        except BaseException:
            self._finish(attempt.lost())
            raise
        attempt = attempt.model_copy(update={"latency_s": self._clock.monotonic() - began})
        if raw is None:
            assert failure is not None
            raise self._failed(call, attempt, failure, price)
        return self._answered(call, attempt, question, raw, price)

    def _begin(self, attempt: Attempt, left: float) -> None:
        if attempt.worst_cost is None and not self._book.token_capped(attempt.tags):
            raise ModelUnpriced(
                f"No price is known for {attempt.model} (prices as of {self._prices.as_of}).",
                remedy="Name a model with a price, add its price to the model block, or set a cap in tokens.",
            )
        self._book.reserve(
            attempt.reservation,
            attempt.tags,
            usd=attempt.worst_cost,
            tokens=attempt.worst_usage.total,
            provider=attempt.provider,
            deadline_s=left,
        )
        try:
            self._journal.begin(attempt)
        except BaseException:
            self._book.release(attempt.reservation)
            raise

    def _send(
        self, question: ModelRequest, candidate: Candidate, price: Price | None, seconds: float
    ) -> tuple[RawReply | None, ModelError | None]:
        route = self._routes.get("*" if candidate.model.startswith("litellm/") else candidate.provider)
        route = route or self._routes.get("*")
        if route is None:
            return None, ModelRefused(f"No route leads to {candidate.provider}.", remedy="Add its block.")
        abilities = Abilities(
            schema_native=price.schema_native if price else None,
            effort=bool(price and price.takes_effort),
            responses_only=bool(price and price.responses_only),
            cache_marks=candidate.provider == "anthropic",
        )
        try:
            return within(
                seconds,
                lambda abort: route.send(
                    question, candidate.model, deadline_s=seconds, abilities=abilities, abort=abort
                ),
            ), None
        except ModelError as error:
            return None, error

    def _failed(self, call: _Call, attempt: Attempt, failure: ModelError, price: Price | None) -> ModelError:
        lost = failure.maybe_billed
        if lost:
            call.add(attempt.worst_usage, attempt.worst_cost)
        self._note(attempt, failure)
        self._finish(
            attempt.model_copy(
                update={
                    "status": "unknown" if lost else "error",
                    "usage": attempt.worst_usage if lost else Usage(source="none"),
                    "cost": attempt.worst_cost if lost else Decimal(0) if price else None,
                    "http_status": failure.http_status,
                    "error_class": type(failure).__name__,
                    "error": self._redact(failure.message),
                    "raw": self._redact(failure.raw),
                }
            )
        )
        return failure

    def _answered(
        self, call: _Call, attempt: Attempt, question: ModelRequest, raw: RawReply, price: Price | None
    ) -> ModelReply:
        content = self._redact.known(raw.content)
        parsed, failure = judge(raw.model_copy(update={"content": content}), question, _misfits)
        usage = raw.usage or estimated_usage(question, raw.content + str(raw.tool_calls))
        paid = cost(usage, price) if price else None
        call.add(usage, paid)
        reply = ModelReply(
            content=content,
            tool_calls=raw.tool_calls,
            parsed=parsed,
            usage=call.usage or usage,
            cost=call.cost,
            model=attempt.model,
            provider=attempt.provider,
            stop_reason=raw.stop_reason,
            attempt=attempt.attempt_no,
            latency_s=attempt.latency_s,
            call_id=attempt.event_id,
        )
        self._note(attempt, failure)
        self._finish(
            attempt.model_copy(
                update={
                    "status": "error" if failure else "ok",
                    "usage": usage,
                    "cost": paid,
                    "cost_if_uncached": cost_if_uncached(usage, price) if price else None,
                    "ttft_s": raw.ttft_s,
                    "http_status": raw.http_status,
                    "stop_reason": raw.stop_reason,
                    "error_class": type(failure).__name__ if failure else "ModelBadUsage" if raw.problem else "",
                    "error": self._redact(failure.message if failure else raw.problem),
                    "raw": self._redact(raw.model_dump_json()) if failure or raw.problem else "",
                    "reply": None if failure else reply,
                }
            )
        )
        if failure:
            raise failure
        self._seen.add(call.key)
        return reply

    def _finish(self, attempt: Attempt) -> None:
        """Outcome, bill and event, in this order: each later one can be made again from the one before."""
        try:
            self._journal.end(attempt)
        finally:
            for alert in self._book.settle(attempt.reservation, usd=attempt.cost, tokens=attempt.usage.total):
                self._on_alert(alert)
        self._recorder.record(_event(attempt))

    def _note(self, attempt: Attempt, failure: ModelError | None) -> None:
        if self._traffic is None:
            return
        now, policy = self._clock.now(), self._health
        if failure is not None:
            self._traffic.update(attempt.provider, lambda health: after_failure(health, failure, now, policy))
        elif attempt.provider in self._traffic.health():
            self._traffic.update(attempt.provider, after_success)

    def _price(self, model: str) -> Price | None:
        return self._prices.price(model, datetime.fromtimestamp(self._clock.now(), UTC))

    def _most_output(self, candidate: Candidate) -> int:
        price = self._price(candidate.model)
        return price.max_output_tokens if price else 0

    def _within_limits(self, question: ModelRequest, price: Price | None) -> ModelRequest:
        if price is None or not 0 < price.max_output_tokens < question.max_output_tokens:
            return question
        return question.model_copy(update={"max_output_tokens": price.max_output_tokens})

    def _left(self, call: _Call) -> float:
        return call.request.deadline_s - (self._clock.monotonic() - call.began)


class _Call:
    """What is known of one question while it is being asked."""

    def __init__(self, request: ModelRequest, began: float) -> None:
        self.request, self.began = request, began
        self.key = logical_call_id(request.tags.project, request.content_key())
        self.attempts = 0
        self.usage: Usage | None = None
        self.cost = Decimal(0)

    def add(self, usage: Usage, paid: Decimal | None) -> None:
        """Count what one attempt used."""
        self.usage = usage if self.usage is None else self.usage + usage
        self.cost += paid or Decimal(0)


def _event(attempt: Attempt) -> CallRecorded:
    shared = CallRecorded.model_fields.keys() & Attempt.model_fields.keys() - {"status"}
    return CallRecorded(
        event_id=attempt.event_id,
        ts=_iso(attempt.at),
        status="unknown" if attempt.status == "open" else attempt.status,
        **{name: getattr(attempt, name) for name in shared},
    )


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat()


def _say(alert: Alert) -> None:
    sign = "$" if alert.unit == "dollars" else ""
    log.warning("%s has used %d %% of its budget: %s%s of %s", alert.scope, alert.level, sign, alert.spent, alert.cap)


@lru_cache(maxsize=256)
def _validator(schema: str) -> Any:
    """A validator for a JSON schema given as text.

    Raises:
        ModelRefused: it is no valid schema.
    """
    import jsonschema  # 0.1 s: only when a schema is asked for

    loaded = json.loads(schema)
    kind = jsonschema.validators.validator_for(loaded, default=jsonschema.Draft202012Validator)
    try:
        kind.check_schema(loaded)
    except jsonschema.SchemaError as error:
        raise ModelRefused(f"The request's JSON schema is wrong: {error.message}", remedy="Correct it.") from None
    return kind(loaded)


def _misfits(schema: Any, value: Any) -> list[str]:
    errors = sorted(_validator(answer_schema.text(schema)).iter_errors(value), key=lambda error: list(error.path))
    return [f"{'.'.join(map(str, error.path)) or 'the value'}: {error.message[:300]}" for error in errors]
