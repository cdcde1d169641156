"""What can a project set, and what holds when it sets nothing?

The project file is `.bmad/project-config.yaml` in the target repository. Secrets never stand in it.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from .budget import Cap, Kind
from .errors import UnsafePath
from .keys import key_kind
from .phases import Phase
from .rate_limit import RateLimit
from .safe_paths import check_path
from .statuses import Kind as RowKind

STORIES = "storyloom"  # the stories' branches are storyloom/1-2-title
MODEL_CLASSES = ("light", "standard", "heavy")


def _folder(path: str) -> str:
    """A folder inside the repository, as git writes it: `./docs/` is `docs`."""
    plain = re.sub(r"^(?:\./+)+|/+$", "", path)
    try:
        check_path(plain)
    except UnsafePath as error:
        raise ValueError(f"this is no folder inside the repository: {error.message}") from None
    return plain


def _branch(name: str) -> str:
    """A name that git takes for a branch (git-check-ref-format)."""
    plain = re.fullmatch(r"(?!refs/)[^\x00- \x7f~^:?*\[\\]{1,200}", name)
    parts = name.split("/")
    if (
        not plain
        or any(not part or part.startswith((".", "-")) or part.endswith((".", ".lock")) for part in parts)
        or any(bad in name for bad in ("..", "@{"))
        or name in ("@", "HEAD")
    ):
        raise ValueError("git does not take this as a branch's name; use letters, digits, '.', '_', '-' and '/'")
    if name == STORIES or (parts[0] == STORIES and key_kind(parts[1]) is RowKind.STORY):
        raise ValueError(f"this name stands in the way of the stories' branches; use another, such as {STORIES}/main")
    return name


def _phases(names: tuple[str, ...]) -> tuple[str, ...]:
    """Names of phases: a gate at a misspelt one would never be asked for."""
    wrong = next((name for name in names if name not in set(Phase)), None)
    if wrong is not None:
        raise ValueError(f"there is no phase {wrong!r}; phases are {', '.join(Phase)}")
    return names


Folder = Annotated[str, AfterValidator(_folder)]
Branch = Annotated[str, AfterValidator(_branch)]
Phases = Annotated[tuple[str, ...], AfterValidator(_phases)]


class Section(BaseModel):
    """A frozen part of the project file; a key it does not know is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Project(Section):
    """What the project is called and how large it is (levels 0 to 4 as in the method)."""

    name: str = ""
    id: str = ""
    level: int = Field(default=2, ge=0, le=4)
    repository: str = ""


class Commands(Section):
    """How the project's code is set up, tested and run. Run in the sandbox, from the repository's root.

    `test_changed` tests a change alone: `{changed}` in it becomes the changed paths (`jest --findRelatedTests
    {changed}`). It takes the place of `test` on a story's branch, and on the main line as `whole_suite_every` says.
    `setup` installs what the code needs, into `setup_folders`: once for the same lock and requirement files.
    """

    setup: str = ""
    setup_folders: tuple[Folder, ...] = (".venv", "node_modules")
    test: str = "python -m unittest discover"
    test_changed: str = ""
    health: str = ""
    start: str = ""


Role = Literal["viewer", "executor", "developer", "approver", "admin"]
"""What a person may do, each more than the one before."""


class Person(Section):
    """Somebody who works on the project. `notify` names channels; their addresses are secrets and stand elsewhere."""

    name: str = Field(min_length=1, max_length=80, pattern=r"^[^\s/][^/\n]*$")
    role: Role = "developer"
    notify: tuple[str, ...] = ()


class Gates(Section):
    """Where a person must approve before the work goes on. `epics` holds keys like "epic-1", or "all".

    `stories` asks before the development ("spec"), before the merge ("done") or at "both"; a story's own checkpoints
    come on top. `approvals` is how many different people must approve.
    """

    phases: Phases = ()
    epics: tuple[str, ...] = ()
    stories: Literal["none", "spec", "done", "both"] = "none"
    approvals: int = Field(default=1, ge=1, le=10)


class Notify(Section):
    """Which channels are told of questions, by severity, and how often.

    A channel is a name; its address stands in the variable STORYLOOM_NOTIFY_<NAME> or the Prefect Secret block
    storyloom-notify-<name>. `remind_every_hours` 0 means: by severity.
    """

    critical: tuple[str, ...] = ()
    important: tuple[str, ...] = ()
    normal: tuple[str, ...] = ()
    remind_every_hours: float = Field(default=0, ge=0)
    reminders: int = Field(default=3, ge=0, le=50)


