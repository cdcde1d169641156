"""Every failure has one meaning, and every meaning one way on."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from storyloom.domain import errors
from storyloom.domain.failures import may_be_billed, retry_after, sorted_failure
from storyloom.domain.retry import Action, RetryDecision, RetryPolicy, decide

POLICY = RetryPolicy()


@pytest.mark.parametrize(
    ("status", "text", "kind"),
    [
        (429, "slow down", errors.ModelBusy),
        (529, "Overloaded", errors.ModelBusy),
        (503, "unavailable", errors.ModelBusy),
        (500, '{"error": {"type": "overloaded_error"}}', errors.ModelBusy),
        (None, "overloaded_error in a stream", errors.ModelBusy),
        (429, "insufficient_quota", errors.ModelUnauthorised),
        (400, "Your credit balance is too low", errors.ModelUnauthorised),
        (402, "pay", errors.ModelUnauthorised),
        (401, "invalid x-api-key", errors.ModelUnauthorised),
        (403, "not allowed", errors.ModelUnauthorised),
        (None, "Could not resolve authentication method", errors.ModelUnauthorised),
        (400, "prompt is too long: 210000 tokens", errors.ModelTooLong),
        (400, "context_length_exceeded", errors.ModelTooLong),
        (413, "anything", errors.ModelTooLong),
        (400, "temperature: not allowed", errors.ModelRefused),
        (404, "no such model", errors.ModelRefused),
        (422, "unprocessable", errors.ModelRefused),
        (408, "late", errors.ModelTimeout),
        (504, "late", errors.ModelTimeout),
        (500, "oops", errors.ModelBroken),
        (502, "<html>", errors.ModelBroken),
        (409, "conflict", errors.ModelBroken),
        (None, "connection reset", errors.ModelBroken),
    ],
)
def test_a_providers_answer_has_one_meaning(status: int | None, text: str, kind: type[errors.ModelError]) -> None:
    error = sorted_failure(status, text, provider="anthropic")
    assert type(error) is kind
    assert (error.http_status, error.raw) == (status, text)
    assert error.message.startswith("anthropic answered")


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7),
        ({"retry-after": "2.5"}, 2.5),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"Retry-After": "Sat, 21 Nov 2026 10:01:00 GMT"}, 60),
        ({"Retry-After": "Sat, 21 Nov 2026 09:00:00 GMT"}, 0),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-3"}, None),
        ({}, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, datetime(2026, 11, 21, 10, 0, tzinfo=UTC)) == seconds


def test_a_date_is_compared_with_the_servers_own_when_there_is_no_other() -> None:
    headers = {"date": "Sat, 21 Nov 2026 10:00:00 GMT", "retry-after": "Sat, 21 Nov 2026 10:00:30 GMT"}
    assert retry_after(headers) == 30


def named(name: str, cause: BaseException | None = None) -> BaseException:
    error: BaseException = type(name, (Exception,), {})()
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "status", "billed"),
    [
        (named("APIConnectionError", named("ConnectError")), None, False),
        (named("APIConnectionError", named("RemoteProtocolError")), None, True),
        (named("InternalServerError", named("ReadError")), 500, True),
        (named("InternalServerError"), 500, False),
        (named("RateLimitError"), 429, False),
        (named("APIStatusError"), 200, True),
        (named("JSONDecodeError"), None, True),
        (named("SomethingNew"), None, True),
    ],
)
def test_what_may_have_been_worked_for_may_be_billed(error: BaseException, status: int | None, billed: bool) -> None:
    assert may_be_billed(error, status) is billed


def after(error: errors.ModelError, **facts: object) -> RetryDecision:
    given_facts = {"attempt": 1, "elapsed_s": 0.0, "deadline_s": 600.0, "alternatives": False, **facts}
    return decide(error, policy=POLICY, **given_facts)  # type: ignore[arg-type]


def busy(seconds: float | None) -> errors.ModelBusy:
    return errors.ModelBusy(retry_after_s=seconds)


def test_busy_waits_as_long_as_it_was_told() -> None:
    assert after(busy(7)) == RetryDecision(action=Action.RETRY, wait_s=7, reason="busy")
    assert after(busy(None), attempt=3).wait_s == 4


def test_a_long_wait_parks_the_work_instead_of_holding_a_worker() -> None:
    assert after(busy(3600)) == RetryDecision(action=Action.PARK, wait_s=3600, reason="busy for longer than we wait")
    assert after(busy(30), deadline_s=20).action is Action.PARK
    assert after(busy(1), attempt=5).wait_s == POLICY.park_s


def test_busy_falls_back_when_another_stands_by_and_the_wait_is_not_short() -> None:
    assert after(busy(1), alternatives=True).action is Action.RETRY
    assert after(busy(30), alternatives=True).action is Action.FALL_BACK
    assert after(busy(1), attempt=2, alternatives=True).action is Action.FALL_BACK


def test_broken_retries_then_falls_back_then_stops() -> None:
    broken = errors.ModelBroken("oops")
    assert [after(broken, attempt=n).action for n in (1, 2, 3)] == [Action.RETRY, Action.RETRY, Action.STOP]
    assert after(broken, attempt=3, alternatives=True).action is Action.FALL_BACK
    assert "oops" in after(broken, attempt=3, alternatives=True).reason
    assert after(errors.ModelTimeout(), attempt=2, alternatives=True).action is Action.FALL_BACK
    assert after(broken, elapsed_s=599.5, alternatives=True).action is Action.STOP


@pytest.mark.parametrize(
    "kind",
    [
        errors.ModelRefused,
        errors.ModelTooLong,
        errors.ModelUnauthorised,
        errors.ModelUnpriced,
        errors.ModelBadOutput,
        errors.ModelBadUsage,
    ],
)
def test_what_waiting_does_not_help_never_becomes_another_models_work(kind: type[errors.ModelError]) -> None:
    assert after(kind(), alternatives=True).action is Action.STOP
    assert not kind.may_pass


@given(
    st.sampled_from([busy(None), busy(5), errors.ModelBroken(), errors.ModelTimeout()]),
    st.integers(1, 20),
    st.floats(0, 1000),
    st.floats(1, 1000),
    st.booleans(),
    st.floats(0, 1),
)
def test_no_wait_passes_the_deadline_and_no_retry_goes_on_for_ever(
    error: errors.ModelError, attempt: int, elapsed: float, deadline: float, alternatives: bool, spread: float
) -> None:
    decision = after(
        error, attempt=attempt, elapsed_s=elapsed, deadline_s=deadline, alternatives=alternatives, spread=spread
    )
    if decision.action is Action.RETRY:
        assert elapsed + decision.wait_s < deadline
        assert attempt < 5
    if not alternatives:
        assert decision.action is not Action.FALL_BACK
