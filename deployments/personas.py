"""Whom may a project file give a model?  A misspelt name there would be passed over in silence."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from pathlib import Path

from storyloom.blocks.method_texts import MethodTexts
from storyloom.blocks.project_config import config_path, key_lines
from storyloom.blocks.workflow_library import WorkflowLibrary
from storyloom.domain.agent_reader import read_agent
from storyloom.domain.errors import ConfigError, InputError
from storyloom.domain.prompts import EXPERT, PERSONAS, ROLES
from storyloom.domain.settings import ProjectConfig

DECIDER = "dana"
"""Who answers questions before a person is asked."""


def known_personas(repository: str | Path) -> set[str]:
    """Every name that a model can be given to: the method's personas, the project's own, and installed agents."""
    return {DECIDER, EXPERT.id, *PERSONAS, *_own(MethodTexts(repository)), *_installed(repository)}


def require_known_personas(repository: str | Path, config: ProjectConfig) -> None:
    """Refuse a project file that gives a model to nobody.

    Raises:
        ConfigError: for each such name its file and line, the nearest known one, and all that are known.
    """
    wrong = set(config.agents) - {DECIDER, EXPERT.id, *PERSONAS}
    if not wrong or not (wrong := wrong - known_personas(repository)):
        return
    known = sorted(known_personas(repository))
    path = config_path(repository)
    lines = key_lines(path.read_text(encoding="utf-8-sig"))
    told = []
    for name in sorted(wrong, key=lambda name: lines.get(("agents", name), 0)):
        near = ROLES.get(name.lower()) or next(iter(difflib.get_close_matches(name.lower(), known, 1, 0.5)), "")
        hint = f"; did you mean {near!r}?" if near else "."
        told.append(f"{path}:{lines.get(('agents', name), 1)}: agents: there is no persona {name!r}{hint}")
    raise ConfigError("\n".join(told), remedy=f"Personas: {', '.join(known)}.")


def _own(texts: MethodTexts) -> Iterator[str]:
    for path in texts.names("personas"):
        name = path.rpartition("/")[2].split(".")[0]
        yield name
        text = texts.read(path)
        try:
            agent = read_agent(path, {path: text or ""})
        except InputError:  # told where it is used
            continue
        yield from (agent.id.lower(), agent.name.lower())


def _installed(repository: str | Path) -> Iterator[str]:
    if WorkflowLibrary.is_installed(repository):
        for agent in WorkflowLibrary.open(repository).agents:
            yield from (agent.id, agent.name.lower())
