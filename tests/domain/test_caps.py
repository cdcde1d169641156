"""At a cap there are few ways on, and an answer says exactly what it changes."""

from __future__ import annotations

from decimal import Decimal

import pytest
from storyloom.domain.budget import Cap, Scope, Spending, check
from storyloom.domain.caps import CHEAPER, STOP, cap_question, raised
from storyloom.domain.errors import BudgetExceeded
from storyloom.domain.escalations import GATES, Question, refuse
from storyloom.domain.settings import Settings

STORY, RUN = Scope(kind="story", id="shelf/1-2-x"), Scope(kind="run", id="r1")


def exceeded(scope: Scope = STORY, cap: str = "5", spent: str = "4.9", asked: str = "0.3") -> BudgetExceeded:
    error = check(Spending(scope=scope, usd=Decimal(spent), cap=Cap(usd=Decimal(cap))), Decimal(asked), 1)
    assert error is not None
    return error


def ask(error: BudgetExceeded, story: str = "1-2-x", *, cheaper: bool = False) -> Question:
    return cap_question(error, project="/p", workflow="dev-story", story=story, cheaper=cheaper)


def test_a_person_may_raise_the_cap_take_a_cheaper_model_or_stop():
    question = ask(exceeded())
    assert question.options == ("raise it to $10.40", "raise it to $26.00", CHEAPER, STOP)
    assert question.kind in GATES
    assert "$5" in question.context
    assert not refuse(question, "raise it to $10.40")


def test_what_is_raised_suffices_for_the_call_that_was_refused():
    error = exceeded(cap="0.01", spent="0", asked="3.001")
    cap = raised(ask(error).options[0], Cap(usd=Decimal("0.01")))
    assert cap is not None
    assert check(Spending(scope=STORY, cap=cap), Decimal("3.001"), 1) is None


def test_tokens_are_raised_in_tokens_and_dollars_stay():
    spending = Spending(scope=RUN, tokens=900_000, cap=Cap(usd=Decimal(7), tokens=1_000_000))
    error = check(spending, Decimal(0), 200_000)
    assert error is not None
    first = ask(error).options[0]
    assert first == "raise it to 2,200,000 tokens"
    assert raised(first, spending.cap) == Cap(usd=Decimal(7), tokens=2_200_000)


def test_a_cap_that_was_raised_further_meanwhile_is_never_lowered():
    assert raised("raise it to $10.40", Cap(usd=Decimal(26))) == Cap(usd=Decimal(26))


@pytest.mark.parametrize("answer", [CHEAPER, STOP, "raise it to $1e9", "raise it to much"])
def test_other_answers_raise_nothing(answer: str):
    assert raised(answer, Cap(usd=Decimal(1))) is None


def test_the_same_cap_is_asked_about_once_whatever_was_spent_by_then():
    assert ask(exceeded()).id == ask(exceeded(spent="4.8", asked="0.9")).id
    assert ask(exceeded()).id != ask(exceeded(cap="10.40", spent="10.4")).id
    assert ask(exceeded()).id != ask(exceeded(), cheaper=True).id
    assert CHEAPER not in ask(exceeded(), cheaper=True).options


def test_stories_that_share_a_budget_share_the_question():
    assert ask(exceeded(RUN), "1-1-a").id == ask(exceeded(RUN), "1-2-b").id
    assert ask(exceeded(), "1-1-a").id != ask(exceeded(), "1-2-b").id


def test_of_two_caps_for_one_kind_the_lower_one_holds():
    settings = Settings.model_validate(
        {"llm_budget_tokens": 9, "budgets": {"project": {"usd": 3, "tokens": 12}, "day": {"usd": 2}}}
    )
    assert settings.caps() == {"project": Cap(usd=Decimal(3), tokens=9), "day": Cap(usd=Decimal(2))}
