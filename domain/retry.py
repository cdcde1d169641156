"""After a failed attempt at a model call: wait, try again, ask another model, park the work, or stop?"""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from .errors import ModelBroken, ModelBusy, ModelError, ModelTimeout
from .model_calls import Value


class Action(StrEnum):
    """What to do next."""

    RETRY = "retry"
    FALL_BACK = "fall back"
    PARK = "park"
    STOP = "stop"


class RetryDecision(Value):
    """What to do next, after which wait, and why. For PARK, `wait_s` is when asking again makes sense."""

    action: Action
    wait_s: float = 0.0
    reason: str = ""


class RetryPolicy(Value):
    """Bounds of patience. A wait longer than `longest_wait_s` parks the work instead of holding a worker."""

    tries_when_busy: int = Field(default=5, ge=1)
    tries_when_broken: int = Field(default=3, ge=1)
    tries_when_slow: int = Field(default=2, ge=1)
    first_wait_s: float = Field(default=1.0, ge=0)
    longest_wait_s: float = Field(default=60.0, ge=0)
    wait_rather_than_fall_back_s: float = Field(default=2.0, ge=0)
    park_s: float = Field(default=60.0, ge=0)
    least_time_s: float = Field(default=1.0, ge=0)


def decide(
    error: ModelError,
    *,
    attempt: int,
    elapsed_s: float,
    deadline_s: float,
    alternatives: bool,
    policy: RetryPolicy,
    spread: float = 0.0,
) -> RetryDecision:
    """What to do after attempt number `attempt` (from 1) at one model ended in `error`.

    `alternatives` says whether another model stands by. `spread` in 0..1 lengthens a wait of our own by up to as much
    again, so that parallel workers do not come back at once. Only busy and broken ever lead to another model: a wrong
    key, a wrong request, a missing price or a conversation that is too long stop, and a person or the caller decides.
    """
    left = deadline_s - elapsed_s
    backoff = min(policy.first_wait_s * 2 ** (attempt - 1), policy.longest_wait_s) * (1 + spread)
    name = type(error).__name__
    if isinstance(error, ModelBusy):
        wait = error.retry_after_s if error.retry_after_s is not None else backoff
        if alternatives and (wait > policy.wait_rather_than_fall_back_s or attempt > 1):
            return RetryDecision(action=Action.FALL_BACK, reason=f"busy: {error.message}")
        if attempt < policy.tries_when_busy and wait <= policy.longest_wait_s and wait + policy.least_time_s < left:
            return RetryDecision(action=Action.RETRY, wait_s=wait, reason="busy")
        if alternatives:
            return RetryDecision(action=Action.FALL_BACK, reason=f"busy: {error.message}")
        return RetryDecision(action=Action.PARK, wait_s=max(wait, policy.park_s), reason="busy for longer than we wait")
    if isinstance(error, ModelBroken | ModelTimeout):
        tries = policy.tries_when_slow if isinstance(error, ModelTimeout) else policy.tries_when_broken
        if left <= policy.least_time_s:
            return RetryDecision(action=Action.STOP, reason=f"{name}, and the deadline has passed")
        if attempt < tries and backoff + policy.least_time_s < left:
            return RetryDecision(action=Action.RETRY, wait_s=backoff, reason=name)
        if alternatives:
            return RetryDecision(action=Action.FALL_BACK, reason=f"{name} {attempt} times: {error.message}")
        return RetryDecision(action=Action.STOP, reason=f"{name} {attempt} times")
    return RetryDecision(action=Action.STOP, reason=name)
