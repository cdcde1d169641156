"""May a reviewed change be merged, must it go back, or does it lead nowhere?

A report is believed only as far as it shows evidence, and our own look at the diff stands beside it. Findings keep
their identity over rounds (same file, similar title), so that a dismissed one stays dismissed in other words too.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from .repo_map import stem
from .settings import Settings
from .stories import CriterionVerdict, Finding, ReviewReport, TestReport

SEVERITIES = ("high", "medium", "low")
HOLDS_BACK = ("high", "medium")
ALIKE = 0.75  # of a criterion to the words in which a report repeats it
MANY, MOSTLY = 3, 0.65  # of the words of two findings' titles: how many are the same, and which share of all
EMPTY = frozenset(
    "a an the is are be of in on to for and or with it its no not miss lack without absent".split()  # noqa: SIM905
)


@dataclass(frozen=True)
class Approve:
    """The change may be merged; `notes` are low findings worth keeping."""

    notes: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class SendBack:
    """The developer has to mend these."""

    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class ReviewAgain:
    """The review is inconclusive: nothing to mend is named, and nothing shows that the change is right."""

    reason: str


@dataclass(frozen=True)
class GiveUp:
    """The review does not end in approval; a person has to look."""

    reason: str
    findings: tuple[Finding, ...] = ()


DISMISS, REPAIR, GIVE_BACK = "dismiss", "repair", "give back"
"""What a person can say to a review that does not settle: no findings count, the developer mends them, or it ends."""

Verdict = Approve | SendBack | ReviewAgain | GiveUp


def verdict(
    reports: Sequence[ReviewReport],
    settings: Settings,
    *,
    criteria: Sequence[str] = (),
    tests: TestReport | None = None,
    own: Sequence[Finding] = (),
    waived: Sequence[Finding] = (),
) -> Verdict:
    """What follows from all reviews of a story so far, oldest first.

    `criteria` are the story's, `tests` our run of what was reviewed last, `own` the findings of `check_change` on it,
    which no reviewer can dismiss; `waived` are findings that a person dismissed.
    """
    if not reports:
        return ReviewAgain("There is no review.")
    latest = reports[-1]
    findings = [*own, *merge_rounds(reports)]
    findings = [each for each in findings if each.status == "open" and not any(same_finding(each, w) for w in waived)]
    held = [each for each in findings if each.severity in HOLDS_BACK]
    held += [each for each in unmet_criteria(latest, criteria) if not any(same_finding(each, w) for w in waived)]
    held += failed_tests(tests)
    named = bool(held or findings) or any(each.status == "open" for each in latest.findings)  # if dismissed since
    unclear = _unclear(latest, criteria, named)
    if not held and not unclear:
        return Approve(tuple(findings))
    if latest.verdict == "blocked" or len(reports) >= settings.max_review_rounds:
        titles = "; ".join(each.title for each in held[:3]) or unclear
        said = "could not judge the change" if latest.verdict == "blocked" else "did not settle it"
        return GiveUp(f"{len(reports)} of {settings.max_review_rounds} rounds of review {said}: {titles}.", tuple(held))
    return SendBack(tuple(held)) if held else ReviewAgain(unclear)


def _unclear(report: ReviewReport, criteria: Sequence[str], something_named: bool) -> str:
    """Why a report is no evidence, "" if it is."""
    if report.verdict == "blocked":
        return report.summary or "the reviewer gave no reason"
    if report.verdict == "changes_requested" and not something_named:
        return "changes are requested, but none is named"
    for criterion, judged in zip(criteria, match_criteria(report.criteria, criteria), strict=True):
        if judged is None:
            return f"the review does not judge {criterion!r}"
        if judged.met and not judged.evidence.strip():
            return f"the review names no evidence for {criterion!r}"
    return ""


def failed_tests(tests: TestReport | None) -> list[Finding]:
    """A high finding unless the tests passed (or were not asked for)."""
    if tests is None or tests.passed:
        return []
    said = "fail" if tests.passed is False else "show nothing either way"
    return [Finding(severity="high", title=f"The tests {said}", detail=", ".join(tests.failing))]


def unmet_criteria(report: ReviewReport, criteria: Sequence[str]) -> list[Finding]:
    """High findings for criteria that the report says are not met; those of the story, or else its own."""
    judged = match_criteria(report.criteria, criteria) if criteria else report.criteria
    return [
        Finding(severity="high", title=f"Not met: {each.criterion}", detail=each.evidence)
        for each in judged
        if each is not None and not each.met
    ]


def match_criteria(
    verdicts: Sequence[CriterionVerdict], criteria: Sequence[str]
) -> tuple[CriterionVerdict | None, ...]:
    """For each criterion what a report says on it: in the same words, by its number, or in words that are alike.

    Each verdict is used once, for the criterion that it is most like: two similar criteria need two verdicts.
    """
    scores = [
        (_likeness(judged.criterion, criterion, number), -place, -index)
        for place, judged in enumerate(verdicts)
        for index, (number, criterion) in enumerate(enumerate(criteria, 1))
    ]
    found: dict[int, CriterionVerdict] = {}
    used: set[int] = set()
    for score, place, index in sorted(scores, reverse=True):
        if score >= ALIKE and -place not in used and -index not in found:
            found[-index] = verdicts[-place]
            used.add(-place)
    return tuple(found.get(index) for index in range(len(criteria)))


def _likeness(said: str, criterion: str, number: int) -> float:
    if re.fullmatch(rf"\s*(?:ac|criterion|#)?\s*#?{number}[.):]?\s*", said, re.IGNORECASE):
        return 1.0
    mine, wanted = _bare(said), _bare(criterion)
    return 1.0 if mine == wanted else SequenceMatcher(None, mine, wanted, autojunk=False).ratio()


def merge_rounds(reports: Sequence[ReviewReport]) -> tuple[Finding, ...]:
    """All findings over the rounds, as they stand after the last round.

    A finding goes on with one of an earlier round, never with another of its own report: of two alike there both count.
    An open finding that a later round does not repeat is taken for fixed. A dismissed one stays dismissed.
    """
    known: list[Finding] = []
    for report in reports:
        earlier, seen = len(known), set[int]()
        for finding in dict.fromkeys(report.findings):
            at = _gone_on_with(finding, known[:earlier], seen)
            if at is None:
                known.append(finding)
                continue
            seen.add(at)
            old = known[at]
            if old.status == "dismissed" and old.reason:
                continue
            known[at] = finding
        for n, old in enumerate(known[:earlier]):
            if n not in seen and old.status == "open":
                known[n] = old.model_copy(update={"status": "fixed"})
    return tuple(known)


def _gone_on_with(finding: Finding, earlier: Sequence[Finding], taken: Collection[int]) -> int | None:
    """Which earlier finding this one goes on with: of several alike that on the same line, or else an open one."""
    alike = [n for n, old in enumerate(earlier) if n not in taken and same_finding(old, finding)]

    def distance(n: int) -> tuple[bool, bool]:
        return (finding.line is None or earlier[n].line != finding.line, earlier[n].status != "open")

    return min(alike, key=distance, default=None)


def dismiss(reports: Sequence[ReviewReport], finding: Finding, reason: str) -> tuple[ReviewReport, ...]:
    """The reports with a finding dismissed for a reason, wherever it was raised."""
    return tuple(
        report.model_copy(
            update={
                "findings": tuple(
                    each.model_copy(update={"status": "dismissed", "reason": reason})
                    if same_finding(each, finding)
                    else each
                    for each in report.findings
                )
            }
        )
        for report in reports
    )


def conflict_text(gave_up: GiveUp) -> str:
    """What a person has to know to decide on a review that does not settle, as Markdown lines."""
    lines = [gave_up.reason, ""]
    for finding in gave_up.findings:
        where = f" ({finding.file}{f':{finding.line}' if finding.line else ''})" if finding.file else ""
        lines.append(f"- {finding.severity}: {finding.title}{where}{': ' + finding.detail if finding.detail else ''}")
    lines += [
        "",
        f"{DISMISS}: these findings do not count, now and later; say why in the notes.",
        f"{REPAIR}: the developer mends them; what you say in the notes is passed on.",
        f"{GIVE_BACK}: the story ends here and its branch stays as it is.",
    ]
    return "\n".join(lines)


def same_finding(one: Finding, other: Finding) -> bool:
    """Whether two findings are about the same thing: the same file, and titles of mostly the same words."""
    if one.file.strip("./") != other.file.strip("./"):
        return False
    mine, theirs = _bare(one.title), _bare(other.title)
    if mine == theirs:
        return True
    words, others = _content(mine), _content(theirs)
    if re.findall(r"\d+", mine) != re.findall(r"\d+", theirs) or not words or not others:
        return False
    shared = len(words & others)
    return words == others or (shared >= MANY and shared / len(words | others) >= MOSTLY)


def _content(title: str) -> frozenset[str]:
    """The words that tell what a title is about, without their endings; "missing" and "lacks" say the same."""
    return frozenset(stem(word) for word in title.split()) - EMPTY


def _bare(text: str) -> str:
    return " ".join(re.sub(r"^\s*(?:ac\s*)?\d+[.):]\s*|[^\w\s]", " ", text.lower()).split())
