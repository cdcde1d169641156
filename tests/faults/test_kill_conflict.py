"""Killed while a person thinks about a conflict: the next run finds the answer, and repeats nothing that was paid."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from storyloom.domain.approvals import Given
from storyloom.domain.conflicts import AGAIN
from storyloom.domain.stories import StoryOutcome
from storyloom.tasks.answers import submit
from storyloom.tasks.ports import use
from storyloom.tasks.questions import escalations
from storyloom.tasks.story_start import outcome_name

pytestmark = [pytest.mark.server, pytest.mark.slow]

CHILD = Path(__file__).with_name("conflict_child.py")
_spec = importlib.util.spec_from_file_location("conflict_child", CHILD)
assert _spec is not None
assert _spec.loader is not None
child = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(child)


def test_a_run_killed_at_its_question_goes_on_with_the_answer_given_meanwhile(
    prefect_harness: None, tmp_path: Path
) -> None:
    from prefect.settings import PREFECT_API_URL
    from storyloom.flows.implementation import implementation

    environment = {**os.environ, "PREFECT_API_URL": PREFECT_API_URL.value() or ""}
    environment["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"] = "30"
    calls: list[tuple[str, int]] = []
    with (tmp_path / "said").open("w") as said:
        first = subprocess.Popen([sys.executable, str(CHILD), str(tmp_path)], env=environment, stdout=said, stderr=said)
    try:
        people = child.load_people()
        until = time.monotonic() + 300
        while not (tmp_path / "repo" / ".git").exists() or not (tmp_path / "shelf").exists():
            assert first.poll() is None, (tmp_path / "said").read_text()[-3000:]
            assert time.monotonic() < until
            time.sleep(0.2)
        ports = child.make_ports(tmp_path, calls)
        asked = people.open_question(ports, 300)
    finally:
        first.send_signal(signal.SIGKILL)
        first.wait()
    parked = StoryOutcome.model_validate_json(ports.shelf.get(outcome_name(child.KEY)))
    assert (parked.status, parked.lane, parked.conflicts) == ("waiting", "person", ("shared.txt",))
    assert submit(ports, asked.id, Given(answer=AGAIN, notes="keep both")).verdict == "holds"
    with use(lambda _project: ports):
        end = implementation(ports.project).stories[0]
    assert end.status == "merged", end.reason
    assert calls == [("work", 3), ("review", 1)], "only what came after the answer is asked for"
    assert ports.workspace.read(ports.workspace.tip(), "shared.txt") == "first\nmade 3\nlast\n"
    assert [e.status for e in escalations(ports)] == ["answered"]
