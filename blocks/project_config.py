"""What does a project's own settings file say, and on which line is it wrong?

The file is `.bmad/project-config.yaml` below the repository's root. A key that is not known is refused with the nearest
one that is; every message names file, line and remedy.
"""

from __future__ import annotations

import difflib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from storyloom.domain.errors import ConfigError
from storyloom.domain.redaction import Redactor
from storyloom.domain.settings import ProjectConfig

CONFIG_PATH = Path(".bmad") / "project-config.yaml"
MAX_BYTES = 256 * 1024
MAX_DEPTH = 20
SECRET_WORDS = ("api_key", "apikey", "secret", "token", "password")
GUIDE = "docs/configuration.md has every setting with an example."

Place = tuple[str | int, ...]

NEEDED = {
    "tuple_type": "a list is needed, such as [one, two]",
    "dict_type": "keys are needed below it",
    "model_type": "keys are needed below it",
    "string_type": "a text is needed",
    "bool_type": "true or false is needed",
    "bool_parsing": "true or false is needed",
    "int_type": "a whole number is needed",
    "int_parsing": "a whole number is needed",
    "int_from_float": "a whole number is needed",
    "float_type": "a number is needed",
    "float_parsing": "a number is needed",
    "decimal_type": "a number is needed",
    "decimal_parsing": "a number is needed",
    "finite_number": "a finite number is needed",
}
"""What a person should write, by the kind of mistake that pydantic names."""


class _Loader(yaml.SafeLoader):
    """A safe loader that refuses what could hide a mistake or an attack.

    These are aliases (a bomb), duplicate keys (the second value would silently win), keys that are no plain words, and
    deep nesting.
    """

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]
            raise yaml.MarkedYAMLError(problem="aliases are not allowed here", problem_mark=event.start_mark)
        self.depth += 1
        if self.depth > MAX_DEPTH:
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.MarkedYAMLError(problem=f"nested more than {MAX_DEPTH} deep", problem_mark=mark)
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.MarkedYAMLError(problem="a key must be a plain word", problem_mark=key.start_mark)
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
    raw = _bytes_of(path)
    if raw is None:
        return ProjectConfig()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise ConfigError(f"{path}:{line}: the file is not UTF-8.", remedy="Save it as UTF-8.") from error
    return parse_project_config(text, str(path))


def _bytes_of(path: Path) -> bytes | None:
    """What the file holds, None if there is none."""
    remedy = f"Make it a plain file of at most {MAX_BYTES >> 10} KiB that you may read, or remove it."
    try:
        about = path.stat()
        if not stat.S_ISREG(about.st_mode):
            raise ConfigError(f"{path}: this is no file.", remedy=remedy)
        if about.st_size > MAX_BYTES:
            raise ConfigError(f"{path}: the file has {about.st_size:,} bytes; settings need less.", remedy=remedy)
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        if path.is_symlink() or path.parent.is_symlink():
            raise ConfigError(f"{path}: the link leads nowhere.", remedy=remedy) from None
        return None
    except OSError as error:
        raise ConfigError(f"{path}: it cannot be read ({error.strerror}).", remedy=remedy) from error


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
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, max(error.position, 0)) + 1
        raise ConfigError(f"{path}:{line}: a control character is not allowed.", remedy="Remove it.") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else path
        problem = getattr(error, "problem", None) or str(error)
        if "\\t" in problem:
            problem = "a tab is used for indentation; use spaces"
        raise ConfigError(f"{where}: this is not valid YAML: {problem}.", remedy="Mend that line.") from error
    if data is None:
        return ProjectConfig()
    if not isinstance(data, dict):
        what = "a list" if isinstance(data, list) else "a single value"
        raise ConfigError(
            f"{path}:1: keys such as `project:` and `settings:` are needed, but this is {what}.", remedy=GUIDE
        )
    for line in _secret_lines(node):
        raise ConfigError(
            f"{path}:{line}: this value looks like a secret.",
            remedy="Take it out and revoke it if it was committed; keep keys in the environment or a Secret block.",
        )
    try:
        # A section whose keys are all commented out says nothing.
        return ProjectConfig.model_validate({key: value for key, value in data.items() if value is not None})
    except ValidationError as error:
        lines = _lines(node)
        told = dict.fromkeys(_explain(problem, path, lines) for problem in error.errors())
        raise ConfigError("\n".join(told), remedy=GUIDE) from None


def _secret_lines(node: yaml.Node | None) -> Iterator[int]:
    """1-based lines of values that have the shape of a vendor's key."""
    shapes = Redactor()
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from _secret_lines(key)
            yield from _secret_lines(value)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from _secret_lines(value)
    elif isinstance(node, yaml.ScalarNode) and shapes(node.value) != node.value:
        yield node.start_mark.line + 1


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
        if place[:1] == ("agents",) and len(place) > 1:
            return f"{where}: agents.{place[1]}: the name of a model or a list of names is needed."
        words = NEEDED.get(problem["type"]) or problem["msg"].replace("Input should be", "it must be")
        said = words.removeprefix("Value error, ").removesuffix(".")
        found = "nothing" if problem["input"] is None else repr(problem["input"])
        ending = f" (found {found if len(found) <= 80 else found[:79] + '…'})" if place else ""
        return f"{where}: {f'{name}: ' if name else ''}{said}{ending}."
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
