"""How is a delivery started here, watched, and summed up?"""

from __future__ import annotations

import contextlib
import difflib
import json
import os
import shutil
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError
from storyloom.blocks.project_config import read_project_config
from storyloom.deployments.environment import (
    KEYLESS,
    Environment,
    own_server_settings,
    prefect_settings,
    project_folder,
    read_environment,
    spool_folder,
    usable_home,
)
from storyloom.deployments.lane import SharedLease
from storyloom.deployments.personas import require_known_personas
from storyloom.deployments.server import drain, prefect_server
from storyloom.domain.errors import ConfigError, InputError, ModelUnpriced, SandboxMissing, StorageFull
from storyloom.domain.phases import BRIEF, Phase
from storyloom.domain.phases import until as phases_until
from storyloom.domain.ports import ProjectRef
from storyloom.domain.prices import bundled_prices
from storyloom.domain.settings import ProjectConfig, Settings

from .brief import read_brief
from .doctor import keys, models_of, provider_of
from .init import repository_root, require_clean

if TYPE_CHECKING:
    from storyloom.domain.delivery import Delivery

MIN_FREE = 256 << 20
NO_ROOM = "Free some disk space, or name another folder: export STORYLOOM_HOME=…"
OPTIONS = {"llm_budget_usd": "--budget", "max_concurrent_agents": "--lanes", "when_asked": "--when-asked"}
"""By which option a person gave a setting."""


@dataclass(frozen=True)
class Wish:
    """What the person asked for on the command line."""

    project: Path
    brief: Path | None = None
    until: str = Phase.DEPLOYMENT.value
    settings: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    port: int = 0
    keep: bool = False
    as_json: bool = False


@dataclass(frozen=True)
class Job:
    """A wish whose every part was found to be usable."""

    project: ProjectRef
    config: ProjectConfig
    brief: str
    until: Phase
    environment: Environment


def check(wish: Wish, *, plan_only: bool = False) -> Job:
    """Everything that can be known to be wrong before anything is started; a plan needs neither keys nor a clean tree.

    Raises:
        InputError: with the remedy; nothing was made.
    """
    root = repository_root(wish.project)
    if not plan_only:
        require_clean(root)
    config = with_settings(read_project_config(root), wish.settings)
    require_known_personas(root, config)
    until = _phase(wish.until)
    brief = read_brief(wish.brief) if wish.brief else ""
    environment = read_environment()
    if not brief and not (root / config.settings.planning_folder / BRIEF).exists():
        known = project_folder(environment.home, root).exists()
        if not known and not (root / config.settings.planning_folder / "epics.md").exists():
            raise InputError("There is no brief yet.", remedy="Write the idea down and give it with --brief FILE.")
    missing = [] if plan_only else [f for f in keys(config, environment) if f.needed and not f.ok]
    if missing:
        raise InputError(
            "; ".join(f.detail for f in missing) + ".", remedy=f"Set it: {missing[0].remedy}, or change `agents:`."
        )
    if config.settings.llm_budget_tokens is None:
        _require_prices(config)
    there = next(p for p in (environment.home, *environment.home.parents) if p.exists())
    if shutil.disk_usage(there).free < MIN_FREE:
        raise StorageFull(f"Less than {MIN_FREE >> 20} MiB are free at {there}.", remedy=NO_ROOM)
    project = ProjectRef(repository=str(root), settings=dict(wish.settings))
    return Job(project=project, config=config, brief=brief, until=until, environment=environment)


def _require_prices(config: ProjectConfig) -> None:
    """Refuse a model that no price is known for: without one, no budget binds."""
    prices = bundled_prices()
    for model in sorted(models_of(config)):
        if provider_of(model) not in KEYLESS and prices.price(model, datetime.now(UTC)) is None:
            near = difflib.get_close_matches(model.split("/")[-1], prices.models(), 1, 0.4)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise ModelUnpriced(
                f"No price is known for the model {model!r} ({hint}{len(prices.models())} models have one).",
                remedy="Name another in `agents:`, or set settings.llm_budget_tokens to run it under a token cap.",
            )


