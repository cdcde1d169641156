"""Which outside things does a task work with, for the project it was called for?

Tasks and flows are called with a small `ProjectRef`, never with live objects: `ports_for` finds the rest. The
composition is set by `use` (tests, the rehearsal) or found by the entry point `default` of the group
`storyloom.composition`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from decimal import Decimal
from importlib.metadata import entry_points
from typing import Any, Literal, NoReturn, cast

from ..domain.errors import ConfigError, StoryloomError
from ..domain.estimate import Estimate, Planned
from ..domain.ports import (
    Budgets,
    DeployTarget,
    Documents,
    FilesIn,
    ModelDoor,
    Notifier,
    ProjectRef,
    Recorder,
    Sandbox,
    Shelf,
    Texts,
    Workspace,
)
from ..domain.settings import ProjectConfig

GROUP, NAME = "storyloom.composition", "default"


class PortMissing(StoryloomError):
    """A task needs a port that its composition does not bring."""


@dataclass(frozen=True)
class Absent:
    """Stands where a port was not given; the first use of it says which one is missing."""

    port: str

    def __bool__(self) -> bool:
        return False

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        raise PortMissing(
            f"The port `{self.port}` was asked for `{name}`, but this composition has no such port.",
            remedy=f"Give `Ports({self.port}=…)` where the composition is made.",
        )


Lane = Callable[[], AbstractContextManager[object]]
PORTS = ("models", "documents", "texts", "workspace", "sandbox", "recorder", "shelf", "files")
NOTHING = Estimate(parts=(), low=Decimal(0), likely=Decimal(0), high=Decimal(0))
ABSENT: dict[str, Any] = {port: Absent(port) for port in PORTS}  # Any: each stands in for a Protocol


@dataclass(frozen=True)
class Ports:
    """All that a task may touch outside itself. Ports that are not given raise `PortMissing` at their first use."""

    project: ProjectRef
    config: ProjectConfig = field(default_factory=ProjectConfig)
    models: ModelDoor = ABSENT["models"]
    documents: Documents = ABSENT["documents"]
    texts: Texts = ABSENT["texts"]
    workspace: Workspace = ABSENT["workspace"]
    sandbox: Sandbox = ABSENT["sandbox"]
    recorder: Recorder = ABSENT["recorder"]
    shelf: Shelf = ABSENT["shelf"]
    budgets: Budgets | None = None
    deploy: DeployTarget | None = None
    notifier: Notifier | None = None
    files: Callable[..., FilesIn] = ABSENT["files"]  # (worktree, planned=paths that the story names)
    lane: Lane = nullcontext  # held by whoever moves the main line; one holder in all processes
    integrating: Lane = nullcontext  # held by whoever tests stories on the tip and merges them
    publish: Callable[[], str] = lambda: ""  # moves the person's branch; says why not, "" when done
    follow: Callable[[], None] = lambda: None  # brings what the person committed since into the main line
    lease: Lane = nullcontext  # held by the one orchestrator of the project
    bill: Callable[[], str] = lambda: ""  # the project's bill as Markdown
    foresee: Callable[[Sequence[Planned]], Estimate] = lambda _: NOTHING  # what work ahead will cost
    needs: Callable[[], str] = lambda: ""  # what waits for a person in all projects, as Markdown
    mode: Literal["live", "rehearsal"] = "live"


Factory = Callable[[ProjectRef], Ports]

_lock = threading.RLock()
_factory: Factory | None = None
_made: dict[str, Ports] = {}


def ports_for(project: ProjectRef) -> Ports:
    """The ports of a project, made once per process and project.

    Raises:
        ConfigError: no composition was set, and no entry point is installed.
    """
    with _lock:
        key = project.model_dump_json()
        if key not in _made:
            _made[key] = (_factory or _installed())(project)
        return _made[key]


@contextmanager
def use(factory: Factory) -> Iterator[None]:
    """Make every project's ports by `factory` within the block, in all threads of this process."""
    global _factory, _made
    with _lock:
        before = _factory, _made
        _factory, _made = factory, {}
    try:
        yield
    finally:
        with _lock:
            _factory, _made = before


def _installed() -> Factory:
    for entry in entry_points(group=GROUP, name=NAME):
        return cast(Factory, entry.load())
    raise ConfigError(
        f"No composition is installed: the entry point group {GROUP!r} has no {NAME!r}.",
        remedy="Install the package (`pip install -e .`), or set one with `use(factory)`.",
    )
