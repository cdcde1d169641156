"""Who is asked, in which order, and who is left alone for a while."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from storyloom.domain import errors
from storyloom.domain.budget import Cap
from storyloom.domain.model_calls import Message, ModelRequest
from storyloom.domain.prices import Price, bundled_prices
from storyloom.domain.rate_limit import Bucket, RateLimit, full, take
from storyloom.domain.routing import (
    CHEAPER,
    Health,
    HealthPolicy,
    RoutingPolicy,
    Strategy,
    after_failure,
    after_success,
    candidates,
    rest_left,
    routing_policy,
)
from storyloom.domain.settings import ModelPolicy, ProjectConfig
from storyloom.domain.wire import bare, provider_of

HEALTH = HealthPolicy()
A, B, C = "anthropic/claude-sonnet-5-5", "openai/gpt-6-luna", "anthropic/claude-opus-5-5"


def price(model: str) -> Price | None:
    return bundled_prices().price(model, date(2026, 11, 21))


def request(**changes: object) -> ModelRequest:
    given = {"persona": "amelia", "model": "standard", "system": "", "messages": [Message(role="user", content="x")]}
    return ModelRequest.model_validate({**given, **changes})


def order(policy: RoutingPolicy, asked: ModelRequest | None = None, **facts: object) -> list[str]:
    return [c.model for c in candidates(asked or request(), policy, price=price, **facts)]  # type: ignore[arg-type]


def policy(strategy: Strategy = "priority", **changes: object) -> RoutingPolicy:
    return RoutingPolicy.model_validate({"classes": {"standard": (A, B, C)}, "strategy": strategy, **changes})


def test_a_class_stands_for_its_models_in_order_of_preference() -> None:
    assert order(policy()) == [A, B, C]


def test_a_named_model_stands_alone() -> None:
    assert order(policy(), request(model="openai/anything")) == ["openai/anything"]


def test_a_persona_may_name_models_and_classes() -> None:
    own = policy(personas={"amelia": (C, "standard"), "quinn": ("openai/own",)})
    assert order(own) == [C, A, B]
    assert order(own, request(persona="quinn")) == ["openai/own"]
    assert order(own, request(persona="quinn", model=A)) == [A]


def test_the_cheaper_models_are_those_of_the_light_class_whatever_a_persona_names() -> None:
    own = policy(classes={"standard": (A,), "light": (B,)}, personas={"amelia": (C,)})
    assert order(own, request(model=CHEAPER)) == [B]


def test_models_without_a_key_are_left_out_of_a_class_but_not_when_they_are_named() -> None:
    own = policy(providers=("openai",), personas={"quinn": (A,)})
    assert order(own) == [B]
    assert order(own, request(persona="quinn")) == [A]
    with pytest.raises(errors.ModelRefused, match="No model stands behind 'standard'"):
        order(policy(providers=()))


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        ("priority", [A, B, C]),
        ("capability", [A, B, C]),
        ("lowest_cost", [B, A, C]),
        ("highest_quality", [C, A, B]),
        ("balanced", [A, B, C]),
        ("round_robin", [B, C, A]),
        ("least_loaded", [B, A, C]),
    ],
)
def test_a_strategy_orders_them(strategy: Strategy, expected: list[str]) -> None:
    assert order(policy(strategy), in_flight={"anthropic": 3, "openai": 1}, turn=4) == expected


def test_capability_prefers_what_takes_the_request_as_it_is() -> None:
    classes = {"standard": ("openai/gpt-4.1", "openai/gpt-5.5-pro", B)}
    assert order(policy("capability", classes=classes), request(effort="high", schema_={"type": "object"}))[0] == B


def test_what_the_policy_says_of_quality_goes_before_the_price() -> None:
    assert order(policy("highest_quality", quality={B: 99.0}))[0] == B


def test_a_model_that_is_surely_too_small_is_left_out_unless_all_are() -> None:
    small = "anthropic/claude-haiku-4-5"
    own = policy(classes={"standard": (small, A)})
    assert order(own, request(system="word " * 200_000)) == [A]
    assert order(policy(classes={"standard": (small,)}), request(system="word " * 200_000)) == [small]


def test_a_resting_provider_goes_to_the_end_and_the_reason_is_kept() -> None:
    found = candidates(request(), policy(), price=price, resting={"anthropic": 20.0})
    assert [(c.model, c.reason) for c in found] == [(B, "anthropic resting"), (A, ""), (C, "")]
    found = candidates(request(), policy(), price=price, resting={"anthropic": 20.0, "openai": 5.0})
    assert [c.model for c in found] == [B, A, C]


def test_a_project_file_becomes_a_policy() -> None:
    config = ProjectConfig(models=ModelPolicy(heavy=(C,)), agents={"developer": A, "reviewer": (B, "heavy")})
    made = routing_policy(config, strategy="balanced", providers={"openai", "anthropic"})
    assert made.classes["heavy"] == (C,)
    assert made.classes["light"]
    assert made.personas == {"developer": (A,), "reviewer": (B, "heavy")}
    assert made.providers == ("anthropic", "openai")


@pytest.mark.parametrize(
    ("name", "provider", "own"),
    [
        ("anthropic/claude-x", "anthropic", "claude-x"),
        ("litellm/openai/gpt-x", "openai", "gpt-x"),
        ("claude-x", "anthropic", "claude-x"),
        ("gpt-6-luna", "openai", "gpt-6-luna"),
        ("o3-mini", "openai", "o3-mini"),
        ("openrouter/anthropic/claude-x", "openrouter", "openrouter/anthropic/claude-x"),
        ("mystery", "", "mystery"),
    ],
)
def test_a_name_tells_the_provider(name: str, provider: str, own: str) -> None:
    assert (provider_of(name), bare(name)) == (provider, own)


def test_busy_rests_as_long_as_it_was_told_and_no_longer_than_the_ceiling() -> None:
    health = after_failure(Health(), errors.ModelBusy(retry_after_s=12), 1000.0, HEALTH)
    assert rest_left(health, 1002.0, HEALTH) == 10
    assert rest_left(after_failure(Health(), errors.ModelBusy(retry_after_s=9e9), 0.0, HEALTH), 0.0, HEALTH) == 600
    assert rest_left(after_failure(Health(), errors.ModelBusy(), 0.0, HEALTH), 0.0, HEALTH) == 30


def test_a_circuit_opens_after_repeated_failures_and_for_longer_each_time() -> None:
    health, rests = Health(), []
    for attempt in range(8):
        health = after_failure(health, errors.ModelBroken(), float(attempt), HEALTH)
        rests.append(rest_left(health, float(attempt), HEALTH))
    assert rests == [0, 0, 0, 0, 30, 60, 120, 240]
    assert after_success(health) == Health()


def test_failures_that_are_not_the_providers_say_nothing_of_its_health() -> None:
    for error in (errors.ModelRefused(), errors.ModelTooLong(), errors.ModelUnauthorised(), errors.ModelBadOutput()):
        assert after_failure(Health(failures=3), error, 0.0, HEALTH) == Health(failures=3)


def test_a_clock_that_was_set_back_cannot_make_a_rest_longer() -> None:
    health = after_failure(Health(), errors.ModelBusy(retry_after_s=60), 10_000.0, HEALTH)
    assert rest_left(health, 2_000.0, HEALTH) == 0
    assert rest_left(None, 0.0, HEALTH) == 0


def test_workers_queue_up_for_a_rate_limit() -> None:
    limit = RateLimit(requests=60)
    bucket, waits = full(limit, 0.0), []
    for _ in range(63):
        bucket, wait = take(bucket, limit, 0, 0.0, 60.0)
        waits.append(wait)
    assert waits == [0.0] * 60 + [1.0, 2.0, 3.0]
    bucket, wait = take(bucket, limit, 0, 0.0, 2.0)
    assert wait == 4.0
    assert bucket.requests == -3.0  # no place was taken
    assert take(bucket, limit, 0, 10.0, 60.0)[1] == 0


def test_tokens_count_against_their_own_limit_and_one_request_may_be_larger_than_it() -> None:
    limit = RateLimit(requests=100, tokens=6000)
    bucket, wait = take(full(limit, 0.0), limit, 9000, 0.0, 60.0)
    assert wait == 0
    assert take(bucket, limit, 600, 0.0, 60.0)[1] == 6


@pytest.mark.parametrize("now", [-10_000.0, 10_000.0])
def test_a_clock_that_jumps_fills_a_bucket_at_most_once(now: float) -> None:
    limit = RateLimit(requests=60)
    bucket, _ = take(Bucket(requests=0, tokens=0, at=0.0), limit, 0, now, 0.0)
    assert bucket.requests <= 60


def test_of_two_caps_for_the_same_the_lower_one_holds() -> None:
    lower = {"settings": {"llm_budget_usd": 50, "budgets": {"project": {"usd": 4, "tokens": 1000}}}}
    assert ProjectConfig.model_validate(lower).settings.caps()["project"] == Cap(usd=Decimal(4), tokens=1000)
    higher = {"settings": {"llm_budget_usd": 2, "budgets": {"project": {"usd": 4}, "day": {"usd": 1}}}}
    caps = ProjectConfig.model_validate(higher).settings.caps()
    assert (caps["project"].usd, caps["day"].usd) == (Decimal(2), Decimal(1))
