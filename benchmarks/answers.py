"""How long from an answer until the run that waits for it goes on?  Prints the median and the 95th percentile.

    python -m benchmarks.answers [rounds]

A form's answer goes through the Prefect API, a command's to the shelf and then through the API; one that only reaches
the shelf (no API at hand) is found by the watcher of the paused run. Our own server, on SQLite.
"""

from __future__ import annotations

import contextvars
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from storyloom.blocks.shelf import FileShelf
from storyloom.blocks.spool import Spool
from storyloom.domain.approvals import Given
from storyloom.domain.escalations import Question
from storyloom.domain.ports import ProjectRef
from storyloom.domain.settings import ProjectConfig

from . import pipeline

if TYPE_CHECKING:  # Prefect reads its settings when it is imported
    from storyloom.tasks.ports import Ports

ROUNDS = 20
WAYS = ("form", "command", "shelf")


def measure(ports: Ports, number: int, way: str) -> float:
    """Seconds from the answer to the flow's next line."""
    from uuid import UUID

    from prefect import flow, get_client, resume_flow_run
    from storyloom.flows.asking import settle
    from storyloom.flows.waking import wake_for
    from storyloom.tasks.answers import submit
    from storyloom.tasks.questions import escalations

    question = Question(project="p", story=f"{way}-{number}", question=f"{way} {number}?", options=("a", "b"))
    went_on: list[float] = []

    @flow(name="asks")
    def asking() -> None:
        settle(ports.project, question)
        went_on.append(time.perf_counter())

    thread = threading.Thread(target=contextvars.copy_context().run, args=(asking,), daemon=True)
    thread.start()
    while True:
        found = [e for e in escalations(ports) if e.id == question.id]
        if found:
            with get_client(sync_client=True) as client:
                state = client.read_flow_run(UUID(found[0].flow_run)).state
            if state is not None and state.is_paused():
                break
        time.sleep(0.05)
    time.sleep(number * 0.37 % 2)  # answers come at any moment between two looks
    start = time.perf_counter()
    if way == "form":
        resume_flow_run(UUID(found[0].flow_run), run_input={"answer": "a"})
    else:
        submit(ports, question.id, Given(answer="a", channel="command"))
        if way == "command":
            wake_for(ports, found[0])
    thread.join()
    return went_on[0] - start


def main(rounds: int) -> None:
    """Measure all ways and print them."""
    with tempfile.TemporaryDirectory() as folder, pipeline.prefect(Path(folder) / "home"):
        from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
        from storyloom.tasks.ports import Ports, use

        shelf, spool = FileShelf(Path(folder) / "shelf"), Spool(Path(folder) / "spool")
        config = ProjectConfig.model_validate({"settings": {"second_opinion": False}})
        ports = Ports(ProjectRef(repository=folder), config, shelf=shelf, recorder=spool)
        with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}), use(lambda _project: ports):
            for way in WAYS:
                took = sorted(measure(ports, number, way) for number in range(rounds))
                p95 = took[min(len(took) - 1, round(0.95 * len(took)))]
                print(f"{way:<8} n={rounds}  median {statistics.median(took):.2f} s  p95 {p95:.2f} s", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS)
