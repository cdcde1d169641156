import pytest
from storyloom.domain.review import (
    DISMISS,
    GIVE_BACK,
    REPAIR,
    Approve,
    GiveUp,
    ReviewAgain,
    SendBack,
    Verdict,
    conflict_text,
    dismiss,
    merge_rounds,
    same_finding,
    verdict,
)
from storyloom.domain.settings import Settings
from storyloom.domain.stories import CriterionVerdict, Finding, ReviewReport, TestReport

CRITERIA = ("The total includes tax", "An empty cart shows zero")
PASSED = TestReport(passed=True, ran=3)


def finding(title: str, severity: str = "high", **more: object) -> Finding:
    return Finding.model_validate({"severity": severity, "title": title, "file": "a.py", **more})


def report(
    *findings: Finding, word: str = "approve", met: bool = True, evidence: str = "a.py:3", **more: object
) -> ReviewReport:
    criteria = tuple(CriterionVerdict(criterion=text, met=met, evidence=evidence) for text in CRITERIA)
    return ReviewReport.model_validate({"verdict": word, "findings": findings, "criteria": criteria, **more})


def judged(*reports: ReviewReport, rounds: int = 3, **more: object) -> Verdict:
    given = {"criteria": CRITERIA, "tests": PASSED, **more}
    return verdict(reports, Settings(max_review_rounds=rounds), **given)  # type: ignore[arg-type]


def test_a_report_with_evidence_for_everything_approves():
    assert judged(report()) == Approve()


@pytest.mark.parametrize("severity", ["high", "medium"])
def test_grave_findings_go_back_whatever_the_verdict_says(severity: str):
    held = finding("Wrong sum", severity)
    assert judged(report(held)) == SendBack((held,))


def test_low_findings_are_kept_as_notes_and_never_hold_a_story_back():
    low = finding("A longer name would help", "low")
    assert judged(report(low, word="changes_requested")) == Approve((low,))


def test_no_finding_at_all_is_a_good_review():
    assert judged(report(), report(), rounds=2) == Approve()


def test_a_criterion_that_is_not_met_goes_back_with_its_evidence():
    decision = judged(report(met=False, evidence="total() ignores tax"))
    assert isinstance(decision, SendBack)
    assert [each.title for each in decision.findings] == [f"Not met: {text}" for text in CRITERIA]
    assert decision.findings[0].detail == "total() ignores tax"


def test_criteria_may_be_repeated_in_slightly_other_words():
    said = (
        CriterionVerdict(criterion="AC 1: the total includes tax.", met=True, evidence="a.py:3"),
        CriterionVerdict(criterion="2. An empty cart shows 'zero'", met=True, evidence="a.py:9"),
    )
    assert judged(report(criteria=said)) == Approve()


def test_a_criterion_that_was_not_judged_is_inconclusive():
    said = (CriterionVerdict(criterion=CRITERIA[0], met=True, evidence="a.py:3"),)
    decision = judged(report(criteria=said))
    assert decision == ReviewAgain("the review does not judge 'An empty cart shows zero'")


def test_a_criterion_without_evidence_is_inconclusive():
    decision = judged(report(evidence="  "))
    assert isinstance(decision, ReviewAgain)
    assert "no evidence" in decision.reason


def test_changes_that_are_requested_but_not_named_are_inconclusive():
    assert judged(report(word="changes_requested")) == ReviewAgain("changes are requested, but none is named")


def test_an_inconclusive_review_ends_with_a_person():
    empty = report(evidence="")
    decision = judged(empty, empty, empty)
    assert isinstance(decision, GiveUp)
    assert "no evidence" in decision.reason


def test_no_review_is_no_approval():
    assert isinstance(judged(), ReviewAgain)


def test_a_blocked_review_gives_up_with_its_reason():
    decision = judged(report(word="blocked", summary="the diff is unreadable"))
    assert isinstance(decision, GiveUp)
    assert "the diff is unreadable" in decision.reason


@pytest.mark.parametrize(("passed", "title"), [(False, "The tests fail"), (None, "The tests show nothing either way")])
def test_tests_that_do_not_pass_hold_a_story_back(passed: bool | None, title: str):
    decision = judged(report(), tests=TestReport(passed=passed, failing=("t.a",)))
    assert isinstance(decision, SendBack)
    assert decision.findings[0].title == title


def test_findings_of_our_own_hold_whatever_reviewers_say():
    own = finding("Assertions were taken away")
    praised = report(finding("Assertions were taken away", status="dismissed", reason="trust me"))
    assert judged(praised, own=[own]) == SendBack((own,))
    assert judged(praised, own=[own], waived=[own]) == Approve()


def test_rounds_are_bounded():
    same = report(finding("Wrong sum"))
    assert isinstance(judged(same), SendBack)
    assert isinstance(judged(same, same), SendBack)
    decision = judged(same, same, same)
    assert isinstance(decision, GiveUp)
    assert "3 of 3 rounds" in decision.reason
    assert "Wrong sum" in decision.reason


def test_a_finding_that_is_not_raised_again_is_fixed():
    (merged,) = merge_rounds([report(finding("Wrong sum")), report()])
    assert merged.status == "fixed"
    assert judged(report(finding("Wrong sum")), report()) == Approve()


