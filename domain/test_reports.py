"""What does the output of a test run establish?

Counts are read from the closing lines of unittest, pytest, node's runner, go, cargo, and the plain "N passed, N failed"
that many others print. Zero tests, or an output that shows none, establish nothing: never a pass. What a test prints
itself can look like such a line; the exit code stands beside it, and reviewers see the output.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from .outputs import clip, stable
from .ports import CommandResult
from .stories import TestReport

TAIL = 6_000
NO_COMMAND = (126, 127)


@dataclass(frozen=True)
class Counts:
    """What one runner said. `errors` are tests, files or builds that could not be run."""

    runner: str
    ran: int
    failed: int = 0
    errors: int = 0
    skipped: int = 0
    failing: tuple[str, ...] = ()


def report_tests(result: CommandResult, command: str, worktree: str = "") -> TestReport:
    """What a test run established; `passed` is None when it shows nothing either way."""
    counts = count_tests(result.output)
    report = TestReport(
        command=command,
        passed=verdict(result, counts, command),
        exit_code=result.exit_code,
        tail=clip(stable(result.output, worktree), TAIL) + (result.note and f"\n{result.note}"),
        wall_s=result.wall_s,
        limit_hit=result.limit_hit,
    )
    if counts is None:
        return report
    return report.model_copy(
        update={
            "ran": counts.ran,
            "failures": counts.failed + counts.errors,
            "skipped": counts.skipped,
            "failing": tuple(stable(name, worktree) for name in counts.failing),
        }
    )


def verdict(result: CommandResult, counts: Counts | None, command: str) -> bool | None:
    """Whether the tests passed; None when nothing shows it."""
    if result.limit_hit:
        return False
    if counts is None:
        if result.exit_code:
            return None if result.exit_code in NO_COMMAND else False
        known = re.search(r"\b(unittest|pytest|go test|cargo test|node --test)\b", command)
        return True if result.output.strip() and not known else None
    bad = counts.failed + counts.errors
    if bad or (result.exit_code and counts.ran):
        return False
    return True if counts.ran > counts.skipped and not result.exit_code else None


def describe_tests(report: TestReport) -> str:
    """A test report in the words that a model reads."""
    verdict = {True: "The tests pass", False: "The tests fail", None: "The test run shows nothing either way"}
    counts = (
        f" ({report.ran} ran, {report.failures} failed, {report.skipped} skipped)" if report.ran is not None else ""
    )
    limit = f" It was stopped by its limit on {report.limit_hit}." if report.limit_hit else ""
    failing = "\nFailing: " + ", ".join(report.failing[:20]) if report.failing else ""
    head = f"{verdict[report.passed]}{counts}: `{report.command}` ended with exit code {report.exit_code}.{limit}"
    return f"{head}{failing}\n<output>\n{report.tail.strip()}\n</output>"


def count_tests(output: str) -> Counts | None:
    """Counts and names of failing tests of all runners whose closing lines are there; None if there are none."""
    text = stable(output)
    found = [counts for read in READERS if (counts := read(text)) is not None]
    if not found:
        return None
    return Counts(
        "+".join(counts.runner for counts in found),
        sum(counts.ran for counts in found),
        sum(counts.failed for counts in found),
        sum(counts.errors for counts in found),
        sum(counts.skipped for counts in found),
        tuple(name for counts in found for name in counts.failing),
    )


def _number(pattern: str, text: str) -> int:
    return sum(int(found) for found in re.findall(pattern, text, re.MULTILINE))


def _names(pattern: str, text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(found.strip() for found in re.findall(pattern, text, re.MULTILINE)))


def _pytest(text: str) -> Counts | None:
    word = r"(?:passed|failed|errors?|skipped|xfailed|xpassed|deselected|warnings?|rerun)"
    said = rf"((?:\d+ {word}(?:, )?)+|no tests ran|no tests collected.*?)"
    closing = re.findall(rf"^(?:=+ )?{said} in (?:<time>|\d.*?)(?: \(.*\))?(?: =+)?$", text, re.MULTILINE)
    if not closing:
        return None
    line = "\n".join(closing)  # all of them: one that is printed last must not hide one that says failed
    failed, errors = _number(r"(\d+) failed", line), _number(r"(\d+) error", line)
    skipped = _number(r"(\d+) skipped", line)
    ran = failed + skipped + _number(r"(\d+) (?:passed|xfailed|xpassed)", line)
    names = _names(r"^(?:FAILED|ERROR) (\S+?)(?: - .*)?$", text)
    return Counts("pytest", ran, failed, errors, skipped, names)


def _unittest(text: str) -> Counts | None:
    runs = re.findall(r"^Ran (\d+) tests? in ", text, re.MULTILINE)
    if not runs:
        return None
    closing = "\n".join(re.findall(r"^(?:FAILED|OK|NO TESTS RAN)\b.*$", text, re.MULTILINE))
    failed, errors = _number(r"failures=(\d+)", closing), _number(r"errors=(\d+)", closing)
    failed += _number(r"unexpected successes=(\d+)", closing)
    names = _names(r"^(?:FAIL|ERROR): (.+?)$", text)
    return Counts("unittest", sum(map(int, runs)), failed, errors, _number(r"skipped=(\d+)", closing), names)


def _node(text: str) -> Counts | None:
    if not re.search(r"^(?:#|ℹ) tests \d+$", text, re.MULTILINE):
        return None
    got = {key: _number(rf"^(?:#|ℹ) {key} (\d+)$", text) for key in ("tests", "fail", "cancelled", "skipped", "todo")}
    tap = _names(r"^\s*not ok \d+ - (.+?)(?: # .*)?$", text)
    names = tap or _names(r"^\s*✖ (?!failing tests)(.+?)(?: \(<time>\))?$", text)
    return Counts("node", got["tests"], got["fail"], got["cancelled"], got["skipped"] + got["todo"], names)


def _go(text: str) -> Counts | None:
    """Without -v go names no test that passed: then a package that is ok counts as one."""
    packages = re.findall(r"^(?:ok|FAIL|\?)[ \t]+\S+[ \t]+(?:<time>|\(cached\)|\[.+\]).*$", text, re.MULTILINE)
    if not packages:
        return None
    passed = len(re.findall(r"^\s*--- PASS: ", text, re.MULTILINE))
    skipped = len(re.findall(r"^\s*--- SKIP: ", text, re.MULTILINE))
    failing = _names(r"^\s*--- FAIL: (\S+)", text)
    quiet = sum(row.startswith("ok") and "[no tests to run]" not in row for row in packages)
    built = _names(r"^FAIL\s+(\S+) \[(?:build|setup) failed\]$", text)
    return Counts("go", (passed + skipped or quiet) + len(failing), len(failing), len(built), skipped, failing + built)


def _cargo(text: str) -> Counts | None:
    results = re.findall(r"^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored", text, re.MULTILINE)
    if not results:
        broken = _names(r"^error: could not compile `(\S+)`", text)
        return Counts("cargo", 0, 0, len(broken), 0, broken) if broken else None
    passed, failed, ignored = (sum(int(row[n]) for row in results) for n in range(3))
    return Counts("cargo", passed + failed + ignored, failed, 0, ignored, _names(r"^test (\S+) \.\.\. FAILED$", text))


def _plain(text: str) -> Counts | None:
    closing = re.findall(r"^(?:\w+: *)?(\d+) passed, (\d+) failed(?:, (\d+) skipped)?\.?$", text, re.MULTILINE)
    if not closing:
        return None
    passed, failed, skipped = (sum(int(row[n] or 0) for row in closing) for n in range(3))
    return Counts("plain", passed + failed + skipped, failed, 0, skipped)


READERS: tuple[Callable[[str], Counts | None], ...] = (_pytest, _unittest, _node, _cargo, _go, _plain)
