"""A person is asked once, sees what matters, and nothing in the text can act."""

import pytest
from storyloom.domain.escalations import (
    SEVERITY,
    Escalation,
    Kind,
    Question,
    decide_alone,
    decide_by_policy,
    inert,
    markdown,
    refuse,
)

ASKED = Question(
    project="p",
    story="1-2-slug",
    step="turn 3",
    question="Which alphabet?",
    options=("base58", "hex"),
    recommendation="base58",
    confidence=0.6,
)


def test_the_same_question_at_the_same_place_has_the_same_id():
    assert ASKED.id == ASKED.model_copy(update={"confidence": 0.9, "reasoning": "other"}).id
    assert ASKED.id != ASKED.model_copy(update={"story": "1-3-x"}).id
    assert set(ASKED.id) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")


@pytest.mark.parametrize(("confidence", "alone"), [(0.74, False), (0.75, True), (1.0, True)])
def test_the_threshold_decides_who_answers(confidence: float, alone: bool):
    answer = decide_alone(ASKED.model_copy(update={"confidence": confidence}), 0.75)
    assert (answer is not None) is alone


@pytest.mark.parametrize("kind", [k for k in Kind if k is not Kind.CLARIFICATION])
def test_only_clarifications_are_ever_decided_alone(kind: Kind):
    assert decide_alone(ASKED.model_copy(update={"kind": kind, "confidence": 1.0}), 0.1) is None
    assert kind in SEVERITY


def test_the_policy_takes_the_recommendation_and_says_so():
    answer = decide_by_policy(ASKED)
    assert answer is not None
    assert (answer.answer, answer.source) == ("base58", "policy")
    assert decide_by_policy(ASKED.model_copy(update={"recommendation": ""})) is None


def test_an_answer_outside_the_choices_is_refused_with_the_choices():
    assert "base58, hex" in refuse(ASKED, "rot13")
    assert refuse(ASKED, " ") == "An answer is needed."
    assert refuse(ASKED, "hex") == ""


def test_the_form_says_what_the_agent_would_do_and_what_happens_without_an_answer():
    escalation = Escalation(
        id=ASKED.id, question=ASKED, severity="important", deadline="2026-11-22 08:00", default="hex"
    )
    text = markdown(escalation)
    assert "**Would do:** base58 (confidence 60%)" in text
    assert "**Without an answer by 2026-11-22 08:00:** hex" in text


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>alert(1)</script>",
        "![x](http://evil.example/p.png)",
        "[approve](javascript:alert(1))",
        '<img src=x onerror="x">',
    ],
)
def test_text_from_a_model_cannot_act_in_a_form(hostile: str):
    shown = inert(hostile)
    assert "<" not in shown
    assert "](" not in shown
    assert "javascript:" not in shown
    assert "http:" not in shown
