"""A delivery states once what it will cost, from real history or the stated prior, whatever interrupts it."""

from __future__ import annotations

import subprocess
from decimal import Decimal
from pathlib import Path

import pytest
from storyloom.analytics.bill import read_bill
from storyloom.blocks.spool import Spool, read_spool
from storyloom.cli.deliver import Job
from storyloom.cli.plan import estimate_of, show_plan
from storyloom.deployments.composition import compose, configured
from storyloom.deployments.environment import Environment, warehouse_path
from storyloom.domain.epics import read_epics
from storyloom.domain.events import CallRecorded, Estimated, StoryMoved
from storyloom.domain.phases import Phase
from storyloom.domain.phases import until as phases_until
from storyloom.domain.ports import ProjectRef
from storyloom.tasks.estimating import close_estimate, state_stories, stated_for, work_ahead
from storyloom.tasks.ports import Ports, use

CONFIG = """
project: {name: Parts, level: 2}
agents: {mary: openai/gpt-6-sol, amelia: anthropic/claude-sonnet-5-5}
settings: {llm_budget_usd: 2}
"""
EPICS = "# Epics\n\n## Epic 1: Parts\n\n### Story 1.1: One\n\nText.\n\n### Story 1.2: Two\n\nText.\n"
ALL = tuple(Phase)


@pytest.fixture
def ports(tmp_path: Path) -> Ports:
    folder = tmp_path / "parts"
    (folder / ".bmad").mkdir(parents=True)
    (folder / ".bmad" / "project-config.yaml").write_text(CONFIG)
    you = ("-c", "user.name=a", "-c", "user.email=a@b")
    for command in (["init", "-q", "-b", "main"], ["add", "-A"], [*you, "commit", "-q", "-m", "start"]):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return compose(ProjectRef(repository=str(folder)), Environment(home=tmp_path / "home"))


def stated(ports: Ports, home: Path) -> dict[str, Estimated]:
    events = read_spool(home / "home" / "spool").events
    return {event.name: event for event in events if isinstance(event, Estimated)}


def test_before_there_is_anything_each_phase_and_the_stories_are_foreseen_by_the_stated_prior(
    ports: Ports, tmp_path: Path
):
    text = stated_for(ports, ALL)
    found = stated(ports, tmp_path)
    assert list(found) == ["analysis", "planning", "solutioning", "stories", "quality", "deployment", "total"]
    assert found["analysis"].basis == "stated prior at the price of gpt-6-sol"
    assert "5 to 15 stories" in found["stories"].basis
    assert "claude-sonnet-5-5" in found["stories"].basis
    assert found["total"].likely == sum(event.likely for event in found.values() if event.part != "total")
    assert "more than the budget of $2" in text


def test_a_run_that_goes_on_states_no_second_estimate(ports: Ports, tmp_path: Path):
    first = stated_for(ports, ALL)
    ports.workspace.commit_files({"docs/product-brief.md": "# Brief\n"}, "docs: brief", "op-1")
    again = compose(ports.project, Environment(home=tmp_path / "home"))
    assert stated_for(again, ALL) == stated_for(again, phases_until(Phase.PLANNING)) == first
    assert len(stated(ports, tmp_path)) == 7


def test_stories_get_parts_of_their_own_once_they_are_known_and_the_whole_stays(ports: Ports, tmp_path: Path):
    stated_for(ports, ALL)
    total = stated(ports, tmp_path)["total"]
    with use(lambda _: ports):
        state_stories(ports.project, read_epics(EPICS).stories)
        state_stories(ports.project, read_epics(EPICS).stories[:1])
    found = stated(ports, tmp_path)
    assert {event.tags.story for event in found.values() if event.part == "story"} == {"stories", "1-1-one", "1-2-two"}
    assert found["total"] == total


def test_the_next_delivery_states_its_own_for_what_is_missing(ports: Ports, tmp_path: Path):
    stated_for(ports, ALL)
    with use(lambda _: ports):
        close_estimate(ports.project, phases_until(Phase.PLANNING))
        assert len(work_ahead(ports, ALL)) == 6
        texts: dict[str, str | None] = {
            f"docs/{name}.md": "# There\n" for name in ("product-brief", "prd", "architecture", "quality-gate")
        }
        board = "development_status:\n  epic-1: in-progress\n  1-1-one: done\n  1-2-two: backlog\n"
        texts |= {"docs/epics.md": EPICS, "docs/sprint-status.yaml": board}
        ports.workspace.commit_files(texts, "docs", "op-2")
        kept = stated_for(ports, ALL)
        close_estimate(ports.project, ALL)
        assert stated_for(ports, ALL) != kept
    ahead = work_ahead(ports, ALL)
    assert [(part.name, part.times[1]) for part in ahead] == [
        ("solutioning", Decimal("0.33")),
        ("1-2-two", 1),
        ("deployment", 1),
    ]


def test_nothing_ahead_is_no_estimate(ports: Ports, tmp_path: Path):
    ports.workspace.commit_files({"docs/product-brief.md": "# There\n"}, "docs", "op-1")
    assert stated_for(ports, [Phase.ANALYSIS]) == ""
    assert stated(ports, tmp_path) == {}


def test_what_earlier_stories_cost_replaces_the_prior(ports: Ports, tmp_path: Path):
    spool = Spool(tmp_path / "home" / "spool")
    for number in (1, 2, 3):
        tags = {"project": "Parts", "run": "r0", "story": f"0-{number}-old"}
        base = {"event_id": f"e{number}", "ts": "2026-05-04T00:00:00+00:00", "tags": tags}
        spool.record(CallRecorded.model_validate({**base, "logical_call_id": "x", "cost": Decimal(number)}))
        spool.record(StoryMoved.model_validate({**base, "to_status": "done"}))
    ports.workspace.commit_files({"docs/epics.md": EPICS}, "docs", "op-1")
    stated_for(ports, [Phase.IMPLEMENTATION])
    found = stated(ports, tmp_path)
    assert (found["1-1-one"].likely, found["1-1-one"].basis) == (2, "3 past stories")
    assert found["total"].likely == 4
    bill = read_bill(warehouse_path(tmp_path / "home"), project="Parts")
    assert bill.total.cost == 6


def test_a_plan_shows_the_estimate_and_records_none(ports: Ports, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    job = Job(ports.project, configured(ports.project), "", Phase.DEPLOYMENT, Environment(home=tmp_path / "home"))
    show_plan(job)
    said = capsys.readouterr().out
    assert "What it will probably cost" in said
    assert "5 to 15 stories, probably 8" in said
    show_plan(job, as_json=True)
    assert f'"likely": "{estimate_of(job).likely}"' in capsys.readouterr().out
    assert stated(ports, tmp_path) == {}


@pytest.mark.parametrize("broken", ["a folder in its place", "no DuckDB file"])
def test_a_history_that_cannot_be_read_is_none_and_stops_no_run(ports: Ports, tmp_path: Path, broken: str):
    warehouse = warehouse_path(tmp_path / "home")
    if broken == "no DuckDB file":
        warehouse.write_text("not a database, but a rather long text that stands where it should be")
    else:
        warehouse.mkdir()
    assert "stated prior" in stated_for(ports, ALL)