def with_settings(config: ProjectConfig, changes: Mapping[str, object]) -> ProjectConfig:
    """The settings with some of them replaced for this run.

    Raises:
        ConfigError: a change names no setting, or its value does not fit.
    """
    try:
        settings = Settings.model_validate({**config.settings.model_dump(), **changes})
    except ValidationError as error:
        problem = error.errors()[0]
        name = ".".join(map(str, problem["loc"]))
        said = problem["msg"].lower().replace("input should be", "it must be")
        raise ConfigError(
            f"{OPTIONS.get(name, name)}: {said} (found {problem['input']!r}).",
            remedy="docs/configuration.md has every setting with an example.",
        ) from None
    return config.model_copy(update={"settings": settings})


def deliver_here(wish: Wish, *, plan_only: bool = False) -> None:
    """Deliver, watched on the terminal, and leave with 0 when done, 3 when it waits, 2 when it failed."""
    import typer

    job = check(wish, plan_only=plan_only)
    if plan_only:
        from .plan import show_plan

        show_plan(job, as_json=wish.as_json)
        return
    with holding(job):  # before what takes long: a second orchestrator is refused at once
        require_sandbox(job)
    with holding(job), running_server(job.environment, wish.port, keep=wish.keep) as url:
        delivery = run_delivery(job, quiet=wish.as_json)
        if wish.as_json:
            print(delivery.model_dump_json(indent=2))
        else:
            from .summary import show_delivery

            kept = wish.keep or bool(job.environment.prefect_api_url)
            show_delivery(job, delivery, url, kept=kept)
    code = {"done": 0, "already_done": 0, "waiting": 3}.get(delivery.status, 2)
    if code:
        raise typer.Exit(code)


def require_sandbox(job: Job) -> None:
    """Refuse before the first paid call when generated code could not be run in the end.

    Raises:
        SandboxMissing: with what is missing, and the explicit way to go without.
    """
    if Phase.IMPLEMENTATION not in phases_until(job.until) or job.config.settings.sandbox == "none":
        return
    from storyloom.blocks.sandbox import BubblewrapSandbox

    probe = BubblewrapSandbox().probe()
    if not probe.ok:
        remedy = probe.remedy or "Install bubblewrap."
        raise SandboxMissing(
            f"Generated code cannot be run safely here: {probe.detail}",
            remedy=f"{remedy} Or choose --unsandboxed (make demo UNSANDBOXED=1): it is recorded.",
        )


def holding(job: Job) -> contextlib.AbstractContextManager[None]:
    """The project's lease for the time of the block, from before a server is started.

    Raises:
        LeaseTaken: another process works on this project; it is named.
        InputError: state cannot be kept where the environment says.
    """
    return SharedLease(project_folder(usable_home(job.environment.home), job.project.repository) / "lease").held()


@contextlib.contextmanager
def running_server(environment: Environment, port: int, *, keep: bool) -> Iterator[str]:
    """A Prefect API: the one that PREFECT_API_URL names, else a server of our own; all settings made."""
    if environment.prefect_api_url:
        settings = prefect_settings(environment.home, environment.prefect_api_url)
        os.environ.update({k: v for k, v in settings.items() if k != "PREFECT_HOME"})
        yield environment.prefect_api_url
        return
    from storyloom.blocks.litellm_route import warm_up

    threading.Thread(target=warm_up, name="warm-up", daemon=True).start()
    with _starting("Starting a Prefect server"), contextlib.ExitStack() as stack:
        url = stack.enter_context(prefect_server(environment.home, port, keep=keep))
        rest = stack.pop_all()
    with rest:
        os.environ.update(own_server_settings(environment.home, url))
        yield url


@contextlib.contextmanager
def _starting(what: str) -> Iterator[None]:
    from rich.console import Console

    with Console(stderr=True).status(f"{what} …"):
        yield


def run_delivery(job: Job, *, quiet: bool = False) -> Delivery:
    """Run `deliver-project` in this process and watch its events."""
    from .progress import watching

    with watching(spool_folder(job.environment.home), job.until, quiet=quiet):
        from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
        from storyloom.deployments.reaper import end_orphans
        from storyloom.flows.deliver_project import deliver_project

        end_orphans(job.project)
        # The heartbeat costs each synchronous flow a second at its end; a run in this process needs no zombie watch.
        try:
            with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
                return deliver_project(job.project, job.brief, job.until)
        finally:
            drain()  # a server of our own ends soon: what is still queued would find nobody


def _phase(name: str) -> Phase:
    try:
        return Phase(name)
    except ValueError:
        raise InputError(f"There is no phase {name!r}.", remedy=f"Phases: {', '.join(Phase)}.") from None


def as_json(value: object) -> str:
    """A value as readable JSON."""
    return json.dumps(value, indent=2, default=str)
