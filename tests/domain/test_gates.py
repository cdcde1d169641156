"""A gate passes only on one clear verdict and our own tests."""

import pytest
from storyloom.domain.gates import overall, read_verdict


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("**Verdict: PASS**\nall good", "pass"),
        ("# x\n\nVerdict: **CONCERNS** because", "concerns"),
        ("- Verdict: fail", "fail"),
        ("**Verdict: READY**", "pass"),
        ("Verdict: Ready with conditions", "concerns"),
        ("Verdict: NOT READY", "fail"),
        ("Verdict: WAIVED", "inconclusive"),
        ("Verdict: PASS\nVerdict: FAIL", "inconclusive"),
        ("I would pass this", "inconclusive"),
        ("", "inconclusive"),
    ],
)
def test_only_one_stated_verdict_counts_and_a_model_cannot_waive(text: str, verdict: str):
    assert read_verdict(text) == verdict


@pytest.mark.parametrize(
    ("verdict", "tests", "expected"),
    [("pass", True, "pass"), ("pass", False, "fail"), ("pass", None, "inconclusive"), ("fail", None, "fail")],
)
def test_our_own_test_run_has_the_last_word(verdict, tests, expected):
    assert overall(verdict, tests) == expected
