"""Ends of stories add up to ends of phases and deliveries."""

import pytest
from storyloom.domain.delivery import PhaseReport, overall_status, phase_status
from storyloom.domain.phases import ORDER, Phase, jobs, until
from storyloom.domain.stories import StoryOutcome


def ends(*statuses: str) -> tuple[StoryOutcome, ...]:
    return tuple(StoryOutcome.model_validate({"story": str(i), "status": s}) for i, s in enumerate(statuses))


@pytest.mark.parametrize(
    ("stories", "status"),
    [
        ((), "done"),
        (("merged", "skipped"), "done"),
        (("merged", "blocked"), "failed"),
        (("failed", "waiting", "merged"), "waiting"),
    ],
)
def test_a_waiting_story_leaves_its_phase_waiting(stories: tuple[str, ...], status: str):
    assert phase_status(ends(*stories)) == status


def test_a_delivery_that_found_everything_did_nothing():
    found = tuple(PhaseReport(phase=p, status="already_done") for p in ORDER)
    assert overall_status(found) == "already_done"
    assert overall_status((*found[:-1], PhaseReport(phase=Phase.DEPLOYMENT, status="done"))) == "done"
    assert overall_status((PhaseReport(phase=Phase.QUALITY, status="failed"),)) == "failed"


def test_small_projects_owe_a_tech_spec_and_large_ones_a_prd():
    assert [j.workflow for j in jobs(Phase.PLANNING, 0)] == ["tech-spec"]
    assert [j.workflow for j in jobs(Phase.PLANNING, 3)] == ["prd"]
    assert until(Phase.PLANNING) == (Phase.ANALYSIS, Phase.PLANNING)
