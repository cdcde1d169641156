"""What happens when a budget is used up in the middle of work?  A person is asked, and the answer is carried out."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from prefect.logging import get_run_logger

from ..domain.budget import Scope
from ..domain.caps import CHEAPER, STOP, cap_question
from ..domain.errors import BudgetExceeded, BudgetStopped
from ..domain.ports import ProjectRef
from ..tasks.caps import raise_cap, use_cheaper, uses_cheaper
from ..tasks.ports import ports_for
from .asking import settle

Result = TypeVar("Result")


def past_the_cap(project: ProjectRef, run: Callable[[], Result], *, workflow: str, story: str = "") -> Result:
    """What `run` returns; at a cap it is run again once a person has raised it or chosen a cheaper model.

    What was finished before is found in the cache and is not paid again.

    Raises:
        BudgetStopped: a person chose to stop.
        BudgetExceeded: nobody has answered; the work is set aside until somebody has.
    """
    ports, work, asked = ports_for(project), story or workflow, set[str]()
    while True:
        try:
            return run()
        except BudgetExceeded as error:
            if ports.budgets is None:
                raise
            question = cap_question(
                error,
                project=project.repository,
                workflow=workflow,
                story=story,
                cheaper=uses_cheaper(ports, work),
            )
            answer = settle(project, question) if question.id not in asked else None
            asked.add(question.id)
            if answer is None:
                raise
            get_run_logger().info("At the cap %s decided: %s", answer.by or answer.source, answer.answer)
            if answer.answer == STOP:
                raise BudgetStopped(
                    f"{error.message} {answer.by or 'Somebody'} chose to stop.",
                    remedy=f"Change the {Scope.named(error.scope).kind}'s cap in the settings, then run it again.",
                ) from error
            if answer.answer == CHEAPER:
                use_cheaper(ports, work)
            elif not raise_cap(ports, Scope.named(error.scope), answer.answer):
                raise
