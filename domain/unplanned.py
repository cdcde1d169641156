"""Which prerequisites does nothing plan any more, and which of them are done all the same?

A plan may be pruned of what is done. Its row then stays on the board, or, after a merge with the plan, as a comment.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from .board_lines import SECTION
from .board_merge import UNPLANNED
from .board_reading import read_board
from .keys import read_key, split_story_id
from .statuses import DONE, Kind
from .stories import Story

_NAMED = re.compile(r"Story (?P<id>\S+)|Stories (?P<first>\S+) to (?P<last>\S+)|Epic (?P<epic>\d+)")
_COMMENT = re.compile(rf"^[ \t]*# {UNPLANNED}: (.*)$", re.M)


def done_stories(board: str) -> frozenset[str]:
    """Keys of the stories that are done, on the board or among its comments."""
    texts = [board, *(f"{SECTION}:\n  {row.strip()}\n" for row in _COMMENT.findall(board))]
    entries = (entry for text in texts for entry in read_board(text).entries)
    return frozenset(entry.key for entry in entries if entry.kind is Kind.STORY and entry.status == DONE)


def with_done(stories: Sequence[Story], done: Collection[str]) -> tuple[Story, ...]:
    """The stories, with the keys of what is `done` in place of the prerequisites that nothing plans any more."""
    planned = {story.key for story in stories}
    if all(name in planned for story in stories for name in story.depends_on):
        return tuple(stories)
    finished = []
    for story in stories:
        names = [key for name in story.depends_on for key in ((name,) if name in planned else _keys(name, done))]
        finished.append(story.model_copy(update={"depends_on": tuple(dict.fromkeys(names))}))
    return tuple(finished)


def _keys(name: str, done: Collection[str]) -> tuple[str, ...]:
    """The keys of done stories that a prerequisite names; the name itself if it names none."""
    return tuple(key for key in sorted(done) if _is_named(name, key)) or (name,)


def _is_named(name: str, key: str) -> bool:
    found, parts = _NAMED.fullmatch(name), read_key(key)
    if found is None or parts is None:
        return False
    if found["epic"]:
        return parts.epic == int(found["epic"])
    low, high = split_story_id(found["id"] or found["first"]), split_story_id(found["id"] or found["last"])
    return low is not None and high is not None and low <= (parts.epic, parts.number, parts.letter) <= high
