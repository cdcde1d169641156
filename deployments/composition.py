"""Which real thing stands behind each port of a project?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from storyloom.blocks.documents import StagedDocuments
from storyloom.blocks.git_workspace import GitWorkspace
from storyloom.blocks.local_release import LocalRelease
from storyloom.blocks.method_texts import MethodTexts
from storyloom.blocks.notifier import AppriseNotifier
from storyloom.blocks.project_config import read_project_config
from storyloom.blocks.project_files import ProjectFiles
from storyloom.blocks.sandbox import BubblewrapSandbox
from storyloom.blocks.set_up import PreparedSandbox
from storyloom.blocks.shelf import FileShelf
from storyloom.blocks.spool import Spool
from storyloom.blocks.unsandboxed import UnsandboxedRunner
from storyloom.blocks.workflow_library import WorkflowLibrary
from storyloom.domain.budget import Alert
from storyloom.domain.errors import ConfigError, StoryloomError
from storyloom.domain.estimate import Estimate, Past, Planned, estimate
from storyloom.domain.layered_texts import LayeredTexts
from storyloom.domain.ports import Limits, ProjectRef, Sandbox, Texts
from storyloom.domain.prices import bundled_prices
from storyloom.domain.routing import first_model, routing_policy
from storyloom.domain.settings import ProjectConfig, Settings
from storyloom.domain.wire import Route
from storyloom.tasks.alerts import tell_of_budget
from storyloom.tasks.caps import follow_settings
from storyloom.tasks.ports import Ports

from .addresses import notify_address
from .environment import Environment, project_folder, read_environment, spool_folder, usable_home, warehouse_path
from .lane import ReentrantLock, SharedLease
from .models import open_door, open_ledger
from .needs import needs, needs_markdown
from .personas import require_known_personas

SETTING_UP = Limits(memory_bytes=4 << 30, file_bytes=2 << 30, processes=1024, tmp_bytes=2 << 30, disk_bytes=20 << 30)
"""Bounds of a set-up: it unpacks and compiles."""


def compose(
    project: ProjectRef, environment: Environment | None = None, routes: Mapping[str, Route] | None = None
) -> Ports:
    """The ports of a project on this machine; `routes` replaces the way to the models' providers.

    Raises:
        ConfigError: the project file or a setting of this run is wrong.
        RepositoryError: there is no git repository to work on.
        InputError: state cannot be kept where the environment says.
    """
    environment = environment or read_environment()
    config = configured(project)
    settings = config.settings
    state = project_folder(usable_home(environment.home), project.repository)
    for folder in (state, spool_folder(environment.home)):
        folder.mkdir(parents=True, exist_ok=True)
    (state / "repository").write_text(project.repository)
    recorder = Spool(spool_folder(environment.home))
    workspace = GitWorkspace(project.repository, state, settings.integration_branch)
    sandbox = _sandbox(config, state)
    release = LocalRelease(state / "releases", workspace, sandbox, config.commands.health)
    lane = ReentrantLock(state / "lane.lock")
    ledger = open_ledger(config, environment, state)

    def on_alert(alert: Alert) -> None:
        tell_of_budget(ports, alert)

    ports = Ports(
        project=project,
        config=config,
        models=open_door(config, environment, state, recorder, ledger, on_alert=on_alert, routes=routes),
        budgets=ledger,
        documents=StagedDocuments(workspace, state / "staged"),
        texts=_texts(project.repository),
        workspace=workspace,
        sandbox=sandbox,
        recorder=recorder,
        shelf=FileShelf(state / "shelf"),
        deploy=release if settings.deploy == "local" else None,
        notifier=AppriseNotifier(notify_address),
        files=ProjectFiles,
        lane=lane.held,
        integrating=ReentrantLock(state / "integrating.lock").held,
        lease=SharedLease(state / "lease").held,
        publish=_publish(workspace, state, settings),
        follow=_follow(workspace, state),
        bill=_bill(environment, config),
        foresee=_foresee(environment, config),
        needs=lambda: needs_markdown(needs(environment)),
        mode="rehearsal" if environment.mode == "rehearsal" else "live",
    )
    follow_settings(ports)
    ledger.expire(on_alert)  # what a killed process had reserved counts as spent from now on
    for alert in ledger.told():  # it may have been killed before anybody heard of it
        on_alert(alert)
    return ports


def _sandbox(config: ProjectConfig, state: Path) -> Sandbox:
    """Where commands run; with a set-up its folders are there, and it alone may have a network."""
    settings, plain = config.settings, config.settings.sandbox == "none"
    sandbox: Sandbox = UnsandboxedRunner() if plain else BubblewrapSandbox()
    if not config.commands.setup.strip():
        return sandbox
    setting_up = sandbox if plain or not settings.setup_network else BubblewrapSandbox(network=True)
    limits = SETTING_UP.model_copy(update={"wall_s": settings.setup_wall_s, "cpu_s": int(settings.setup_wall_s) * 2})
    network = plain or settings.setup_network
    return PreparedSandbox(sandbox, setting_up, config.commands, state / "set-ups", limits, network=network)


def _texts(repository: str) -> Texts:
    """The method that ships, with the project's changes to it, and what is installed in the project besides."""
    method = MethodTexts(repository)
    if not WorkflowLibrary.is_installed(repository):
        return method
    return LayeredTexts(lambda: method, lambda: WorkflowLibrary.open(repository))


