"""Which documents does a workflow read, by its input patterns?

Groups name `whole`, `sharded`, `sharded_single`, `sharded_index` or `pattern`. What an index links to is read whole:
when in doubt, load. The sharded form comes first unless the workflow says `input_discovery: whole_first`, as older
installations do.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Mapping, Sequence

from .templates import fill_names

Glob = Callable[[Sequence[str]], list[str]]
Read = Callable[[str], str | None]
_LINK = re.compile(r"\]\(([^)\s#]+\.md)(?:#[^)]*)?\)")
MAX_FILES = 200


PLANNING: Mapping[str, Mapping[str, object]] = {
    "planning": {"whole": "{planning_folder}/*.md"},
    "brief": {"whole": "brief.md"},
}  # what a workflow without patterns of its own may need to know


def discover(
    groups: Mapping[str, Mapping[str, object]],
    known: Mapping[str, object],
    glob: Glob,
    read: Read,
    *,
    own: str = "",
    whole_first: bool = False,
) -> dict[str, tuple[str, ...]]:
    """The paths found for each group, in the order in which they are read; `own`, the output, is left out."""
    found = {}
    for name, group in groups.items():
        patterns = {
            key: relative(fill_names(str(value), known)) for key, value in group.items() if isinstance(value, str)
        }
        paths = _group(
            patterns, str(group.get("load_strategy", "FULL_LOAD")).upper(), glob, read, whole_first=whole_first
        )
        found[name] = tuple(path for path in paths if path != own)[:MAX_FILES]
    return found


def relative(path: str) -> str:
    """A path as the project's documents are named: no leading "./", no double slashes."""
    path = posixpath.normpath(path.strip()) if path.strip() else ""
    return path.lstrip("/") if path not in {".", ""} else path


def _group(patterns: Mapping[str, str], strategy: str, glob: Glob, read: Read, *, whole_first: bool) -> list[str]:
    single = patterns.get("sharded_single", "")
    if strategy == "SELECTIVE_LOAD" and single and "{" not in single and (chosen := glob([single])):
        return _in_order(chosen)
    sharded = [patterns[key] for key in ("sharded_index", "sharded") if patterns.get(key)]
    whole = [patterns[key] for key in ("whole", "pattern") if patterns.get(key)]
    for kind, wanted in (
        (("whole", whole), ("sharded", sharded)) if whole_first else (("sharded", sharded), ("whole", whole))
    ):
        usable = [pattern for pattern in wanted if "{" not in pattern]
        paths = _in_order(glob(usable)) if usable else []
        if paths:
            return _guided(paths, glob, read) if kind == "sharded" and strategy == "INDEX_GUIDED" else paths
    return []


def _in_order(paths: Sequence[str]) -> list[str]:
    return sorted(dict.fromkeys(paths), key=lambda path: (posixpath.basename(path).lower() != "index.md", path.lower()))


def _guided(paths: Sequence[str], glob: Glob, read: Read) -> list[str]:
    """The index and what it links to; everything that matched if there is no index."""
    index = next((path for path in paths if posixpath.basename(path).lower() == "index.md"), None)
    if index is None:
        return list(paths)
    folder = posixpath.dirname(index)
    linked = [posixpath.normpath(posixpath.join(folder, link)) for link in _LINK.findall(read(index) or "")]
    inside = [path for path in dict.fromkeys(linked) if not path.startswith("../") and path != index and glob([path])]
    return [index, *inside]
