"""How large is a project, which documents does its size need, and what are its story files called?

Levels 0 to 4 and the three tracks follow the method's table. Story files have been named in four ways over the
versions; all are read, and the one of the board's key is written unless a project has another already.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from .keys import slug
from .stories import Story

Track = Literal["quick-flow", "method", "enterprise"]
Naming = Literal["title", "title-number", "number", "key"]


@dataclass(frozen=True)
class Level:
    """One level: `stories` is the usual number, `required` and `optional` the documents of planning."""

    number: int
    title: str
    stories: tuple[int, int]
    required: tuple[str, ...]
    optional: tuple[str, ...]
    track: Track
    naming: Naming


LEVELS: tuple[Level, ...] = (
    Level(0, "single change", (1, 1), ("tech-spec",), (), "quick-flow", "title"),
    Level(1, "small feature", (1, 10), ("tech-spec", "epics"), (), "quick-flow", "title-number"),
    Level(
        2, "medium project", (5, 15), ("prd", "epics"), ("product-brief", "architecture", "tech-spec"), "method", "key"
    ),
    Level(
        3, "complex system", (12, 40), ("prd", "architecture", "epics"), ("product-brief", "ux-design"), "method", "key"
    ),
    Level(
        4,
        "enterprise",
        (40, 999),
        ("prd", "architecture", "epics"),
        ("product-brief", "ux-design"),
        "enterprise",
        "key",
    ),
)
# Levels 3 and 4 write a tech-spec for each epic when its turn comes.
TECH_SPEC_PER_EPIC = frozenset({3, 4})
_TRACKS: dict[str, Track] = {
    "quick": "quick-flow",
    "enterprise": "enterprise",
    "method": "method",
    "greenfield": "method",
}


def read_level(text: str | int) -> Level | None:
    """The level a status file or a person names: 2, "2", "Level 2", "level-2 (medium)"; None if it names none."""
    found = re.search(r"(?<!\d)([0-4])(?![\d.])", str(text))
    return LEVELS[int(found[1])] if found else None


def read_track(text: str) -> Track | None:
    """The track that a name or a path file means ("method-greenfield.yaml", "quick-flow", …)."""
    plain = text.lower()
    return next((track for sign, track in _TRACKS.items() if sign in plain), None)


def suggest_level(stories: int) -> Level:
    """The lowest level whose usual number holds so many stories."""
    return next(level for level in LEVELS if stories <= level.stories[1] or level.number == 4)


def missing_documents(level: Level, present: frozenset[str]) -> tuple[str, ...]:
    """Required documents of a level that are not there yet; names without folder and ending, in the order of work."""
    have = {re.sub(r"\.\w+$", "", name.lower().rsplit("/", 1)[-1]) for name in present}
    return tuple(name for name in level.required if name not in have)


@dataclass(frozen=True)
class StoryName:
    """What a story file's name says. `story_id` is "1.2" where it holds epic and number, else ""."""

    naming: Naming
    story_id: str = ""
    slug: str = ""
    number: int | None = None


_NAMES: tuple[tuple[Naming, re.Pattern[str]], ...] = (
    ("key", re.compile(r"(?P<epic>\d+)-(?P<number>\d+[a-z]?)-(?P<slug>.+)")),
    ("number", re.compile(r"story-(?P<epic>\d+)[.-](?P<number>\d+[a-z]?)(?:-(?P<slug>.+))?")),
    ("title-number", re.compile(r"story-(?P<slug>.+)-(?P<number>\d+)")),
    ("title", re.compile(r"story-(?P<slug>.+)")),
)


def story_file_name(story: Story, naming: Naming = "key", *, epic_slug: str = "", number: int = 1) -> str:
    """The name of a story's file; `epic_slug` and `number` count in quick-flow's names only."""
    names = {
        "key": story.key,
        "number": f"story-{story.id}",
        "title-number": f"story-{epic_slug or slug(story.title)}-{number}",
        "title": f"story-{slug(story.title)}",
    }
    return f"{names[naming]}.md"


def read_story_file_name(name: str) -> StoryName | None:
    """What a story file's name says about its story; None for a file that is none."""
    if not name.endswith(".md") or name.endswith((".context.md", "-context.md")):
        return None
    for naming, pattern in _NAMES:
        if found := pattern.fullmatch(name.removesuffix(".md")):
            parts = found.groupdict()
            epic, number = parts.get("epic"), parts.get("number")
            story_id = f"{int(epic)}.{number}" if epic and number else ""
            alone = int(number) if number and not epic else None
            return StoryName(naming, story_id, parts.get("slug") or "", alone)
    return None
