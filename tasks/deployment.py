"""How does a release go live: prepared, switched, checked, and switched back when the check fails?"""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE

from ..domain.errors import ConfigError
from ..domain.events import Deployed
from ..domain.model_calls import Value
from ..domain.ports import DeployTarget, ProjectRef
from .ports import Ports, ports_for
from .recording import event_key, record, tags_for
from .retries import may_pass


class ReleaseReport(Value):
    """What came of a release. `current` is what is live now."""

    release: str
    outcome: str
    current: str = ""
    detail: str = ""
    folder: str = ""


def target_of(ports: Ports) -> DeployTarget:
    """The place where releases run.

    Raises:
        ConfigError: the project has none.
    """
    if ports.deploy is None:
        raise ConfigError("settings.deploy is 'none': there is nowhere to deploy to.")
    return ports.deploy


def live_release(project: ProjectRef) -> str:
    """The release that is live, "" if none or no target."""
    ports = ports_for(project)
    return ports.deploy.current() if ports.deploy else ""


@task(
    name="release",
    task_run_name="release {release}",
    cache_policy=NO_CACHE,
    retries=2,
    retry_delay_seconds=2,
    retry_condition_fn=may_pass,
)
def release_commit(project: ProjectRef, release: str, commit: str) -> ReleaseReport:
    """Make a commit live when it is healthy; otherwise what was live stays or comes back."""
    ports = ports_for(project)
    target = target_of(ports)
    before = target.current()
    folder = target.release(release, commit)
    health = target.check(release)
    outcome = "failed"
    if health.healthy:
        target.switch(release)
        health = target.check(release)
        outcome = "healthy"
        if not health.healthy:
            outcome = "rolled_back"
            if before:
                target.switch(before)
    record(
        ports,
        Deployed.model_validate(
            {
                "event_id": event_key("deploy", project.repository, release, outcome),
                "tags": tags_for(ports, phase="deployment"),
                "target": "local",
                "release": release,
                "outcome": outcome,
                "detail": health.detail,
            }
        ),
    )
    current = target.current()
    return ReleaseReport(release=release, outcome=outcome, current=current, detail=health.detail, folder=folder)
