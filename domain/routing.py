"""Which models may answer a request, in which order, and which provider is better left alone for a while?"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Literal, Protocol

from pydantic import Field

from .errors import ModelBroken, ModelBusy, ModelError, ModelRefused, ModelTimeout
from .model_calls import ModelRequest, Value
from .prices import Price
from .settings import MODEL_CLASSES, ProjectConfig
from .usage import most_input_tokens
from .wire import provider_of

Strategy = Literal[
    "priority", "capability", "lowest_cost", "highest_quality", "balanced", "round_robin", "least_loaded"
]

DEFAULT_CLASSES: Mapping[str, tuple[str, ...]] = {
    "light": ("anthropic/claude-haiku-5-5", "openai/gpt-6-luna"),
    "standard": ("anthropic/claude-sonnet-5-5", "openai/gpt-6.1-sol"),
    "heavy": ("anthropic/claude-opus-5-5", "openai/gpt-6-astra"),
}

CHEAPER = "cheaper"
"""The models of the class light, whatever a persona names: what a person may choose when a budget is used up."""


class RoutingPolicy(Value):
    """What stands behind classes and personas, each in order of preference, and how to choose.

    A persona's names may be models or classes. `providers` are those that have a key (None: not known, take all);
    models of others are left out of a class, but never when a request or persona names them.
    """

    classes: dict[str, tuple[str, ...]] = Field(default_factory=lambda: dict(DEFAULT_CLASSES))
    personas: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    strategy: Strategy = "priority"
    quality: dict[str, float] = Field(default_factory=dict)
    providers: tuple[str, ...] | None = None


class Candidate(Value):
    """A model that may answer; `reason` says why it stands before models that were preferred to it."""

    model: str
    reason: str = ""

    @property
    def provider(self) -> str:
        """The provider whose limits and health count."""
        return provider_of(self.model) or "litellm"


def routing_policy(
    config: ProjectConfig, *, strategy: Strategy = "priority", providers: Collection[str] | None = None
) -> RoutingPolicy:
    """The policy that a project file states; classes it leaves out get the defaults."""
    own = {name: getattr(config.models, name) for name in MODEL_CLASSES}
    personas = {name: (names,) if isinstance(names, str) else tuple(names) for name, names in config.agents.items()}
    return RoutingPolicy(
        classes={name: own[name] or DEFAULT_CLASSES[name] for name in MODEL_CLASSES},
        personas=personas,
        strategy=strategy,
        providers=None if providers is None else tuple(sorted(providers)),
    )


class Health(Value):
    """How a provider has been doing. `until` is Unix time; 0: nothing stands against it."""

    failures: int = 0
    opened: int = 0
    until: float = 0.0
    why: str = ""


class HealthPolicy(Value):
    """When a provider is left alone, and for how long (seconds)."""

    failures: int = Field(default=5, ge=1)
    rest_s: float = Field(default=30.0, ge=0)
    longest_rest_s: float = Field(default=600.0, ge=0)


class Traffic(Protocol):
    """What all workers share about providers: health, and requests and tokens a minute."""

    def health(self) -> Mapping[str, Health]:
        """Health by provider; one that is not named is well."""
        ...

    def update(self, provider: str, change: Callable[[Health], Health]) -> None:
        """Replace a provider's health by what `change` makes of it, as one step."""
        ...

    def admit(self, provider: str, tokens: int, *, most_wait_s: float) -> float:
        """Seconds until a request of this many tokens may go; its place is taken unless that is over `most_wait_s`."""
        ...


def after_failure(health: Health, error: ModelError, now: float, policy: HealthPolicy) -> Health:
    """A provider's health after a failed attempt. Failures that are not the provider's change nothing."""
    if isinstance(error, ModelBusy):
        rest = min(error.retry_after_s if error.retry_after_s is not None else policy.rest_s, policy.longest_rest_s)
        return health.model_copy(update={"until": max(health.until, now + rest), "why": "busy"})
    if not isinstance(error, ModelBroken | ModelTimeout):
        return health
    failures = health.failures + 1
    if failures < policy.failures:
        return health.model_copy(update={"failures": failures})
    rest = min(policy.rest_s * 2**health.opened, policy.longest_rest_s)
    # One more failure after the rest opens the circuit again, for twice as long.
    return Health(failures=policy.failures - 1, opened=health.opened + 1, until=now + rest, why="failing")


def after_success(_: Health) -> Health:
    """A provider that answered is well."""
    return Health()


def rest_left(health: Health | None, now: float, policy: HealthPolicy) -> float:
    """Seconds for which a provider is better left alone; a clock that was set back cannot make it longer."""
    if health is None:
        return 0.0
    left = health.until - now
    return left if 0 < left <= policy.longest_rest_s else 0.0


