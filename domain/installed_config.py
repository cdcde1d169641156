"""Which configuration values does an installed folder, or an unpacked package's defaults, give to a module's workflows?

Later layers win: the package's defaults, `config.yaml` of the core and of the module, the central `config.toml` with
the team's and the person's files.  Values stay as written; `domain.resolver` resolves them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from .customization import load_toml, merge_layers
from .resolver import INSTALLED
from .safe_yaml import load_yaml

_ROOT = "|".join(re.escape(name) for name in INSTALLED)
_CENTRAL = ("config.toml", "config.user.toml", "custom/config.toml", "custom/config.user.toml")


def read_config(files: Mapping[str, str], module: str) -> dict[str, object]:
    """The values that hold for the workflows of `module`; {} if nothing is configured.

    Raises:
        DocumentError: a file is not YAML or TOML; with file and line.
    """
    values: dict[str, object] = {}
    for name in dict.fromkeys(("core", module)):
        for path in _paths(
            files, rf"(?:.*/)?{re.escape(name)}(?:-skills)?/(?:_module-installer/install-config|module)\.yaml"
        ):
            values |= _defaults(load_yaml(files[path], path))
    for name in dict.fromkeys(("core", module)):
        for path in _paths(files, rf"(?:.*/)?(?:{_ROOT})/{re.escape(name)}/config\.yaml"):
            loaded = load_yaml(files[path], path)
            values |= loaded if isinstance(loaded, dict) else {}
    layers = [path for end in _CENTRAL for path in _paths(files, rf"(?:.*/)?(?:{_ROOT})/{re.escape(end)}")]
    if layers:
        central = merge_layers(load_toml(files[path], path) for path in layers)
        modules = central.get("modules")
        own = modules.get(module) if isinstance(modules, dict) else None
        for table in (central.get("core"), own):
            values |= table if isinstance(table, dict) else {}
    return values


def _paths(files: Mapping[str, str], pattern: str) -> list[str]:
    return sorted((p for p in files if re.fullmatch(pattern, p)), key=lambda p: (p.count("/"), p))[:1]


def _defaults(loaded: object) -> dict[str, object]:
    """What an installation that takes every default would write: `result` around `default`."""
    values: dict[str, object] = {}
    for key, entry in loaded.items() if isinstance(loaded, dict) else ():
        if isinstance(entry, dict) and "default" in entry:
            default, result = entry["default"], entry.get("result", "{value}")
            plain = isinstance(result, str) and isinstance(default, str)
            values[key] = str(result).replace("{value}", str(default)) if plain else default
        elif isinstance(entry, dict) and isinstance(entry.get("result"), str) and "{value}" not in entry["result"]:
            values[key] = entry["result"]
    for key, value in values.items():
        # an answer that names the output folder already begins at the project's root
        if isinstance(value, str) and re.match(r"\{project-root\}/\{(\w+)\}", value):
            values[key] = value.removeprefix("{project-root}/")
    return values
