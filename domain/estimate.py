"""What will a run cost, phase by phase and story by story, and how sure is that?

From three past costs of the same kind on, history speaks: the median, with the range from its 10th to its 90th
hundredth, scaled by points where both sides have them. Before that a stated prior does: tokens at today's prices, from
0.4 to 2.5 times. Parts known from history vary on their own, so their ranges add up in quadrature; what is wrong with
the prior is wrong with all of its parts alike, so those add up plainly.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from statistics import median
from typing import Literal

from pydantic import Field

from .model_calls import Usage, Value
from .prices import Price, cost

LEAST_HISTORY = 3
PRIOR_RANGE = (Decimal("0.4"), Decimal("2.5"))
STEP = Decimal("0.0001")  # dollars: a rehearsed or light story costs less than a cent

Kind = Literal["phase", "story"]

# Tokens of one phase or story, repairs and reviews included. Stated, not measured on paid models: the first runs of a
# project replace them. Most input of an agent's turns is read from the prompt cache.
PRIORS: Mapping[str, Usage] = {
    "analysis": Usage(input=40_000, cache_write=30_000, cache_read=150_000, output=25_000),
    "planning": Usage(input=60_000, cache_write=50_000, cache_read=300_000, output=50_000),
    "solutioning": Usage(input=60_000, cache_write=50_000, cache_read=300_000, output=45_000),
    "quality": Usage(input=40_000, cache_write=20_000, cache_read=100_000, output=15_000),
    "deployment": Usage(input=10_000, cache_write=5_000, cache_read=20_000, output=4_000),
    "story": Usage(input=90_000, cache_write=60_000, cache_read=700_000, output=35_000),
}

# How many stories a project of a level has before its epics are written: fewest, likely, most. Stated, as above.
STORIES_BY_LEVEL: Mapping[int, tuple[int, int, int]] = {
    0: (1, 1, 2),
    1: (2, 4, 10),
    2: (5, 8, 15),
    3: (12, 20, 40),
    4: (40, 60, 120),
}
ALL_STORIES = "stories"
"""The name of the part that stands for all stories as long as nobody knows them."""


class Planned(Value):
    """A part of a run that lies ahead. `model` is the model, or class of models, that will do most of it.

    `times` is how many times the part's cost is meant, at least, likely and at most: for stories that nobody has
    counted yet, and for a phase of which some is there.
    """

    kind: Kind
    name: str
    model: str
    points: float | None = Field(default=None, gt=0)
    times: tuple[Decimal, Decimal, Decimal] = (Decimal(1), Decimal(1), Decimal(1))


class Past(Value):
    """What a part of an earlier run cost."""

    kind: Kind
    name: str
    usd: Decimal = Field(ge=0)
    points: float | None = Field(default=None, gt=0)


class Part(Value):
    """What one part will probably cost, in dollars; `basis` says how that is known."""

    kind: Kind
    name: str
    low: Decimal
    likely: Decimal
    high: Decimal
    basis: str


class Estimate(Value):
    """What a run will probably cost. `unpriced` names the parts of which nothing can be said."""

    parts: tuple[Part, ...]
    low: Decimal
    likely: Decimal
    high: Decimal
    unpriced: tuple[str, ...] = ()


def estimate(planned: Sequence[Planned], past: Sequence[Past], price: Callable[[str], Price | None]) -> Estimate:
    """The estimate for what lies ahead, from what is behind; `price` gives a model's price of today."""
    parts, unpriced, from_history = list[Part](), list[str](), list[bool]()
    for ahead in planned:
        alike = [p for p in past if p.kind == ahead.kind and (p.kind == "story" or p.name == ahead.name)]
        if len(alike) >= LEAST_HISTORY:
            parts.append(_from_history(ahead, alike))
            from_history.append(True)
        elif (priced := price(ahead.model)) is not None:
            parts.append(_from_prior(ahead, priced))
            from_history.append(False)
        else:
            unpriced.append(ahead.name)
    likely = sum((part.likely for part in parts), Decimal(0))
    below = _spread([part.likely - part.low for part in parts], from_history)
    above = _spread([part.high - part.likely for part in parts], from_history)
    return Estimate(
        parts=tuple(parts),
        low=_rounded(max(Decimal(0), likely - below)),
        likely=_rounded(likely),
        high=_rounded(likely + above),
        unpriced=tuple(unpriced),
    )


def _from_history(ahead: Planned, alike: Sequence[Past]) -> Part:
    scalable = ahead.points is not None and all(p.points is not None for p in alike)
    if scalable:
        each = sorted(p.usd / Decimal(str(p.points)) * Decimal(str(ahead.points)) for p in alike)
    else:
        each = sorted(p.usd for p in alike)
    basis = f"{len(alike)} past {'stories' if ahead.kind == 'story' else 'runs'}{', by points' if scalable else ''}"
    return _part(ahead, _hundredth(each, 10), median(each), _hundredth(each, 90), basis)


def _from_prior(ahead: Planned, price: Price) -> Part:
    tokens = PRIORS.get("story" if ahead.kind == "story" else ahead.name, PRIORS["analysis"])
    likely = cost(tokens, price.model_copy(update={"long": None}))  # no single call of these is that long
    basis = f"stated prior at the price of {price.model}"
    return _part(ahead, likely * PRIOR_RANGE[0], likely, likely * PRIOR_RANGE[1], basis)


def _part(ahead: Planned, low: Decimal, likely: Decimal, high: Decimal, basis: str) -> Part:
    fewest, times, most = ahead.times
    if most != fewest:
        basis = f"{fewest:f} to {most:f} stories, probably {times:f}; each by {basis}"
    elif times != 1:
        basis = f"the {times:.0%} of it that are missing, by {basis}"
    return Part(
        kind=ahead.kind,
        name=ahead.name,
        low=_rounded(low * fewest),
        likely=_rounded(likely * times),
        high=_rounded(high * most),
        basis=basis,
    )


def _hundredth(ordered: Sequence[Decimal], hundredth: int) -> Decimal:
    """The value below which that many hundredths lie, between neighbours in proportion."""
    place = Decimal(hundredth) * (len(ordered) - 1) / 100
    at = int(place)
    after = ordered[min(at + 1, len(ordered) - 1)]
    return ordered[at] + (after - ordered[at]) * (place - at)


def _spread(each: Sequence[Decimal], from_history: Sequence[bool]) -> Decimal:
    own = sum((d * d for d, history in zip(each, from_history, strict=True) if history), Decimal(0)).sqrt()
    return own + sum((d for d, history in zip(each, from_history, strict=True) if not history), Decimal(0))


def _rounded(amount: Decimal) -> Decimal:
    return amount.quantize(STEP)