def candidates(
    request: ModelRequest,
    policy: RoutingPolicy,
    *,
    price: Callable[[str], Price | None],
    resting: Mapping[str, float] | None = None,
    in_flight: Mapping[str, int] | None = None,
    turn: int = 0,
) -> list[Candidate]:
    """The models that may answer, best first; `resting` holds seconds of rest left by provider.

    An explicit model name stands alone: another model answers only where a class or persona allows it. A resting
    provider's models go to the end. `turn` counts calls, for round robin.

    Raises:
        ModelRefused: nothing stands behind the class or persona.
    """
    names = _names(request, policy)
    if not names:
        raise ModelRefused(
            f"No model stands behind {request.model!r} for {request.persona!r}.",
            remedy="Name models in the project file's `models`, or set a key for one of the default providers.",
        )
    fitting = [name for name in names if _fits(request, price(name))] or names
    ordered = _ORDERS[policy.strategy](fitting, _Facts(request, policy, price, in_flight or {}, turn))
    rests = resting or {}
    awake = [name for name in ordered if not rests.get(provider_of(name) or "litellm")]
    asleep = sorted((name for name in ordered if name not in awake), key=lambda n: rests[provider_of(n) or "litellm"])
    skipped = ordered.index(awake[0]) if awake else 0
    reason = f"{', '.join(sorted({provider_of(n) for n in ordered[:skipped]}))} resting" if skipped else ""
    return [Candidate(model=name, reason=reason if at == 0 else "") for at, name in enumerate([*awake, *asleep])]


def behind(request: ModelRequest, policy: RoutingPolicy) -> list[str]:
    """All models that the request's class or persona stands for, keys aside; none when it names a model itself."""
    named = _named(request, policy)
    if named is None:
        return []
    return list(dict.fromkeys(model for name in named for model in policy.classes.get(name, (name,))))


def first_model(name: str, policy: RoutingPolicy) -> str:
    """The model that answers first where a persona names a class or a model, as long as nothing stands against it."""
    behind_it = policy.classes.get(name)
    if behind_it is None:
        return name
    return next((model for model in behind_it if _has_key(model, policy)), behind_it[0] if behind_it else name)


def _names(request: ModelRequest, policy: RoutingPolicy) -> list[str]:
    named = _named(request, policy)
    if named is None:
        return [request.model]
    explicit = {name for name in named if name not in policy.classes}
    return [model for model in behind(request, policy) if model in explicit or _has_key(model, policy)]


def _named(request: ModelRequest, policy: RoutingPolicy) -> tuple[str, ...] | None:
    """The models and classes that stand for a class; None when the request names a model itself."""
    if request.model == CHEAPER:
        return ("light",)
    if request.model not in policy.classes:
        return None
    return policy.personas.get(request.persona) or (request.model,)


def _has_key(model: str, policy: RoutingPolicy) -> bool:
    return policy.providers is None or provider_of(model) in policy.providers


def _fits(request: ModelRequest, price: Price | None) -> bool:
    """Whether the conversation may fit; our estimate is generous, so only twice too long is surely too long."""
    if price is None or not price.context_tokens:
        return True
    return most_input_tokens(request) // 2 <= price.context_tokens


class _Facts:
    def __init__(
        self,
        request: ModelRequest,
        policy: RoutingPolicy,
        price: Callable[[str], Price | None],
        in_flight: Mapping[str, int],
        turn: int,
    ) -> None:
        self.request, self.policy, self.price, self.in_flight, self.turn = request, policy, price, in_flight, turn

    def dollars(self, name: str) -> float:
        """What a call costs, roughly; unpriced is dearest."""
        price = self.price(name)
        if price is None:
            return float("inf")
        rates = price.rates
        return float(most_input_tokens(self.request) * rates.input + self.request.max_output_tokens * rates.output)

    def quality(self, name: str) -> float:
        """What the policy says, else the price of output: the best guess that vendors give us."""
        price = self.price(name)
        return self.policy.quality.get(name, float(price.rates.output) if price else 0.0)

    def lacks(self, name: str) -> int:
        """How many things that the request asks for the model does not take by itself."""
        price = self.price(name)
        if price is None:
            return 1
        return (self.request.schema_ is not None and not price.schema_native) + (
            bool(self.request.effort) and not price.takes_effort
        )


def _balanced(names: list[str], facts: _Facts) -> list[str]:
    cheap, good = sorted(names, key=facts.dollars), sorted(names, key=facts.quality, reverse=True)
    return sorted(names, key=lambda name: cheap.index(name) + good.index(name))


def _rotated(names: list[str], facts: _Facts) -> list[str]:
    start = facts.turn % len(names)
    return names[start:] + names[:start]


_ORDERS: Mapping[Strategy, Callable[[list[str], _Facts], list[str]]] = {
    "priority": lambda names, _: names,
    "capability": lambda names, facts: sorted(names, key=facts.lacks),
    "lowest_cost": lambda names, facts: sorted(names, key=facts.dollars),
    "highest_quality": lambda names, facts: sorted(names, key=facts.quality, reverse=True),
    "balanced": _balanced,
    "round_robin": _rotated,
    "least_loaded": lambda names, facts: sorted(names, key=lambda n: facts.in_flight.get(provider_of(n), 0)),
}
