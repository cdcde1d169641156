import subprocess
import sys
from pathlib import Path

import pytest
from storyloom.domain.ports import CommandResult
from storyloom.domain.stories import TestReport
from storyloom.domain.test_reports import count_tests, describe_tests, report_tests

PYTEST = """\
FAILED test_a.py::test_bad - assert 1 == 2
ERROR test_a.py::test_err - RuntimeError
========== 1 failed, 1 passed, 1 skipped, 1 xfailed, 1 error in 1.46s ==========
"""
UNITTEST = """\
ERROR: test_c (t_u.T.test_c)
FAIL: test_b (t_u.T.test_b)
UNEXPECTED SUCCESS: test_e (t_u.T.test_e)
----------------------------------------------------------------------
Ran 5 tests in 0.001s

FAILED (failures=1, errors=1, skipped=1, unexpected successes=1)
"""
NODE_TAP = """\
    not ok 1 - inner fails
    ok 2 - later # SKIP
not ok 2 - breaks
# tests 4
# suites 1
# pass 1
# fail 2
# cancelled 0
# skipped 1
# todo 0
# duration_ms 278.510632
"""
NODE_SPEC = """\
✔ adds (1.270174ms)
✖ breaks (1.071138ms)
  ✖ inner fails (0.433372ms)
ℹ tests 4
ℹ fail 2
ℹ cancelled 0
ℹ skipped 1
ℹ todo 0
✖ failing tests:
"""
CARGO = """\
test tests::good ... ok
test tests::bad ... FAILED
test result: FAILED. 1 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.22s
"""
GO = """\
--- FAIL: TestSum (0.00s)
    sum_test.go:9: got 3
FAIL
FAIL\texample.org/sum\t0.003s
ok  \texample.org/list\t0.004s
?   \texample.org/cmd\t[no test files]
"""
GO_VERBOSE = """\
=== RUN   TestA
--- PASS: TestA (0.00s)
=== RUN   TestB
--- SKIP: TestB (0.00s)
ok  \texample.org/list\t(cached)
"""


def report(output: str, exit_code: int, command: str = "run", limit: str = "") -> TestReport:
    return report_tests(CommandResult(exit_code=exit_code, output=output, limit_hit=limit), command, "/w")


@pytest.mark.parametrize(
    ("output", "ran", "failures", "skipped", "failing"),
    [
        (PYTEST, 4, 2, 1, ("test_a.py::test_bad", "test_a.py::test_err")),
        (UNITTEST, 5, 3, 1, ("test_c (t_u.T.test_c)", "test_b (t_u.T.test_b)")),
        (NODE_TAP, 4, 2, 1, ("inner fails", "breaks")),
        (NODE_SPEC, 4, 2, 1, ("breaks", "inner fails")),
        (CARGO, 3, 1, 1, ("tests::bad",)),
        (GO, 2, 1, 0, ("TestSum",)),
        ("3 passed, 1 failed, 2 skipped\n", 6, 1, 2, ()),
        ("Tests: 12 passed, 1 failed\n", 13, 1, 0, ()),
    ],
)
def test_a_failing_run_is_counted(output: str, ran: int, failures: int, skipped: int, failing: tuple[str, ...]):
    told = report(output, 1)
    assert told.passed is False
    assert (told.ran, told.failures, told.skipped, told.failing) == (ran, failures, skipped, failing)


@pytest.mark.parametrize(
    ("output", "ran"),
    [
        ("..\n2 passed in 0.01s\n", 2),
        ("=== 10 passed, 3 warnings in 65.20s (0:01:05) ===\n", 10),
        ("Ran 3 tests in 0.001s\n\nOK\n", 3),
        ("# tests 2\n# pass 2\n# fail 0\n# cancelled 0\n# skipped 0\n# todo 0\n", 2),
        ("test result: ok. 4 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n", 4),
        (GO_VERBOSE, 2),
        ("ok  \texample.org/list\t0.004s\nok  \texample.org/b\t0.1s\n", 2),
        ("7 passed, 0 failed\n", 7),
        ("Ran 3 tests in 0.001s\n\nOK\n# tests 2\n# fail 0\n", 5),
    ],
)
def test_a_passing_run_is_counted(output: str, ran: int):
    told = report(output, 0)
    assert told.passed is True
    assert (told.ran, told.failures) == (ran, 0)


