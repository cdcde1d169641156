"""What a delivery was expected to cost is held against what it cost, part by part."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from storyloom.analytics.bill import bill_markdown, read_bill
from storyloom.analytics.ingest import ingest
from storyloom.analytics.past import past_costs
from storyloom.analytics.report import run_report
from storyloom.blocks.spool import Spool
from storyloom.domain.estimate import Estimate, Part
from storyloom.domain.events import Event, RunMarked
from storyloom.domain.phases import Phase
from storyloom.domain.stated_estimate import Stated

from .conftest import at, call, story


def stated(run: str, hour: float, parts: dict[str, int], likely: int) -> list[Event]:
    made = [
        Part(
            kind="phase" if name in set(Phase) else "story",
            name=name,
            low=Decimal(n) / 2,
            likely=Decimal(n),
            high=Decimal(n) * 2,
            basis="said",
        )
        for name, n in parts.items()
    ]
    whole = Estimate(parts=tuple(made), low=Decimal(likely) / 2, likely=Decimal(likely), high=Decimal(likely) * 2)
    return [*Stated(run=run, ts=at(hour), phases=tuple(Phase), estimate=whole).events("shelf")]


def phase(name: str, state: str, hour: float, run: str = "r1", mode: str = "live", project: str = "shelf") -> RunMarked:
    tags = {"project": project, "run": run, "phase": name}
    values = {"event_id": f"{name}{state}{hour}{run}", "ts": at(hour), "tags": tags, "name": name, "state": state}
    return RunMarked.model_validate({**values, "mode": mode})


def paid(name: str, hour: float, usd: str, run: str = "r1", **tags: str) -> Event:
    return call(name, hour, tags={"run": run, **tags}, cost=Decimal(usd), cost_if_uncached=Decimal(usd))


def warehouse_of(folder: Path, *events: Event) -> Path:
    spool = Spool(folder / "spool")
    for event in events:
        spool.record(event)
    ingest(folder / "spool", folder / "w.duckdb")
    return folder / "w.duckdb"


DELIVERY: tuple[Event, ...] = (
    paid("before", 0, "100", phase="planning"),
    *stated("r1", 1, {"planning": 4, "stories": 10, "quality": 1}, 15),
    paid("p", 2, "5", phase="planning"),
    phase("planning", "done", 2.5),
    *stated("r1", 1, {"1-1-a": 2, "1-2-b": 2}, 15)[:2],
    paid("a", 3, "1", story="1-1-a"),
    paid("b", 3.5, "3.5", run="r2", story="1-2-b"),  # a run that went on with it
    story("1-1-a", "done", 4),
)
END: tuple[Event, ...] = (
    story("1-2-b", "done", 5),
    phase("implementation", "done", 5.5, "r2"),
    paid("q", 6, "1", run="r2", phase="quality"),
    paid("d", 6.5, "0.5", run="r2", phase="deployment"),
    phase("quality", "done", 7, "r2"),
)


def rows(warehouse: Path, **params: Any) -> dict[str, tuple[Any, ...]]:
    found = run_report("estimate", warehouse, {"project": "shelf", **params}).to_dict("records")
    return {
        row["name"]: (
            row["likely_usd"],
            row["paid_usd"],
            None if row["off_percent"] != row["off_percent"] else row["off_percent"],
        )
        for row in found
    }


def test_each_part_is_held_against_what_was_paid_since_whichever_run_paid_it(tmp_path: Path):
    warehouse = warehouse_of(tmp_path, *DELIVERY, *END)
    assert rows(warehouse) == {
        "planning": (4, 5, 25),
        "quality": (1, 1, 0),
        "deployment": (None, Decimal("0.5"), None),
        "stories": (10, Decimal("4.5"), -55),
        "1-2-b": (2, Decimal("3.5"), 75),
        "1-1-a": (2, 1, -50),
        "total": (15, 11, -27),
    }
    assert rows(warehouse, run="r2") == rows(warehouse, run="r1") == rows(warehouse)


def test_the_bill_says_how_far_off_the_estimate_was(tmp_path: Path):
    text = bill_markdown(warehouse_of(tmp_path, *DELIVERY, *END), "shelf")
    said = "Estimated $7.5000 to $30.0000, likely $15.0000: $11.0000 was paid, within the range, 27 % less."
    assert said in text
    assert "| planning | $4.0000 | $2.0000 to $8.0000 | $5.0000 | 25 % more |" in text
    assert "| all stories | $10.0000 | $5.0000 to $20.0000 | $4.5000 | 55 % less |" in text
    assert "| deployment | not foreseen |  | $0.5000 |  |" in text


def test_as_long_as_the_delivery_is_not_done_nothing_is_called_off(tmp_path: Path):
    text = bill_markdown(warehouse_of(tmp_path, *DELIVERY), "shelf")
    assert "likely $15.0000: $9.5000 of it is paid so far." in text
    assert "| quality | $1.0000 | $0.5000 to $2.0000 | $0.0000 | not done |" in text


def test_the_next_estimate_counts_from_its_own_time_on(tmp_path: Path):
    warehouse = warehouse_of(
        tmp_path, *DELIVERY, *END, *stated("r3", 8, {"planning": 2}, 2), paid("n", 9, "1", "r3", phase="planning")
    )
    assert rows(warehouse) == {"planning": (2, 1, None), "total": (2, 1, None)}
    assert rows(warehouse, run="r1")["total"] == (15, 11, -27)


@pytest.mark.parametrize(("cost", "said"), [("40", "above the range"), ("0.1", "below the range")])
def test_a_bill_outside_of_the_range_says_so(tmp_path: Path, cost: str, said: str):
    events = (*stated("r1", 1, {"planning": 4}, 4), paid("p", 2, cost, phase="planning"), phase("planning", "done", 3))
    assert said in bill_markdown(warehouse_of(tmp_path, *events), "shelf")


def test_without_an_estimate_for_a_span_of_time_and_for_several_projects_there_is_no_comparison(tmp_path: Path):
    other = [
        e.model_copy(update={"tags": e.tags.model_copy(update={"project": "b"}), "event_id": e.event_id + "b"})
        for e in DELIVERY
    ]
    warehouse = warehouse_of(tmp_path, *DELIVERY, *other)
    assert read_bill(warehouse, project="shelf").estimate
    assert read_bill(warehouse).estimate == ()
    assert read_bill(warehouse, project="nobody").estimate == ()
    from datetime import datetime

    later = read_bill(warehouse, project="shelf", since=datetime.fromisoformat(at(3)[:19]))
    assert (later.total.cost, later.estimate) == (Decimal("4.5"), ())


def test_history_is_what_stories_and_phases_cost_that_are_done(tmp_path: Path):
    again = (paid("p2", 8, "2", run="r4", phase="planning"), phase("planning", "done", 9, "r4"))
    unpriced = call("u", 3, tags={"story": "1-3-c"}, cost=None, cost_if_uncached=None, cost_status="unpriced")
    open_ = (paid("c", 8, "9", story="1-4-d"), unpriced, story("1-3-c", "done", 4))
    found = past_costs(warehouse_of(tmp_path, *DELIVERY, *END, *again, *open_), "shelf")
    assert {(p.kind, p.name, p.usd, p.points) for p in found} == {
        ("story", "1-1-a", 1, 3),
        ("story", "1-2-b", Decimal("3.5"), 3),
        ("phase", "planning", 105, None),  # with what was paid before the estimate, for it was for this phase too
        ("phase", "planning", 2, None),
        ("phase", "quality", 1, None),
    }


def test_rehearsed_history_and_paid_history_do_not_mix(tmp_path: Path):
    marks = [phase("planning", "started", 0, "r1", "rehearsal"), phase("planning", "started", 0, "r2", "rehearsal")]
    warehouse = warehouse_of(tmp_path, *DELIVERY, *END, *marks)
    assert past_costs(warehouse, "shelf") == []
    assert len(past_costs(warehouse, "shelf", rehearsed=True)) == 4


def test_a_projects_own_history_goes_before_that_of_others_once_it_is_enough(tmp_path: Path):
    def done(project: str, n: int) -> list[Event]:
        tags = {"project": project, "story": f"{project}-{n}"}
        moved = story(f"{project}-{n}", "done", 4)
        moved = moved.model_copy(update={"tags": moved.tags.model_copy(update={"project": project})})
        return [call(f"{project}{n}", 3, tags=tags, cost=Decimal(n)), moved]

    events = [
        event for project, count in (("one", 3), ("two", 2)) for n in range(1, count + 1) for event in done(project, n)
    ]
    warehouse = warehouse_of(tmp_path, *events)
    assert sorted(past.usd for past in past_costs(warehouse, "one")) == [1, 2, 3]
    assert sorted(past.usd for past in past_costs(warehouse, "two")) == [1, 1, 2, 2, 3]
