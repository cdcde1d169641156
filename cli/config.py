"""Which settings hold for a project, and where does each value come from?"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(help="Look at a project's settings.", no_args_is_help=True, rich_markup_mode=None)


@dataclass(frozen=True)
class Explained:
    """A setting, its value, and its source: "line N of the project file", an environment variable, or "default"."""

    name: str
    value: Any
    source: str
    about: str = ""


@app.command()
def explain(
    project: Annotated[Path, typer.Option("--project", "-C", help="The project's git repository.")] = Path(),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    changed: Annotated[
        bool, typer.Option("--changed", help="Only what the project file or the environment sets.")
    ] = False,
) -> None:
    """Show every setting, its value and where that comes from."""
    lines = [line for line in explained(project) if not changed or line.source != "default"]
    if as_json:
        typer.echo(json.dumps([line.__dict__ for line in lines], indent=2, default=str))
        return
    from .console import print_table

    print_table(("setting", "value", "from"), [(line.name, _shown(line.value), line.source) for line in lines])


def explained(project: Path) -> Iterator[Explained]:
    """All settings of a project with their sources, project file before environment before default.

    Raises:
        InputError: there is no repository, or its project file is wrong.
    """
    from storyloom.blocks.project_config import config_path, key_lines, read_project_config
    from storyloom.deployments.environment import PROVIDER_KEYS, read_environment
    from storyloom.deployments.personas import require_known_personas

    from .init import repository_root

    root = repository_root(project)
    config = read_project_config(root)
    require_known_personas(root, config)
    path = config_path(root)
    lines = key_lines(path.read_text(encoding="utf-8-sig")) if path.exists() else {}
    for section, field in type(config).model_fields.items():
        value = getattr(config, section)
        if not hasattr(type(value), "model_fields"):
            at = lines.get((section,))
            yield Explained(section, value, f"line {at}" if at else "default", field.description or "")
            continue
        for name, inner in type(value).model_fields.items():
            at = lines.get((section, name))
            source = f"line {at}" if at else "default"
            yield Explained(f"{section}.{name}", getattr(value, name), source, inner.description or "")
    environment = read_environment()
    yield Explained(
        "STORYLOOM_HOME", environment.home, "environment" if os.environ.get("STORYLOOM_HOME") else "default"
    )
    for provider in sorted(environment.keys):
        yield Explained(PROVIDER_KEYS[provider], "(set)", "environment")


def _shown(value: Any) -> str:
    """A value as a project file would say it."""
    if isinstance(value, tuple):
        return "[" + ", ".join(_shown(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_shown(item)}" for key, item in value.items()) + "}"
    if hasattr(value, "model_dump"):
        return _shown(value.model_dump(exclude_defaults=True))
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    return str(value)
