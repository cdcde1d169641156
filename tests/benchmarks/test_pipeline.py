"""What a benchmark reports of a run is what the run was, and measuring changes nothing that stays."""

import importlib

from storyloom.domain.delivery import PhaseReport
from storyloom.domain.phases import Phase
from storyloom.domain.stories import StoryOutcome

from benchmarks.pipeline import STEPS, Run, _measured, show_parts
from benchmarks.stopwatch import Span, Stopwatch


def test_only_what_was_merged_counts_as_merged():
    ends = [
        StoryOutcome(story=f"1-{n}-a", status=status) for n, status in enumerate(("merged", "failed", "waiting"), 1)
    ]
    run = Run(PhaseReport(phase=Phase.IMPLEMENTATION, status="failed", stories=tuple(ends)), 1.0)
    assert run.merged == ["1-1-a"]
    assert set(run.outcomes) == {"1-1-a", "1-2-a", "1-3-a"}


def test_the_table_shows_calls_median_percentile_and_parts_that_add_up_to_the_mean():
    watch = Stopwatch()
    for seconds in (0.1, 0.2, 0.3):
        span = Span("develop_turn", seconds)
        span.parts.update({"git": 0.05, "spool": 0.00001})
        watch.spans.append(span)
    _, row = show_parts(watch, ["develop_turn", "never called"])
    assert row.split() == ["develop_turn", "3", "200", "300", "own", "150", "git", "50"]


def test_every_step_that_is_measured_is_one_that_the_flows_still_call():
    for module, names in STEPS.items():
        flows = importlib.import_module(f"storyloom.flows.{module}")
        assert [name for name in names if not hasattr(flows, name)] == []


def test_measuring_puts_back_what_it_replaced():
    from storyloom.flows import develop_story as module
    from storyloom.tasks.combining import Line

    before = (module.develop_turn, Line._served_by_another)
    with _measured(Stopwatch()):
        assert module.develop_turn is not before[0]
    assert (module.develop_turn, Line._served_by_another) == before
