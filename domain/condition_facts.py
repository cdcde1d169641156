"""What is known when a condition is decided, and what is a name's value?"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["expression", "existence", "answer", "flag", "else", "prose"]
MISSING = object()


@dataclass(frozen=True)
class Probe:
    """The last file that an action looked for: its name as written and whether it is there."""

    path: str
    exists: bool


@dataclass(frozen=True)
class Facts:
    """What is known when a condition is decided.

    `touched` are names that an earlier instruction may have meant to set: an unknown one of these needs judgement, any
    other unknown name has simply never been set. `loaded` says for each input group whether something was found.
    `exists` answers for a path, glob or bare file name (None: cannot tell).
    """

    variables: Mapping[str, object] = field(default_factory=dict)
    answer: str | None = None
    touched: frozenset[str] = frozenset()
    loaded: Mapping[str, bool] = field(default_factory=dict)
    exists: Callable[[str], bool | None] = lambda _path: None
    probe: Probe | None = None
    otherwise: bool | None = None  # whether an `else` would hold: no check before it was taken


@dataclass(frozen=True)
class Verdict:
    """Whether a condition holds (None: judgement is needed), what kind it is, and why."""

    value: bool | None
    kind: Kind
    reason: str


def slug(text: str) -> str:
    """The variable name that a phrase stands for: "Sprint status" is `sprint_status`."""
    return re.sub(r"[^a-z0-9]+", "_", text.strip().strip("{}").lower()).strip("_")


def look(name: str, facts: Facts) -> object:
    """The value of a name in any spelling, or MISSING."""
    for key in (name.strip(), slug(name), name.strip().replace("-", "_")):
        if key in facts.variables:
            return facts.variables[key]
        if key.endswith("_content") and key.removesuffix("_content") in facts.loaded:
            return "loaded" if facts.loaded[key.removesuffix("_content")] else ""
    if "." in name and isinstance(outer := look(name.split(".")[0], facts), Mapping):
        return outer.get(name.split(".", 1)[1], MISSING)
    return MISSING


def never_set(name: str, facts: Facts) -> bool:
    """Whether an unknown name was never meant to be set by anything that ran."""
    return slug(name) not in facts.touched


def same(left: object, right: object) -> bool:
    """Whether two values are the same, whatever their case, quotes and type."""
    return norm(left) == norm(right)


def norm(value: object) -> object:
    """A value as it is compared: a number where it reads as one, else its text in lower case."""
    if isinstance(value, bool):
        return str(value).lower()
    if value is None:
        return ""
    text = str(value).strip().strip("'\"").lower()
    try:
        return float(text)
    except ValueError:
        return text


def relate(left: object, sign: str, right: object) -> bool | None:
    """Whether a relation holds between two values; None if it has no meaning for them."""
    if sign == "==":
        return same(left, right)
    if sign == "!=":
        return not same(left, right)
    a, b = norm(left), norm(right)
    if not (isinstance(a, float) and isinstance(b, float)):
        return None
    return {"<": a < b, ">": a > b, "<=": a <= b, ">=": a >= b}[sign]
