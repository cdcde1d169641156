"""Which answers count."""

import itertools

import pytest
from storyloom.domain.approvals import ANSWERS, Given, approvals_needed, audience, may_rule, refuse_person, rule
from storyloom.domain.escalations import Answer, Escalation, Kind, Question
from storyloom.domain.settings import Gates, Person, ProjectConfig

GATE = Question(
    kind=Kind.PHASE_GATE, project="p", workflow="planning", step="gate", question="Pass?",
    options=("approve", "reject"), subject="d1",
)  # fmt: skip
OPEN = Escalation(id=GATE.id, question=GATE, severity="critical")
PEOPLE = (
    Person(name="vera", role="viewer"), Person(name="emil", role="executor"), Person(name="dora", role="developer"),
    Person(name="anna", role="approver"), Person(name="axel", role="approver"), Person(name="olga", role="admin"),
)  # fmt: skip
ONE, TWO = Gates(), Gates(approvals=2)


def ruled(escalation=OPEN, people=PEOPLE, gates=ONE, kept=None, votes=(), **given):
    return rule(escalation, Given(**{"answer": "approve", "by": "anna", **given}), people=people, gates=gates,
                kept=kept, votes=votes)  # fmt: skip


def test_a_valid_approval_holds_and_names_its_giver():
    ruling = ruled()
    assert (ruling.verdict, ruling.answer.by, ruling.answer.source) == ("holds", "anna", "person")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"kept": Answer(answer="reject", source="person", by="axel")}, "answered already, by axel: reject"),
        ({"escalation": OPEN.model_copy(update={"status": "cancelled"})}, "cancelled"),
        ({"escalation": OPEN.model_copy(update={"status": "superseded"})}, "has changed since"),
        ({"escalation": OPEN.model_copy(update={"status": "expired"})}, "expired"),
        ({"digest": "d0"}, "changed since you looked"),
        ({"answer": "yes"}, "not one of the choices"),
        ({"by": "mallory"}, "not one of the project's people"),
        ({"by": "dora"}, "dora is developer; a phase-gate needs approver or admin"),
        ({"by": "vera"}, "vera is viewer"),
    ],
)
def test_an_answer_that_does_not_count_is_refused_with_the_reason(change, reason):
    ruling = ruled(**change)
    assert ruling.verdict == "refused"
    assert reason in ruling.reason


def test_nobody_approves_their_own_request():
    mine = OPEN.model_copy(update={"question": GATE.model_copy(update={"requested_by": "anna"})})
    assert "somebody else must approve" in ruled(mine).reason
    assert ruled(mine, by="axel").verdict == "holds"
    assert audience(mine.question, PEOPLE) == ["axel", "olga"]


def test_two_approvals_need_two_people_and_one_rejection_is_enough():
    first = ruled(gates=TWO)
    assert (first.verdict, first.reason) == ("counted", "1 of 2 approvals: anna.")
    vote = Given(answer="approve", by="anna")
    assert "has answered already" in ruled(gates=TWO, votes=(vote,)).reason
    both = ruled(gates=TWO, votes=(vote,), by="axel")
    assert (both.verdict, both.answer.by) == ("holds", "anna, axel")
    assert ruled(gates=TWO, votes=(vote,), by="axel", answer="reject").answer.answer == "reject"


def test_where_nobody_is_named_anybody_is_the_owner():
    assert ruled(people=(), by="owner").verdict == "holds"
    assert approvals_needed(GATE, (), TWO) == 1
    assert refuse_person(GATE, "whoever", ()) == ""
    assert may_rule("whoever", ())


def test_each_role_may_answer_all_that_the_role_below_may():
    kinds = list(ANSWERS.values())
    assert all(lower <= higher for lower, higher in itertools.pairwise(kinds))
    assert Kind.BUDGET not in ANSWERS["approver"]
    assert [p.name for p in PEOPLE if may_rule(p.name, PEOPLE)] == ["olga"]


def test_settings_that_nobody_can_meet_are_refused():
    with pytest.raises(ValueError, match="approvals is 3, but 2 of the people"):
        ProjectConfig(people=PEOPLE[3:5], gates=Gates(approvals=3))
    with pytest.raises(ValueError, match="once"):
        ProjectConfig(people=(PEOPLE[0], PEOPLE[0]))
