"""When a budget is used up a person decides, each story goes its way, and nothing is paid twice."""

from __future__ import annotations

import importlib.util
import threading
import uuid
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from prefect.task_runners import ThreadPoolTaskRunner
from storyloom.blocks.ledger import Ledger
from storyloom.domain.approvals import Given
from storyloom.domain.budget import Scope
from storyloom.domain.caps import CHEAPER, STOP
from storyloom.domain.model_calls import ModelReply, ModelRequest
from storyloom.domain.routing import CHEAPER as CHEAPER_CLASS
from storyloom.domain.settings import ProjectConfig
from storyloom.domain.stories import StoryOutcome
from storyloom.tasks.answers import submit
from storyloom.tasks.ports import Ports, use
from storyloom.tasks.questions import escalations

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.whole, pytest.mark.usefixtures("prefect_harness")]


def _people() -> ModuleType:
    spec = importlib.util.spec_from_file_location("people", Path(__file__).with_name("people.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


people = _people()
EPICS = people.epics(*(people.planned(n, f"`part{n}.py`") for n in range(1, 4)))


class Paid:
    """A scripted model of which each call costs a dollar, a tenth by the cheaper class, within the ledger's caps."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger, self.sent = ledger, list[tuple[str, str, str]]()

    def __call__(self, request: ModelRequest) -> ModelReply:
        name, usd = uuid.uuid4().hex, Decimal("0.1" if request.model == CHEAPER_CLASS else 1)
        self.ledger.reserve(name, request.tags, usd=usd, tokens=1)
        self.ledger.settle(name, usd=usd, tokens=1)
        self.sent.append((request.tags.story, request.purpose, request.model))
        if request.purpose == "review":
            return people.approving()  # type: ignore[no-any-return]
        return people.writing(f"part{request.tags.story.split('-')[1]}.py", "DONE = True\n")  # type: ignore[no-any-return]


def project(tmp_path: Path, settings: dict[str, Any]) -> tuple[Ports, Paid]:
    config = {"settings": settings}
    caps = ProjectConfig.model_validate(config).settings.caps()
    ledger = Ledger(f"sqlite:///{tmp_path}/ledger.sqlite", caps)
    paid = Paid(ledger)
    return people.committed_ports(tmp_path, EPICS, paid, config=config, budgets=ledger), paid


def run(ports: Ports, done: tuple[str, ...] = ()) -> dict[str, StoryOutcome]:
    from storyloom.flows.implementation import batch

    flow = batch.with_options(task_runner=ThreadPoolTaskRunner(max_workers=3))
    with use(lambda _project: ports):
        return flow(ports.project, list(done), 3)  # type: ignore[return-value]


def test_each_story_that_is_set_aside_at_its_cap_goes_the_way_that_is_answered_and_once(tmp_path: Path):
    settings = {"when_asked": "set_aside", "story_budget_usd": 1.5}
    ports, paid = project(tmp_path, settings)
    first = run(ports)
    assert {(end.status, end.lane) for end in first.values()} == {("waiting", "budget")}, first
    assert [purpose for _, purpose, _ in paid.sent] == ["work"] * 3
    asked = {e.question.story: e for e in escalations(ports)}
    ways = dict(zip(sorted(asked), ("raise it to $4.00", CHEAPER, STOP), strict=True))
    for story, way in ways.items():
        assert submit(ports, asked[story].id, Given(answer=way)).verdict == "holds"
    ports, paid = project(tmp_path, settings)  # as after a restart
    again = run(ports)
    ends = [(again[story].status, again[story].lane) for story in sorted(again)]
    assert ends == [("merged", None), ("merged", None), ("failed", "budget")], again
    assert "chose to stop" in again["1-3-part"].reason
    assert sorted(paid.sent) == [("1-1-part", "review", "standard"), ("1-2-part", "review", CHEAPER_CLASS)]
    spent = [paid.ledger.spent(Scope(kind="story", id=f"/{story}")) for story in sorted(again)]
    assert [s.cap.usd for s in spent] == [Decimal(4), Decimal("1.5"), Decimal("1.5")]
    ports, paid = project(tmp_path, settings)
    assert run(ports, ("1-1-part", "1-2-part"))["1-3-part"].status == "failed"
    assert paid.sent == []


def test_stories_that_wait_for_one_budget_are_asked_for_together_and_go_on_together(tmp_path: Path):
    ports, paid = project(tmp_path, {"when_asked": "pause", "budgets": {"project": {"usd": 3.5}}})
    seen: set[str] = set()
    over = threading.Event()

    def person() -> None:
        while not over.wait(0.5):
            for one in escalations(ports):
                if one.status == "pending" and len(paid.sent) == 3:  # whichever: a story may be reviewed already
                    seen.add(one.id)
                    submit(ports, one.id, Given(answer=one.question.options[0]))

    thread = threading.Thread(target=person, daemon=True)
    thread.start()
    try:
        ends = run(ports)
    finally:
        over.set()
        thread.join()
    assert {end.status for end in ends.values()} == {"merged"}, ends
    assert len(seen) == 1
    assert len(paid.sent) == 6
    assert paid.ledger.spent(Scope(kind="project", id="")).usd == 6


def test_unattended_a_story_at_its_cap_is_set_aside_and_the_others_end(tmp_path: Path):
    ports, paid = project(tmp_path, {"when_asked": "recommendation", "budgets": {"run": {"usd": 5.5}}})
    ends = run(ports)
    assert sorted(end.status for end in ends.values()) == ["merged", "merged", "waiting"], ends
    assert [e.status for e in escalations(ports)] == ["set_aside"]
    assert len(paid.sent) == 5
