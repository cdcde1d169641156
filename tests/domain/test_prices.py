"""Prices are exact, dated, tiered, never invented, and the same as the map they were seeded from."""

from __future__ import annotations

import os
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from storyloom.domain import price_table
from storyloom.domain.model_calls import Usage
from storyloom.domain.prices import (
    Price,
    PriceTable,
    Rates,
    bundled_prices,
    cost,
    cost_if_uncached,
    cost_status,
    worst_cost,
)

NOW = datetime(2026, 11, 21, tzinfo=UTC)
HAIKU = "anthropic/claude-haiku-5-5"

# What our table says otherwise than litellm's map, and why: "model.field": reason. A difference that is not listed
# here fails the test: look it up at the vendor, then correct the table (a row in LATER) or list the reason.
KNOWN_DIFFERENCES: dict[str, str] = {}


def price(model: str) -> Price:
    found = bundled_prices().price(model, NOW)
    assert found is not None
    return found


def rates(text: str) -> Rates:
    names = ("input", "output", "cache_read", "cache_write", "cache_write_1h")
    return Rates.model_validate(dict(zip(names, text.split(), strict=True)))


def test_a_call_costs_what_its_tokens_cost_to_the_last_digit() -> None:
    usage = Usage(input=7, cache_read=20, cache_write=5, cache_write_1h=2, output=9)
    # 7 × 0.1 + 20 × 0.01 + 3 × 0.125 + 2 × 0.2 + 9 × 0.5, per million
    assert cost(usage, price(HAIKU)) == Decimal("0.000006175")


def test_a_long_context_bills_the_whole_request_at_the_higher_rates() -> None:
    assert cost(Usage(input=100_000, output=1), price(HAIKU)) == Decimal("0.0100005")
    assert cost(Usage(input=60_000, cache_read=40_001, output=1), price(HAIKU)) == Decimal("0.03200255")


def test_a_batch_costs_half_where_batches_exist() -> None:
    usage = Usage(input=1000, output=1000)
    assert cost(usage, price(HAIKU), batch=True) * 2 == cost(usage, price(HAIKU))
    assert cost(usage, price("claude-mythos-preview"), batch=True) == cost(usage, price("claude-mythos-preview"))


def test_a_prompt_cache_is_compared_with_having_none() -> None:
    usage = Usage(cache_read=1_000_000, output=1_000_000)
    assert cost(usage, price("gpt-6-sol")) == Decimal("0.4") + 15
    assert cost_if_uncached(usage, price("gpt-6-sol")) == 19


def test_an_unknown_model_has_no_price_whatever_its_name_looks_like() -> None:
    for name in ("claude-fable-5-2", "gpt-7-nova", "anthropic/claude-haiku-5-5-fast", "bedrock/claude-haiku-5-5", ""):
        assert bundled_prices().price(name, NOW) is None
    assert cost_status(None) == "unpriced"
    assert cost_status(price(HAIKU)) == "priced"


def test_names_may_carry_their_provider_and_a_snapshots_date() -> None:
    for name in (
        "claude-haiku-4-5",
        "anthropic/claude-haiku-4-5",
        "litellm/anthropic/claude-haiku-4-5",
        "claude-haiku-4-5-20251001",
        "openai/gpt-5-2025-08-07",
    ):
        assert price(name).model in ("claude-haiku-4-5", "gpt-5")


def test_a_price_holds_from_its_day_on_and_old_bills_stay_what_they_were() -> None:
    old = Price(model="m", valid_from=date(2026, 1, 1), rates=rates("1 2 1 1 1"))
    table = PriceTable([old]).with_prices(
        [old.model_copy(update={"valid_from": date(2026, 6, 1), "rates": rates("3 4 3 3 3")})]
    )
    assert table.price("m", date(2025, 12, 31)) is None
    for day, expected in ((date(2026, 5, 31), 1), (date(2026, 6, 1), 3)):
        found = table.price("m", day)
        assert found is not None
        assert found.rates.input == expected


def test_free_is_only_what_somebody_declared_free() -> None:
    own = Price(model="ollama/qwen", valid_from=date(2026, 1, 1), rates=rates("0 0 0 0 0"))
    found = bundled_prices().with_prices([own]).price("ollama/qwen", NOW)
    assert cost_status(found) == "free"


@given(
    st.sampled_from(sorted(bundled_prices().models())),
    st.integers(0, 400_000),
    st.integers(0, 400_000),
    st.integers(0, 400_000),
    st.integers(0, 128_000),
)
def test_no_call_costs_more_than_its_worst_case(model: str, fresh: int, read: int, write: int, output: int) -> None:
    for hour in (0, write):
        usage = Usage(input=fresh, cache_read=read, cache_write=write, cache_write_1h=hour, output=output)
        assert cost(usage, price(model)) <= worst_cost(fresh + read + write, output, price(model))