def test_a_finding_that_comes_back_is_open_again():
    first, mended, again = report(finding("Wrong sum")), report(), report(finding("Wrong sum"))
    assert isinstance(judged(first, mended, again, rounds=5), SendBack)


def test_a_finding_that_was_said_to_be_fixed_is_closed():
    assert judged(report(finding("Wrong sum")), report(finding("Wrong sum", status="fixed"))) == Approve()


def test_a_dismissed_finding_stays_dismissed_in_other_words():
    first = report(finding("The sum is computed wrongly", status="dismissed", reason="rounding is meant"))
    again = report(finding("Sum is computed wrongly!"))
    assert judged(first, again) == Approve()


def test_a_finding_dismissed_without_a_reason_can_be_raised_again():
    first = report(finding("Wrong sum", status="dismissed"))
    assert isinstance(judged(first, report(finding("Wrong sum"))), SendBack)


def test_dismissing_closes_a_finding_in_every_round():
    reports = (report(finding("Wrong sum")), report(finding("The wrong sum", "medium")))
    assert isinstance(judged(*reports), SendBack)
    assert judged(*dismiss(reports, finding("Wrong sum"), "rounding is meant")) == Approve()


@pytest.mark.parametrize("back", [False, True])
def test_of_two_findings_of_one_report_with_the_same_title_both_count(back: bool):
    grave = finding("Missing input validation", line=10, detail="SQL injection")
    slight = finding("Missing input validation", "low", line=80, detail="The page size may be negative")
    both = (slight, grave) if back else (grave, slight)
    assert judged(report(*both, word="changes_requested")) == SendBack((grave,))
    assert merge_rounds([report(*both), report(*both)]) == both
    assert merge_rounds([report(*both, slight)]) == both


@pytest.mark.parametrize("status", ["fixed", "dismissed"])
@pytest.mark.parametrize("back", [False, True])
def test_an_open_finding_is_not_closed_by_another_of_its_own_report(status: str, back: bool):
    held, closed = finding("Wrong sum", line=10), finding("Wrong sum", line=80, status=status, reason="it is meant")
    both = (closed, held) if back else (held, closed)
    assert judged(report(*both)) == SendBack((held,))
    assert judged(report(held), report(*both)) == SendBack((held,))


def test_of_findings_alike_the_one_on_the_same_line_goes_on():
    kept, mended = finding("Wrong sum", line=10), finding("Wrong sum", line=80)
    merged = merge_rounds([report(kept, mended), report(mended.model_copy(update={"status": "fixed"}), kept)])
    assert [(each.line, each.status) for each in merged] == [(10, "open"), (80, "fixed")]
    waved = finding("Wrong sum", line=10, status="dismissed", reason="rounding is meant")
    merged = merge_rounds([report(waved, mended), report(kept.model_copy(update={"line": 81}))])
    assert [(each.line, each.status) for each in merged] == [(10, "dismissed"), (81, "open")]


def test_findings_in_other_files_are_other_findings():
    assert not same_finding(finding("Wrong sum"), finding("Wrong sum", file="b.py"))
    assert same_finding(finding("Wrong sum"), finding("wrong sum.", file="./a.py"))
    assert not same_finding(finding("Wrong sum"), finding("SQL injection"))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Missing input validation in parse()", "parse() lacks input validation", True),
        ("The error message names no file", "Error messages name no file", True),
        ("No test for an empty list", "No test for a negative list", False),
        ("Returns 1 for an empty list", "Returns 2 for an empty list", False),
        ("Password is logged", "Password is stored", False),
    ],
)
def test_other_words_are_told_apart_from_other_findings(one: str, other: str, same: bool):
    assert same_finding(finding(one), finding(other)) is same


def test_similar_criteria_need_a_verdict_each():
    criteria = ("A user logs in with an email", "A user logs in with a phone")
    said = (CriterionVerdict(criterion=criteria[0], met=True, evidence="a.py:3"),)
    decision = judged(report(criteria=said), criteria=criteria)
    assert decision == ReviewAgain("the review does not judge 'A user logs in with a phone'")


def test_criteria_may_be_named_by_their_numbers():
    said = tuple(CriterionVerdict(criterion=name, met=True, evidence="a.py:3") for name in ("AC 2", "1."))
    assert judged(report(criteria=said)) == Approve()


def test_without_criteria_of_the_story_the_report_judges_its_own():
    decision = judged(report(met=False), criteria=())
    assert isinstance(decision, SendBack)


def test_a_report_that_repeats_only_what_a_person_dismissed_holds_nothing_back():
    held = finding("The name says nothing", severity="medium")
    again = report(finding("This name says nothing", severity="medium"), word="changes_requested")
    assert judged(again, waived=[held]) == Approve()
    assert isinstance(judged(again), SendBack)


def test_what_a_person_reads_of_a_conflict_names_every_finding_and_what_they_can_say():
    held = finding("It leaks", line=3, detail="The file stays open.")
    text = conflict_text(GiveUp("3 of 3 rounds of review did not settle it: It leaks.", (held,)))
    assert "- high: It leaks (a.py:3): The file stays open." in text
    assert all(f"\n{choice}: " in text for choice in (DISMISS, REPAIR, GIVE_BACK))
