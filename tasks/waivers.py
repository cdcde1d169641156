"""Which findings of reviews has a person dismissed?  By story; they stay dismissed in later rounds and attempts."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import suppress

from pydantic import ValidationError

from ..domain.stories import Finding
from .ports import Ports


def waived(ports: Ports, story: str) -> tuple[Finding, ...]:
    """The findings that a person dismissed for a story, each with the reason."""
    found = []
    for name in ports.shelf.names(f"waived/{story}/"):
        with suppress(ValidationError):
            found.append(Finding.model_validate_json(ports.shelf.get(name) or ""))
    return tuple(found)


def waive(ports: Ports, story: str, findings: Sequence[Finding], reason: str) -> None:
    """Dismiss findings; the first reason stays."""
    for finding in findings:
        digest = hashlib.sha256(f"{finding.file}\0{finding.title}".encode()).hexdigest()[:16]
        kept = finding.model_copy(update={"status": "dismissed", "reason": reason})
        ports.shelf.put_new(f"waived/{story}/{digest}.json", kept.model_dump_json(indent=2))
