"""What does a call cost?  Exact Decimal dollars from dated prices; a model without a price is unpriced, never free."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from typing import Literal

from pydantic import Field

from . import price_table
from .model_calls import Usage, Value

HALF = Decimal("0.5")


class Rates(Value):
    """Dollars per million tokens of each class."""

    input: Decimal = Field(ge=0)
    output: Decimal = Field(ge=0)
    cache_read: Decimal = Field(ge=0)
    cache_write: Decimal = Field(ge=0)
    cache_write_1h: Decimal = Field(ge=0)


class Price(Value):
    """A model's price from `valid_from` on. More input than `long_above` bills the whole request at `long`."""

    model: str
    valid_from: date
    rates: Rates
    long_above: int | None = None
    long: Rates | None = None
    batch: bool = False
    context_tokens: int = 0
    max_output_tokens: int = 0
    responses_only: bool = False
    schema_native: bool = False
    takes_effort: bool = False
    end_of_life: date | None = None

    @property
    def free(self) -> bool:
        """Whether every class costs nothing, because somebody said so in a table of their own."""
        return not any(self.rates.model_dump().values())


class PriceTable:
    """Prices by model and day. Names may carry a provider ("anthropic/…") or a snapshot's date ("…-20260115")."""

    def __init__(self, prices: Iterable[Price], *, as_of: str = "") -> None:
        self.as_of = as_of
        self._prices: dict[str, list[Price]] = {}
        for price in sorted(prices, key=lambda p: p.valid_from):
            self._prices.setdefault(price.model, []).append(price)

    def price(self, model: str, at: datetime | date) -> Price | None:
        """The price that holds for `model` at a moment, None if it is not known."""
        day = at.astimezone(UTC).date() if isinstance(at, datetime) else at
        for name in _names(model):
            known = [price for price in self._prices.get(name, ()) if price.valid_from <= day]
            if known:
                return known[-1]
        return None

    def models(self) -> list[str]:
        """All models with a price, sorted."""
        return sorted(self._prices)

    def with_prices(self, more: Iterable[Price]) -> PriceTable:
        """This table and prices of one's own (contracts, models run at home); the later `valid_from` wins."""
        return PriceTable([*(p for rows in self._prices.values() for p in rows), *more], as_of=self.as_of)


def cost(usage: Usage, price: Price, *, batch: bool = False) -> Decimal:
    """Exact dollars for the tokens used."""
    rates = _tier(usage, price)
    total = (
        usage.input * rates.input
        + usage.cache_read * rates.cache_read
        + (usage.cache_write - usage.cache_write_1h) * rates.cache_write
        + usage.cache_write_1h * rates.cache_write_1h
        + usage.output * rates.output
    )
    return (total * HALF if batch and price.batch else total).scaleb(-6)


def cost_if_uncached(usage: Usage, price: Price) -> Decimal:
    """What the same tokens would have cost without a prompt cache."""
    plain = Usage(input=usage.input + usage.cache_read + usage.cache_write, output=usage.output)
    return cost(plain, price)


def worst_cost(input_tokens: int, output_tokens: int, price: Price) -> Decimal:
    """The most that a call with these token counts can cost, whatever its cache does."""
    tiers = [price.rates, *([price.long] if price.long else [])]
    dearest_input = max(max(r.input, r.cache_read, r.cache_write, r.cache_write_1h) for r in tiers)
    if price.long_above is not None and input_tokens <= price.long_above:
        dearest_input = max(
            price.rates.input, price.rates.cache_read, price.rates.cache_write, price.rates.cache_write_1h
        )
        tiers = [price.rates]
    return (input_tokens * dearest_input + output_tokens * max(r.output for r in tiers)).scaleb(-6)


@cache
def bundled_prices() -> PriceTable:
    """The table that ships with this version."""
    first = date.fromisoformat(price_table.EFFECTIVE_FROM)
    rows = [_price(row, first) for row in price_table.ROWS]
    rows += [_price(row, date.fromisoformat(day)) for day, row in price_table.LATER]
    return PriceTable(rows, as_of=price_table.AS_OF)


def cost_status(price: Price | None) -> Literal["priced", "unpriced", "free"]:
    """How a bill names the state of a price."""
    return "unpriced" if price is None else "free" if price.free else "priced"


def _tier(usage: Usage, price: Price) -> Rates:
    all_input = usage.input + usage.cache_read + usage.cache_write
    if price.long is not None and price.long_above is not None and all_input > price.long_above:
        return price.long
    return price.rates


_SNAPSHOT = re.compile(r"-(\d{8}|\d{4}-\d{2}-\d{2})$")


def _names(model: str) -> list[str]:
    """The names under which a model may stand in the table, the most exact first. A reseller's prefix stays."""
    names = [model]
    for prefix in ("litellm/", "anthropic/", "openai/"):
        if names[-1].startswith(prefix):
            names.append(names[-1].removeprefix(prefix))
    bare = _SNAPSHOT.sub("", names[-1])
    return [*names, bare] if bare != names[-1] else names


def _price(row: price_table.Row, valid_from: date) -> Price:
    model, context, most_out, rates, long, flags, end = row
    above, _, long_rates = long.partition(": ")
    marks = flags.split()
    return Price(
        model=model,
        valid_from=valid_from,
        rates=_rates(rates),
        long_above=int(above) if above else None,
        long=_rates(long_rates) if long else None,
        batch="batch" in marks,
        context_tokens=context,
        max_output_tokens=most_out,
        responses_only="responses" in marks,
        schema_native="schema" in marks,
        takes_effort="effort" in marks,
        end_of_life=date.fromisoformat(end) if end else None,
    )


def _rates(text: str) -> Rates:
    """Rates as written; a class without a price of its own is billed as input, as litellm does."""
    first, out, read, write, write_1h = text.split()
    plain = Decimal(first)
    write_5m = plain if write == "-" else Decimal(write)
    return Rates(
        input=plain,
        output=Decimal(out),
        cache_read=plain if read == "-" else Decimal(read),
        cache_write=write_5m,
        cache_write_1h=write_5m if write_1h == "-" else Decimal(write_1h),
    )
