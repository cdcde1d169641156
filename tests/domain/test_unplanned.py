"""What the plan has been pruned of counts as done where the board says so, and stays missing where it does not."""

from __future__ import annotations

import pytest
from storyloom.domain.board import merge, new_board, plan_entries, set_status
from storyloom.domain.epics import read_epics
from storyloom.domain.unplanned import done_stories, with_done

PLAN = """\
## Epic 1: A

### Story 1.1: One

### Story 1.2: Two

## Epic 2: B

### Story 2.1: Three
"""
BOARD = new_board("p", plan_entries(read_epics(PLAN).stories), "")


def pruned(needs: str) -> str:
    return f"## Epic 2: B\n\n### Story 2.1: Three\n\n**Prerequisites:** {needs}\n"


def test_what_is_done_stays_known_when_a_merge_makes_a_comment_of_its_row():
    board = set_status(set_status(BOARD, "1-1-one", "done"), "1-2-two", "review")
    after = merge(board, plan_entries(read_epics(pruned("None")).stories)).text
    assert "# no longer planned: 1-1-one: done" in after
    assert done_stories(board) == done_stories(after) == {"1-1-one"}
    assert done_stories("") == frozenset()


@pytest.mark.parametrize(
    ("needs", "found"),
    [
        ("Story 1.1", ("1-1-one",)),
        ("Story 1.1, Story 1.2", ("1-1-one", "Story 1.2")),
        ("Stories 1.1-1.2", ("1-1-one",)),
        ("Epic 1", ("1-1-one",)),
        ("Story 7.7", ("Story 7.7",)),
        ("Epic 7", ("Epic 7",)),
    ],
)
def test_a_prerequisite_that_nothing_plans_is_the_done_story_of_that_number(needs: str, found: tuple[str, ...]):
    (story,) = with_done(read_epics(pruned(needs)).stories, {"1-1-one"})
    assert story.depends_on == found


def test_what_is_planned_stays_as_it_is():
    stories = read_epics(PLAN + "\n**Prerequisites:** Story 1.1\n").stories
    assert with_done(stories, {"1-1-old"}) == stories
