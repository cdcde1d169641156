"""An estimate says what it rests on, holds its range, and is held against the bill afterwards."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from storyloom.domain.estimate import PRIORS, Past, Planned, compare, estimate
from storyloom.domain.prices import Price, bundled_prices, cost

SONNET = "anthropic/claude-sonnet-5-5"


def price(model: str) -> Price | None:
    return bundled_prices().price(model, date(2026, 11, 21))


def story(name: str, points: float | None = None) -> Planned:
    return Planned(kind="story", name=name, model=SONNET, points=points)


def past(*dollars: str, points: float | None = None) -> list[Past]:
    return [Past(kind="story", name=f"old {at}", usd=Decimal(usd), points=points) for at, usd in enumerate(dollars)]


def test_without_history_the_stated_prior_speaks_at_todays_prices() -> None:
    sonnet = price(SONNET)
    assert sonnet is not None
    found = estimate([story("1.1"), Planned(kind="phase", name="planning", model=SONNET)], past("9", "9"), price)
    [first, planning] = found.parts
    assert first.likely == cost(PRIORS["story"], sonnet).quantize(Decimal("0.0001"))
    assert planning.likely == cost(PRIORS["planning"], sonnet).quantize(Decimal("0.0001"))
    assert first.basis == "stated prior at the price of claude-sonnet-5-5"
    assert (found.low, found.high) == (first.low + planning.low, first.high + planning.high)


def test_three_past_stories_are_history() -> None:
    found = estimate([story("1.1")], past("1", "2", "6"), price)
    assert found.parts[0].basis == "3 past stories"
    assert (found.low, found.likely, found.high) == (Decimal("1.20"), Decimal(2), Decimal("5.20"))


def test_history_is_scaled_by_points() -> None:
    found = estimate([story("1.1", points=8)], past("1", "2", "3", points=2), price)
    assert found.likely == 8
    assert found.parts[0].basis == "3 past stories, by points"


def test_a_phase_learns_only_from_the_same_phase() -> None:
    others = [Past(kind="phase", name="analysis", usd=Decimal(100)) for _ in range(5)]
    assert estimate([Planned(kind="phase", name="planning", model=SONNET)], others, price).likely < 10
    assert estimate([Planned(kind="phase", name="analysis", model=SONNET)], others, price).likely == 100


def test_stories_that_vary_on_their_own_even_out() -> None:
    history = past("1", "2", "2", "2", "3")
    one, nine = (estimate([story(str(n)) for n in range(count)], history, price) for count in (1, 9))
    assert nine.likely == 9 * one.likely
    assert nine.high - nine.likely == 3 * (one.high - one.likely)


def test_a_model_without_a_price_is_said_so_and_not_counted_as_free() -> None:
    found = estimate([story("1.1").model_copy(update={"model": "openai/gpt-7-nova"})], [], price)
    assert (found.parts, found.unpriced, found.likely) == ((), ("1.1",), 0)


def test_afterwards_it_says_how_far_off_it_was() -> None:
    stated = estimate([story("1.1"), story("1.2")], past("2", "2", "2"), price)
    rows = compare(stated, {"1.1": Decimal("2"), "1.2": Decimal("3.50"), "extra": Decimal("0.5")})
    assert [(row.name, row.off_percent, row.within) for row in rows] == [
        ("1.2", Decimal(75), False),
        ("1.1", Decimal(0), True),
        ("extra", None, False),
        ("total", Decimal(50), False),
    ]


@given(
    st.lists(st.decimals(0, 100, places=2), min_size=3, max_size=20),
    st.integers(1, 20),
    st.lists(st.sampled_from(["analysis", "planning", "unheard of"]), max_size=3),
)
def test_the_likely_cost_always_lies_in_its_range(history: list[Decimal], stories: int, phases: list[str]) -> None:
    planned = [story(str(n)) for n in range(stories)]
    planned += [Planned(kind="phase", name=name, model=SONNET) for name in phases]
    found = estimate(planned, past(*map(str, history)), price)
    assert 0 <= found.low <= found.likely <= found.high
    assert all(part.low <= part.likely <= part.high for part in found.parts)


@pytest.mark.parametrize("name", sorted(PRIORS))
def test_every_prior_costs_something(name: str) -> None:
    assert PRIORS[name].total > 0
