"""Which keys may stand where in a conversation file, and on which line is one that may not?"""

from __future__ import annotations

import difflib
from collections.abc import Sequence

import yaml

from ..domain.errors import DocumentError
from ..domain.model_calls import Usage

TURN_KEYS = ("sample", "expect", "text", "json", "tools", "usage", "latency_s", "stop_reason")
ENTRY_KEYS = ("persona", "subject", "turn", *TURN_KEYS, "turns")
PARTS: dict[str, tuple[str, tuple[str, ...]]] = {  # below which key: what stands there, and its keys
    "turns": ("a turn", ("persona", "subject", "turn", *TURN_KEYS)),
    "usage": ("usage", tuple(name for name in Usage.model_fields if name != "source")),
    "tools": ("a tool", ("name", "arguments")),
}


def check_keys(node: yaml.Node, path: str, what: str = "an entry", known: Sequence[str] = ENTRY_KEYS) -> None:
    """Refuse a key that is unknown or there twice, in an entry and in its turns, tools and usage.

    Raises:
        DocumentError: with file, line, the key, the nearest known one and all that are known.
    """
    if not isinstance(node, yaml.MappingNode):
        return
    seen: set[str] = set()
    for key, value in node.value:
        name, line = str(key.value), key.start_mark.line + 1
        if name not in known:
            near = difflib.get_close_matches(name, known, 1, 0.5)
            hint = f": did you mean {near[0]!r}?" if near else "."
            raise DocumentError(
                f"{what} has no key {name!r}{hint}", path=path, line=line, remedy=f"Known keys: {', '.join(known)}."
            )
        if name in seen:
            raise DocumentError(f"the key {name!r} is there twice", path=path, line=line, remedy="Keep one of them.")
        seen.add(name)
        if name in PARTS:
            for part in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                check_keys(part, path, *PARTS[name])


def key_line(node: yaml.Node, name: object) -> int:
    """The 1-based line of a key of this mapping, of the mapping itself if the key is not in it."""
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    found = next((key for key, _ in pairs if key.value == name), node)
    return int(found.start_mark.line) + 1
