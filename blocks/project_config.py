"""What does a project's own settings file say, and on which line is it wrong?

The file is `.bmad/project-config.yaml` below the repository's root. A key that is not known is refused with the nearest
one that is; every message names file, line and remedy.
"""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from storyloom.domain.errors import ConfigError
from storyloom.domain.settings import ProjectConfig

CONFIG_PATH = Path(".bmad") / "project-config.yaml"
MAX_BYTES = 256 * 1024
SECRET_WORDS = ("api_key", "apikey", "secret", "token", "password")

Place = tuple[str | int, ...]


class _Loader(yaml.SafeLoader):
    """A safe loader that refuses aliases and duplicate keys (a bomb, and a second value that silently wins)."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]
            raise yaml.MarkedYAMLError(problem="aliases are not allowed here", problem_mark=event.start_mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.MarkedYAMLError(problem=f"the key {key.value!r} is there twice", problem_mark=key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def read_project_config(repository: str | Path) -> ProjectConfig:
    """The project's settings; all defaults when there is no file.

    Raises:
        ConfigError: the file is not valid; the message names file, line, the nearest valid key and what to do.
    """
    path = Path(repository) / CONFIG_PATH
    try:
        raw = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return ProjectConfig()
    except OSError as error:
        raise ConfigError(f"{path}: it cannot be read ({error.strerror}).") from error
    if len(raw) > MAX_BYTES:
        raise ConfigError(f"{path}: the file has {len(raw)} bytes; settings need less than {MAX_BYTES}.")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise ConfigError(f"{path}:{line}: the file is not UTF-8.", remedy="Save it as UTF-8.") from error
    return parse_project_config(text, str(path))


def parse_project_config(text: str, path: str) -> ProjectConfig:
    """The settings that `text` holds; `path` is only used in messages.

    Raises:
        ConfigError: as in read_project_config.
    """
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            data = loader.construct_document(node) if node else None
        finally:
            loader.dispose()
    except RecursionError as error:
        raise ConfigError(f"{path}: the file is nested too deeply.") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else path
        problem = getattr(error, "problem", None) or str(error)
        raise ConfigError(f"{where}: this is not valid YAML: {problem}.", remedy="Mend that line.") from error
    if data is None:
        return ProjectConfig()
    if not isinstance(data, dict):
        raise ConfigError(f"{path}:1: expected keys such as `project:` and `settings:`, found {type(data).__name__}.")
    try:
        return ProjectConfig.model_validate(data)
    except ValidationError as error:
        lines = _lines(node)
        raise ConfigError("\n".join(_explain(problem, path, lines) for problem in error.errors())) from None


def _lines(node: yaml.Node | None, at: Place = ()) -> dict[Place, int]:
    """1-based line numbers of every key and item."""
    found: dict[Place, int] = {at: node.start_mark.line + 1} if node is not None else {}
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            place = (*at, key.value)
            found.update(_lines(value, place))
            found[place] = key.start_mark.line + 1
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            found.update(_lines(value, (*at, index)))
    return found


def _explain(problem: ErrorDetails, path: str, lines: dict[Place, int]) -> str:
    place: Place = tuple(problem["loc"])
    known = place
    while known and known not in lines:
        known = known[:-1]
    where = f"{path}:{lines.get(known, 1)}"
    name = ".".join(str(part) for part in place)
    if problem["type"] != "extra_forbidden":
        return f"{where}: {name}: {problem['msg'].lower()} (found {problem['input']!r})."
    if any(word in str(place[-1]).lower() for word in SECRET_WORDS):
        return f"{where}: {name}: secrets do not belong in this file. Keep them in the environment or a Secret block."
    valid = _keys_at(place[:-1])
    near = difflib.get_close_matches(str(place[-1]), valid, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"valid keys here: {', '.join(valid)}."
    return f"{where}: there is no setting {name!r}; {hint}"


def _keys_at(place: Place) -> list[str]:
    model: type[BaseModel] = ProjectConfig
    for part in place:
        field = model.model_fields.get(str(part))
        annotation = field.annotation if field else None
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return []
        model = annotation
    return list(model.model_fields)


def key_lines(text: str) -> dict[Place, int]:
    """The 1-based line of every key of a project file that is valid YAML."""
    loader = _Loader(text)
    try:
        return _lines(loader.get_single_node())
    finally:
        loader.dispose()


def config_text(config: ProjectConfig) -> str:
    """The settings as the text of a project file, defaults left out."""
    data = config.model_dump(mode="json", exclude_defaults=True)
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True) if data else ""


def config_path(repository: str | os.PathLike[str]) -> Path:
    """Where the project's settings file is or would be."""
    return Path(repository) / CONFIG_PATH
