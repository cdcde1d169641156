"""People hear that a budget is spent, though the process that had to say so was killed in the middle of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from storyloom.blocks.ledger import Ledger
from storyloom.domain.budget import Alert, Cap, Scope
from storyloom.domain.errors import StorageFull
from storyloom.domain.events import Event
from storyloom.domain.fakes import MemoryShelf
from storyloom.domain.model_calls import CallTags
from storyloom.domain.ports import ProjectRef
from storyloom.domain.settings import ProjectConfig
from storyloom.tasks.alerts import tell_of_budget
from storyloom.tasks.notify import SENDS_WITHIN
from storyloom.tasks.ports import Ports


class Killed(BaseException):
    """The process ended here."""


class Told:
    """A channel and a spool; the process ends when it reaches `dies_at`."""

    def __init__(self, dies_at: str = "") -> None:
        self.dies_at, self.heard, self.events = dies_at, list[str](), list[Event]()

    def send(self, channel: str, title: str, _body: str, _severity: str) -> str:
        if self.dies_at == "sending":
            raise Killed
        self.heard.append(f"{channel}: {title}")
        if self.dies_at == "sent":
            raise Killed
        return ""

    def record(self, event: Event) -> None:
        if self.dies_at == "recording":
            raise Killed
        if self.dies_at == "disk full":
            raise StorageFull("The disk is full.")
        self.events.append(event)


def opened(shelf: MemoryShelf, told: Told) -> Ports:
    config = ProjectConfig.model_validate({"notify": {"normal": ["ops"]}})
    return Ports(ProjectRef(repository="/p"), config=config, shelf=shelf, recorder=told, notifier=told)


def due() -> Alert:
    scope = Scope(kind="project", id="p")
    return Alert(scope=scope, level=50, unit="dollars", spent=Decimal(5), cap=Decimal(10))


@pytest.mark.parametrize("dies_at", ["recording", "sending", "sent", "disk full"])
def test_an_alert_is_passed_on_again_when_nobody_can_have_heard_of_it(dies_at: str):
    shelf, first, again = MemoryShelf(), Told(dies_at), Told()
    try:
        tell_of_budget(opened(shelf, first), due())
    except Killed:
        tell_of_budget(opened(shelf, again), due())  # at once: perhaps it is still being sent
        for name in [name for name in shelf.kept if name.startswith("notices/") and dies_at in ("sending", "sent")]:
            begun = datetime.now(UTC) - SENDS_WITHIN - timedelta(seconds=1)
            shelf.put(name, f"sending {begun.isoformat(timespec='seconds')}")
    for _ in range(3):
        tell_of_budget(opened(shelf, again), due())
    assert again.heard == ["ops: 50 % of a budget spent: project"]
    assert len({event.event_id for event in first.events + again.events}) == 1


def test_an_alert_that_was_passed_on_is_not_told_again():
    shelf, told = MemoryShelf(), Told()
    assert tell_of_budget(opened(shelf, told), due()) == ["ops"]
    assert tell_of_budget(opened(shelf, told), due()) == []
    assert (len(told.heard), len(told.events)) == (1, 1)
    more = due().model_copy(update={"level": 80})
    assert tell_of_budget(opened(shelf, told), more) == []  # its severity has no channel
    assert len(told.events) == 2


def test_the_ledger_says_which_alerts_it_gave_until_a_cap_is_raised(tmp_path: Path):
    tags = CallTags(project="p", run="r")
    caps = {"run": Cap(usd=Decimal(10)), "day": Cap(tokens=100), "project": Cap(usd=Decimal(1000))}
    ledger = Ledger(f"sqlite:///{tmp_path}/ledger.sqlite", caps)
    assert ledger.told() == []
    ledger.reserve("a", tags, usd=Decimal(6), tokens=81)
    given = ledger.settle("a", usd=Decimal(6), tokens=81)
    assert {(alert.scope.kind, alert.level, alert.unit) for alert in given} == {
        ("run", 50, "dollars"), ("day", 80, "tokens"),
    }  # fmt: skip
    again = Ledger(f"sqlite:///{tmp_path}/ledger.sqlite", caps)
    assert sorted(map(str, again.told())) == sorted(map(str, given))
    again.set_cap(Scope(kind="run", id="r"), Cap(usd=Decimal(20)))
    assert [alert.scope.kind for alert in again.told()] == ["day"]
