"""Prefect starts one flow that looks after the questions of all projects, and shows what needs a person afterwards."""

import pytest
from prefect import get_client
from prefect.client.schemas.filters import ArtifactCollectionFilter, ArtifactCollectionFilterKey
from prefect.client.schemas.sorting import ArtifactCollectionSort
from storyloom.cli.demo import make_repository, sample_folder
from storyloom.deployments.composition import compose
from storyloom.deployments.environment import project_folder
from storyloom.deployments.watch import look_after_questions
from storyloom.domain.escalations import Escalation, Kind, Question
from storyloom.domain.ports import ProjectRef
from storyloom.tasks.questions import mirror, mirrored
from storyloom.tasks.waiting import ARTIFACT

pytestmark = [pytest.mark.server, pytest.mark.usefixtures("prefect_harness")]


def test_all_projects_are_looked_after_though_one_cannot_be_opened_and_what_is_left_is_shown(tmp_path, monkeypatch):
    home = tmp_path / "home"
    monkeypatch.setenv("STORYLOOM_HOME", str(home))
    gone = project_folder(home, tmp_path / "gone")
    gone.mkdir(parents=True)
    (gone / "repository").write_text(str(tmp_path / "gone"))
    repository = str(make_repository(sample_folder(), tmp_path / "shop"))
    ports = compose(ProjectRef(repository=repository))
    question = Question(project=repository, kind=Kind.PHASE_GATE, workflow="planning", question="Let planning pass?")
    mirror(
        ports,
        Escalation(
            id=question.id, question=question, severity="critical", project_name="Shelf",
            created="2026-01-01T08:00:00+00:00", deadline="2026-01-02T08:00:00+00:00",
        ),
    )  # fmt: skip
    refused, ended = look_after_questions()
    assert refused.startswith(f"{tmp_path / 'gone'}: ")
    assert ended.startswith(f"{question.id}: its time is up, it is expired; ")
    assert mirrored(ports, question.id).status == "expired"
    with get_client(sync_client=True) as client:
        wanted = ArtifactCollectionFilter(key=ArtifactCollectionFilterKey(any_=[ARTIFACT]))
        (shown,) = client.read_latest_artifacts(artifact_filter=wanted, sort=ArtifactCollectionSort.UPDATED_DESC)
    assert "phase-gate: Let planning pass? (expired)" in shown.data
    assert look_after_questions(repository) == []
