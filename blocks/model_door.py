"""How is a model asked, so that every call is journalled, paid for within budget, and never made twice?"""

from __future__ import annotations

import itertools
import logging
import random
from collections.abc import Callable, Iterable, Mapping

from storyloom.domain.attempts import Attempt, Book, Journal
from storyloom.domain.budget import Alert
from storyloom.domain.errors import ModelBadOutput, ModelBusy, ModelError
from storyloom.domain.model_calls import ModelReply, ModelRequest
from storyloom.domain.ports import Recorder
from storyloom.domain.prices import PriceTable
from storyloom.domain.redaction import Redactor
from storyloom.domain.retry import Action, RetryPolicy, decide
from storyloom.domain.routing import (
    Candidate,
    HealthPolicy,
    RoutingPolicy,
    Traffic,
    after_failure,
    after_success,
    behind,
    candidates,
    rest_left,
)
from storyloom.domain.usage import most_input_tokens
from storyloom.domain.verdict import MOST_REPAIRS, next_question
from storyloom.domain.wire import Route

from .clock import Clock, SystemClock
from .json_check import must_be_schema
from .paid_attempts import Call, PaidAttempts

# How long an answer stands for an identical question, in seconds; a purpose that is not named: for good.
LIFETIMES: Mapping[str, float] = {"decide": 3600.0}

log = logging.getLogger(__name__)


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
        self._journal, self._book, self._policy, self._traffic = journal, book, policy, traffic
        self._retry, self._health = retry or RetryPolicy(), health or HealthPolicy()
        self._lifetimes, self._clock = dict(lifetimes), clock or SystemClock()
        self._attempts = PaidAttempts(
            routes,
            journal,
            book,
            recorder,
            prices,
            redact=redact or Redactor(),
            clock=self._clock,
            on_alert=on_alert,
        )
        self._turns = itertools.count()

    def complete(self, request: ModelRequest) -> ModelReply:
        """Answer `request`, from the journal if it was answered within its lifetime. Usage and cost sum all attempts.

        Raises:
            ModelError: one of its subclasses; `may_pass` tells whether waiting helps.
            BudgetExceeded: before the call, when its worst case would pass a cap.
            StorageFull: the journal cannot be written; nothing is sent that is not in it.
        """
        if request.schema_ is not None:
            must_be_schema(request.schema_)
        call = Call(request, behind(request, self._policy), self._clock.monotonic())
        with self._journal.alone(call.key, wait_s=request.deadline_s):
            known = self._attempts.known(call, self._lifetimes.get(request.purpose))
            return known or self._ask(call)

    def recover(self, attempts: Iterable[Attempt]) -> int:
        """Bring budget and events in line with the journal's `attempts` after a crash; returns their number."""
        return self._attempts.recover(attempts)

    def _ask(self, call: Call) -> ModelReply:
        question, repairs, fallback = call.request, 0, ""
        plan = self._plan(call)
        for at, candidate in enumerate(plan):
            tries, alternatives = 0, at + 1 < len(plan)
            while True:
                tries += 1
                try:
                    return self._try(call, candidate, question, fallback or candidate.reason, alternatives)
                except ModelBadOutput as error:
                    price = self._attempts.price(candidate.model)
                    following = next_question(question, error, price.max_output_tokens if price else 0)
                    if repairs == MOST_REPAIRS or following is None:
                        raise
                    question, repairs, tries = following, repairs + 1, 0
                except ModelError as error:
                    decision = decide(
                        error,
                        attempt=tries,
                        elapsed_s=call.request.deadline_s - self._left(call),
                        deadline_s=call.request.deadline_s,
                        alternatives=alternatives,
                        policy=self._retry,
                        spread=random.random(),  # noqa: S311 - spreads parallel workers, guards nothing
                    )
                    if decision.action is Action.STOP:
                        raise
                    if decision.action is Action.PARK:
                        when = f"Ask again in about {decision.wait_s:.0f} s."
                        raise ModelBusy(error.message, retry_after_s=decision.wait_s, remedy=when) from error
                    if decision.action is Action.FALL_BACK:
                        fallback = f"instead of {candidate.model}: {decision.reason}"[:500]
                        log.warning("asking %s %s", plan[at + 1].model, fallback)
                        break
                    self._clock.sleep(decision.wait_s)
        raise AssertionError("a plan is never empty, and its last model never falls back")

    def _try(
        self, call: Call, candidate: Candidate, question: ModelRequest, fallback: str, alternatives: bool
    ) -> ModelReply:
        """One attempt at one model. Half of the time is kept for the others, if there are any."""
        self._wait_for_turn(call, candidate, question, alternatives)
        left = self._left(call)
        try:
            reply = self._attempts.send(
                call, candidate, question, fallback=fallback, seconds=left / 2 if alternatives else left, left=left
            )
        except ModelError as error:
            self._note(call, candidate.provider, error)
            raise
        self._note(call, candidate.provider, None)
        return reply

    def _plan(self, call: Call) -> list[Candidate]:
        now = self._clock.now()
        call.health = self._traffic.health() if self._traffic else {}
        rests = {name: rest_left(state, now, self._health) for name, state in call.health.items()}
        return candidates(
            call.request,
            self._policy,
            price=self._attempts.price,
            resting=rests,
            in_flight=self._book.in_flight() if self._policy.strategy == "least_loaded" else {},
            turn=next(self._turns),
        )

    def _wait_for_turn(self, call: Call, candidate: Candidate, question: ModelRequest, alternatives: bool) -> None:
        """Hold back while the provider rests or its rate limit is used up.

        Raises:
            ModelBusy: for longer than we wait.
        """
        if self._traffic is None:
            return
        if call.attempts:  # time has passed since the plan was made
            call.health = self._traffic.health()
        patience = self._retry.wait_rather_than_fall_back_s if alternatives else self._retry.longest_wait_s
        most = min(patience, self._left(call))
        rest = rest_left(call.health.get(candidate.provider), self._clock.now(), self._health)
        if rest <= most:
            rest += self._traffic.admit(candidate.provider, most_input_tokens(question), most_wait_s=most - rest)
        if rest > most:
            raise ModelBusy(f"{candidate.provider} is resting or at its rate limit.", retry_after_s=rest)
        if rest:
            self._clock.sleep(rest)

    def _note(self, call: Call, provider: str, failure: ModelError | None) -> None:
        if self._traffic is None:
            return
        now, policy = self._clock.now(), self._health
        if failure is not None:
            self._traffic.update(provider, lambda health: after_failure(health, failure, now, policy))
        elif provider in call.health:
            self._traffic.update(provider, after_success)

    def _left(self, call: Call) -> float:
        return call.request.deadline_s - (self._clock.monotonic() - call.began)
