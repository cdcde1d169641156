"""What does a YAML text say, when it was written by somebody whom we need not trust?

Anchored copies, duplicate keys, tabs, deep nesting and oversize are refused with file and line.  Scalars follow YAML
1.2's core schema, as upstream's own reader does: `on`, `yes`, `12:30` and dates stay text.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Mapping

import yaml

from .errors import DocumentError

MAX_CHARACTERS = 1 << 20
MAX_DEPTH = 40
KeyPath = tuple[str | int, ...]


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012  (PyYAML's own shape)


for _tag, _pattern, _first in [
    ("tag:yaml.org,2002:bool", r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF"),
    ("tag:yaml.org,2002:null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("tag:yaml.org,2002:int", r"^[-+]?(?:0|[1-9][0-9]{0,18})$", "-+0123456789"),
    (
        "tag:yaml.org,2002:float",
        r"^[-+]?(?:[0-9]{1,32}\.[0-9]{0,32}|\.[0-9]{1,32})(?:[eE][-+]?[0-9]{1,3})?$",
        "-+0123456789.",
    ),
]:
    _Loader.add_implicit_resolver(_tag, re.compile(_pattern), list(_first))


def load_yaml(text: str, path: str, *, first_line: int = 1) -> object:
    """The value of a YAML text: maps, lists, strings, numbers, booleans, None.

    Raises:
        DocumentError: with `path` and the line, counted from `first_line`.
    """
    return load_yaml_with_lines(text, path, first_line=first_line)[0]


def load_yaml_with_lines(text: str, path: str, *, first_line: int = 1) -> tuple[object, Mapping[KeyPath, int]]:
    """As `load_yaml`, with the line of every key and item by its path: `("agent", "menu", 0, "trigger")`."""
    reading = _Reading(text, path, first_line)
    if len(text) > MAX_CHARACTERS:
        reading.refuse(f"{len(text):,} characters are more than the {MAX_CHARACTERS:,} that are read", 1, "Split it.")
    try:
        return reading.document(text), reading.lines
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = reading.line(mark)
        problem = " ".join(part for part in (error.context, error.problem) if part)
        if _tab_at(text, line):
            reading.refuse("a tab is used for indentation, which YAML forbids", line, "Use spaces.")
        reading.refuse(f"this is not YAML: {problem}", line, "Quote values that hold : # * & or brackets.")
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, max(error.position, 0)) + 1
        reading.refuse("a control character is not allowed in YAML", line, "Remove it.")
    raise AssertionError("refuse never returns")


def _tab_at(text: str, line: int) -> bool:
    lines = text.split("\n")
    return any("\t" in re.match(r"\s*", lines[at])[0] for at in (line - 1, line) if at < len(lines))  # type: ignore[index]


class _Reading:
    def __init__(self, text: str, path: str, first_line: int) -> None:
        self.path, self.first_line = path, first_line
        self.lines: dict[KeyPath, int] = {}
        self.breaks = [found.start() for found in re.finditer("\n", text)]

    def line(self, mark: object) -> int:
        """The line of a mark as editors count it; YAML itself counts some signs as line breaks that are none there."""
        return bisect_left(self.breaks, int(getattr(mark, "index", 0))) + 1

    def refuse(self, message: str, line: int, remedy: str) -> None:
        raise DocumentError(message, path=self.path, line=line + self.first_line - 1, remedy=remedy)

    def document(self, text: str) -> object:
        loader = _Loader(text)
        depth = 0
        try:
            # a first pass over the events keeps the recursive composer away from hostile nesting
            for event in yaml.parse(text, Loader=_Loader):
                line = self.line(event.start_mark)
                if isinstance(event, yaml.AliasEvent):
                    self.refuse(
                        f"the alias *{event.anchor} stands for a copy, which is not followed",
                        line,
                        "Write it out, or quote it.",
                    )
                if isinstance(event, yaml.CollectionStartEvent):
                    depth += 1
                    if depth > MAX_DEPTH:
                        self.refuse(f"nested more than {MAX_DEPTH} deep", line, "Flatten it.")
                elif isinstance(event, yaml.CollectionEndEvent):
                    depth -= 1
            node = loader.get_single_node()
            return None if node is None else self._value(loader, node, ())
        finally:
            loader.dispose()

    def _value(self, loader: _Loader, node: yaml.Node, at: KeyPath) -> object:
        if not node.tag.startswith("tag:yaml.org,2002:") or node.tag.rsplit(":", 1)[1] not in _TAGS:
            self.refuse(f"the tag {node.tag} is not allowed", self.line(node.start_mark), "Use plain values.")
        self.lines.setdefault(at, self.line(node.start_mark) + self.first_line - 1)
        if isinstance(node, yaml.SequenceNode):
            return [self._value(loader, item, (*at, i)) for i, item in enumerate(node.value)]
        if isinstance(node, yaml.MappingNode):
            result: dict[str, object] = {}
            for key_node, value_node in node.value:
                line = self.line(key_node.start_mark)
                if not isinstance(key_node, yaml.ScalarNode):
                    self.refuse("a key must be a plain word", line, "Quote keys that begin with a bracket or brace.")
                key = str(key_node.value)
                if key in result:
                    self.refuse(f"the key {key!r} is given twice", line, "Keep one of them.")
                self.lines[(*at, key)] = line + self.first_line - 1
                result[key] = self._value(loader, value_node, (*at, key))
            return result
        return loader.construct_object(node)


_TAGS = frozenset({"str", "bool", "null", "int", "float", "seq", "map"})
