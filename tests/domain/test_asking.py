import pytest
from storyloom.domain.asking import known_answer, needs_person, quoted_in
from storyloom.domain.prompts import Source


def test_an_input_comes_before_a_fact_and_a_fact_before_a_rule():
    given, facts = {"tone": "dry"}, {"tone": "warm", "size": 3}
    assert known_answer("Tone?", "tone", given, facts).answer == "dry"
    assert known_answer("Size?", "size", given, facts).source == "project size"
    assert (
        known_answer("What is your favourite colour?", "", {"what_is_your_favourite_colour": "blue"}, {}).answer
        == "blue"
    )


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("[a] Advanced Elicitation [c] Continue [p] Party Mode", "c"),
        ("Continue to next step? (y/n/edit)", "y"),
        ("Ready to continue?", "y"),
        ("Proceed with these settings?", "y"),
    ],
)
def test_menus_and_go_on_questions_are_answered_by_rule(question, answer):
    assert known_answer(question, "", {}, {}).answer == answer


def test_everything_else_is_open():
    assert known_answer("Which database?", "database", {"database": ""}, {}) is None


def test_a_quote_counts_only_when_it_stands_in_a_document():
    sources = [Source("a.md", "We use\n  PostgreSQL  for everything."), Source("b.md", "x")]
    assert quoted_in("we use PostgreSQL for everything", sources) == "a.md"
    assert quoted_in("we use MySQL for everything", sources) == ""
    assert quoted_in("We use", sources) == ""


def test_the_policy_says_when_a_person_is_needed():
    assert needs_person(0.99, 0.75, "person")
    assert needs_person(0.5, 0.75, "unsure")
    assert not needs_person(0.8, 0.75, "unsure")
    assert not needs_person(0.0, 0.75, "simulate")
