"""Who is an agent, once its file has been read?"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from .resolver import INSTALLED


@dataclass(frozen=True)
class MenuItem:
    """One thing that an agent offers. `kind` says what `target` is: a command's key, "skill", "prompt" or "" (none)."""

    trigger: str
    description: str
    kind: str = ""
    target: str = ""
    code: str = ""


@dataclass(frozen=True)
class Persona:
    """An agent as read. `id` is short and unique in a module ("dev"); `facts` are given to it at the start."""

    id: str
    name: str
    title: str = ""
    icon: str = ""
    role: str = ""
    identity: str = ""
    communication_style: str = ""
    principles: tuple[str, ...] = ()
    critical_actions: tuple[str, ...] = ()
    menu: tuple[MenuItem, ...] = ()
    prompts: Mapping[str, str] = field(default_factory=dict)
    facts: tuple[str, ...] = ()
    module: str = ""
    path: str = ""


def split_principles(value: object) -> tuple[str, ...]:
    """Principles as a list, however they were written: a list, lines with dashes, or one text."""
    if isinstance(value, list):
        return tuple(str(item).strip() for item in value)
    text = str(value).strip()
    lines = text.splitlines() if "\n" in text else re.split(r"\s(?=- [A-Z])", text) if text.startswith("- ") else []
    listed = [re.sub(r"^\s*[-*]\s+", "", line).strip() for line in lines if re.match(r"\s*[-*]\s", line)]
    return tuple(listed) if listed else (text,) if text else ()


def short_id(identifier: str, path: str) -> str:
    """An agent's short name, from its id or else from its file's name."""
    base = posixpath.basename(identifier or path)
    return re.sub(r"(?:\.agent)?\.(?:md|ya?ml)$", "", base)


def module_of(path: str) -> str:
    """The module that a file belongs to by its place, "" if that does not tell."""
    parts = path.split("/")
    for at, part in enumerate(parts[:-1]):
        if part in (*INSTALLED, "modules", "src") and parts[at + 1] not in ("modules", "agents"):
            return parts[at + 1]
    return ""
