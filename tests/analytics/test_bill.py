"""The bill equals the journal to the last digit, wherever it is read from, and says what it leaves out."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from storyloom.analytics.bill import Bill, bill_markdown, bill_of, markdown, read_bill
from storyloom.analytics.ingest import ingest
from storyloom.blocks.spool import Spool, read_spool
from storyloom.domain.events import CallRecorded

from .conftest import call
from .test_report import SPENT

Make = Callable[..., CallRecorded]


def journal(spool: Path, project: str = "shelf") -> list[CallRecorded]:
    events = read_spool(spool).events
    return [event for event in events if isinstance(event, CallRecorded) and event.tags.project == project]


def test_the_warehouses_bill_is_the_journals(spool: Path, warehouse: Path):
    bill = read_bill(warehouse, project="shelf")
    assert bill == bill_of(journal(spool))
    assert bill.total.cost == SPENT == sum(line.cost for line in bill.by_story)
    assert read_bill(warehouse, project="else") == bill_of(journal(spool, "else"), rehearsed_runs={"r9"})


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["planning", "implementation", "", "my own"]),
            st.sampled_from(["amelia", "quinn"]),
            st.sampled_from(["", "1-1-a", "1-2-b"]),
            st.one_of(st.none(), st.integers(0, 10**15).map(lambda n: Decimal(n).scaleb(-12))),
            st.sampled_from(["ok", "error", "unknown", "cache_hit"]),
        ),
        max_size=12,
    )
)
def test_any_journal_and_its_warehouse_give_the_same_bill(
    tmp_path_factory: pytest.TempPathFactory, calls: list[tuple[str, str, str, Decimal | None, str]]
):
    folder = tmp_path_factory.mktemp("bill")
    spool = Spool(folder / "spool")
    for number, (phase, agent, story, cost, status) in enumerate(calls):
        tags = {"phase": phase, "agent": agent, "story": story}
        priced = "unpriced" if cost is None else "priced"
        spool.record(call(f"c{number}", tags=tags, cost=cost, cost_if_uncached=cost, status=status, cost_status=priced))
    ingest(folder / "spool", folder / "w.duckdb")
    bill = read_bill(folder / "w.duckdb", project="shelf")
    assert bill == bill_of(journal(folder / "spool"))
    stated = [cost for *_, cost, _ in calls if cost is not None]
    for lines in (bill.by_phase_and_agent, bill.by_story):
        assert sum(line.cost for line in lines) == sum(stated) == bill.total.cost
    assert markdown(bill)


def test_the_markdown_shows_every_digit_and_its_columns_add_up(spool: Path):
    text = markdown(bill_of(journal(spool)))
    assert text.startswith(f"**${SPENT}** for 8 model calls.")
    assert "**1 call without a known price: the true total is higher.**" in text
    assert "Saved $0.241999999999 by the prompt cache and 1 answer used again." in text
    assert "$0.250000000000 stands for calls whose outcome was lost" in text
    tables = text.split("\n\n")[1:]
    for table in tables:
        costs = [Decimal(found) for found in re.findall(r"\| \$([\d.]+)", table)]
        assert sum(costs[:-1]) == costs[-1] == SPENT


def test_a_clean_bill_says_that_every_call_has_a_price(make_call: Make):
    text = markdown(bill_of([make_call("a", cost=Decimal("0.5"), cost_if_uncached=Decimal("0.5"))]))
    assert text.startswith("**$0.5000** for 1 model call. Every call has a price.\n")
    assert "story" not in text


def test_recorded_answers_are_said_to_cost_nobody_anything(make_call: Make):
    text = markdown(bill_of([make_call("a", cost=Decimal("0.5"))], rehearsed_runs={"r1"}))
    assert "$0.5000 of it is what recorded answers would have cost: nobody pays it." in text


def test_an_empty_bill_is_a_bill(warehouse: Path):
    assert bill_markdown(warehouse, "nobody").startswith("**$0.0000** for 0 model calls. Every call has a price.")
    assert bill_of([]) == read_bill(warehouse, project="nobody")
    assert isinstance(bill_of([]), Bill)


def test_the_frame_holds_all_tables(warehouse: Path):
    frame = read_bill(warehouse, run="r1").frame()
    assert frame["by"].tolist() == ["phase and agent"] * 2 + ["story"] * 3 + ["total"]
    assert frame["cost_usd"].tolist()[-1] == SPENT
