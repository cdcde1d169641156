import math

import pytest
from storyloom.domain.merge_stack import Split, bookkeeping, next_length, only_below, split


def search(size: int, bad: set[int]) -> tuple[Split, list[int]]:
    """What is found in a stack in which these stories (from 1) fail, and which lengths were tested for it."""
    passed: dict[int, bool] = {}
    while (length := next_length(size, passed)) is not None:
        passed[length] = not any(number <= length for number in bad)
    return split(size, passed), list(passed)


@pytest.mark.parametrize("size", range(1, 20))
def test_a_stack_that_passes_is_tested_once(size: int):
    assert search(size, set()) == (Split(good=size, bad=False), [size])


@pytest.mark.parametrize("size", range(1, 65))
def test_the_first_story_that_fails_is_found_with_a_logarithm_of_runs(size: int):
    for first in range(1, size + 1):
        found, runs = search(size, {first, size})
        assert found == Split(good=first - 1, bad=True)
        assert len(runs) <= 1 + math.ceil(math.log2(size))
        assert len(set(runs)) == len(runs)


def test_an_empty_stack_needs_no_run():
    assert search(0, set()) == (Split(good=0, bad=False), [])


def test_only_the_board_and_the_stories_files_are_bookkeeping():
    ours = bookkeeping("docs", "docs/stories")
    assert only_below(["docs/sprint-status.yaml", "docs/stories/1-1-a.md"], ours)
    assert only_below([], ours)
    assert not only_below(["docs/stories/1-1-a.md", "docs/architecture.md"], ours)
    assert not only_below(["docs/stories.py"], ours)
    assert not only_below(["app/docs/sprint-status.yaml"], ours)
