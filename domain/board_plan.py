"""What does a new board look like, for these epics and stories?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

import yaml

from .board_lines import SECTION
from .keys import epic_key, key_kind, read_key, retrospective_key
from .statuses import BACKLOG, OPTIONAL, READY, Kind
from .stories import Story

STAMP = "%m-%d-%Y %H:%M"
_STAMPS = (STAMP, "%Y-%m-%d %H:%M", "%Y-%m-%d")

Planned = tuple[str, str]
"""A planned row: its key and the status it has at least."""


def plan_entries(
    stories: Sequence[Story], epics: Sequence[int] = (), on_disk: Iterable[str] = ()
) -> tuple[Planned, ...]:
    """The rows that these stories make: each epic, its stories, its retrospective.

    `epics` adds epics without stories; `on_disk` names stories (keys) whose file exists: they are ready-for-dev.
    """
    drafted = set(on_disk)
    by_epic: dict[int, list[Story]] = {number: [] for number in epics}
    for story in stories:
        parts = read_key(story.key)
        by_epic.setdefault(parts.epic if parts else 0, []).append(story)
    rows: list[Planned] = []
    for number in sorted(by_epic):
        rows.append((epic_key(number), BACKLOG))
        rows.extend((story.key, READY if story.key in drafted else BACKLOG) for story in by_epic[number])
        rows.append((retrospective_key(number), OPTIONAL))
    return tuple(rows)


def new_board(
    project: str,
    planned: Sequence[Planned],
    generated: str,
    *,
    story_location: str = "docs/stories",
    project_key: str = "NOKEY",
    tracking_system: str = "file-system",
) -> str:
    """A new board in upstream's shape. `generated` is a `MM-DD-YYYY HH:MM` stamp, see `stamp_of`."""
    quoted = yaml.safe_dump(project, allow_unicode=True, width=10**6).removesuffix("...\n").strip()
    meta = {
        "generated": generated,
        "last_updated": generated,
        "project": quoted,
        "project_key": project_key,
        "tracking_system": tracking_system,
        "story_location": f'"{story_location}"',
    }
    fields = [f"{key}: {value}" for key, value in meta.items()]
    rows: list[str] = []
    for key, status in planned:
        if rows and key_kind(key) is Kind.EPIC:
            rows.append("")
        rows.append(f"  {key}: {status}")
    head = ["# " + line if line else "#" for line in (*fields, "", *_LEGEND)]
    section = [f"{SECTION}:", *rows] if rows else [f"{SECTION}: {{}}"]
    return "\n".join([*head, "", *fields, "", *section, ""])


_LEGEND = (
    "What the statuses mean, each list in its order:",
    "  epic           backlog: nothing started | in-progress: a story has started | done: all stories are",
    "  story          backlog: planned only | ready-for-dev: its file is written | in-progress: being built |",
    "                 review: built, not yet accepted | done: merged and accepted",
    "  retrospective  optional: not held | done: held",
    "  action item    open | in-progress | done",
    "",
    "Rows are in the order of the plan: an epic, its stories, its retrospective.",
    "Nothing goes back, but for a story whose review asks for changes: review to in-progress.",
    "Written by the integration lane alone; comments and other keys are kept.",
)


def stamp_of(moment: datetime) -> str:
    """A moment as the board writes it (MM-DD-YYYY HH:MM)."""
    return moment.strftime(STAMP)


def read_stamp(text: str) -> datetime | None:
    """The moment a stamp names, None if it is in no known form (also ISO 8601)."""
    for form in _STAMPS:
        try:
            return datetime.strptime(text, form)  # noqa: DTZ007 - the board's stamps have no zone
        except ValueError:
            continue
    try:
        return datetime.fromisoformat(text).replace(tzinfo=None)
    except ValueError:
        return None
