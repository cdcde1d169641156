"""What does an answer at a budget's cap change, so that it holds for all workers and after a restart?"""

from __future__ import annotations

import json

from ..domain.budget import Cap, Scope
from ..domain.caps import raised
from ..domain.routing import CHEAPER
from .ports import Ports

RAISED = "budget/raised/"


def use_cheaper(ports: Ports, work: str) -> None:
    """From now on a story or workflow is done by the models of the class light."""
    ports.shelf.put_new(_cheaper_name(work), "chosen at the cap")


def uses_cheaper(ports: Ports, work: str) -> bool:
    """Whether somebody chose the cheaper models for a story or workflow."""
    return bool(work) and bool(ports.shelf) and ports.shelf.get(_cheaper_name(work)) is not None


def model_for(ports: Ports, work: str, model: str) -> str:
    """The model to ask for a story or workflow: `model`, or the cheaper one if somebody chose that."""
    return CHEAPER if uses_cheaper(ports, work) else model


def raise_cap(ports: Ports, scope: Scope, answer: str) -> bool:
    """Raise a scope's cap in the ledger to what an answer asks for; False when it asks for something else.

    Doing it again changes nothing, and a cap that was raised further meanwhile is never lowered.
    """
    if ports.budgets is None:
        return False
    holds = ports.budgets.spent(scope).cap
    cap = raised(answer, holds)
    if cap is None:
        return False
    if cap != holds:
        kind = ports.config.settings.caps().get(scope.kind, Cap())
        ports.shelf.put(f"{RAISED}{scope.kind}/{scope.id}", json.dumps([str(scope), _text(kind)]))
        ports.budgets.set_cap(scope, cap)
    return True


def follow_settings(ports: Ports) -> None:
    """Take raised caps back whose setting was changed since: what a person wrote last holds."""
    if ports.budgets is None:
        return
    for name in ports.shelf.names(RAISED):
        scope_name, then = json.loads(ports.shelf.get(name) or '["run ", ""]')
        scope = Scope.named(scope_name)
        if then and then != _text(ports.config.settings.caps().get(scope.kind, Cap())):
            ports.budgets.drop_cap(scope)
            ports.shelf.put(name, json.dumps([scope_name, ""]))


def _text(cap: Cap) -> str:
    return cap.model_dump_json()


def _cheaper_name(work: str) -> str:
    return f"budget/cheaper/{work}"
