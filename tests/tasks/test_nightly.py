"""The morning report says what was merged, what waits and why."""

from storyloom.domain.delivery import PhaseReport
from storyloom.domain.phases import Phase
from storyloom.domain.stories import StoryOutcome
from storyloom.tasks.nightly import report_text


def test_each_story_stands_under_its_end_with_its_reason():
    report = PhaseReport(
        phase=Phase.IMPLEMENTATION,
        status="waiting",
        stories=(
            StoryOutcome(story="1-1-a", status="merged"),
            StoryOutcome(story="1-2-b", status="waiting", reason="Which colour? <img src=x>"),
        ),
    )
    text = report_text(report, "the bill")
    assert "## Merged (1)\n\n- **1-1-a**" in text
    assert "## Waits for you (1)\n\n- **1-2-b**: Which colour? &lt;img" in text
    assert text.endswith("the bill\n")


def test_a_night_without_work_says_so():
    text = report_text(PhaseReport(phase=Phase.IMPLEMENTATION, status="already_done"), "")
    assert "nothing was started" in text