def configured(project: ProjectRef) -> ProjectConfig:
    """The project's settings with those of this run in their place.

    Raises:
        ConfigError: a setting or a persona does not exist, or a value does not fit.
    """
    config = read_project_config(project.repository)
    require_known_personas(project.repository, config)
    unknown = set(project.settings) - set(Settings.model_fields)
    if unknown:
        known = ", ".join(Settings.model_fields)
        raise ConfigError(f"There is no setting {min(unknown)!r}.", remedy=f"There are: {known}.")
    settings = Settings.model_validate({**config.settings.model_dump(), **project.settings})
    name = config.project.name or Path(project.repository).name
    return config.model_copy(update={"settings": settings, "project": config.project.model_copy(update={"name": name})})


def _person_branch(workspace: GitWorkspace, state: Path) -> str:
    """The branch that the person was on when the project was first worked on; kept, for it may change later.

    When they have deleted or renamed it, the one that they are on now takes its place; "" when they are on none.
    """
    shelf = FileShelf(state / "shelf")
    kept = shelf.get("person-branch")
    if kept and workspace.branch(kept):
        return kept
    now = workspace.person_branch()
    if not now or workspace.branch(now) is None:
        return ""
    if kept is None:
        shelf.put_new("person-branch", now)
        return shelf.get("person-branch") or now
    shelf.put("person-branch", now)
    return now


def _publish(workspace: GitWorkspace, state: Path, settings: Settings) -> Callable[[], str]:
    def publish() -> str:
        branch = _person_branch(workspace, state)
        if not branch:
            gone = FileShelf(state / "shelf").get("person-branch")
            why = f"The branch {gone} is gone and no other is checked out" if gone else "No branch was checked out"
            return f"{why}; the work is on {settings.integration_branch}."
        if not settings.auto_merge_prs:
            return f"{branch} was left alone; take the work over: git merge --ff-only {settings.integration_branch}"
        return workspace.publish(branch, checkout=True)

    return publish


def _follow(workspace: GitWorkspace, state: Path) -> Callable[[], None]:
    def follow() -> None:
        branch = _person_branch(workspace, state)
        if branch:
            workspace.follow(branch)

    return follow


def _bill(environment: Environment, config: ProjectConfig) -> Callable[[], str]:
    def bill() -> str:
        from storyloom.analytics.bill import bill_markdown
        from storyloom.analytics.decided import decided_markdown
        from storyloom.analytics.ingest import ingest

        warehouse = warehouse_path(environment.home)
        ingest(spool_folder(environment.home), warehouse)
        name = config.project.name
        decided = decided_markdown(warehouse, name)
        return bill_markdown(warehouse, name) + (f"\n{decided}" if decided else "")

    return bill


def _foresee(environment: Environment, config: ProjectConfig) -> Callable[[Sequence[Planned]], Estimate]:
    policy = routing_policy(config, providers=tuple(environment.keys) or None)

    def foresee(ahead: Sequence[Planned]) -> Estimate:
        now, prices = datetime.now(UTC), bundled_prices()
        named = [part.model_copy(update={"model": first_model(part.model, policy)}) for part in ahead]
        return estimate(named, _past(environment, config), lambda model: prices.price(model, now))

    return foresee


def _past(environment: Environment, config: ProjectConfig) -> list[Past]:
    """What was paid for before; a history that cannot be read now is none, for no run waits for an estimate."""
    import duckdb
    from storyloom.analytics.ingest import ingest
    from storyloom.analytics.past import past_costs

    warehouse = warehouse_path(environment.home)
    try:
        ingest(spool_folder(environment.home), warehouse)
        return past_costs(warehouse, config.project.name, rehearsed=environment.mode == "rehearsal")
    except (StoryloomError, OSError, duckdb.Error):
        return []
