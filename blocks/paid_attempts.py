"""How is one request sent so that it is on record before, paid for after, and never lost in between?

Around each request: reservation, intent on the disk, request, outcome on the disk, bill, event. Each later one can be
made again from those before it, so that a crash between any two loses nothing and counts nothing twice.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal

from storyloom.domain.attempts import Attempt, Book, Journal, logical_call_id
from storyloom.domain.budget import Alert
from storyloom.domain.errors import ModelError, ModelRefused, ModelTimeout, ModelUnpriced
from storyloom.domain.events import CallRecorded
from storyloom.domain.model_calls import ModelReply, ModelRequest, Usage
from storyloom.domain.ports import Recorder
from storyloom.domain.prices import Price, PriceTable, cost, cost_if_uncached, cost_status, worst_cost
from storyloom.domain.redaction import Redactor
from storyloom.domain.routing import Candidate, Health
from storyloom.domain.usage import estimated_usage, most_input_tokens
from storyloom.domain.verdict import judge
from storyloom.domain.wire import Abilities, RawReply, Route

from .clock import Clock
from .json_check import misfits
from .total_deadline import within

log = logging.getLogger(__name__)


class Call:
    """One question while it is being asked: all its attempts, and what they cost so far."""

    def __init__(self, request: ModelRequest, models: Sequence[str], began: float) -> None:
        self.request, self.began = request, began
        self.key = logical_call_id(request.tags.project, request.content_key(), models)
        self.attempts = 0
        self.health: Mapping[str, Health] = {}  # of providers, as last seen
        self.usage: Usage | None = None
        self.cost = Decimal(0)

    def add(self, usage: Usage, paid: Decimal | None) -> None:
        """Count what one attempt used."""
        self.usage = usage if self.usage is None else self.usage + usage
        self.cost += paid or Decimal(0)


class PaidAttempts:
    """Sends requests by `routes` (by provider; "*" takes the others) and keeps journal, book and events."""

    def __init__(
        self,
        routes: Mapping[str, Route],
        journal: Journal,
        book: Book,
        recorder: Recorder,
        prices: PriceTable,
        *,
        redact: Redactor,
        clock: Clock,
        on_alert: Callable[[Alert], None] | None = None,
    ) -> None:
        self._routes, self._journal, self._book, self._recorder = dict(routes), journal, book, recorder
        self._prices, self._redact, self._clock = prices, redact, clock
        self._on_alert = on_alert or _say
        self._in_order: set[str] = set()  # questions whose bill and events are known to be complete

    def price(self, model: str) -> Price | None:
        """The model's price now."""
        return self._prices.price(model, datetime.fromtimestamp(self._clock.now(), UTC))

    def known(self, call: Call, lifetime_s: float | None) -> ModelReply | None:
        """The recorded answer, if it still stands. What nobody will ever know the end of is closed as spent."""
        before = self._journal.attempts(call.key)
        call.attempts = len(before)
        answered = next((a for a in reversed(before) if a.status == "ok" and a.reply is not None), None)
        fresh = answered is not None and (lifetime_s is None or self._clock.now() - answered.at <= lifetime_s)
        if answered is not None and answered.reply is not None and fresh:
            if call.key not in self._in_order:
                self.recover(before)
                self._in_order.add(call.key)
            reply = answered.reply.model_copy(update={"cached": True})
            self._recorder.record(_hit(call.request, answered, reply, self._clock.now()))
            return reply
        for attempt in before:
            if attempt.status == "open":  # its sender is dead, for we hold the question's lock
                self._finish(attempt.lost())
        return None

    def recover(self, attempts: Iterable[Attempt]) -> int:
        """Bring bill and events in line with the journal; returns how many attempts it looked at. Idempotent.

        A ledger that was lost is rebuilt so; attempts without an outcome are entered at their worst case.
        """
        count = 0
        for count, kept in enumerate(attempts, 1):  # noqa: B007 - the last number is the answer
            attempt = kept.lost() if kept.status == "open" else kept
            usd, tokens = attempt.cost, attempt.usage.total
            known = not self._book.restore(attempt.reservation, attempt.tags, at=attempt.at, usd=usd, tokens=tokens)
            if kept.status != "open":
                if known:
                    self._book.settle(attempt.reservation, usd=usd, tokens=tokens)
                self._recorder.record(_event(attempt))
        return count

    def send(
        self, call: Call, candidate: Candidate, question: ModelRequest, *, fallback: str, seconds: float, left: float
    ) -> ModelReply:
        """The answer to one request; `seconds` bound it, `left` the whole call.

        Raises:
            ModelError: what came of it instead; it is on record.
            BudgetExceeded: before anything was sent.
        """
        price = self.price(candidate.model)
        if price is not None and 0 < price.max_output_tokens < question.max_output_tokens:
            question = question.model_copy(update={"max_output_tokens": price.max_output_tokens})
        if seconds <= 0:
            raise ModelTimeout(f"{call.request.deadline_s:.0f} s had passed before {candidate.model} could be asked.")
        attempt = self._intended(call, candidate, question, fallback, price)
        self._begin(attempt, left)
        began = self._clock.monotonic()
        try:
            raw, failure = self._sent(question, candidate, price, seconds)
        except BaseException:
            self._finish(attempt.lost())
            raise
        attempt = attempt.model_copy(update={"latency_s": self._clock.monotonic() - began})
        if failure is not None:
            raise self._failed(call, attempt, failure)
        assert raw is not None
        return self._answered(call, attempt, question, raw, price)

    def _intended(
        self, call: Call, candidate: Candidate, question: ModelRequest, fallback: str, price: Price | None
    ) -> Attempt:
        call.attempts += 1
        worst = Usage(input=most_input_tokens(question), output=question.max_output_tokens, source="estimated")
        return Attempt(
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

    def _begin(self, attempt: Attempt, left: float) -> None:
        if attempt.worst_cost is None and not self._book.token_capped(attempt.tags):
            raise ModelUnpriced(
                f"No price is known for {attempt.model} (prices as of {self._prices.as_of}).",
                remedy="Name a model with a price, add its price to the table, or set a cap in tokens.",
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

    def _sent(
        self, question: ModelRequest, candidate: Candidate, price: Price | None, seconds: float
    ) -> tuple[RawReply | None, ModelError | None]:
        route = None if candidate.model.startswith("litellm/") else self._routes.get(candidate.provider)
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
            raw = within(
                seconds,
                lambda abort: route.send(
                    question, candidate.model, deadline_s=seconds, abilities=abilities, abort=abort
                ),
            )
        except ModelError as error:
            return None, error
        return raw, None

    def _failed(self, call: Call, attempt: Attempt, failure: ModelError) -> ModelError:
        lost = failure.maybe_billed
        if lost:
            call.add(attempt.worst_usage, attempt.worst_cost)
        self._finish(
            attempt.model_copy(
                update={
                    "status": "unknown" if lost else "error",
                    "usage": attempt.worst_usage if lost else Usage(source="none"),
                    "cost": attempt.worst_cost if lost else Decimal(0) if attempt.worst_cost is not None else None,
                    "http_status": failure.http_status,
                    "error_class": type(failure).__name__,
                    "error": self._redact(failure.message),
                    "raw": self._redact(failure.raw),
                }
            )
        )
        return self._cleaned(failure)

    def _cleaned(self, failure: ModelError) -> ModelError:
        """The failure without secrets of any provider: its route knows its own key alone."""
        failure.args = (self._redact(failure.message), *failure.args[1:])
        failure.raw = self._redact(failure.raw)
        if isinstance(failure, ModelRefused):
            failure.words = self._redact(failure.words)
        return failure

    def _without_secrets(self, raw: RawReply) -> RawReply:
        """An answer in which no known secret stands, for it will be in files, commits and prompts."""
        known = self._redact.known
        calls = tuple(
            call.model_copy(
                update={
                    "name": known(call.name),
                    "id": known(call.id),
                    "arguments": self._redact.known_in(call.arguments),
                }
            )
            for call in raw.tool_calls
        )
        texts = {"content": known(raw.content), "refusal": known(raw.refusal), "problem": known(raw.problem)}
        return raw.model_copy(update={**texts, "tool_calls": calls})

    def _answered(
        self, call: Call, attempt: Attempt, question: ModelRequest, raw: RawReply, price: Price | None
    ) -> ModelReply:
        usage = raw.usage or estimated_usage(question, raw.content + str(raw.tool_calls))
        raw = self._without_secrets(raw)
        parsed, failure = judge(raw, question, misfits)
        paid = cost(usage, price) if price else None
        call.add(usage, paid)
        reply = ModelReply(
            content=raw.content,
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
            failure.raw = raw.model_dump_json()
            raise self._cleaned(failure)
        self._in_order.add(call.key)
        return reply

    def _finish(self, attempt: Attempt) -> None:
        try:
            self._journal.end(attempt)
        finally:
            for alert in self._book.settle(attempt.reservation, usd=attempt.cost, tokens=attempt.usage.total):
                self._on_alert(alert)
        self._recorder.record(_event(attempt))


_SHARED = CallRecorded.model_fields.keys() & Attempt.model_fields.keys() - {"status"}


def _event(attempt: Attempt) -> CallRecorded:
    return CallRecorded(
        event_id=attempt.event_id,
        ts=_iso(attempt.at),
        status="unknown" if attempt.status == "open" else attempt.status,
        **{name: getattr(attempt, name) for name in _SHARED},
    )


def _hit(request: ModelRequest, answered: Attempt, reply: ModelReply, now: float) -> CallRecorded:
    """An answer from the journal: it cost nothing, and `cost_if_uncached` is what it saved."""
    return CallRecorded(
        event_id=uuid.uuid4().hex,
        ts=_iso(now),
        logical_call_id=answered.logical_call_id,
        attempt_no=answered.attempt_no,
        tags=request.tags,
        purpose=request.purpose,
        provider=reply.provider,
        model_requested=request.model,
        model=reply.model,
        usage=Usage(source="none"),
        cost=Decimal(0),
        cost_if_uncached=reply.cost,
        cost_status=answered.cost_status,
        status="cache_hit",
        stop_reason=reply.stop_reason,
        prompt_sha256=answered.prompt_sha256,
    )


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat()


def _say(alert: Alert) -> None:
    sign = "$" if alert.unit == "dollars" else ""
    log.warning("%s has used %d %% of its budget: %s%s of %s", alert.scope, alert.level, sign, alert.spent, alert.cap)
