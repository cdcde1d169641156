"""A stated estimate is recorded as the same events however often, and grows only by stories that become known."""

from __future__ import annotations

from decimal import Decimal

from storyloom.domain.estimate import Estimate, Part
from storyloom.domain.phases import Phase
from storyloom.domain.stated_estimate import Stated, estimate_text, with_stories


def part(name: str, likely: int = 2, kind: str = "phase") -> Part:
    values = {"low": Decimal(1), "likely": Decimal(likely), "high": Decimal(9), "basis": "3 past runs"}
    return Part.model_validate({"kind": kind, "name": name, **values})


def whole(*parts: Part, unpriced: tuple[str, ...] = ()) -> Estimate:
    return Estimate(parts=parts, low=Decimal(1), likely=Decimal(2), high=Decimal(9), unpriced=unpriced)


STATED = Stated(run="r1", ts="2026-05-04T00:00:00+00:00", phases=tuple(Phase)[:4], estimate=whole(part("planning")))


def test_its_events_are_the_same_however_often_they_are_made():
    again = Stated.model_validate_json(STATED.model_dump_json())
    assert again.events("shelf") == STATED.events("shelf")
    planning, total = STATED.events("shelf")
    assert (planning.part, planning.name, planning.likely, planning.basis) == ("phase", "planning", 2, "3 past runs")
    assert (total.part, total.name, total.low, total.high, total.ts) == ("total", "total", 1, 9, STATED.ts)
    others = STATED.model_copy(update={"run": "r2"}).events("shelf") + STATED.events("else")
    assert len({event.event_id for event in (planning, total, *others)}) == 6


def test_stories_are_added_and_nothing_that_was_stated_changes():
    later = whole(part("planning", likely=7), part("1-1-a", kind="story"))
    grown = with_stories(STATED, later)
    assert [(p.name, p.likely) for p in grown.estimate.parts] == [("planning", 2), ("1-1-a", 2)]
    assert grown.estimate.likely == STATED.estimate.likely
    assert [e.tags.story for e in grown.events("shelf")] == ["", "1-1-a", ""]


def test_it_covers_what_it_was_stated_for():
    assert STATED.covers([Phase.PLANNING, Phase.IMPLEMENTATION])
    assert not STATED.covers(list(Phase))


def test_a_person_reads_the_range_what_is_not_known_and_whether_the_budget_reaches():
    text = estimate_text(whole(part("planning"), unpriced=("1-1-a",)), cap=Decimal(5))
    assert text.startswith("**$1 to $9**, likely $2, at list price. Nothing can be said of 1-1-a")
    assert "as far as the budget of $5 reaches" in text
    assert "| planning | $2 | $1 to $9 | 3 past runs |" in text
    assert "more than the budget of $1" in estimate_text(whole(), cap=Decimal(1))
    assert "budget" not in estimate_text(whole(), cap=Decimal(50))
