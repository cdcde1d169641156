"""What needs me?  Waiting questions, failures and budgets of all projects of this installation, the gravest first."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from storyloom.deployments.environment import Environment

ORDER = ("critical", "important", "normal")
ALERT_SHARE = Decimal("0.8")
PICO = Decimal(10) ** 12
"""The ledger keeps money in whole picodollars."""


@dataclass(frozen=True)
class Need:
    """One thing that waits for a person."""

    severity: str
    since: str
    project: str
    what: str
    how: str
    link: str = ""


def needs(environment: Environment) -> list[Need]:
    """Everything that waits for a person, the gravest and oldest first."""
    found: list[Need] = []
    for folder in sorted((environment.home / "projects").glob("*")):
        found += [*_questions(folder), *_failures(folder), *_budget(folder)]
    return sorted(found, key=lambda need: (ORDER.index(need.severity), need.since))


def show_status(*, as_json: bool) -> int:
    """Print what needs a person; 0 when nothing does, 3 when something waits."""
    from storyloom.deployments.environment import read_environment
    from storyloom.domain.escalations import plain

    found = needs(read_environment())
    if as_json:
        print(json.dumps([asdict(need) for need in found], indent=2, ensure_ascii=False))
    for need in () if as_json else found:
        print(f"{need.severity:<9} {need.since[:16]:<16} {need.project}: {plain(need.what, 110)}")
        for line in (need.how, need.link):
            if line:
                print(f"{'':<27}{line}")
    if not found and not as_json:
        print("Nothing needs you.")
    return 3 if found else 0


def _questions(folder: Path) -> Iterator[Need]:
    from pydantic import ValidationError
    from storyloom.blocks.shelf import FileShelf
    from storyloom.domain.escalations import Escalation

    shelf = FileShelf(folder / "shelf")
    for name in shelf.names(".bmad-escalations/"):
        try:
            e = Escalation.model_validate_json(shelf.get(name) or "")
        except ValidationError:
            continue
        if e.status in ("pending", "set_aside", "expired"):
            how = f"storyloom escalations show {e.id} -C {e.question.project}"
            project = e.project_name or Path(e.question.project).name
            word = {"pending": "", "set_aside": " (set aside)", "expired": " (expired)"}[e.status]
            yield Need(e.severity, e.created, project, f"{e.question.kind}: {e.question.question}{word}", how, e.link)


def _failures(folder: Path) -> Iterator[Need]:
    from datetime import UTC, datetime

    from pydantic import ValidationError
    from storyloom.blocks.shelf import FileShelf
    from storyloom.domain.stories import StoryOutcome

    shelf = FileShelf(folder / "shelf")
    for name in shelf.names("stories/"):
        if not name.endswith("/outcome.json"):
            continue
        try:
            outcome = StoryOutcome.model_validate_json(shelf.get(name) or "")
        except ValidationError:
            continue
        if outcome.status in ("failed", "blocked") or (outcome.status == "waiting" and outcome.lane != "person"):
            severity = "critical" if outcome.lane == "budget" else "normal"
            since = datetime.fromtimestamp(folder.stat().st_mtime, UTC).isoformat(timespec="seconds")
            what = f"{outcome.story} {outcome.status}: {outcome.reason}"
            yield Need(severity, since, _name(folder), what, "storyloom deliver goes on with it")


def _budget(folder: Path) -> Iterator[Need]:
    import sqlite3

    from storyloom.blocks.project_config import read_project_config
    from storyloom.domain.errors import ConfigError

    path, note = folder / "ledger.sqlite", folder / "repository"
    try:
        cap = read_project_config(note.read_text()).settings.llm_budget_usd
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as ledger:
            query = "SELECT usd + usd_reserved FROM ledger_scope WHERE kind = 'project'"
            spent = sum(row[0] for row in ledger.execute(query)) / PICO
    except (OSError, sqlite3.Error, ConfigError):
        return
    if cap and spent >= cap * ALERT_SHARE:
        severity = "critical" if spent >= cap else "important"
        yield Need(
            severity, "", _name(folder), f"${spent:.2f} of ${cap:.2f} are spent", "raise llm_budget_usd, or stop"
        )


def _name(folder: Path) -> str:
    return folder.name.rsplit("-", 1)[0]
