"""What do the variables in a workflow's texts stand for?

One namespace serves `{name}` and `{{name}}`; a hyphen and an underscore are the same letter in it.  Unknown names stay
as they are written, and so does `${{ ... }}`, which belongs to other engines.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from .errors import DocumentError, UnsafePath

FROM_OUTSIDE = frozenset({"system-generated", "runtime-captured"})  # values that mark a name as given from outside
KEYWORDS = frozenset({"else", "this", "if", "each", "unless", "end"})  # of the template language, never names
INSTALLED = ("_bmad", ".bmad", "bmad")
MAX_CHARACTERS = 1 << 20
MAX_DEPTH = 50

_NAME = r"[A-Za-z_][\w-]*(?:\.[\w-]+)*"
_CONFIG = re.compile(r"\{config_source\}:([A-Za-z_][\w.-]*)(\}?)")
_TOKEN = re.compile(
    rf"\$\{{\{{.{{0,500}}?\}}\}}|\$\{{[^{{}}]*\}}|\{{\{{\s*(\.?{_NAME})\s*\}}\}}|\{{({_NAME})\}}", re.DOTALL
)
Exists = Callable[[str], bool]


@dataclass(frozen=True)
class Resolved:
    """A text after resolving. `missing` stays open as `{{name}}`; `cycles` names what stands for itself."""

    text: str
    missing: tuple[str, ...] = ()
    cycles: tuple[str, ...] = ()


@dataclass(frozen=True)
class Resolver:
    """The values that a workflow's names have, in layers; the first layer that knows a name wins.

    `runtime` holds answers and captured values, `system` paths and dates (`project-root`, `installed_path`, `date`),
    `variables` those of the workflow file, `config` the installed module's configuration, `aliases` other names.
    """

    variables: Mapping[str, object] = field(default_factory=dict)
    config: Mapping[str, object] = field(default_factory=dict)
    system: Mapping[str, object] = field(default_factory=dict)
    runtime: Mapping[str, object] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)

    def with_runtime(self, values: Mapping[str, object]) -> Resolver:
        """A resolver that knows these runtime values, too."""
        return replace(self, runtime={**self.runtime, **values})

    def raw(self, name: str) -> object | None:
        """The value as it was given, not resolved; None if no layer has one."""
        name = self.aliases.get(name, name)
        layers = [self.runtime, self.system, self.variables, self.config]
        if name.startswith("."):
            name, layers = name[1:], [self.config]
        elif name.startswith("config."):
            name, layers = name[7:], [self.config]
        for layer in layers:
            found = _look_up(layer, name)
            if found is not None and not (isinstance(found, str) and found in FROM_OUTSIDE):
                return found
        return None

    def value(self, name: str, *, exists: Exists | None = None) -> object | None:
        """The value of a name, all texts within it resolved; None if it has none.

        Raises:
            DocumentError: the value grows beyond all bounds.
        """
        raw = self.raw(name)
        return None if raw is None else self._deep(raw, exists, (_fold(name),))

    def text(self, text: str, *, exists: Exists | None = None) -> Resolved:
        """A text with every known name replaced, recursively.

        `exists` decides which of `A || B` a variable's value stands for; without it, the first.

        Raises:
            DocumentError: the text grows beyond all bounds.
        """
        state = _State(exists)
        return Resolved(self._text(text, state, ()), tuple(state.missing), tuple(state.cycles))

    def path(self, text: str, root: str, *, exists: Exists | None = None) -> str:
        """A path in the project as a relative, normalised path; `root` is what {project-root} stands for.

        Raises:
            UnsafePath: it leads out of the project.
            DocumentError: it is an address on the network, or still holds a name that nothing is known about.
        """
        resolved = self._choose(self.text(text, exists=exists).text, exists)
        return inside(resolved, root)

    # one layer down

    def _text(self, text: str, state: _State, active: tuple[str, ...]) -> str:
        text = _CONFIG.sub(lambda found: self._config_value(found, state, active), text)
        return _TOKEN.sub(lambda found: self._token(found, state, active), text)

    def _config_value(self, found: re.Match[str], state: _State, active: tuple[str, ...]) -> str:
        key = found[1]
        tail = ""
        value = _look_up(self.config, key)
        while value is None and key[-1:] in ".-":
            key, tail = key[:-1], key[-1] + tail
            value = _look_up(self.config, key)
        if value is None:
            state.note_missing(key)
            return found[0]
        return self._expand(f"config_source:{key}", value, state, active, found[0]) + tail

    def _token(self, found: re.Match[str], state: _State, active: tuple[str, ...]) -> str:
        double, single = found[1], found[2]
        name = double or single
        if name is None or name in KEYWORDS:
            return found[0]
        value = self.raw(name)
        if value is None or value == "":
            if double:
                state.note_missing(name)
            return found[0]
        return self._expand(name, value, state, active, found[0])

    def _expand(self, name: str, value: object, state: _State, active: tuple[str, ...], written: str) -> str:
        key = _fold(name)
        if key in active:
            if name not in state.cycles:
                state.cycles.append(name)
            return written
        if len(active) > MAX_DEPTH:
            raise DocumentError(
                f"variables lead to variables more than {MAX_DEPTH} times, at {name!r}", remedy="Write the value out."
            )
        if key not in state.done:
            cycles = len(state.cycles)
            text = self._choose(self._text(_as_text(value), state, (*active, key)), state.exists)
            if len(state.cycles) > cycles:
                return state.spend(name, text)  # true only below `active`
            state.done[key] = text
        return state.spend(name, state.done[key])

    def _deep(self, value: object, exists: Exists | None, active: tuple[str, ...]) -> object:
        if isinstance(value, str):
            return self._choose(self._text(value, _State(exists), active), exists)
        if isinstance(value, Mapping):
            return {str(key): self._deep(item, exists, active) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self._deep(item, exists, active) for item in value]
        return value

    @staticmethod
    def _choose(text: str, exists: Exists | None) -> str:
        """The first of `A || B` that exists; the first of all if none does."""
        if " || " not in text or "\n" in text:
            return text
        choices = [choice.strip() for choice in text.split(" || ")]
        return next((choice for choice in choices if exists and exists(choice)), choices[0])


@dataclass
class _State:
    exists: Exists | None
    missing: list[str] = field(default_factory=list)
    cycles: list[str] = field(default_factory=list)
    done: dict[str, str] = field(default_factory=dict)
    spent: int = 0

    def spend(self, name: str, text: str) -> str:
        self.spent += len(text)
        if self.spent > MAX_CHARACTERS:
            raise DocumentError(
                f"a text grows beyond {MAX_CHARACTERS:,} characters when {name!r} is resolved",
                remedy="Look for variables that hold each other several times.",
            )
        return text

    def note_missing(self, name: str) -> None:
        if name not in self.missing:
            self.missing.append(name)


def inside(path: str, root: str = "") -> str:
    """`path` relative to the project's `root`, normalised with forward slashes.

    Raises:
        UnsafePath: it leads out of the project.
        DocumentError: it is an address on the network, or holds a name that nothing is known about.
    """
    if re.match(r"^[A-Za-z][A-Za-z0-9+.-]+:", path):
        raise DocumentError(
            f"{path!r} is an address, and only files of the project are read",
            remedy="Copy the file into the project and name its path.",
        )
    if re.search(r"\{[^{}]*\}", path):
        raise DocumentError(
            f"{path!r} holds a variable that has no value", remedy="Set it in the workflow or its config."
        )
    plain = path.replace("\\", "/")
    base = posixpath.normpath(root.replace("\\", "/")) if root else ""
    if base and base != "." and (plain == base or plain.startswith(base.rstrip("/") + "/")):
        plain = plain[len(base) :].lstrip("/") or "."
    clean = posixpath.normpath(plain)
    if clean == ".." or clean.startswith(("/", "~", "../")) or "\0" in clean or re.match(r"[A-Za-z]:", clean):
        raise UnsafePath(f"{path!r} leads out of the project", remedy="Name a path below the project's folder.")
    return clean


def _fold(name: str) -> str:
    return name.replace("-", "_")


def _look_up(layer: Mapping[str, object], name: str) -> object | None:
    """A value by its name, hyphen or underscore alike, or by a dotted path into maps."""
    for candidate in (name, name.replace("-", "_"), name.replace("_", "-")):
        if candidate in layer:
            return layer[candidate]
    folded = _fold(name)
    for key, value in layer.items():
        if _fold(key) == folded:
            return value
    head, dot, rest = name.partition(".")
    if dot:
        below = _look_up(layer, head)
        if isinstance(below, Mapping):
            return _look_up(below, rest)
    return None


def _as_text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        if any(isinstance(item, Mapping | list | tuple) for item in value):
            return json.dumps(value, ensure_ascii=False, default=str)
        return ", ".join(_as_text(item) for item in value)
    if isinstance(value, Mapping):
        return json.dumps(value, ensure_ascii=False, default=str)
    return "" if value is None else str(value)
