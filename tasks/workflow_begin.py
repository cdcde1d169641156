"""What does a run of a workflow know when it begins?"""

from __future__ import annotations

import json
from collections.abc import Mapping

from pydantic import JsonValue

from ..domain.discovery import relative
from ..domain.resolver import Resolver
from ..domain.run_state import RunState
from .library import Opened
from .ports import Ports

SYSTEM_NAMES = ("date", "current_date", "today")


def initial_state(ports: Ports, found: Opened, inputs: Mapping[str, str], today: str, world: str = "") -> RunState:
    """The state in which a run begins: variables resolved, inputs on top."""
    workflow = found.workflow
    facts = {**_facts(ports), **found.config}
    system = {
        "project-root": ".",
        "project_root": ".",
        "installed_path": workflow.folder,
        **dict.fromkeys(SYSTEM_NAMES, today),
    }
    system |= {"current_year": today[:4], "current_month": today[5:7]}
    own = Resolver(config=facts, system=system)  # a module's configuration speaks of itself, not of a workflow's names
    facts = {name: own.value(name) if own.raw(name) is not None else value for name, value in facts.items()}
    resolver = Resolver(variables=workflow.variables, config=facts, system=system, runtime=inputs)
    variables: dict[str, JsonValue] = {}
    for name in (*facts, *workflow.variables, *system, *inputs):
        value = resolver.value(name)
        if value is not None and value != "" and not isinstance(value, dict) and name not in _PARTS:
            variables[str(name)] = json.loads(json.dumps(value, default=str))
    given: dict[str, JsonValue] = dict(inputs)
    return RunState(
        workflow=workflow.name,
        variables=variables,
        fixed=(*variables, "default_output_file"),
        folders=_folders(variables),
        given=given,
        today=today,
        world=world,
    )


def _folders(variables: Mapping[str, JsonValue]) -> tuple[str, ...]:
    """The folders that the workflow and the project name as places for documents."""
    named = [value for name, value in variables.items() if name.endswith(("_folder", "_artifacts", "_dir"))]
    paths = (relative(value).rstrip("/") for value in named if isinstance(value, str) and "{" not in value)
    return tuple(dict.fromkeys(path for path in paths if path and not path.startswith(".")))


def _facts(ports: Ports) -> dict[str, object]:
    """What the project's settings say, by the names that workflows know them by."""
    settings, project = ports.config.settings, ports.config.project
    planning, stories = settings.planning_folder, settings.stories_folder
    return {
        "project_name": project.name or project.id or ports.project.repository.rstrip("/").rsplit("/", 1)[-1],
        "project_level": project.level,
        "non_interactive": True,
        "user_name": "the owner",
        "user_skill_level": "intermediate",
        "communication_language": "English",
        "document_output_language": "English",
        **dict.fromkeys(("planning_folder", "output_folder", "planning_artifacts", "project_knowledge"), planning),
        **dict.fromkeys(("stories_folder", "sprint_artifacts", "implementation_artifacts", "story_dir"), stories),
    }


_PARTS = frozenset({
    "name", "description", "author", "instructions", "template", "validation", "web_bundle", "input_file_patterns",
    "config_source", "standalone", "required_tools", "tags", "execution_hints", "phase", "agent", "variables",
})  # fmt: skip
