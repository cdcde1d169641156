"""Stories whose titles are in any script are developed and merged like others."""

import importlib.util
from pathlib import Path

import pytest
from storyloom.tasks.ports import use

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.whole, pytest.mark.usefixtures("prefect_harness")]

_spec = importlib.util.spec_from_file_location("people", Path(__file__).with_name("people.py"))
people = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(people)

TITLES = ["Größe ändern", "本を借りる" * 12, "1³ + 2³ = 9", "🚀 🎉", "Ｆｕｌｌ & 𝒜𝒷𝒸" * 8]
EPICS = people.epics(*(people.planned(n, f"`part{n}.py`", title=title) for n, title in enumerate(TITLES, 1)))


def model(request):
    if request.purpose == "review":
        return people.approving()
    return people.writing(f"part{request.tags.story.split('-')[1]}.py", "X = 1\n")


def test_titles_in_any_script_become_merged_stories(tmp_path):
    from storyloom.flows.implementation import implementation

    ports = people.committed_ports(tmp_path, EPICS, model, config={"settings": {"max_concurrent_agents": 2}})
    with use(lambda project: ports):
        report = implementation(ports.project)
    assert {outcome.story: outcome.reason for outcome in report.stories if outcome.status != "merged"} == {}
    assert len(report.did) == len(TITLES)
    workspace = ports.workspace
    tip = workspace.tip()
    assert all(workspace.read(tip, f"part{n}.py") == "X = 1\n" for n in range(1, len(TITLES) + 1))
    assert workspace.leftovers() == []
