"""How does an operator give Storyloom, or any flow, a model and the key to it in Prefect?"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from prefect.blocks.core import Block
from prefect.settings import PREFECT_HOME
from pydantic import Field, PrivateAttr, SecretStr
from storyloom.domain.events import Event
from storyloom.domain.model_calls import CallTags, Message, ModelReply, ModelRequest
from storyloom.domain.ports import Recorder
from storyloom.domain.prices import Price, PriceTable, Rates, bundled_prices
from storyloom.domain.redaction import Redactor
from storyloom.domain.routing import RoutingPolicy
from storyloom.domain.wire import Endpoint, provider_of

from .call_journal import CallJournal
from .model_budget import ModelBudget
from .model_door import Door
from .routes import routes


class LanguageModel(Block):
    """A language model of any vendor, with its key, its address and its budget.

    Calls are journalled, paid for within the budget, retried by one policy, and an identical question is answered
    from the journal. The key is resolved when a call is made; it is in no parameter, result, log or artifact.
    """

    _block_type_name = "Language Model"
    _block_type_slug = "language-model"
    _description = "A language model of any vendor, with its key and its budget, asked through one door."
    _code_example = """```python
from prefect import flow
from storyloom.blocks.language_model import LanguageModel

@flow
def summarise(text: str) -> str:
    model = LanguageModel.load("standard")
    return model.ask(f"Summarise in one sentence: {text}").content
```"""

    model: str = Field(
        title="Model",
        description="Provider and name, as litellm writes them.",
        examples=["anthropic/claude-sonnet-5-5", "openai/gpt-6-luna", "ollama/qwen3"],
    )
    api_key: SecretStr | None = Field(
        default=None, title="API key", description="Left out: the provider's own environment variable on the worker."
    )
    base_url: str = Field(default="", title="Base URL", description="Left out: the provider's own address.")
    fallbacks: list[str] = Field(
        default_factory=list,
        title="Fallbacks",
        description="Names of other Language Model blocks, asked in this order while the provider is down.",
    )
    budget: ModelBudget | None = Field(default=None, title="Budget")
    max_output_tokens: int = Field(default=8192, ge=1, title="Most tokens of an answer")
    deadline_s: float = Field(default=600.0, gt=0, title="Deadline of a call in seconds, streaming included")
    effort: Literal["", "low", "medium", "high"] = Field(default="", title="Reasoning effort")
    input_price: Decimal | None = Field(
        default=None,
        ge=0,
        title="Dollars per million tokens of input",
        description="For a model that the price table does not know. 0 says that it is free, as one run at home.",
    )
    output_price: Decimal | None = Field(default=None, ge=0, title="Dollars per million tokens of output")
    folder: str = Field(default="", title="Folder", description="Of journal and ledger. Left out: in Prefect's home.")

    _door: Door | None = PrivateAttr(default=None)

    def endpoint(self) -> Endpoint:
        """Where and with which key the provider is reached."""
        return Endpoint(api_key=self.api_key, base_url=self.base_url)

    def own_prices(self) -> list[Price]:
        """The price that this block states, if it does."""
        if self.input_price is None or self.output_price is None:
            return []
        rates = Rates(
            input=self.input_price,
            output=self.output_price,
            cache_read=self.input_price,
            cache_write=self.input_price,
            cache_write_1h=self.input_price,
        )
        return [Price(model=self.model, valid_from=date.min, rates=rates)]

    def complete(self, request: ModelRequest) -> ModelReply:
        """Answer a request by this model, or by its fallbacks; `request.model` is not looked at.

        Raises:
            ModelError: one of its subclasses; `may_pass` tells whether waiting helps.
            BudgetExceeded: before the call, when its worst case would pass a cap.
        """
        if self._door is None:
            self._door = self.open_door()
        return self._door.complete(request.model_copy(update={"model": self.model}))

    def ask(self, question: str, *, system: str = "", schema: Mapping[str, Any] | None = None) -> ModelReply:
        """The answer to one question; with a JSON schema, `parsed` holds the value.

        Raises:
            ModelError: one of its subclasses.
            BudgetExceeded: before the call.
        """
        return self.complete(
            ModelRequest(
                persona="",
                model=self.model,
                system=system,
                messages=(Message(role="user", content=question),),
                schema_=dict(schema) if schema is not None else None,
                max_output_tokens=self.max_output_tokens,
                deadline_s=self.deadline_s,
                effort=self.effort,
                tags=CallTags(project=self._document_name() or "block"),
            )
        )

    def open_door(self, recorder: Recorder | None = None) -> Door:
        """A door of this block's own: its journal and ledger, its routes, its prices."""
        chain = [self, *(self._named(name) for name in self.fallbacks)]
        folder = Path(self.folder) if self.folder else Path(PREFECT_HOME.value()) / "language-models"
        budget = self.budget or ModelBudget()
        prices: PriceTable = bundled_prices().with_prices(price for block in chain for price in block.own_prices())
        endpoints = {provider_of(block.model): block.endpoint() for block in reversed(chain)}
        return Door(
            routes(endpoints),
            CallJournal(folder / "journal"),
            budget.open_ledger(f"sqlite:///{folder / 'ledger.sqlite'}"),
            recorder or _Nowhere(),
            RoutingPolicy(classes={self.model: tuple(block.model for block in chain)}),
            prices,
            redact=Redactor(key for point in endpoints.values() if (key := point.key())),
        )

    @classmethod
    def _named(cls, name: str) -> LanguageModel:
        # A block cannot have fields of its own type: Prefect's search for secrets in them would never end.
        found = cls.load(name, _sync=True)  # type: ignore[call-arg]
        assert isinstance(found, cls)
        return found

    def _document_name(self) -> str:
        return str(getattr(self, "_block_document_name", None) or "")


class _Nowhere:
    def record(self, event: Event) -> None:
        """Events of a call outside of a run are not kept; the journal is."""
