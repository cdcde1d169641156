"""Which way leads from a project to its models, and what is put right before the first call?"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from pydantic import SecretStr
from storyloom.blocks.call_journal import CallJournal
from storyloom.blocks.ledger import Ledger
from storyloom.blocks.model_door import Door
from storyloom.blocks.provider_traffic import ProviderTraffic
from storyloom.blocks.routes import routes as routes_to
from storyloom.domain.budget import Alert, Cap, Scope
from storyloom.domain.errors import ConfigError
from storyloom.domain.ports import Recorder
from storyloom.domain.prices import bundled_prices
from storyloom.domain.redaction import MASK, SHORTEST_SECRET, Redactor
from storyloom.domain.routing import routing_policy
from storyloom.domain.settings import ProjectConfig
from storyloom.domain.wire import Endpoint, Route

from .environment import PROVIDER_KEYS, Environment

PLANTED = "sk-planted-" + "0123456789abcdef" * 2
"""Looks like a key and is none: what the redactor must find by its shape alone."""


def open_ledger(config: ProjectConfig, environment: Environment, state: Path) -> Ledger:
    """The project's budgets, in the database that all its workers share."""
    return Ledger(environment.ledger_url or f"sqlite:///{state / 'ledger.sqlite'}", config.settings.caps())


def open_door(
    config: ProjectConfig,
    environment: Environment,
    state: Path,
    recorder: Recorder,
    ledger: Ledger,
    *,
    on_alert: Callable[[Alert], None] | None = None,
    routes: Mapping[str, Route] | None = None,
) -> Door:
    """The one door to models: the vendors' SDKs for their own models, litellm for all others.

    Health and rate limits of providers are shared by all projects and workers of this installation, or of the fleet
    where the ledger has an address of its own. A ledger that was lost is filled again from the journal.

    Raises:
        ConfigError: a key would not be kept out of what is written.
    """
    redact = Redactor(environment.keys.values())
    must_redact(redact, environment.keys)
    endpoints = {
        provider: Endpoint(
            api_key=SecretStr(environment.keys[provider]) if provider in environment.keys else None,
            base_url=environment.base_urls.get(provider, ""),
        )
        for provider in {*environment.keys, *environment.base_urls}
    }
    shared = environment.ledger_url or f"sqlite:///{environment.home / 'providers.sqlite'}"
    journal = CallJournal(state / "journal")
    door = Door(
        routes_to(endpoints) if routes is None else routes,
        journal,
        ledger,
        recorder,
        routing_policy(config, providers=tuple(environment.keys) or None),
        bundled_prices(),
        traffic=ProviderTraffic(shared, config.settings.rate_limits),
        redact=redact,
        on_alert=on_alert,
    )
    spent = ledger.spent(Scope(kind="project", id=config.project.name))
    if spent.model_copy(update={"cap": Cap()}) == type(spent)(scope=spent.scope):  # new, or lost
        door.recover(journal.all_attempts())
    return door


def must_redact(redact: Callable[[str], str], keys: Mapping[str, str]) -> None:
    """Plant every key where texts come from, and look whether it is taken out: in plain text and inside JSON.

    Raises:
        ConfigError: one is not; nothing is started then.
    """
    planted = {"": PLANTED, **{PROVIDER_KEYS.get(p, p): key for p, key in keys.items() if len(key) >= SHORTEST_SECRET}}
    for name, key in planted.items():
        plain = redact(f"Incorrect API key provided: {key}. x-api-key={key}")
        in_json = redact(json.dumps({"error": {"message": f"key {key} is wrong"}}))
        if key not in plain and MASK in plain and key not in in_json and MASK in in_json:
            continue
        if not name:
            raise ConfigError(
                "A planted key is not taken out of texts: keys could reach logs and files, so nothing is started.",
                remedy="This installation is broken; install it again.",
            )
        raise ConfigError(
            f"The value of {name} would not be taken out of texts and could reach logs and files; nothing is started.",
            remedy="Set it again without quotes, backslashes, spaces or line ends around the key.",
        )
