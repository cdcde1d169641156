"""A raised cap holds for all and after a restart, until its setting is changed; a shared question closes once."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

from storyloom.blocks.ledger import Ledger
from storyloom.domain.budget import Cap, Scope
from storyloom.domain.escalations import Answer, Escalation, Question
from storyloom.domain.fakes import MemoryShelf
from storyloom.domain.ports import ProjectRef
from storyloom.domain.routing import CHEAPER
from storyloom.domain.settings import ProjectConfig
from storyloom.tasks.caps import follow_settings, model_for, raise_cap, use_cheaper
from storyloom.tasks.ports import Ports
from storyloom.tasks.questions import keep_answer, mirror_open, mirrored

STORY, OTHER = Scope(kind="story", id="shelf/1-2-x"), Scope(kind="story", id="shelf/1-3-y")


class Unheard:
    """Takes events and forgets them."""

    def record(self, event: object) -> None:
        pass


def project(tmp_path: Path, shelf: MemoryShelf, **settings: Any) -> Ports:
    config = ProjectConfig.model_validate({"settings": settings})
    ledger = Ledger(f"sqlite:///{tmp_path}/ledger.sqlite", config.settings.caps())
    made = Ports(ProjectRef(repository="/p"), config=config, budgets=ledger, shelf=shelf, recorder=Unheard())
    follow_settings(made)  # as whenever a project is opened
    return made


def cap(ports: Ports, scope: Scope = STORY) -> Cap:
    assert ports.budgets is not None
    return ports.budgets.spent(scope).cap


def test_a_raised_cap_holds_for_its_scope_alone_and_after_a_restart(tmp_path: Path):
    shelf = MemoryShelf()
    ports = project(tmp_path, shelf, story_budget_usd=2)
    assert raise_cap(ports, STORY, "raise it to $10.40")
    again = project(tmp_path, shelf, story_budget_usd=2)
    assert (cap(again).usd, cap(again, OTHER).usd) == (Decimal("10.4"), Decimal(2))
    assert raise_cap(again, STORY, "raise it to $4.00")  # by somebody who was asked before
    assert cap(again).usd == Decimal("10.4")


def test_a_setting_that_is_changed_afterwards_goes_before_what_was_raised(tmp_path: Path):
    shelf = MemoryShelf()
    raise_cap(project(tmp_path, shelf, story_budget_usd=2), STORY, "raise it to $10.40")
    assert cap(project(tmp_path, shelf, story_budget_usd=1)).usd == Decimal(1)
    assert cap(project(tmp_path, shelf, story_budget_usd=2)).usd == Decimal(2)
    changed = project(tmp_path, shelf, story_budget_usd=2)
    assert raise_cap(changed, STORY, "raise it to $5.00")
    assert cap(project(tmp_path, shelf, story_budget_usd=2)).usd == Decimal(5)


def test_other_answers_raise_nothing_and_without_a_ledger_nothing_can_be_raised(tmp_path: Path):
    ports = project(tmp_path, MemoryShelf(), story_budget_usd=2)
    assert not raise_cap(ports, STORY, "stop")
    bare = Ports(ProjectRef(repository="/p"), config=ProjectConfig())
    assert not raise_cap(bare, STORY, "raise it to $10.40")
    assert model_for(bare, "1-2-x", "heavy") == "heavy"


def test_the_cheaper_model_is_for_the_one_story_that_it_was_chosen_for(tmp_path: Path):
    ports = project(tmp_path, MemoryShelf())
    use_cheaper(ports, "1-2-x")
    use_cheaper(ports, "1-2-x")
    assert [model_for(ports, work, "heavy") for work in ("1-2-x", "1-3-y", "")] == [CHEAPER, "heavy", "heavy"]


def test_a_question_that_was_answered_while_another_run_asked_it_is_not_opened_again(tmp_path: Path):
    ports = project(tmp_path, MemoryShelf())
    asked = Escalation(
        id=(question := Question(project="/p", question="How?", options=("a", "b"))).id,
        question=question,
        severity="important",
        created="2026-01-01T00:00:00+00:00",
        deadline="2026-01-02T00:00:00+00:00",
    )
    assert mirror_open(ports, asked).status == "pending"
    keep_answer(ports, question, Answer(answer="a", source="person", by="ann"))
    assert mirror_open(ports, asked).status == "answered"
    there = mirrored(ports, question.id)
    assert there is not None
    assert (there.status, there.response and there.response.answer) == ("answered", "a")