class Settings(Section):
    """How the work is done."""

    max_concurrent_agents: int = Field(default=3, ge=1, le=64)
    llm_budget_usd: Decimal = Field(default=Decimal(50), ge=0)
    llm_budget_tokens: int | None = Field(default=None, ge=0)
    story_budget_usd: Decimal | None = Field(default=None, ge=0)
    run_budget_usd: Decimal | None = Field(default=None, ge=0)
    budgets: dict[Kind, Cap] = Field(default={}, description="More caps, by kind of scope, in dollars and tokens")
    rate_limits: dict[str, RateLimit] = Field(default={}, description="What a provider takes a minute, by provider")
    start_no_story_after: float | None = Field(default=None, description="Seconds since 1970, UTC")
    auto_merge_prs: bool = False
    escalation_threshold: float = Field(default=0.75, ge=0, le=1)
    when_asked: Literal["pause", "recommendation", "set_aside"] = "pause"
    questions: Literal["simulate", "unsure", "person"] = "unsure"
    answer_within_hours: float = Field(default=72, gt=0)
    second_opinion: bool = Field(default=True, description="Ask a model before a person is asked")
    fleet: bool = Field(default=False, description="Free the worker while a question waits, and start again after it")
    requested_by: str = Field(default="", description="Who asked for this run; may not approve its gates")
    sandbox: Literal["required", "none"] = "required"
    setup_network: bool = Field(default=False, description="commands.setup, and nothing else, may reach the network")
    setup_wall_s: float = Field(default=1800, gt=0, description="Seconds for commands.setup")
    integration_branch: Branch = "storyloom/main"
    deploy: Literal["none", "local"] = "local"
    max_turns: int = Field(default=40, ge=1)
    merge_stack: int = Field(default=8, ge=1, le=64, description="Stories that are tested and merged together at most")
    max_attempts: int = Field(default=3, ge=1)
    max_review_rounds: int = Field(default=3, ge=1)
    max_context_tokens: int = Field(default=60_000, ge=2_000)
    command_wall_s: float = Field(default=300, gt=0)
    story_wall_s: float | None = Field(default=None, gt=0, description="Seconds for a story's turns, by attempt")
    whole_suite_every: int = Field(
        default=1, ge=1, description="With commands.test_changed: all tests at every how manieth merge, and at the end"
    )
    planning_folder: Folder = "docs"
    stories_folder: Folder = "docs/stories"

    def caps(self) -> dict[Kind, Cap]:
        """The caps that hold for every scope of a kind; of two for the same kind the lower one."""
        found = dict(self.budgets)
        owns: tuple[tuple[Kind, Cap], ...] = (
            ("project", Cap(usd=self.llm_budget_usd, tokens=self.llm_budget_tokens)),
            ("story", Cap(usd=self.story_budget_usd)),
            ("run", Cap(usd=self.run_budget_usd)),
        )
        for kind, own in owns:
            found[kind] = found.get(kind, Cap()).lower(own)
        return {kind: cap for kind, cap in found.items() if cap != Cap()}


class ModelPolicy(Section):
    """Which models stand behind the classes and personas, in the order in which they are tried."""

    light: tuple[str, ...] = ()
    standard: tuple[str, ...] = ()
    heavy: tuple[str, ...] = ()


class ProjectConfig(Section):
    """The whole project file."""

    project: Project = Project()
    agents: dict[str, str | tuple[str, ...]] = {}
    models: ModelPolicy = ModelPolicy()
    onboarding: tuple[str, ...] = ()
    commands: Commands = Commands()
    gates: Gates = Gates()
    settings: Settings = Settings()
    people: tuple[Person, ...] = ()
    notify: Notify = Notify()

    @model_validator(mode="after")
    def _people_suffice(self) -> Self:
        names = [person.name for person in self.people]
        if len(set(names)) < len(names):
            raise ValueError("people: every name may stand there once")
        able = sum(person.role in ("approver", "admin") for person in self.people)
        if self.gates.approvals > 1 and self.gates.approvals > able:
            raise ValueError(f"gates.approvals is {self.gates.approvals}, but {able} of the people may approve")
        return self
