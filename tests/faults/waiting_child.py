"""What is killed while questions wait, and what answers them meanwhile, from another process and another directory.

`run FOLDER` forks, for each line of input `{"names": […]}`, an orchestrator that asks one question in each of as many
mapped subflows; it says its process id, then its exit code. `answer FOLDER` gives the answers of each line, all at
once, and says what came of them. Both know of each other only through the project's state and the Prefect server.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from prefect import flow, resume_flow_run, task
from prefect.cache_policies import NO_CACHE
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
from prefect.task_runners import ThreadPoolTaskRunner
from prefect.transactions import CommitMode, transaction
from storyloom.cli.escalations import resume
from storyloom.deployments.composition import compose
from storyloom.deployments.environment import Environment
from storyloom.deployments.reaper import end_orphans
from storyloom.deployments.server import die_with_parent
from storyloom.domain.approvals import Given
from storyloom.domain.escalations import Kind, Question
from storyloom.domain.model_calls import Message, ModelRequest, Usage
from storyloom.domain.ports import ProjectRef
from storyloom.domain.wire import RawReply
from storyloom.flows import asking
from storyloom.flows.asking import settle
from storyloom.tasks.answers import submit
from storyloom.tasks.ports import Ports, ports_for, use
from storyloom.tasks.questions import mirrored

FOLDER = Path(sys.argv[2] if len(sys.argv) > 2 else ".").resolve()
PROJECT = ProjectRef(
    repository=str(FOLDER / "project"),
    settings={"second_opinion": False, "sandbox": "none", "questions": "person"},
)


class Route:
    """A provider that answers at once and writes down what it was asked."""

    name = "scripted"

    def send(self, request: ModelRequest, model: str, **_: Any) -> RawReply:
        asked = request.messages[0].content
        with (FOLDER / "sent").open("a") as log:
            log.write(asked + "\n")
        return RawReply(content=f"Text of {asked}.", stop_reason="stop", usage=Usage(input=10, output=5), model=model)


def ports_at(project: ProjectRef) -> Ports:
    environment = Environment(home=FOLDER / "home", keys={"openai": "none"}, mode="rehearsal")
    return compose(project, environment, {"*": Route()})


def think(ports: Ports, subject: str) -> str:
    asked = (Message(role="user", content=subject),)
    return ports.models.complete(ModelRequest(persona="amelia", model="light", system="s", messages=asked)).content


def subject_of(name: str) -> str:
    """What is to be approved, as it is now."""
    return (FOLDER / "subjects" / name).read_text()


@flow(name="asks", flow_run_name="asks {name}")
def asks(project: ProjectRef, name: str) -> str:
    ports = ports_for(project)
    think(ports, f"before {name}")
    place = {"project": project.repository, "story": name, "step": "turn 2"}
    if name.startswith("gate"):
        question = Question(kind=Kind.PHASE_GATE, question="Pass?", options=("approve", "reject"), **place)
        answer = settle(project, question, subject=lambda: subject_of(name))
    else:
        question = Question(question=f"{name}?", options=("red", "blue"), recommendation="red", **place)
        answer = settle(project, question)
    said = answer.answer if answer else "nothing"
    think(ports, f"after {name} {said}")
    return said


@task(cache_policy=NO_CACHE)
def ask_one(project: ProjectRef, name: str) -> str:
    with transaction(commit_mode=CommitMode.EAGER):
        return asks(project, name)


@flow(name="wave")
def wave(project: ProjectRef, names: list[str]) -> dict[str, str]:
    found = [ask_one.submit(project, name) for name in names]
    return dict(zip(names, [one.result() for one in found], strict=True))


def impatient(pause: Callable[..., Any]) -> Callable[..., Any]:
    """As `pause`, but Prefect's client bridges no absence of the server: each one is a long one to who waits."""

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}):
            return pause(*args, **kwargs)

    return wrapped


def orchestrate(names: list[str]) -> None:
    asking.pause = impatient(asking.pause)
    runner = ThreadPoolTaskRunner(max_workers=len(names))
    with use(ports_at), temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        end_orphans(PROJECT)
        ends = wave.with_options(task_runner=runner)(PROJECT, names)
    (FOLDER / "ends.json").write_text(json.dumps(ends))


def run() -> None:
    for line in sys.stdin:
        child = os.fork()
        if not child:
            status = 3
            die_with_parent()
            try:
                orchestrate(json.loads(line)["names"])
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(status)
        say({"pid": child})
        say({"code": os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])})


def give(one: dict[str, Any], start: threading.Barrier) -> dict[str, Any]:
    """One answer, in the way that it says, and what came of it."""
    ports = ports_at(PROJECT)
    open_ = mirrored(ports, one["question"])
    assert open_ is not None
    start.wait()
    if one["way"] == "form":
        try:
            resume_flow_run(open_.flow_run, run_input={"answer": one["answer"], "notes": one["tag"]})
        except Exception as error:
            return {**one, "verdict": "refused", "reason": str(error) or type(error).__name__}
        return {**one, "verdict": "sent", "reason": ""}
    given = Given(answer=one["answer"], channel="command", notes=one["tag"], digest=one["digest"])
    ruling = submit(ports, open_.id, given)
    if one["way"] == "command" and ruling.verdict == "holds":
        resume(ports, open_)
    return {**one, "verdict": ruling.verdict, "reason": ruling.reason}


def answer() -> None:
    for line in sys.stdin:
        wanted = json.loads(line)
        start = threading.Barrier(len(wanted))
        with ThreadPoolExecutor(len(wanted)) as pool:
            say(list(pool.map(lambda one: give(one, start), wanted)))  # noqa: B023 - used up within the round


def say(what: Any) -> None:
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    say("ready")
    {"run": run, "answer": answer}[sys.argv[1]]()
