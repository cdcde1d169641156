"""A flow that asks below a task, as a worker loads it: for the test of suspended runs."""

import importlib.util
import os
from pathlib import Path

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.transactions import CommitMode, transaction
from storyloom.blocks.shelf import FileShelf
from storyloom.flows.asking import settle
from storyloom.flows.suspending import freeing_worker
from storyloom.tasks.ports import use

_spec = importlib.util.spec_from_file_location("people", Path(__file__).with_name("people.py"))
people = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(people)


def ports_at(folder):
    return people.project_ports(folder, {"settings": {"fleet": True}}, shelf=FileShelf(f"{folder}/shelf"))


@flow(name="asks-below")
def below(folder: str) -> str:
    answer = settle(ports_at(folder).project, people.ASKED)
    with Path(folder, "log").open("a") as log:
        log.write(f"{os.getpid()} {answer.answer if answer else 'waiting'}\n")
    return answer.answer if answer else "waiting"


@task(cache_policy=NO_CACHE)
def mapped(folder: str) -> str:
    with transaction(commit_mode=CommitMode.EAGER):
        return below(folder)


@flow(name="stands-between")
def between(folder: str) -> list[str]:
    return [mapped.submit(folder).result()]


@flow(name="asks-on-a-fleet")
def top(folder: str) -> str:
    ports = ports_at(folder)
    with use(lambda _project: ports):
        return freeing_worker(ports.project, lambda: between(folder)[0])
