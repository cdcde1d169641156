"""What has the project learned from people's answers?"""

from __future__ import annotations

from contextlib import suppress

from pydantic import ValidationError

from ..domain.decisions import Fact
from .ports import Ports

PREFIX = "facts/"


def facts(ports: Ports) -> list[Fact]:
    """The facts that hold, by their ids."""
    found = []
    for name in ports.shelf.names(PREFIX):
        with suppress(ValidationError):
            fact = Fact.model_validate_json(ports.shelf.get(name) or "")
            if not fact.removed:
                found.append(fact)
    return found


def keep_fact(ports: Ports, fact: Fact) -> None:
    """Keep a fact; a newer answer to the same question replaces the older one."""
    ports.shelf.put(f"{PREFIX}{fact.id}.json", fact.model_dump_json(indent=2))


def remove_fact(ports: Ports, fact_id: str) -> bool:
    """Let a fact hold no longer; False if there was none. What was decided by it stays decided."""
    fact = next((fact for fact in facts(ports) if fact.id == fact_id), None)
    if fact is None:
        return False
    keep_fact(ports, fact.model_copy(update={"removed": True}))
    return True
