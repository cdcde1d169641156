import shlex

import pytest
from storyloom.domain.settings import Commands
from storyloom.domain.test_choice import MOST_PATHS, suite_command, whole_is_due

QUICK = Commands(test="make test", test_changed="jest --findRelatedTests {changed}")


def test_a_project_without_a_quick_command_runs_all_tests():
    assert suite_command(Commands(test="make test"), ["a.py"]) == "make test"
    assert suite_command(Commands(test="make test", test_changed="  "), ["a.py"]) == "make test"


def test_the_changed_paths_take_their_place_in_the_quick_command():
    assert suite_command(QUICK, ["b.js", "a.js"]) == "jest --findRelatedTests a.js b.js"


def test_a_path_cannot_leave_its_place_in_the_command():
    odd = ["a b.js", "$(touch x).js", "it's; rm -rf .js"]
    words = shlex.split(suite_command(QUICK, odd))
    assert words == ["jest", "--findRelatedTests", *sorted(odd)]


def test_a_path_is_never_an_option_of_the_command():
    assert (
        suite_command(QUICK, ["--passWithNoTests", "-x/a.js"])
        == "jest --findRelatedTests ./--passWithNoTests ./-x/a.js"
    )


def test_an_unknown_change_and_one_too_large_for_a_command_line_run_all_tests():
    assert suite_command(QUICK, []) == "make test"
    assert suite_command(QUICK, [f"{n}.js" for n in range(MOST_PATHS + 1)]) == "make test"


@pytest.mark.parametrize(
    ("commands", "every", "since", "due"),
    [
        (Commands(test="t"), 25, 0, True),  # there is nothing else to run
        (QUICK, 1, 0, True),
        (QUICK, 3, 0, False),
        (QUICK, 3, 1, False),
        (QUICK, 3, 2, True),
        (QUICK, 3, 7, True),  # counted on after a run in which they were due and failed
    ],
)
def test_all_tests_are_due_at_every_so_manieth_merge(commands: Commands, every: int, since: int, due: bool):
    assert whole_is_due(commands, every, since) is due


@pytest.mark.parametrize(("merging", "due"), [(1, False), (4, False), (5, True), (8, True)])
def test_all_tests_are_due_when_any_of_several_merges_is_the_one(merging: int, due: bool):
    assert whole_is_due(QUICK, 10, 5, merging) is due
