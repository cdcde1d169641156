"""Which flows can be started from the Prefect UI, under which names, with which schedules?

`prefect.yaml` deploys the same list to a work pool; a test holds the two together.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field, replace
from typing import Any, cast

from prefect import Flow
from prefect.deployments.runner import RunnerDeployment
from prefect.schedules import Cron
from prefect.types.entrypoint import EntrypointType
from storyloom.flows.deliver_project import deliver_project
from storyloom.flows.deployment import deployment
from storyloom.flows.implementation import implementation
from storyloom.flows.nightly_stories import nightly_stories
from storyloom.flows.phases import analysis, planning, solutioning
from storyloom.flows.quality import quality
from storyloom.flows.run_workflow import run_workflow

from .reaper import reap_children
from .watch import look_after_questions

NIGHT = Cron("0 1 * * *", timezone="Europe/Berlin", active=False, slug="night")
"""Nightly stories start at one o'clock, once somebody has switched the schedule on.

Without the slug of `prefect.yaml` a server that knows that one refuses ours.
"""


@dataclass(frozen=True)
class Entry:
    """A flow that people start, and how it is shown."""

    flow: Flow[Any, Any]
    name: str
    tags: tuple[str, ...] = ()
    schedule: Any = None
    parameters: dict[str, Any] = field(default_factory=dict)


def entries() -> tuple[Entry, ...]:
    """All deployments, the most used first."""
    phase = ("storyloom", "phase")
    return (
        Entry(deliver_project, "deliver-project", ("storyloom",)),
        Entry(nightly_stories, "nightly-stories", ("storyloom", "night"), NIGHT, {"project": {"repository": ""}}),
        Entry(run_workflow, "run-workflow", ("storyloom",)),
        Entry(analysis, "analysis", phase),
        Entry(planning, "planning", phase),
        Entry(solutioning, "solutioning", phase),
        Entry(implementation, "implementation", phase),
        Entry(quality, "quality", phase),
        Entry(deployment, "deployment", phase),
        Entry(look_after_questions, "look-after-questions", ("storyloom-upkeep",)),
    )


def deployments(*, night_is_on: bool = False) -> list[RunnerDeployment]:
    """The entries as Prefect deployments that this process can serve; schedules active if `night_is_on`."""
    made = []
    for entry in entries():
        flow = entry.flow
        flow.on_cancellation_hooks.append(reap_children)
        flow.on_crashed_hooks.append(reap_children)
        kwargs: dict[str, Any] = {"schedule": replace(entry.schedule, active=night_is_on)} if entry.schedule else {}
        deployment = flow.to_deployment(
            entry.name,
            description=(flow.description or "").split("\n\nArgs:")[0].strip(),
            tags=list(entry.tags),
            parameters=entry.parameters or None,
            enforce_parameter_schema=True,
            entrypoint_type=EntrypointType.MODULE_PATH,  # a path would load the flow outside of its package
            **kwargs,
        )
        made.append(cast(RunnerDeployment, deployment))
    return made


def night_is_on() -> bool:
    """Whether somebody has switched the nightly schedule on, as the server has it: serving again must not undo that."""
    from prefect.client.orchestration import get_client
    from prefect.exceptions import ObjectNotFound

    with get_client(sync_client=True) as client:
        try:
            known = client.read_deployment_by_name(f"{nightly_stories.name}/nightly-stories")
        except ObjectNotFound:
            return False
    return any(schedule.active for schedule in known.schedules)


def serve(limit: int) -> None:
    """Serve all deployments until SIGTERM; Ctrl-C is the caller's (`prefect.serve` would keep it to itself)."""
    from prefect.exceptions import TerminationSignal
    from prefect.runner import Runner

    runner = Runner(pause_on_shutdown=False, limit=limit)
    for made in deployments(night_is_on=night_is_on()):
        runner.add_deployment(made)
    with contextlib.suppress(TerminationSignal):
        asyncio.run(runner.start())
