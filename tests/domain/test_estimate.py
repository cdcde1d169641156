"""An estimate says what it rests on, and holds its range."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from storyloom.domain.estimate import ALL_STORIES, PRIORS, STORIES_BY_LEVEL, Past, Planned, estimate
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


def test_stories_that_nobody_has_counted_yet_widen_the_range_by_their_number() -> None:
    times = tuple(Decimal(n) for n in STORIES_BY_LEVEL[2])
    unknown = Planned(kind="story", name=ALL_STORIES, model=SONNET, times=times)
    [one], [all_] = (estimate([p], [], price).parts for p in (story("1.1"), unknown))
    assert (all_.likely, all_.high) == (8 * one.likely, 15 * one.high)
    assert all_.low == pytest.approx(5 * one.low, abs=Decimal("0.001"))
    assert all_.basis.startswith("5 to 15 stories, probably 8; each by stated prior")


def test_a_phase_of_which_a_part_is_there_costs_the_rest() -> None:
    third = Decimal("0.33")
    whole = Planned(kind="phase", name="solutioning", model=SONNET)
    [one], [rest] = (estimate([p], [], price).parts for p in (whole, whole.model_copy(update={"times": (third,) * 3})))
    assert rest.likely == (cost(PRIORS["solutioning"], price(SONNET)) * third).quantize(Decimal("0.0001"))  # type: ignore[arg-type]
    assert rest.likely < one.likely
    assert rest.basis.startswith("the 33% of it that are missing, by stated prior")


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
