"""On a process work pool a question frees its worker, and another process goes on after the answer."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from prefect import get_client, resume_flow_run
from prefect.settings import PREFECT_API_URL, temporary_settings

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.whole, pytest.mark.timeout(400)]

HERE = Path(__file__).parent
DEPLOY = (
    "from prefect import flow; "
    f"flow.from_source({str(HERE)!r}, 'fleet_flow.py:top').deploy('top', work_pool_name='pool', print_next_steps=False)"
)


def test_a_suspended_run_refuses_a_wrong_answer_and_goes_on_elsewhere_after_a_right_one(tmp_path):
    from storyloom.deployments.environment import prefect_settings
    from storyloom.deployments.server import prefect_server, start_child, stop_child

    with prefect_server(tmp_path / "home") as url:
        env = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
        env |= prefect_settings(tmp_path / "home", url) | {"PREFECT_WORKER_QUERY_SECONDS": "2"}
        for command in (
            ["-m", "prefect", "--no-prompt", "work-pool", "create", "pool", "--type", "process"],
            ["-c", DEPLOY],
        ):
            subprocess.run([sys.executable, *command], env=env, check=True, capture_output=True)
        command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", "pool"]
        worker = start_child(command, env, tmp_path / "worker.log")
        try:
            with temporary_settings({PREFECT_API_URL: url}):
                (tmp_path / "first").mkdir()
                (tmp_path / "second").mkdir()
                _ask_refuse_and_answer(tmp_path / "first")
                _ask_refuse_and_answer(tmp_path / "second", by_command=True)
        finally:
            stop_child(worker)


def _ask_refuse_and_answer(folder, *, by_command=False):
    from prefect.deployments import run_deployment

    run = run_deployment("asks-on-a-fleet/top", parameters={"folder": str(folder)}, timeout=0)

    def state():
        with get_client(sync_client=True) as client:
            return client.read_flow_run(run.id).state.name

    def until(name):
        end = time.monotonic() + 150
        while state() != name:
            assert state() not in ("Failed", "Crashed"), (folder.parent / "worker.log").read_text()[-2000:]
            assert time.monotonic() < end, state()
            time.sleep(0.5)

    until("Suspended")
    with pytest.raises(Exception, match="octal"):
        resume_flow_run(run.id, run_input={"answer": "octal"})
    assert state() == "Suspended"
    if by_command:
        _answer_by_command(folder)
    else:
        resume_flow_run(run.id, run_input={"answer": "hex"})
    until("Completed")
    first, second = (line.split() for line in (folder / "log").read_text().splitlines())
    assert (first[1], second[1]) == ("waiting", "hex")
    assert first[0] != second[0]


def _answer_by_command(folder):
    from storyloom.blocks.shelf import FileShelf
    from storyloom.blocks.spool import Spool
    from storyloom.domain.approvals import Given
    from storyloom.domain.ports import ProjectRef
    from storyloom.flows.waking import wake_for
    from storyloom.tasks.answers import submit
    from storyloom.tasks.ports import Ports
    from storyloom.tasks.questions import escalations

    shelf, recorder = FileShelf(folder / "shelf"), Spool(folder / "spool")
    ports = Ports(ProjectRef(repository=str(folder)), shelf=shelf, recorder=recorder)
    (asked,) = escalations(ports)
    assert submit(ports, asked.id, Given(answer="hex", channel="command")).verdict == "holds"
    assert wake_for(ports, asked) == "goes on"
