"""What does a gate's document decide?

A gate's document says once `Verdict: PASS | CONCERNS | FAIL | WAIVED`, or for readiness `READY | READY WITH CONDITIONS
| NOT READY`. Anything else is inconclusive, and that is never a pass. A model cannot waive: WAIVED needs a person.
"""

from __future__ import annotations

import re
from typing import Literal

Verdict = Literal["pass", "concerns", "fail", "waived", "inconclusive"]

WORDS: dict[str, Verdict] = {
    "pass": "pass",
    "concerns": "concerns",
    "fail": "fail",
    "waived": "inconclusive",
    "ready": "pass",
    "ready with conditions": "concerns",
    "not ready": "fail",
}
_LINE = re.compile(
    r"(?im)^[ \t>*_#-]*verdict[*_]*[ \t]*:[ \t*_]*(pass|concerns|fail|waived|not ready|ready with conditions|ready)\b"
)


def read_verdict(text: str) -> Verdict:
    """The one verdict that the text states; "inconclusive" for none or for two that differ."""
    found = {WORDS[match.group(1).lower()] for match in _LINE.finditer(text)}
    return found.pop() if len(found) == 1 else "inconclusive"


def overall(verdict: Verdict, tests_passed: bool | None) -> Verdict:
    """The gate's verdict once our own test run is counted: failing tests fail it, missing ones leave it open."""
    if tests_passed is False:
        return "fail"
    if tests_passed is None and verdict in ("pass", "concerns"):
        return "inconclusive"
    return verdict
