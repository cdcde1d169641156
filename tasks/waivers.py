"""Which findings of reviews has a person dismissed?  By story; they stay dismissed in later rounds and attempts.

A waiver holds from the round on in which it was given. Before that it would change what a story that runs again goes
through, and so where it ends.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from contextlib import suppress

from pydantic import ValidationError

from ..domain.stories import Finding
from .ports import Ports

Round = tuple[int, int]
"""An attempt at a story and a round of review in it, from 1."""


def waived(ports: Ports, story: str, before: Round) -> tuple[Finding, ...]:
    """The findings that a person dismissed for a story in rounds before this one, each with the reason."""
    found = []
    for name in ports.shelf.names(f"waived/{story}/"):
        given = re.search(r"/(\d+)-(\d+)/[0-9a-f]+\.json$", name)
        if given is not None and (int(given[1]), int(given[2])) < before:
            with suppress(ValidationError):
                found.append(Finding.model_validate_json(ports.shelf.get(name) or ""))
    return tuple(found)


def waive(ports: Ports, story: str, at: Round, findings: Sequence[Finding], reason: str) -> None:
    """Dismiss findings in this round; the first reason stays."""
    for finding in findings:
        digest = hashlib.sha256(f"{finding.file}\0{finding.title}".encode()).hexdigest()[:16]
        kept = finding.model_copy(update={"status": "dismissed", "reason": reason})
        ports.shelf.put_new(f"waived/{story}/{at[0]}-{at[1]}/{digest}.json", kept.model_dump_json(indent=2))
