"""What needs a person?  Waiting questions, failures and budgets of all projects of this installation, gravest first."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from storyloom.domain.budget import Spending
from storyloom.domain.escalations import inert, plain
from storyloom.domain.phases import Phase

from .environment import Environment

ORDER = ("critical", "important", "normal")
ALERT_SHARE = Decimal("0.8")


@dataclass(frozen=True)
class Need:
    """One thing that waits for a person. `since` is UTC, "" if unknown."""

    severity: str
    since: str
    project: str
    what: str
    how: str
    link: str = ""


def needs_markdown(found: Sequence[Need]) -> str:
    """The same as a page for a phone: one entry after the other, nothing in it active but our own links."""
    if not found:
        return "# What needs me\n\nNothing needs you.\n"
    lines = [f"# What needs me ({len(found)})", ""]
    for need in found:
        since = f" · since {need.since[:16].replace('T', ' ')} UTC" if need.since else ""
        lines += [f"### {need.severity} · {inert(need.project)}{since}", "", inert(plain(need.what)), ""]
        lines += [f"`{plain(need.how).replace('`', '')}`", ""] if need.how else []
        if need.link.startswith(("http://", "https://")) and not set(need.link) & set("()<> \n"):
            lines += [f"[Open the run]({need.link})", ""]
    return "\n".join(lines)


def needs(environment: Environment) -> list[Need]:
    """Everything that waits for a person, the gravest and oldest first."""
    found: list[Need] = []
    for folder in sorted((environment.home / "projects").glob("*")):
        questions, failures = list(_questions(folder)), list(_failures(folder))
        phases = _phases(folder, asked=bool(questions), failed=bool(failures))
        found += [*questions, *failures, *phases, *_budget(folder, environment.ledger_url)]
    return sorted(found, key=lambda need: (ORDER.index(need.severity), need.since or "~"))


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
            how = f"storyloom escalations show {e.id} -C {shlex.quote(e.question.project)}"
            project = e.project_name or Path(e.question.project).name
            word = {"pending": "", "set_aside": " (set aside)", "expired": " (expired)"}[e.status]
            yield Need(e.severity, e.created, project, f"{e.question.kind}: {e.question.question}{word}", how, e.link)


def _failures(folder: Path) -> Iterator[Need]:
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
            what = f"{outcome.story} {outcome.status}: {outcome.reason}"
            how = f"storyloom deliver, in {_repository(folder)}, goes on with it"
            yield Need(severity, _time(shelf.changed(name)), _name(folder), what, how)


def _phases(folder: Path, *, asked: bool, failed: bool) -> Iterator[Need]:
    """Phases that failed, or stopped for something else than a question; stories speak for the implementation."""
    from pydantic import ValidationError
    from storyloom.blocks.shelf import FileShelf
    from storyloom.tasks.delivery import PhaseEnd

    shelf = FileShelf(folder / "shelf")
    for name in shelf.names("phases/"):
        try:
            end = PhaseEnd.model_validate_json(shelf.get(name) or "")
        except ValidationError:
            continue
        said = end.phase is Phase.IMPLEMENTATION and failed
        if said or not (end.state == "failed" or (end.state == "waiting" and not asked)):
            continue
        how = f"storyloom deliver, in {_repository(folder)}, goes on with it"
        what = f"{end.phase.value} {end.state}: {end.detail}"
        yield Need("important", _time(shelf.changed(name)), _name(folder), what, how)


def _budget(folder: Path, ledger_url: str) -> Iterator[Need]:
    """The project's and this day's budgets of which most is spent or reserved; one that cannot be read is told, too."""
    from sqlalchemy.exc import SQLAlchemyError
    from storyloom.blocks.ledger import Ledger
    from storyloom.blocks.project_config import read_project_config
    from storyloom.domain.budget import Scope
    from storyloom.domain.errors import StoryloomError

    path, repository = folder / "ledger.sqlite", _repository(folder)
    if not repository or not (ledger_url or path.exists()):
        return
    name = Path(repository).name
    try:
        config = read_project_config(repository)
        name = config.project.name or name
        ledger = Ledger(ledger_url or f"sqlite:///{path}", config.settings.caps())
        scopes = (Scope(kind="project", id=name), Scope(kind="day", id=f"{name}/{datetime.now(UTC):%Y-%m-%d}"))
        try:
            spent = [ledger.spent(scope) for scope in scopes]
        finally:
            ledger.close()
    except (StoryloomError, OSError, SQLAlchemyError) as error:
        yield Need("important", "", name, f"budget: it cannot be read: {error}", "storyloom doctor")
        return
    for one in spent:
        yield from _alerts(name, one)


def _alerts(project: str, spending: Spending) -> Iterator[Need]:
    cap, kind = spending.cap, spending.scope.kind
    usd, tokens = spending.usd + spending.usd_reserved, spending.tokens + spending.tokens_reserved
    of = "" if kind == "project" else f" of this {kind}"
    if cap.usd is not None and usd and usd >= cap.usd * ALERT_SHARE:
        setting = "llm_budget_usd" if kind == "project" else f"budgets.{kind}"
        what = f"budget{of}: ${usd:.2f} of ${cap.usd:.2f} are spent"
        yield _alert(usd >= cap.usd, project, what, setting)
    if cap.tokens is not None and tokens and tokens >= cap.tokens * ALERT_SHARE:
        setting = "llm_budget_tokens" if kind == "project" else f"budgets.{kind}"
        what = f"budget{of}: {tokens:,} of {cap.tokens:,} tokens are spent"
        yield _alert(tokens >= cap.tokens, project, what, setting)


def _alert(spent: bool, project: str, what: str, setting: str) -> Need:
    return Need("critical" if spent else "important", "", project, what, f"raise settings.{setting}, or stop")


def _repository(folder: Path) -> str:
    try:
        return (folder / "repository").read_text()
    except OSError:
        return ""


def _name(folder: Path) -> str:
    return folder.name.rsplit("-", 1)[0]


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
