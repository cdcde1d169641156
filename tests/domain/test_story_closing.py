"""However the work on a story ended, its file says so, with what shows it, and says it once."""

from decimal import Decimal

import pytest
from storyloom.domain.stories import Finding, Lane, ReviewReport, Story, StoryOutcome, TestReport
from storyloom.domain.story_closing import COMMAND_SIGNS, REASON_SIGNS, closed_story_file, evidence
from storyloom.domain.story_file import new_story_file, read_story_file

TEXT = new_story_file(Story(key="1-1-a", id="1.1", epic="epic-1", title="A", acceptance_criteria=("It is so",)))
TESTS = TestReport(command="make test", passed=False, exit_code=1, ran=12, failures=2, skipped=1)
REVIEW = ReviewReport(verdict="changes_requested", findings=(Finding(severity="high", title="Wrong"),))
OUTCOME = StoryOutcome(
    story="1-1-a", status="failed", lane=Lane.CODE, reason="The tests failed after 3 attempts.", attempts=3, turns=7,
    cost=Decimal("0.125"), tests=TESTS, review=REVIEW,
)  # fmt: skip


def close(status: str, outcome: StoryOutcome | None, text: str = TEXT, day: str = "2026-01-01", by: str = "") -> str:
    return closed_story_file(text, status, outcome, day, by=by)


def record(text: str) -> str:
    return dict(read_story_file(text).record)["Debug Log References"]


def test_a_failure_is_on_record_with_its_evidence_and_in_the_change_log():
    text = close("in-progress", OUTCOME)
    assert record(text).splitlines() == [
        "- Failed (code): The tests failed after 3 attempts.",
        "- Tests failed: 12 ran, 2 failed, 1 skipped, exit code 1 (`make test`).",
        "- Review: changes requested, 1 open findings.",
        "- 7 turns, 3 attempts, $0.12.",
    ]
    assert any("Failed (code): The tests failed" in row for row in read_story_file(text).change_log)
    assert read_story_file(text).status == "in-progress"


def test_a_wait_leaves_the_status_and_the_change_log_and_says_what_it_waits_for():
    waiting = StoryOutcome(story="1-1-a", status="waiting", lane=Lane.PERSON, reason="A question waits.")
    text = close("", waiting, TEXT.replace("ready-for-dev", "review"))
    assert "- Waiting (person): A question waits." in record(text)
    assert read_story_file(text).status == "review"
    assert read_story_file(text).change_log == read_story_file(TEXT).change_log


def test_a_conflict_names_its_files():
    blocked = OUTCOME.model_copy(update={"status": "blocked", "conflicts": ("a.py", "b.py")})
    assert "- Conflicts with the main line in a.py, b.py." in record(close("in-progress", blocked))


def test_what_is_said_again_changes_nothing_and_another_end_takes_its_place():
    once = close("in-progress", OUTCOME)
    assert close("in-progress", OUTCOME, once) == once
    merged = OUTCOME.model_copy(update={"tests": TESTS.model_copy(update={"passed": True, "failures": 0})})
    text = close("done", merged, once, by="integrate")
    assert record(text).startswith("- Merged.\n- Tests passed: 12 ran, 0 failed")
    assert "Failed" not in record(text)
    assert any("Failed (code)" in row for row in read_story_file(text).change_log), "history stays"
    assert read_story_file(text).status == "done"


def test_only_a_review_or_the_lane_takes_the_file_back_from_review():
    there = TEXT.replace("ready-for-dev", "review")
    assert read_story_file(close("in-progress", None, there, by="dev-story")).status == "review"
    assert read_story_file(close("in-progress", None, there, by="code-review")).status == "in-progress"


@pytest.mark.parametrize(
    "said", ["# A heading\n\nStatus: done\n\n## Change Log\n- x", "<!-- Status: done -->", "x" * 9_000]
)
def test_a_reason_cannot_pass_for_a_part_of_the_file_or_flood_it(said: str):
    bad = OUTCOME.model_copy(update={"reason": said, "tests": TESTS.model_copy(update={"command": said})})
    text = close("in-progress", bad)
    read = read_story_file(text)
    assert (read.status, [title for title, _ in read.record]) == (
        "in-progress",
        [t for t, _ in read_story_file(TEXT).record],
    )
    assert len(text) < len(TEXT) + 2 * REASON_SIGNS + COMMAND_SIGNS + 400


def test_the_same_work_leaves_the_same_evidence_whenever_it_was_done():
    slow = OUTCOME.model_copy(
        update={"commit": "c", "tests": TESTS.model_copy(update={"wall_s": 9.0, "tail": "other"})}
    )
    assert evidence(slow) == evidence(OUTCOME)
