"""A night develops what is ready, states what that will cost, and ends with a report."""

import importlib.util
from datetime import date
from pathlib import Path

import pytest
from storyloom.domain.estimate import Planned, estimate
from storyloom.domain.prices import bundled_prices
from storyloom.tasks.ports import use

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.usefixtures("prefect_harness")]

_spec = importlib.util.spec_from_file_location("people", Path(__file__).with_name("people.py"))
people = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(people)


def foresee(ahead: list[Planned]):
    priced = [part.model_copy(update={"model": "anthropic/claude-sonnet-5-5"}) for part in ahead]
    return estimate(priced, [], lambda model: bundled_prices().price(model, date(2026, 11, 21)))


def test_a_night_states_its_estimate_once_and_merges_what_is_ready(tmp_path):
    from storyloom.flows.nightly_stories import nightly_stories

    def model(request):
        if request.purpose == "review":
            return people.approving()
        return people.writing(f"part{request.tags.story.split('-')[1]}.py", "X = 1\n")

    stories = [people.planned(number, f"`part{number}.py`", after="None") for number in (1, 2)]
    ports = people.committed_ports(tmp_path, people.epics(*stories), model, lambda *_: people.PASSED, foresee=foresee)
    with use(lambda project: ports):
        report = nightly_stories(ports.project, 1.0, 6, 2)
        assert {outcome.status for outcome in report.stories} == {"merged"}, report
        again = nightly_stories(ports.project, 1.0, 6, 2)
    assert again.status == "already_done"
    stated = [event for event in ports.recorder.events if event.event == "estimate"]
    assert {event.name for event in stated} == {"1-1-part", "1-2-part", "total"}
    assert len({event.event_id for event in stated}) == 3
    assert ports.shelf.get("estimate") == ""
