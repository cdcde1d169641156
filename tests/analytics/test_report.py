"""Each report says what it promises, to the last digit, and no report hides a call without a price."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from storyloom.analytics.decided import decided_markdown
from storyloom.analytics.ingest import ingest
from storyloom.analytics.report import report, reports, run_report, run_sql
from storyloom.blocks.spool import Spool
from storyloom.domain.errors import InputError
from storyloom.domain.events import Decided

from .conftest import TINY

MONEY = ("total", "cost_by_phase_and_agent", "cost_by_story", "cost_by_day_and_model", "cost_per_accepted_story")
MORE_MONEY = (
    "cache_savings",
    "waste",
    "budget_burn",
    "estimate_at_completion",
    "fallbacks",
    "burn_up",
    "live_run",
    "estimate",
)
SPENT = Decimal("0.5") + Decimal("0.100000000001") + TINY + Decimal("0.02") + Decimal("0.25") + Decimal("0.001")


def rows(name: str, warehouse: Path, **params: Any) -> list[dict[str, Any]]:
    given = {"project": "shelf", **params}
    return [dict(row) for row in run_report(name, warehouse, given).to_dict("records")]


def test_every_report_has_a_title_says_what_it_answers_and_runs_on_an_empty_project(warehouse: Path):
    assert len(reports()) >= 14
    for one in reports().values():
        assert one.title, one.name
        assert one.answers.count("?") >= 1, one.name
        run_report(one.name, warehouse, {"project": "nobody"})
        run_report(one.name, warehouse)


@pytest.mark.parametrize("name", MONEY + MORE_MONEY)
def test_every_money_report_counts_the_calls_without_a_price(warehouse: Path, name: str):
    assert "unpriced" in run_report(name, warehouse).columns


@pytest.mark.parametrize("name", MONEY[1:4])
def test_the_parts_sum_to_the_total_to_the_last_digit(warehouse: Path, name: str):
    (total,) = rows("total", warehouse)
    assert total["cost_usd"] == SPENT
    parts = rows(name, warehouse)
    assert sum(row["cost_usd"] for row in parts) == SPENT
    assert sum(row["calls"] for row in parts) == total["calls"] == 8
    assert sum(row["unpriced"] for row in parts) == total["unpriced"] == 1


def test_the_total_tells_what_was_saved_lost_and_rehearsed(warehouse: Path):
    (total,) = rows("total", warehouse)
    assert total["saved_usd"] == Decimal("0.3") - Decimal("0.100000000001") + Decimal("0.04") + Decimal("0.002")
    assert total["unknown_outcome_usd"] == Decimal("0.25")
    assert (total["answers_used_again"], total["rehearsed_usd"]) == (1, 0)
    (other,) = rows("total", warehouse, project="else")
    assert other["rehearsed_usd"] == other["cost_usd"] == 7


def test_cost_by_phase_follows_the_methods_order(warehouse: Path):
    found = [(row["phase"], row["agent"]) for row in rows("cost_by_phase_and_agent", warehouse)]
    assert found == [("planning", "john"), ("implementation", "amelia")]


def test_cost_by_story_names_them_and_prices_a_point(warehouse: Path):
    found = {row["story"]: row for row in rows("cost_by_story", warehouse)}
    assert set(found) == {"", "1-1-a", "1-2-b"}
    assert found["1-1-a"]["cost_usd"] == Decimal("0.12") + Decimal("0.000000000001") + TINY
    assert (found["1-1-a"]["title"], found["1-1-a"]["status"]) == ("Title 1-1-a", "done")
    assert found["1-1-a"]["usd_per_point"] == Decimal("0.04")
    assert found["1-2-b"]["unpriced"] == 1


def test_cost_per_accepted_story_carries_everything_and_shows_the_overhead(warehouse: Path):
    (row,) = rows("cost_per_accepted_story", warehouse)
    assert (row["accepted"], row["overhead_usd"]) == (1, Decimal("0.5"))
    assert row["usd_per_accepted_story"] == SPENT.quantize(Decimal("0.000001"))
    assert row["overhead_pct"] == 57.4


def test_cache_savings_tell_prompt_cache_and_answers_apart(warehouse: Path):
    row = rows("cache_savings", warehouse)[0]
    assert (row["model"], row["hit_pct"], row["answers_used_again"]) == ("claude-a", 75.0, 1)
    assert row["saved_by_prompt_cache_usd"] == Decimal("0.3") - Decimal("0.100000000001")
    assert row["saved_by_answers_usd"] == Decimal("0.04")


def test_waste_puts_each_call_into_one_row(warehouse: Path):
    found = {row["kind"]: (row["calls"], row["cost_usd"]) for row in rows("waste", warehouse)}
    assert found == {
        "used": (4, Decimal("0.501") + TINY),
        "discarded": (1, Decimal("0.100000000001")),
        "repair": (1, Decimal("0.02")),
        "failed": (1, Decimal(0)),
        "lost": (1, Decimal("0.25")),
    }


def test_budget_burn_says_how_long_the_rest_lasts(warehouse: Path):
    (row,) = rows("budget_burn", warehouse, budget_usd="2")
    assert row["left_usd"] == Decimal(2) - SPENT
    assert row["spent_pct"] == 43.6
    assert row["days_left"] == round(float((2 - SPENT) / SPENT), 1)  # less than a day of work counts as one
    (unbounded,) = rows("budget_burn", warehouse)
    assert unbounded["left_usd"] is None


def test_the_estimate_goes_by_points_and_by_stories_when_more_are_planned(warehouse: Path):
    (row,) = rows("estimate_at_completion", warehouse)
    done = Decimal("0.120000000124")
    assert (row["stories_done"], row["stories_to_do"], row["points_to_do"]) == (1, 1, 5)
    assert float(row["estimate_usd"]) == pytest.approx(float(SPENT + done / 3 * 5))
    (more,) = rows("estimate_at_completion", warehouse, stories_planned=4)
    assert more["stories_to_do"] == 3
    assert float(more["estimate_usd"]) == pytest.approx(float(SPENT + 3 * done), abs=1e-6)
    assert more["low_usd"] <= more["estimate_usd"] <= more["high_usd"]


def test_latency_counts_answers_and_failures_apart(warehouse: Path):
    row = rows("latency", warehouse)[0]
    assert (row["model"], row["calls"], row["p50_s"], row["overloaded"]) == ("claude-a", 6, 1.5, 1)
    assert row["p95_s"] == pytest.approx(3.7)
    assert row["failed_pct"] == 33.33


def test_a_fallback_is_shown_with_its_reason(warehouse: Path):
    (row,) = rows("fallbacks", warehouse)
    assert (row["model"], row["reason"]) == ("gpt-a", "instead of claude-a: it is busy")


def test_first_pass_yield_looks_at_the_first_verdict_only(warehouse: Path):
    found = {row["gate"]: row for row in rows("first_pass_yield", warehouse)}
    assert (found["review"]["judged"], found["review"]["first_pass_pct"], found["review"]["looks"]) == (1, 0.0, 2)
    assert (found["tests"]["judged"], found["tests"]["first_pass_pct"], found["tests"]["inconclusive"]) == (2, 50.0, 1)


def test_velocity_counts_done_stories_by_week(warehouse: Path):
    (row,) = rows("velocity", warehouse)
    assert (str(row["week"]), row["stories"], row["points"], row["cycle_p50_h"]) == ("2026-05-04", 1, 3, 2.0)


def test_dora_knows_failures_recovery_and_lead_time(warehouse: Path):
    (row,) = rows("dora", warehouse)
    assert (row["merges"], row["deployments"], row["change_failure_pct"]) == (1, 1, 50.0)
    assert (row["recovery_p50_h"], row["lead_p50_h"], row["rework_pct"]) == (2.0, 4.0, 0.0)


def test_decisions_made_alone_leave_persons_out_and_start_with_the_least_sure(warehouse: Path):
    assert [row["source"] for row in rows("decisions_alone", warehouse)] == ["policy", "model"]


def test_the_share_decided_alone_and_what_no_longer_had_to_be_asked_are_told(spool: Path, tmp_path: Path):
    ingest(spool, tmp_path / "warehouse.duckdb")
    (before,) = rows("decisions", tmp_path / "warehouse.duckdb")
    assert (before["decisions"], before["alone"], before["by_policy"], before["by_people"]) == (3, 1, 1, 1)
    assert (before["alone_pct"], before["no_longer_asked"]) == (33.3, 0)
    for number, source in enumerate(["onboarding", "fact", "fact"]):
        answered = {"question": f"Is <b>{number}</b> | asked?", "answer": "No", "confidence": 0.9, "source": source}
        later = {
            "event_id": f"later{number}",
            "ts": f"2030-01-0{number + 1}T08:00:00+00:00",
            "tags": {"project": "shelf"},
        }
        Spool(spool).record(Decided.model_validate({**answered, **later}))
    warehouse = tmp_path / "later.duckdb"
    ingest(spool, warehouse)
    (after,) = rows("decisions", warehouse)
    assert (after["decisions"], after["alone"], after["alone_pct"], after["no_longer_asked"]) == (6, 4, 66.7, 2)
    assert [row["question"] for row in rows("no_longer_asked", warehouse)] == [
        f"Is <b>{n}</b> | asked?" for n in (2, 1)
    ]
    said = decided_markdown(warehouse, "shelf")
    assert said.startswith(
        "**67%** of 6 decisions were made alone, 1 by policy, 1 by people. 2 no longer had to be asked."
    )
    assert "| Is &lt;b&gt;1&lt;/b&gt; &#124; asked? | No |" in said
    assert decided_markdown(warehouse, "nobody's") == ""


def test_the_live_view_sums_up_and_chooses_the_latest_run(warehouse: Path):
    found = rows("live_run", warehouse)
    assert (found[0]["model"], found[0]["cost_so_far_usd"], found[0]["unpriced"]) == ("gpt-a", SPENT, 1)
    named = run_report("live_run", warehouse, {"run": "r9"})
    assert named["cost_so_far_usd"].tolist() == [Decimal(7)]


def test_the_burn_up_ends_at_the_total(warehouse: Path):
    found = rows("burn_up", warehouse)
    assert (found[-1]["cost_usd"], found[-1]["stories_done"], found[-1]["unpriced"]) == (SPENT, 1, 1)
    assert found[0]["stories_done"] == 0


def test_times_and_runs_bound_a_report(warehouse: Path):
    (before,) = rows("total", warehouse, until="2026-05-04T02:00:00")
    (after,) = rows("total", warehouse, since="2026-05-04T02:00:00")
    assert (before["cost_usd"], before["cost_usd"] + after["cost_usd"]) == (Decimal("0.5"), SPENT)
    assert rows("total", warehouse, run="r9")[0]["calls"] == 0


def test_names_may_have_dashes_and_a_wrong_one_gets_the_nearest(warehouse: Path):
    assert report("cost-by-story").name == "cost_by_story"
    with pytest.raises(InputError, match="Did you mean cost-by-story"):
        report("cost_by_storys")
    with pytest.raises(InputError, match="There are: budget-burn"):
        report("zzz")


def test_a_wrong_parameter_value_or_query_is_told(warehouse: Path):
    with pytest.raises(InputError, match="does not take colour"):
        run_report("total", warehouse, {"colour": "red"})
    with pytest.raises(InputError, match="cannot be run"):
        run_report("total", warehouse, {"since": "yesterday"})
    with pytest.raises(InputError, match="cannot be run"):
        run_sql("SELECT nothing FROM nowhere", warehouse)


def test_a_free_query_can_change_nothing_and_read_no_other_file(warehouse: Path, tmp_path: Path):
    (tmp_path / "secret.csv").write_text("a\n1\n")
    for query in (
        "DELETE FROM fact_call",
        f"SELECT * FROM '{tmp_path}/secret.csv'",
        "SET enable_external_access = true",
    ):
        with pytest.raises(InputError):
            run_sql(query, warehouse)
    assert run_sql("SELECT count(*) AS n FROM fact_call", warehouse)["n"][0] == 10


def test_without_a_warehouse_the_remedy_is_named(tmp_path: Path):
    with pytest.raises(InputError, match="There is no warehouse"):
        run_report("total", tmp_path / "none.duckdb")
    (tmp_path / "bad.duckdb").write_text("x" * 10_000)
    with pytest.raises(InputError, match="cannot be read"):
        run_report("total", tmp_path / "bad.duckdb")
