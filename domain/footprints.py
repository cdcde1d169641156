"""May two stories be built at the same time, judged by the files they will touch?

A footprint is a set of claims: `exclusive` (this story alone changes the path), `append` (it only adds to it, as to a
change log, an index or a table of routes) or `resource` (a named thing, one user at a time). Two stories clash where
one of them claims exclusively what the other claims at all. Paths come from the plan; where it names none, from the
paths that the story's text mentions in backticks.

A story that names nothing has an unknown footprint. Taken literally, "unknown touches everything" makes a batch serial
as soon as one story says nothing, although it would merge cleanly in most cases, and a conflict costs one repair in the
integration lane. So unknown stories clash with each other, within the whole batch (`Unknown.EXCLUSIVE`) or within their
epic (`Unknown.EPIC`, the default), and never with a story that says where it works.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from .stories import Story
from .story_text import mentioned_paths

# Files that many stories add a line to; git merges such additions, or the integration lane does.
APPEND_ONLY = (
    "CHANGELOG*",
    "CHANGES*",
    "README*",
    "*/__init__.py",
    "__init__.py",
    "*/index.ts",
    "*/index.js",
    "requirements*.txt",
    "pyproject.toml",
    "package.json",
    "*/locales/*",
    "deferred-work.md",
    "*/deferred-work.md",
)


class Unknown(StrEnum):
    """What a story without any known path clashes with."""

    EXCLUSIVE = "exclusive"
    EPIC = "epic"
    FREE = "free"


@dataclass(frozen=True)
class Footprint:
    """What a story will touch. `known` is False where nothing is said."""

    exclusive: tuple[str, ...] = ()
    append: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    epic: str = ""

    @property
    def known(self) -> bool:
        """Whether any path is named."""
        return bool(self.exclusive or self.append)


def predict(story: Story, *, append_only: Sequence[str] = APPEND_ONLY) -> Footprint:
    """The footprint of a story: its `files` and `appends`, else the paths its text mentions; globs of `append_only`
    turn an exclusive claim into an append."""
    paths = story.files or (
        () if story.appends else mentioned_paths(f"{story.text}\n" + "\n".join(story.acceptance_criteria))
    )
    paths, appends = tuple(map(_from_root, paths)), tuple(map(_from_root, story.appends))
    shared = [path for path in paths if any(fnmatch.fnmatchcase(path, glob) for glob in append_only)]
    alone = [path for path in paths if path not in shared and path not in appends]
    return Footprint(tuple(alone), tuple(dict.fromkeys((*shared, *appends))), story.resources, story.epic)


def _from_root(path: str) -> str:
    """The one spelling of a path from the project's root: `src/a.py` for `/src/a.py` and `./src//a.py`."""
    return re.sub(r"\A/|/(?=/)", "", re.sub(r"(?:\A|(?<=/))\./", "", path)) or path


def clash(one: Footprint, other: Footprint, unknown: Unknown = Unknown.EPIC) -> str:
    """Why two stories must not run at the same time; "" if they may."""
    both = set(one.resources) & set(other.resources)
    if both:
        return f"both use {min(both)}"
    if not one.known and not other.known:
        if unknown is Unknown.EXCLUSIVE or (unknown is Unknown.EPIC and one.epic == other.epic):
            return "neither says which files it touches"
        return ""
    for mine, theirs in ((one, other), (other, one)):
        for path in mine.exclusive:
            for claimed in (*theirs.exclusive, *theirs.append):
                if overlap(path, claimed):
                    return f"both touch {claimed if len(claimed) >= len(path) else path}"
    return ""


def overlap(one: str, other: str) -> bool:
    """Whether two paths, folders (`src/`, `src`) or globs can mean the same file."""
    if one == other or one.startswith(f"{other}/") or other.startswith(f"{one}/"):
        return True
    if _is_pattern(one) or _is_pattern(other):
        a, b = _stem(one), _stem(other)
        if not (a.startswith(b) or b.startswith(a)):
            return False
        if _is_pattern(one) and _is_pattern(other):
            return True
        pattern, path = (one, other) if _is_pattern(one) else (other, one)
        pattern += "*" if pattern.endswith("/") else ""
        ways = {pattern, pattern.replace("**/", "")}  # `**/` may stand for no folder at all
        if "." not in path.rsplit("/", 1)[-1]:  # it may be a folder above what the pattern means
            ways |= {pattern[:end] for end, sign in enumerate(pattern) if sign == "/"}
        return any(fnmatch.fnmatchcase(path, way) for way in ways)
    return False


def _is_pattern(path: str) -> bool:
    return path.endswith("/") or any(sign in path for sign in "*?[")


def _stem(path: str) -> str:
    """The literal beginning of a path or pattern."""
    cut = [path.index(sign) for sign in "*?[" if sign in path]
    return path[: min(cut)] if cut else path
