"""What can a project set, and what holds when it sets nothing?

The project file is `.bmad/project-config.yaml` in the target repository. Secrets never stand in it.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

MODEL_CLASSES = ("light", "standard", "heavy")


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
    """How the project's code is set up, tested and run. Run in the sandbox, from the repository's root."""

    setup: str = ""
    test: str = "python -m unittest discover"
    health: str = ""
    start: str = ""


class Gates(Section):
    """Where a person must approve before the work goes on."""

    phases: tuple[str, ...] = ()
    stories: Literal["none", "spec", "done", "both"] = "none"


class Settings(Section):
    """How the work is done."""

    max_concurrent_agents: int = Field(default=3, ge=1, le=64)
    llm_budget_usd: Decimal = Field(default=Decimal(50), ge=0)
    llm_budget_tokens: int | None = Field(default=None, ge=0)
    story_budget_usd: Decimal | None = Field(default=None, ge=0)
    run_budget_usd: Decimal | None = Field(default=None, ge=0)
    start_no_story_after: float | None = Field(default=None, description="Seconds since 1970, UTC")
    auto_merge_prs: bool = False
    escalation_threshold: float = Field(default=0.75, ge=0, le=1)
    when_asked: Literal["pause", "recommendation", "set_aside"] = "pause"
    questions: Literal["simulate", "unsure", "person"] = "simulate"
    answer_within_hours: float = Field(default=72, gt=0)
    sandbox: Literal["required", "none"] = "required"
    integration_branch: str = "storyloom/main"
    deploy: Literal["none", "local"] = "local"
    max_turns: int = Field(default=40, ge=1)
    max_attempts: int = Field(default=3, ge=1)
    max_review_rounds: int = Field(default=3, ge=1)
    max_context_tokens: int = Field(default=60_000, ge=2_000)
    command_wall_s: float = Field(default=300, gt=0)
    planning_folder: str = "docs"
    stories_folder: str = "docs/stories"


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
    notify: dict[str, str | int | bool | list[str]] = {}
