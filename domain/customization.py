"""Which values does a skill run with, once the team's and the person's own changes are laid over its defaults?"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence

from .errors import DocumentError

MAX_CHARACTERS = 1 << 20
KEYS = ("code", "id")  # what names an entry in an array of tables


def load_toml(text: str, path: str) -> dict[str, object]:
    """The table of a TOML text.

    Raises:
        DocumentError: with file and line.
    """
    if len(text) > MAX_CHARACTERS:
        raise DocumentError(f"{len(text):,} characters are more than are read", path=path, line=1, remedy="Split it.")
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = re.search(r"\(at line (\d+)", str(error))
        line = int(place[1]) if place else text.count("\n") + 1
        problem = re.sub(r" \(at .*\)$", "", str(error))
        raise DocumentError(f"this is not TOML: {problem}", path=path, line=line, remedy="Correct the line.") from error
    except (RecursionError, ValueError) as error:
        raise DocumentError("this TOML is nested too deeply", path=path, line=1, remedy="Flatten it.") from error


def merge_layers(layers: Iterable[Mapping[str, object]]) -> dict[str, object]:
    """The layers laid over another, the last on top.

    Scalars are replaced and tables merged; in arrays of tables that all have a `code`, or all an `id`, an entry of the
    same name is replaced and others are appended; other arrays append.
    """
    merged: dict[str, object] = {}
    for layer in layers:
        merged = {
            **merged,
            **{key: _merge(merged[key], value) if key in merged else value for key, value in layer.items()},
        }
    return merged


def _merge(base: object, over: object) -> object:
    if isinstance(base, Mapping) and isinstance(over, Mapping):
        return merge_layers([base, over])
    if isinstance(base, list) and isinstance(over, list):
        return _merge_arrays(base, over)
    return over


def _merge_arrays(base: Sequence[object], over: Sequence[object]) -> list[object]:
    entries = [item for item in (*base, *over) if isinstance(item, Mapping)]
    both = len(entries) == len(base) + len(over)
    key = next((k for k in KEYS if both and entries and all(isinstance(e.get(k), str) and e[k] for e in entries)), None)
    if key is None:
        return [*base, *over]
    named = {}
    for entry in entries:
        named[entry[key]] = dict(entry)
    return list(named.values())
