"""Who decides, how surely, and what of it can be trusted."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from storyloom.domain.decisions import (
    QUOTED,
    Fact,
    Factors,
    Opinion,
    confidence_of,
    decision_request,
    fact_id,
    judged,
    known_fact,
    learned,
    needs_second,
    quoted_in,
    read_opinion,
)
from storyloom.domain.escalations import Answer, Kind, Question
from storyloom.domain.model_calls import ModelReply

ASKED = Question(project="p", question="Which alphabet?", options=("base58", "hex"))
SURE = Factors(clarity=0.9, sufficiency=0.9, certainty=0.9)
GUIDE = {"docs/guide.md": "Short names are written\nin base58, never in hex."}


def opinion(answer="base58", factors=SURE, quote=""):
    return Opinion(answer=answer, factors=factors, quote=quote, reasoning="because")


def test_confidence_never_rises_far_above_the_weakest_factor():
    assert confidence_of(SURE) == 0.9
    assert confidence_of(Factors(clarity=0.1, sufficiency=1, certainty=1)) == 0.35


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_confidence_is_a_share_and_grows_with_every_factor(a, b, c):
    value = confidence_of(Factors(clarity=a, sufficiency=b, certainty=c))
    assert 0 <= value <= 1
    assert confidence_of(Factors(clarity=1, sufficiency=b, certainty=c)) >= value


def test_words_that_stand_in_a_document_are_found_whatever_the_line_breaks():
    assert quoted_in("short names are written in base58", GUIDE) == "docs/guide.md"
    assert quoted_in("short names are written in hex", GUIDE) == ""
    assert quoted_in("in base58", GUIDE) == ""


def test_a_quoted_answer_is_taken_at_095_and_names_its_document():
    answer, confidence, _, _ = judged(ASKED, [opinion(quote="Short names are written in base58,")], GUIDE, 0.75)
    assert (answer.source, answer.by, confidence) == ("onboarding", "docs/guide.md", QUOTED)


@pytest.mark.parametrize("quote", ["Short names are written in base58, never in hex.", "Short names are always hex"])
def test_a_quote_that_names_two_choices_or_stands_nowhere_is_no_quote(quote):
    low = Factors(clarity=0.5, sufficiency=0.5, certainty=0.5)
    answer, confidence, _, _ = judged(ASKED, [opinion(factors=low, quote=quote)], GUIDE, 0.75)
    assert (answer, confidence) == (None, 0.5)


def test_a_sure_model_decides_and_its_reasons_are_kept():
    answer, confidence, recommended, steps = judged(ASKED, [opinion()], {}, 0.75)
    assert (answer.source, answer.answer, confidence, recommended) == ("model", "base58", 0.9, "base58")
    assert "clarity 0.90" in steps[0]
    assert answer.reasoning.startswith("because")


def test_near_the_threshold_agreement_of_two_samples_decides():
    near = Factors(clarity=0.72, sufficiency=0.72, certainty=0.72)
    assert needs_second(confidence_of(near), 0.75)
    agreed, _, _, _ = judged(ASKED, [opinion(factors=near), opinion(factors=near)], {}, 0.75)
    split, confidence, _, steps = judged(ASKED, [opinion(factors=near), opinion("hex", near)], {}, 0.75)
    assert agreed is not None
    assert (split, confidence) == (None, 0.432)
    assert "says hex" in steps[1]


def test_when_the_agent_that_asked_would_do_something_else_a_person_is_asked():
    asked = ASKED.model_copy(update={"recommendation": "hex", "confidence": 0.95, "asked_by": "amelia"})
    answer, _, recommended, steps = judged(asked, [opinion()], {}, 0.75)
    assert (answer, recommended) == (None, "hex")
    assert "amelia recommends hex instead" in steps


def test_an_answer_outside_the_choices_decides_nothing():
    answer, _, _, _ = judged(ASKED, [opinion("rot13")], {}, 0.0)
    assert answer is None


@pytest.mark.parametrize(
    "content",
    ["", "no json", "[]", '{"answer": "hex"}', '{"answer":"hex","clarity":"x","sufficiency":1,"certainty":1}'],
)
def test_a_reply_that_is_no_opinion_is_none(content):
    assert read_opinion(ModelReply(content=content)) is None


def test_an_opinion_is_read_with_numbers_cut_to_0_and_1_and_the_choice_as_written():
    said = {"answer": "HEX.", "quote": None, "clarity": 7, "sufficiency": -1, "certainty": 0.5, "reasoning": "r"}
    read = read_opinion(ModelReply(content=json.dumps(said)), ("base58", "hex"))
    assert (read.answer, read.factors.clarity, read.factors.sufficiency, read.quote) == ("hex", 1.0, 0.0, "")


def test_a_persons_answer_is_found_again_for_the_same_question_elsewhere():
    question = ASKED.model_copy(update={"story": "1-2-x", "step": "turn 3"})
    fact = learned(question, Answer(answer="hex", source="person", by="anna"), "2026-01-01T00:00:00")
    again = ASKED.model_copy(update={"story": "1-7-y", "question": "which  ALPHABET"})
    assert known_fact(again, [fact]) == fact
    assert fact_id(again.question) == fact.id


@pytest.mark.parametrize(
    "spoken", ["Which alphabet?", " which\n alphabet ", "Please: which **alphabet**", "WHICH the alphabet"]
)
def test_a_fact_is_found_however_its_question_is_spaced_and_capitalised(spoken):
    fact = Fact(id="f", question="Which alphabet?", answer="hex")
    found = known_fact(ASKED.model_copy(update={"question": spoken}), [fact])
    assert found == fact


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ("Should orders be stored before payments are?", "Should payments be stored before orders are?"),
        ("May the old logs of the service be deleted now?", "May the old logs of the service not be deleted now?"),
        (
            "Which cache do the sessions of story 3 keep their values in?",
            "Which cache do the sessions of story 4 keep?",
        ),
        ("Is the parser to be in C++?", "Is the parser to be in C?"),
        ("Does the limit stay < 5?", "Does the limit stay > 5?"),
        ("?!", "…"),
    ],
)
def test_a_fact_answers_no_question_whose_words_merely_look_alike(before, now):
    fact = Fact(id="f", question=before, answer="hex")
    assert known_fact(ASKED.model_copy(update={"question": now}), [fact]) is None


def test_of_two_facts_about_one_question_the_newer_one_holds():
    old, new = (Fact(id=i, question="Which alphabet?", answer=i, at=at) for i, at in (("hex", "1"), ("base58", "2")))
    assert known_fact(ASKED, [new, old]) == known_fact(ASKED, [old, new]) == new


def test_a_fact_does_not_answer_another_question_or_one_that_no_longer_offers_it():
    fact = Fact(id="f", question="Which alphabet?", answer="hex")
    assert known_fact(ASKED.model_copy(update={"question": "Which database?"}), [fact]) is None
    assert known_fact(ASKED.model_copy(update={"options": ("base58",)}), [fact]) is None
    assert known_fact(ASKED, [fact.model_copy(update={"removed": True})]) is None
    assert known_fact(ASKED, []) is None


def test_only_clarifications_answered_by_people_are_learned():
    assert learned(ASKED, Answer(answer="hex", source="model"), "") is None
    gate = ASKED.model_copy(update={"kind": Kind.PHASE_GATE})
    assert learned(gate, Answer(answer="hex", source="person"), "") is None


def test_the_request_holds_documents_facts_and_choices_at_low_effort():
    request = decision_request(ASKED, GUIDE, [Fact(id="f", question="Tabs?", answer="No")], sample=1)
    text = request.messages[0].content
    assert (request.purpose, request.effort, request.sample) == ("decide", "low", 1)
    assert text.startswith("# Decision · project · Which alphabet?\n")
    assert all(part in text for part in ("never in hex", "<fact>Tabs? → No</fact>", "- base58\n- hex"))
    assert request.content_key() != decision_request(ASKED, GUIDE, [], sample=0).content_key()
