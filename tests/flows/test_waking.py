"""An answer by command resumes the run that waits, however far above the one that asked, and says what is so."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from prefect import flow, get_client, task
from prefect.input import keyset_from_base_key
from prefect.settings import PREFECT_API_URL
from prefect.states import Completed, Running, Scheduled, Suspended
from storyloom.cli.demo import make_repository, sample_folder
from storyloom.deployments.composition import compose
from storyloom.domain.escalations import Escalation
from storyloom.domain.ports import ProjectRef
from storyloom.flows.forms import form
from storyloom.flows.waking import wake_for
from storyloom.tasks.questions import kept_answer, mirror

pytestmark = [pytest.mark.server, pytest.mark.usefixtures("prefect_harness")]

_spec = importlib.util.spec_from_file_location("people", Path(__file__).with_name("people.py"))
people = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(people)


@flow(name="some-run")
def some_run():
    """Never started: only its runs' states count here."""


@task(name="some-task")
def some_task():
    """Stands between two runs."""


def chain(*states):
    """Runs, each below the one before, in these states; their ids, the top run first."""
    ids, above = [], None
    with get_client(sync_client=True) as client:
        for state in states:
            if state.is_paused():  # only runs of a deployment are suspended
                deployment = client.create_deployment(client.create_flow(some_run), "some")
                run = client.create_flow_run_from_deployment(deployment)
            else:
                run = client.create_flow_run(some_run, parent_task_run_id=above, state=Scheduled())
            if state.is_paused():  # with a form, as `suspend_flow_run` leaves it
                state.state_details.run_input_keyset = keyset = keyset_from_base_key("question")
                schema = json.dumps(form(asked_by(run.id)).model_json_schema())
                client.create_flow_run_input(flow_run_id=run.id, key=keyset["schema"], value=schema)
            client.set_flow_run_state(run.id, state, force=True)
            above = client.create_task_run(some_task, flow_run_id=run.id, dynamic_key="0").id
            ids.append(run.id)
    return ids


def state_of(run_id):
    with get_client(sync_client=True) as client:
        return client.read_flow_run(run_id).state


def asked_by(run_id, question=people.ASKED):
    return Escalation(
        id=question.id, question=question, severity="important", created="2026-01-01T08:00", flow_run=str(run_id)
    )


def suspended():
    return Suspended(timeout_seconds=3600)


def test_the_suspended_top_run_is_resumed_not_the_finished_one_that_asked(tmp_path):
    top, middle, asked = chain(suspended(), Completed(), Completed())
    assert wake_for(people.project_ports(tmp_path), asked_by(asked)) == "goes on"
    assert [state_of(one).is_paused() for one in (top, middle, asked)] == [False] * 3
    assert not state_of(top).is_final()


@pytest.mark.parametrize(
    ("states", "said"),
    [
        ((Completed(), Completed()), "kept"),
        ((Running(), Completed()), "kept"),  # it is past the question, and does not look again
        ((Running(), Running()), "goes on"),
        ((Scheduled(name="Resuming"), Completed()), "goes on"),
    ],
)
def test_a_run_that_is_not_suspended_is_left_alone_and_what_becomes_of_it_is_said(tmp_path, states, said):
    top, asked = chain(*states)
    before = state_of(top)
    assert wake_for(people.project_ports(tmp_path), asked_by(asked)) == said
    assert state_of(top).id == before.id


def test_an_answer_for_a_run_that_is_gone_is_kept(tmp_path):
    (gone,) = chain(Completed())
    with get_client(sync_client=True) as client:
        client.delete_flow_run(gone)
    ports = people.project_ports(tmp_path)
    assert wake_for(ports, asked_by(gone)) == "kept"
    assert wake_for(ports, asked_by("")) == "kept"


def test_the_command_finds_the_server_resumes_the_suspended_run_and_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("STORYLOOM_HOME", str(tmp_path / "home"))
    ports = compose(ProjectRef(repository=str(make_repository(sample_folder(), tmp_path / "project"))))
    note = {"url": PREFECT_API_URL.value()}
    (tmp_path / "home" / "prefect-server.json").write_text(json.dumps(note))

    def answer(states, question):
        *_, asked = runs = chain(*states)
        question = people.ASKED.model_copy(update={"project": ports.project.repository, "question": question})
        mirror(ports, asked_by(asked, question))
        env = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
        command = [sys.executable, "-c", "from storyloom.cli.main import main; main()", "escalations", "answer"]
        command += [question.id, "hex", "-C", ports.project.repository]
        done = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert kept_answer(ports, question).answer == "hex"
        return done.stdout, state_of(runs[0])

    said, top = answer((suspended(), Completed()), "Which?")
    assert said == "Kept: hex. The run goes on.\n"
    assert not top.is_paused()
    said, top = answer((Completed(), Completed()), "Which other?")
    assert said == "Kept: hex. The answer is kept; the run reads it when it is started again.\n"
