"""What will a run cost, phase by phase and story by story, how sure is that, and how far off was it afterwards?

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
    "implementation": Usage(input=20_000, cache_write=10_000, cache_read=50_000, output=8_000),  # beside its stories
    "quality": Usage(input=40_000, cache_write=20_000, cache_read=100_000, output=15_000),
    "deployment": Usage(input=10_000, cache_write=5_000, cache_read=20_000, output=4_000),
    "story": Usage(input=90_000, cache_write=60_000, cache_read=700_000, output=35_000),
}


class Planned(Value):
    """A part of a run that lies ahead. `model` is the model that will do most of it."""

    kind: Kind
    name: str
    model: str
    points: float | None = Field(default=None, gt=0)


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


class Deviation(Value):
    """How far one part, or the whole ("total"), was from its estimate.

    `off_percent` is above 0 when it was dearer, None when it was not planned.
    """

    name: str
    estimated: Decimal | None
    actual: Decimal
    off_percent: Decimal | None
    within: bool


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


def compare(stated: Estimate, actual: Mapping[str, Decimal]) -> list[Deviation]:
    """How far off each part was by name, dearest first, the total last; what was not planned counts in the total."""
    by_name = {part.name: part for part in stated.parts}
    rows = []
    for name in sorted({*by_name, *actual}, key=lambda name: (-actual.get(name, Decimal(0)), name)):
        part, paid = by_name.get(name), actual.get(name, Decimal(0))
        rows.append(_deviation(name, part.likely if part else None, part, paid))
    total = sum(actual.values(), Decimal(0))
    return [*rows, _deviation("total", stated.likely, stated, total)]


def _deviation(name: str, likely: Decimal | None, stated: Part | Estimate | None, paid: Decimal) -> Deviation:
    off = ((paid - likely) / likely * 100).quantize(Decimal(1)) if likely else None
    within = stated is not None and stated.low <= paid <= stated.high
    return Deviation(name=name, estimated=likely, actual=paid, off_percent=off, within=within)


def _from_history(ahead: Planned, alike: Sequence[Past]) -> Part:
    scalable = ahead.points is not None and all(p.points is not None for p in alike)
    if scalable:
        each = sorted(p.usd / Decimal(str(p.points)) * Decimal(str(ahead.points)) for p in alike)
    else:
        each = sorted(p.usd for p in alike)
    basis = f"{len(alike)} past {'stories' if ahead.kind == 'story' else 'runs'}{', by points' if scalable else ''}"
    return Part(
        kind=ahead.kind,
        name=ahead.name,
        low=_rounded(_hundredth(each, 10)),
        likely=_rounded(median(each)),
        high=_rounded(_hundredth(each, 90)),
        basis=basis,
    )


def _from_prior(ahead: Planned, price: Price) -> Part:
    tokens = PRIORS.get("story" if ahead.kind == "story" else ahead.name, PRIORS["analysis"])
    likely = cost(tokens, price.model_copy(update={"long": None}))  # no single call of these is that long
    return Part(
        kind=ahead.kind,
        name=ahead.name,
        low=_rounded(likely * PRIOR_RANGE[0]),
        likely=_rounded(likely),
        high=_rounded(likely * PRIOR_RANGE[1]),
        basis=f"stated prior at the price of {price.model}",
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
