"""What does the diff itself say against a change, whoever praises it?"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from .protected_paths import why_protected
from .stories import Finding

TEST_PATH = re.compile(
    r"(?:^|/)(?:tests?|spec|specs|__tests__|testing)/|(?:^|/)(?:test_[^/]*|conftest)\.py$|(?:^|/)[^/]*"
    r"(?:_test\.(?:py|go|rb|rs|c|cc|cpp)|[._](?:test|spec)\.[cm]?[jt]sx?|_spec\.rb|Tests?\.(?:java|kt|cs))$"
)
ASSERTION = re.compile(
    r"\bassert\w*\b|\bself\.(?:assert|fail)\w*\(|\bexpect\s*\(|\.should\b|\bt\.(?:Error|Fatal|Fail)\w*\(|"
    r"\b(?:assert|debug_assert)(?:_eq|_ne)?!\s*\(|\b(?:ASSERT|EXPECT|REQUIRE|CHECK)_?\w*\s*\("
)
SKIP = re.compile(
    r"@(?:unittest\.)?(?:skip|expectedFailure)\b|@(?:unittest\.)?(?:skipIf\(\s*(?:True|1)\b|skipUnless\(\s*(?:False|0)\b)|"
    r"pytest\.mark\.(?:skip|xfail)\b|pytest\.(?:skip|xfail)\(|pytest\.mark\.skipif\(\s*(?:True|1)\b|"
    r"\bself\.skipTest\(|\b(?:it|test|describe|context)\.(?:skip|todo)\b|\bx(?:it|describe|test)\s*\(|\bt\.Skip\w*\(|"
    r"#\[ignore|@(?:Ignore|Disabled)\b|\braise\s+(?:unittest\.)?SkipTest\b|\bskip\s*:\s*true\b"
)
"""Tests that are not run, whatever the machine. Skipping under a condition is no weakening by itself."""

FAKES = re.compile(
    r"\bos\._exit\s*\(|\bos\.Exit\(\s*0|\bprocess\.exit\(\s*0?\s*\)|\bprocess::exit\(\s*0|\bpytest\.exit\s*\(|\bos\.dup2\s*\(|"
    r"\b(?:exitstatus|exitCode|testsfailed)\s*=[^=]|\b(?:rep|report|result)\w*\.(?:outcome|failures|errors)\s*=[^=]|"
    r"\bitems\s*\[:\]\s*=|\bitems\.clear\(\)"
)
"""What lets a test, or what is loaded with it, decide how the whole run ends, or what is seen of it."""

TEST = re.compile(
    r"^\s*(?:async\s+)?def\s+(test\w*)|^\s*(?:it|test)\s*\(\s*['\"`](.+?)['\"`]|^func\s+(Test\w+)|"
    r"^\s*#\[(?:tokio::)?test\]|^\s*@Test\b"
)


@dataclass(frozen=True)
class FileChange:
    """One file of a unified diff: lines taken away and added, without their signs."""

    path: str
    removed: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    kind: str = "changed"  # added, deleted, changed, binary, mode

    @property
    def is_test(self) -> bool:
        """Whether the path is where tests live."""
        return TEST_PATH.search(self.path) is not None


def read_diff(diff: str) -> tuple[FileChange, ...]:
    """The files of a unified diff as git prints it."""
    return tuple(
        _read_file(block) for block in re.split(r"(?m)^(?=diff --git )", diff) if block.startswith("diff --git ")
    )


def _read_file(block: str) -> FileChange:
    head, _, body = block.partition("\n@@")
    rows = head.splitlines()
    old, new = (next((row[4:] for row in rows if row.startswith(mark)), "") for mark in ("--- ", "+++ "))
    path = _name(new) or _name(old) or _name_in_first(rows[0])
    kind = "added" if "\nnew file mode" in head else "deleted" if "\ndeleted file mode" in head else "changed"
    if "\nBinary files" in head or "\nGIT binary patch" in head:
        kind = kind if kind != "changed" else "binary"
    lines = body.splitlines()[1:]
    removed = tuple(row[1:] for row in lines if row.startswith("-"))
    return FileChange(path, removed, tuple(row[1:] for row in lines if row.startswith("+")), kind)


def _name(field: str) -> str:
    name = field.split("\t")[0].strip()
    if name.startswith('"') and name.endswith('"'):
        name = name[1:-1].encode().decode("unicode_escape").encode("latin-1", "replace").decode("utf-8", "replace")
    return "" if name == "/dev/null" else name[2:] if name[:2] in ("a/", "b/") else name


def _name_in_first(row: str) -> str:
    found = re.match(r"diff --git (?:\"?a/(.*?)\"?) (?:\"?b/(.*?)\"?)$", row)
    return found.group(2) if found else ""


def check_change(
    diff: str, *, stories_folder: str = "docs/stories", planned: Iterable[str] = ()
) -> tuple[Finding, ...]:
    """High findings that code can see: nothing changed, tests taken away or weakened, protected files touched.

    `diff` is a unified diff as git prints it. A test that moved to another file, or that got other assertions for those
    that went, is no finding.
    """
    changes = read_diff(diff)
    if not changes:
        return (_finding("The change is empty", "", "Nothing differs from the baseline."),)
    return (*_protected(changes, stories_folder, tuple(planned)), *_weakened(changes))


def _protected(changes: Iterable[FileChange], stories_folder: str, planned: tuple[str, ...]) -> Iterator[Finding]:
    for change in changes:
        reason = why_protected(change.path, stories_folder=stories_folder, planned=planned)
        if reason:
            yield _finding("A protected file was changed", change.path, f"{reason[0].upper()}{reason[1:]}.")


def _weakened(changes: tuple[FileChange, ...]) -> Iterator[Finding]:
    tests = [change for change in changes if change.is_test]
    if tests and len(tests) == len(changes) and not any(_code(change.added) for change in tests):
        yield _finding("Only tests were taken away", tests[0].path, "The change adds nothing.")
        return
    lost = _test_names(row for change in tests for row in change.removed)
    kept = _test_names(row for change in tests for row in change.added)
    for change in tests:
        gone = sorted((lost - kept) & _test_names(change.removed))
        if gone and len(kept) < len(lost):
            yield _finding("Tests were taken away", change.path, "Gone: " + ", ".join(gone[:10]) + ".")
        skips = [row.strip() for row in change.added if SKIP.search(row)]
        if len(skips) > sum(SKIP.search(row) is not None for row in change.removed):
            yield _finding("Tests are skipped", change.path, f"Added: {skips[0]}")
        if fakes := next((row.strip() for row in change.added if FAKES.search(row)), ""):
            yield _finding("A test decides how the whole run ends", change.path, f"Added: {fakes}")
    before = sum(_assertions(change.removed) for change in tests)
    after = sum(_assertions(change.added) for change in tests)
    if after < before:
        worst = max(tests, key=lambda change: _assertions(change.removed) - _assertions(change.added))
        yield _finding("Assertions were taken away", worst.path, f"{before} removed, {after} added in all tests.")
    for change in tests:
        if idle := next(_idle(change.added), ""):
            yield _finding("A test asserts nothing", change.path, f"Added: {idle}")


IDLE = re.compile(r"\bassert\s+True\s*(?:$|#|,)|assertTrue\(\s*True\s*\)|expect\(\s*true\s*\)\.toBe\(\s*true\s*\)")

FUNCTION = re.compile(r"^\s*(?:async\s+)?def\s|^\s*(?:it|test)\s*\(|^func\s|^\s*(?:pub\s+)?fn\s|^\s*@Test\b")


def _test_names(rows: Iterable[str]) -> set[str]:
    return {
        next((name for name in found.groups() if name), found.group()) for row in rows if (found := TEST.search(row))
    }


def _idle(rows: Iterable[str]) -> Iterator[str]:
    """One line of each added function that asserts what is always true, and nothing beside it."""
    idle, sound = "", False
    for row in (*rows, "def "):
        if FUNCTION.search(row):
            if idle and not sound:
                yield idle
            idle, sound = "", False
        if IDLE.search(row):
            idle = idle or row.strip()
        else:
            sound = sound or ASSERTION.search(row) is not None


def _assertions(rows: Iterable[str]) -> int:
    return sum(ASSERTION.search(row) is not None and IDLE.search(row) is None for row in rows)


def _code(rows: Iterable[str]) -> list[str]:
    return [row for row in rows if row.strip() and not row.strip().startswith(("#", "//"))]


def _finding(title: str, path: str, detail: str) -> Finding:
    return Finding(severity="high", title=title, file=path, detail=detail)