@pytest.mark.parametrize(
    ("output", "exit_code"),
    [
        ("Ran 0 tests in 0.000s\n\nOK\n", 0),
        ("\nRan 0 tests in 0.000s\n\nNO TESTS RAN\n", 5),
        ("collected 0 items\n\n=== no tests ran in 1.19s ===\n", 5),
        ("5 deselected in 1.54s\n", 5),
        ("# tests 0\n# pass 0\n# fail 0\n", 0),
        ("test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n", 0),
        ("?   \texample.org/cmd\t[no test files]\n", 0),
        ("ok  \texample.org/cmd\t0.001s [no tests to run]\n", 0),
        ("=== 3 skipped in 0.01s ===\n", 0),
        ("0 passed, 0 failed\n", 0),
        ("bash: line 1: pytst: command not found\n", 127),
        ("", 0),
    ],
)
def test_a_run_of_no_test_shows_nothing(output: str, exit_code: int):
    assert report(output, exit_code).passed is None


def test_a_known_runner_without_its_closing_line_shows_nothing():
    assert report("some text\n", 0, "python -m pytest -q").passed is None
    assert report("some text\n", 0, "node --test").passed is None


def test_an_unknown_runner_is_judged_by_its_exit_code():
    assert report("all fine\n", 0, "./check.sh").passed is True
    assert report("broken\n", 2, "./check.sh").passed is False


def test_tests_that_passed_in_a_run_that_failed_are_no_pass():
    assert report("Ran 3 tests in 0.001s\n\nOK\nError: coverage too low\n", 2).passed is False


def test_tests_that_could_not_be_loaded_fail():
    assert (
        report("ERROR test_b.py\n!!! Interrupted: 1 error during collection !!!\n=== 1 error in 1.91s ===\n", 2).passed
        is False
    )
    told = report("error: could not compile `c` (lib test) due to 1 previous error\n", 101)
    assert (told.passed, told.failing) == (False, ("c",))
    assert report("FAIL\texample.org/sum [build failed]\nFAIL\n", 2).failing == ("example.org/sum",)


def test_a_run_that_hit_a_limit_fails_whatever_it_printed():
    told = report("2 passed in 0.01s\n", 0, limit="wall")
    assert told.passed is False
    assert "limit on wall" in describe_tests(told)


def test_output_without_a_closing_line_has_no_counts():
    assert count_tests("hello\nok 1 - not go\nFAIL: nothing\n") is None


def test_a_report_reads_the_same_on_every_run():
    one = report("/w/a.py:3\n2 passed in 0.01s\n", 0)
    other = report("/w/a.py:3\n2 passed in 7.77s\n", 0)
    assert describe_tests(one) == describe_tests(other)
    assert "\na.py:3\n" in describe_tests(one)


def test_the_description_names_counts_and_failing_tests():
    said = describe_tests(report(PYTEST, 1, "python -m pytest"))
    assert said.startswith("The tests fail (4 ran, 2 failed, 1 skipped): `python -m pytest` ended with exit code 1.")
    assert "Failing: test_a.py::test_bad, test_a.py::test_err" in said


@pytest.mark.parametrize(("body", "passed"), [("pass", True), ("self.fail('no')", False)])
def test_what_this_pythons_unittest_prints_is_understood(tmp_path: Path, body: str, passed: bool):
    (tmp_path / "test_it.py").write_text(
        f"import unittest\nclass T(unittest.TestCase):\n    def test_it(self):\n        {body}\n"
    )
    ended = subprocess.run(
        [sys.executable, "-m", "unittest"], cwd=tmp_path, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    told = report(ended.stdout, ended.returncode)
    assert (told.passed, told.ran) == (passed, 1)


@pytest.mark.parametrize(
    "output",
    [
        "FAILED t.py::test_a - assert 0\n1 failed in 0.10s\n5 passed in 0.01s\n",
        "Ran 1 test in 0.001s\n\nFAILED (failures=1)\nRan 5 tests in 0.001s\n\nOK\n",
        "1 passed, 1 failed\n5 passed, 0 failed\n",
    ],
)
def test_a_closing_line_that_is_added_does_not_hide_one_that_says_failed(output: str):
    report = report_tests(CommandResult(exit_code=0, output=output), "make test")
    assert report.passed is False
    assert report.failures == 1
