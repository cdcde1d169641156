"""How does an operator say in Prefect what models may cost?"""

from __future__ import annotations

from decimal import Decimal
from typing import ClassVar

from prefect.blocks.core import Block
from pydantic import Field, SecretStr
from storyloom.domain.budget import Cap, Kind, Scope, Spending

from .ledger import Ledger


class ModelBudget(Block):
    """Caps for model calls, in dollars and in tokens, and the ledger that holds them over all workers.

    The worst case of every call is reserved before it is made, in all its scopes at once: no cap is ever passed, by
    however many workers. An empty field is no cap. At 50, 80 and 100 % of a cap there is one alert each.
    """

    _block_type_name = "Model Budget"
    _block_type_slug = "model-budget"
    _description = "What model calls may cost: caps in dollars and tokens, held over all workers."
    _code_example = """```python
from storyloom.blocks.model_budget import ModelBudget

budget = ModelBudget.load("nightly")
print(budget.spent("project", "shelf"))        # what is spent and reserved
budget.raise_cap("run", "2026-11-21", usd=80)  # holds in every worker at once
```"""

    run_usd: Decimal | None = Field(default=None, ge=0, title="Dollars a run")
    phase_usd: Decimal | None = Field(default=None, ge=0, title="Dollars a phase of a run")
    story_usd: Decimal | None = Field(default=None, ge=0, title="Dollars a story")
    agent_usd: Decimal | None = Field(default=None, ge=0, title="Dollars an agent within a run")
    project_usd: Decimal | None = Field(default=Decimal(50), ge=0, title="Dollars a project, over all runs")
    day_usd: Decimal | None = Field(default=None, ge=0, title="Dollars a day (UTC) and project")
    run_tokens: int | None = Field(default=None, ge=0, title="Tokens a run")
    story_tokens: int | None = Field(default=None, ge=0, title="Tokens a story")
    project_tokens: int | None = Field(default=None, ge=0, title="Tokens a project, over all runs")
    day_tokens: int | None = Field(default=None, ge=0, title="Tokens a day (UTC) and project")
    ledger_url: SecretStr | None = Field(
        default=None,
        title="Ledger",
        description=(
            "SQLAlchemy URL of the database that all workers share, such as "
            "postgresql+psycopg://user:password@host/db. "
            "Left out: an SQLite file beside the call journal, for workers on one machine."
        ),
    )

    _KINDS: ClassVar[tuple[Kind, ...]] = ("run", "phase", "story", "agent", "project", "day")

    def caps(self) -> dict[Kind, Cap]:
        """The caps by kind of scope."""
        found: dict[Kind, Cap] = {}
        for kind in self._KINDS:
            cap = Cap(usd=getattr(self, f"{kind}_usd", None), tokens=getattr(self, f"{kind}_tokens", None))
            if cap != Cap():
                found[kind] = cap
        return found

    def open_ledger(self, default_url: str = "") -> Ledger:
        """The ledger with these caps; at `default_url` if the block names none."""
        return Ledger(self.ledger_url.get_secret_value() if self.ledger_url else default_url, self.caps())

    def spent(self, kind: Kind, id_: str, *, default_url: str = "") -> Spending:
        """What a scope has spent and holds reserved, and its cap."""
        ledger = self.open_ledger(default_url)
        try:
            return ledger.spent(Scope(kind=kind, id=id_))
        finally:
            ledger.close()

    def raise_cap(
        self,
        kind: Kind,
        id_: str,
        *,
        usd: Decimal | float | None = None,
        tokens: int | None = None,
        default_url: str = "",
    ) -> None:
        """Give one scope a cap of its own, for all workers at once."""
        ledger = self.open_ledger(default_url)
        try:
            ledger.set_cap(Scope(kind=kind, id=id_), Cap(usd=None if usd is None else Decimal(str(usd)), tokens=tokens))
        finally:
            ledger.close()