@pytest.fixture(scope="module")
def litellm_map() -> dict[str, dict[str, Any]]:
    os.environ.update(LITELLM_LOCAL_MODEL_COST_MAP="True", LITELLM_MODE="PRODUCTION")
    import litellm

    return dict(litellm.model_cost)


def per_million(model: dict[str, Any], key: str) -> Decimal | None:
    return None if model.get(key) is None else Decimal(repr(model[key])) * 1_000_000


def test_the_table_is_the_map_it_was_seeded_from(litellm_map: dict[str, dict[str, Any]]) -> None:
    differences: dict[str, str] = {}

    def compare(name: str, ours: object, theirs: object) -> None:
        if ours != theirs:
            differences[name] = f"ours {ours}, litellm's {theirs}"

    for row in price_table.ROWS:
        ours, theirs = price(row[0]), litellm_map.get(row[0])
        if theirs is None:
            differences[row[0]] = "litellm does not know it"
            continue
        tiers = [("", ours.rates)]
        if ours.long is not None and ours.long_above is not None:
            tiers.append((f"_above_{ours.long_above // 1000}k_tokens", ours.long))
        for suffix, held in tiers:
            plain = per_million(theirs, f"input_cost_per_token{suffix}")
            write = per_million(theirs, f"cache_creation_input_token_cost{suffix}")
            hour = per_million(theirs, f"cache_creation_input_token_cost_above_1hr{suffix}")
            read = per_million(theirs, f"cache_read_input_token_cost{suffix}")
            compare(f"{row[0]}.input{suffix}", held.input, plain)
            compare(f"{row[0]}.output{suffix}", held.output, per_million(theirs, f"output_cost_per_token{suffix}"))
            compare(f"{row[0]}.cache_read{suffix}", held.cache_read, plain if read is None else read)
            compare(f"{row[0]}.cache_write{suffix}", held.cache_write, plain if write is None else write)
            compare(f"{row[0]}.cache_write_1h{suffix}", held.cache_write_1h, hour or held.cache_write)
        known = {k for k in theirs if k.startswith("input_cost_per_token_above_") and k.count("_above_") == 1}
        known = {k for k in known if k.endswith("k_tokens")}
        compare(f"{row[0]}.tiers", {f"input_cost_per_token{suffix}" for suffix, _ in tiers[1:]}, known)
        batch = per_million(theirs, "input_cost_per_token_batches")
        compare(f"{row[0]}.batch", ours.rates.input / 2 if ours.batch else None, batch)
        compare(f"{row[0]}.context", ours.context_tokens, theirs["max_input_tokens"])
        compare(f"{row[0]}.output", ours.max_output_tokens, theirs["max_output_tokens"])
        compare(f"{row[0]}.responses", ours.responses_only, theirs["mode"] == "responses")
        compare(f"{row[0]}.end", row[6], theirs.get("deprecation_date", row[6]))
    assert {name: told for name, told in differences.items() if name not in KNOWN_DIFFERENCES} == {}
    assert set(KNOWN_DIFFERENCES) <= set(differences), "a listed difference is gone: take it off the list"


def test_a_dated_snapshot_costs_what_its_model_costs(litellm_map: dict[str, dict[str, Any]]) -> None:
    names = [name for name in litellm_map if "/" not in name and name not in bundled_prices().models()]
    snapshots = [name for name in names if bundled_prices().price(name, NOW) is not None]
    assert len(snapshots) > 10
    for name in snapshots:
        theirs = litellm_map[name]
        assert price(name).rates.input == per_million(theirs, "input_cost_per_token"), name
        assert price(name).rates.output == per_million(theirs, "output_cost_per_token"), name


@pytest.mark.parametrize("model", ["claude-haiku-5-5", "claude-opus-5-5", "gpt-6.1-sol", "gpt-5.5", "gpt-4.1"])
@pytest.mark.parametrize(
    "usage",
    [
        Usage(input=1000, output=500),
        Usage(input=1000, cache_read=9000, cache_write=700, output=500, reasoning=100),
        Usage(input=300_000, cache_read=1000, output=10),
    ],
)
def test_a_cost_is_litellms_own(model: str, usage: Usage, litellm_map: dict[str, dict[str, Any]]) -> None:
    import litellm

    prompt = usage.input + usage.cache_read + usage.cache_write
    report = litellm.Usage(
        prompt_tokens=prompt,
        completion_tokens=usage.output,
        total_tokens=prompt + usage.output,
        prompt_tokens_details={"cached_tokens": usage.cache_read, "cache_creation_tokens": usage.cache_write},
        cache_creation_input_tokens=usage.cache_write,
        cache_read_input_tokens=usage.cache_read,
    )
    provider = litellm_map[model]["litellm_provider"]
    parts = litellm.cost_calculator.generic_cost_per_token(model=model, usage=report, custom_llm_provider=provider)
    assert abs(cost(usage, price(model)) - Decimal(repr(sum(parts)))) < Decimal("1e-12")
