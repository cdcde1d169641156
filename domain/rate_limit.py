"""When may the next request go, so that a provider's limit a minute is kept by all workers together?"""

from __future__ import annotations

from pydantic import Field

from .model_calls import Value

MINUTE_S = 60.0


class RateLimit(Value):
    """What a provider takes a minute; None is no bound."""

    requests: int | None = Field(default=None, ge=1)
    tokens: int | None = Field(default=None, ge=1)


class Bucket(Value):
    """What may still be sent at moment `at` (Unix time). Below zero: places that waiting workers have taken."""

    requests: float
    tokens: float
    at: float


def full(limit: RateLimit, now: float) -> Bucket:
    """The bucket of a provider that was not asked for a minute."""
    return Bucket(requests=limit.requests or 0, tokens=limit.tokens or 0, at=now)


def take(bucket: Bucket, limit: RateLimit, tokens: int, now: float, most_wait_s: float) -> tuple[Bucket, float]:
    """The bucket after one more request, and the seconds after which it may go.

    A place is taken even when it lies ahead, so that workers queue up; but not when the wait is over `most_wait_s`.
    A clock that jumps forward fills the bucket once; one that jumps back fills nothing.
    """
    elapsed = min(max(0.0, now - bucket.at), MINUTE_S)
    requests, wait_for_requests = _left(bucket.requests, limit.requests, elapsed, 1)
    held, wait_for_tokens = _left(bucket.tokens, limit.tokens, elapsed, tokens)
    wait = max(wait_for_requests, wait_for_tokens)
    if wait > most_wait_s:
        return Bucket(requests=requests, tokens=held, at=now), wait
    need = min(tokens, limit.tokens) if limit.tokens else 0
    return Bucket(requests=requests - (1 if limit.requests else 0), tokens=held - need, at=now), wait


def _left(level: float, limit: int | None, elapsed: float, need: int) -> tuple[float, float]:
    """What the bucket holds now, and how long until it holds what is needed."""
    if limit is None:
        return 0.0, 0.0
    rate = limit / MINUTE_S
    level = min(float(limit), level + elapsed * rate)
    return level, max(0.0, (min(need, limit) - level) / rate)
