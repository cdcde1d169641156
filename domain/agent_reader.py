"""Who is an agent: name, role, manner, principles and menu, whichever of upstream's shapes its file has?

The shapes: `*.agent.yaml`; an installed agent's Markdown with an <agent> element; a skill with an `[agent]` table in
its `customize.toml`; a skill whose SKILL.md has sections for identity and principles, with or without a manifest.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

from . import frontmatter
from .agent_menus import menu_items, skill_menu, table_menu
from .agent_schema import check_agent
from .customization import load_toml, merge_layers
from .errors import DocumentError
from .headings import headings
from .installed_agents import read_installed
from .personas import MenuItem, Persona, module_of, short_id, split_principles
from .resolver import INSTALLED
from .safe_yaml import load_yaml, load_yaml_with_lines
from .workflow_tree import Note

__all__ = ["MenuItem", "Persona", "agent_problems", "find_agents", "is_agent_skill", "read_agent"]
MANIFEST = "bmad-skill-manifest.yaml"


def read_agent(path: str, files: Mapping[str, str]) -> Persona:
    """The agent whose first file is `path`, its customizations among `files` laid over it.

    Raises:
        DocumentError: with file and line; the message counts further problems.
    """
    if path not in files:
        raise DocumentError(
            "there is no such agent file", path=path, remedy="`storyloom workflow list` shows what there is."
        )
    text = files[path]
    if path.endswith((".yaml", ".yml")):
        persona = _from_yaml(path, text)
    elif posixpath.basename(path) == "SKILL.md":
        return _from_skill(path, files)
    else:
        persona = read_installed(path, text)
    for layer in _customizations(path, files):
        persona = _customize(persona, layer, files[layer])
    return persona


def agent_problems(path: str, text: str) -> tuple[Note, ...]:
    """Everything that is wrong with an `*.agent.yaml`, each with its line."""
    try:
        loaded, lines = load_yaml_with_lines(text, path)
    except DocumentError as error:
        return (Note(path, error.line or 1, error.message.split(": ", 1)[-1], "error"),)
    return check_agent(loaded, lines, path)


def find_agents(files: Mapping[str, str]) -> tuple[str, ...]:
    """The first files of all agents among `files`, sorted."""
    found = []
    for path in files:
        name, parts = posixpath.basename(path), path.split("/")
        if name.endswith(".agent.yaml"):
            aside = {"fixtures", "templates", "data", "reference", "node_modules"}.intersection(parts)
            found += [] if aside else [path]
        elif name == "SKILL.md":
            found += [path] if is_agent_skill(path, files) else []
        elif (
            name.endswith(".md")
            and "agents" in parts
            and re.search(r"^[ \t]*<agent\s[^<>]*\bname=", files[path], re.MULTILINE)
        ):
            found.append(path)
    return tuple(sorted(found))


def is_agent_skill(path: str, files: Mapping[str, str]) -> bool:
    """Whether a SKILL.md describes an agent, and not a workflow."""
    folder = posixpath.dirname(path)
    custom = files.get(posixpath.join(folder, "customize.toml"), "")
    manifest = files.get(posixpath.join(folder, MANIFEST), "")
    if re.search(r"^\[agent\]", custom, re.MULTILINE) or re.search(r"^type:\s*agent\b", manifest, re.MULTILINE):
        return True
    return not custom and re.match(r"(?:bmad-)?agent-", posixpath.basename(folder)) is not None


# the shapes


@lru_cache(maxsize=64)  # every story and review asks who speaks; the text is seldom another
def _from_yaml(path: str, text: str) -> Persona:
    loaded, lines = load_yaml_with_lines(text, path)
    problems = check_agent(loaded, lines, path)
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise DocumentError(
            f"{problems[0].message}{more}", path=path, line=problems[0].line, remedy="Correct the file."
        )
    assert isinstance(loaded, dict)
    agent = loaded["agent"]
    metadata, persona = agent["metadata"], agent["persona"]
    return Persona(
        id=short_id(str(metadata["id"]), path),
        name=metadata["name"],
        title=metadata["title"],
        icon=metadata["icon"],
        role=_line(persona["role"]),
        identity=_line(persona["identity"]),
        communication_style=_line(persona["communication_style"]),
        principles=split_principles(persona["principles"]),
        critical_actions=tuple(agent.get("critical_actions") or ()),
        menu=tuple(item for entry in agent["menu"] for item in menu_items(entry)),
        prompts=_prompts(agent.get("prompts")),
        facts=tuple(str(m) for m in agent.get("memories") or ()),
        module=str(metadata.get("module") or ""),
        path=path,
    )


def _from_skill(path: str, files: Mapping[str, str]) -> Persona:
    folder = posixpath.dirname(path)
    name = posixpath.basename(folder)
    head = frontmatter.split(files[path], path)
    custom = posixpath.join(folder, "customize.toml")
    agent: Mapping[str, object] = {}
    layers = [p for p in (custom, *_customizations(path, files)) if p in files]
    if layers:
        table = merge_layers(load_toml(files[p], p) for p in layers).get("agent", {})
        agent = table if isinstance(table, dict) else {}
    manifest_path = posixpath.join(folder, MANIFEST)
    manifest = load_yaml(files[manifest_path], manifest_path) if manifest_path in files else {}
    known: dict[str, object] = dict(manifest) if isinstance(manifest, dict) else {}
    sections = _sections(head.body)
    title = next((h.title for h in headings(head.body) if h.level == 1), "")
    found = re.match(r"(.+?)\s+[—–-]\s+(.+)", title)

    def pick(*values: object) -> str:
        return next((_line(str(v)) for v in values if v), "")

    return Persona(
        id=str(head.values.get("name") or name),
        name=pick(agent.get("name"), known.get("displayName"), found[1] if found else title, name),
        title=pick(agent.get("title"), known.get("title"), found[2] if found else ""),
        icon=pick(agent.get("icon"), known.get("icon")),
        role=pick(agent.get("role"), known.get("role"), sections.get("role"), sections.get("overview")),
        identity=pick(agent.get("identity"), known.get("identity"), sections.get("identity")),
        communication_style=pick(
            agent.get("communication_style"), known.get("communicationStyle"), sections.get("communication style")
        ),
        principles=split_principles(
            agent.get("principles") or sections.get("principles") or known.get("principles") or ""
        ),
        critical_actions=_texts(agent.get("activation_steps_prepend")) + _texts(agent.get("activation_steps_append")),
        menu=skill_menu(agent.get("menu")) or table_menu(sections.get("capabilities", "")),
        facts=_texts(agent.get("persistent_facts")),
        module=str(known.get("module") or ""),
        path=path,
    )


def _customizations(path: str, files: Mapping[str, str]) -> list[str]:
    """The files that change an agent, in the order in which they are laid over it."""
    name = posixpath.basename(posixpath.dirname(path)) if path.endswith("SKILL.md") else ""
    short, module = short_id("", path), module_of(path)
    ends = (f"custom/{name}.toml", f"custom/{name}.user.toml") if name else (
        f"_cfg/agents/{module}-{short}.customize.yaml", f"_config/agents/{module}-{short}.customize.yaml",
    )  # fmt: skip
    return [
        p
        for end in ends
        for p in sorted(files)
        if any(p == f"{i}/{end}" or p.endswith(f"/{i}/{end}") for i in INSTALLED)
    ]


def _customize(persona: Persona, path: str, text: str) -> Persona:
    """The persona with a customize.yaml laid over it: it replaces the persona, and adds to everything else."""
    loaded = load_yaml(text, path)
    if not isinstance(loaded, dict):
        return persona
    agent = loaded.get("agent")
    metadata = agent.get("metadata") if isinstance(agent, dict) else None
    own = loaded.get("persona")
    changes: dict[str, object] = {}
    if isinstance(metadata, dict) and metadata.get("name"):
        changes["name"] = str(metadata["name"])
    if isinstance(own, dict):
        for key in ("role", "identity", "communication_style"):
            if own.get(key):
                changes[key] = _line(str(own[key]))
        if own.get("principles"):
            changes["principles"] = split_principles(own["principles"])
    menu = [item for entry in loaded.get("menu") or [] if isinstance(entry, dict) for item in menu_items(entry)]
    return replace(
        persona,
        **changes,  # type: ignore[arg-type]
        critical_actions=persona.critical_actions + _texts(loaded.get("critical_actions")),
        facts=persona.facts + _texts(loaded.get("memories")),
        menu=persona.menu + tuple(menu),
        prompts={**persona.prompts, **_prompts(loaded.get("prompts"))},
    )


# parts


def _sections(body: str) -> dict[str, str]:
    found = {}
    for heading in headings(body):
        if heading.level == 2:
            text = body[heading.start : heading.end]
            found[heading.title.lower()] = text.split("\n", 1)[1].strip() if "\n" in text else ""
    return found


def _prompts(value: object) -> dict[str, str]:
    listed = value if isinstance(value, list) else []
    return {str(p["id"]): str(p.get("content") or "") for p in listed if isinstance(p, dict) and p.get("id")}


def _texts(value: object) -> tuple[str, ...]:
    items: Sequence[object] = value if isinstance(value, list) else []
    return tuple(str(item).strip() for item in items if item)


def _line(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()
