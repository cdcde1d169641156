"""Which caps does a call count against, and when is somebody told?

A call counts in up to six scopes at once. Their ids: run = the run's id, phase and agent = within a run, story and day
(UTC) = within a project, project = the project's name. Money is in Decimal dollars.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Literal

from pydantic import Field

from .errors import BudgetExceeded
from .model_calls import CallTags, Value

Kind = Literal["run", "phase", "story", "agent", "project", "day"]
ALERT_LEVELS = (50, 80, 100)  # per cent of a cap


class Cap(Value):
    """What a scope may spend; None is no bound."""

    usd: Decimal | None = Field(default=None, ge=0)
    tokens: int | None = Field(default=None, ge=0)

    def lower(self, other: Cap) -> Cap:
        """The lower bound of both, in dollars and in tokens."""
        return Cap(
            usd=min((usd for usd in (self.usd, other.usd) if usd is not None), default=None),
            tokens=min((tokens for tokens in (self.tokens, other.tokens) if tokens is not None), default=None),
        )


class Scope(Value):
    """One sum that calls count in."""

    kind: Kind
    id: str

    def __str__(self) -> str:
        return f"{self.kind} {self.id}".strip()

    @classmethod
    def named(cls, text: str) -> Scope:
        """The scope that `str` gave this name."""
        kind, _, id_ = text.partition(" ")
        return cls.model_validate({"kind": kind, "id": id_})


class Spending(Value):
    """What a scope has spent, what running calls hold reserved, and its cap."""

    scope: Scope
    usd: Decimal = Decimal(0)
    usd_reserved: Decimal = Decimal(0)
    tokens: int = 0
    tokens_reserved: int = 0
    cap: Cap = Cap()


class Alert(Value):
    """A scope's spending has passed 50, 80 or 100 per cent of its cap; said once a level."""

    scope: Scope
    level: int
    unit: Literal["dollars", "tokens"]
    spent: Decimal
    cap: Decimal


def scopes_of(tags: CallTags, at: datetime) -> tuple[Scope, ...]:
    """The scopes that a call at moment `at` (UTC) counts in."""
    found = [
        Scope(kind="project", id=tags.project),
        Scope(kind="day", id=f"{tags.project}/{at:%Y-%m-%d}"),
        Scope(kind="run", id=tags.run),
    ]
    if tags.phase:
        found.append(Scope(kind="phase", id=f"{tags.run}/{tags.phase}"))
    if tags.agent:
        found.append(Scope(kind="agent", id=f"{tags.run}/{tags.agent}"))
    if tags.story:
        found.append(Scope(kind="story", id=f"{tags.project}/{tags.story}"))
    return tuple(found)


def check(spending: Spending, usd: Decimal | None, tokens: int) -> BudgetExceeded | None:
    """The refusal if a reservation would pass the scope's cap, else None. Reserved counts like spent."""
    cap = spending.cap
    if cap.usd is not None and usd is not None and (held := spending.usd + spending.usd_reserved) + usd > cap.usd:
        return _exceeded(spending.scope, "dollars", cap.usd, held, usd)
    if cap.tokens is not None and (held_tokens := spending.tokens + spending.tokens_reserved) + tokens > cap.tokens:
        return _exceeded(spending.scope, "tokens", cap.tokens, held_tokens, tokens)
    return None


def alerts(spending: Spending, told: int) -> list[Alert]:
    """The alerts that are due above the level already `told`; only the highest new one of each unit."""
    found = []
    for unit, spent, cap in (
        ("dollars", spending.usd, spending.cap.usd),
        ("tokens", Decimal(spending.tokens), spending.cap.tokens),
    ):
        if cap is None:
            continue
        level = max((at for at in ALERT_LEVELS if spent * 100 >= at * cap and spent > 0), default=0)
        if level > told:
            found.append(
                Alert.model_validate(
                    {"scope": spending.scope, "level": level, "unit": unit, "spent": spent, "cap": Decimal(cap)}
                )
            )
    return found


def _exceeded(
    scope: Scope, unit: Literal["dollars", "tokens"], cap: Decimal | int, spent: Decimal | int, asked: Decimal | int
) -> BudgetExceeded:
    sign = "$" if unit == "dollars" else ""
    word = "" if unit == "dollars" else " tokens"
    return BudgetExceeded(
        f"The budget of {scope} is {sign}{_short(cap)}{word}; {sign}{_short(spent)} is spent or reserved, and the next "
        f"call may cost up to {sign}{_short(asked)}.",
        scope=str(scope),
        unit=unit,
        cap=cap,
        spent=spent,
        asked=asked,
        remedy=f"Raise the {scope.kind}'s cap, name a cheaper model, or stop here.",
    )


def _short(amount: Decimal | int) -> str:
    return f"{amount:,}" if isinstance(amount, int) else f"{amount.normalize():,f}"
