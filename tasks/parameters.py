"""How do a story and its outcome become parameters of a flow?  As they are, or shorter where they are too long."""

from __future__ import annotations

import json

from ..domain.stories import Story
from .ports import Ports
from .recording import event_key

MOST_BYTES = 200_000
"""Prefect refuses parameters of a flow run beyond 512 KiB together; an outcome may stand beside a story."""


def as_parameter(ports: Ports, story: Story) -> Story:
    """The story, or one without its text that says under which name the shelf keeps it whole."""
    text = json.dumps(story.model_dump(mode="json"))  # as Prefect counts: escaped to ASCII
    if len(text) <= MOST_BYTES:
        return story
    name = f"stories/{story.key}/whole-{event_key(text)[:16]}.json"
    ports.shelf.put_new(name, text)
    return story.model_copy(update={"text": "", "acceptance_criteria": (), "kept_as": name})


def whole_story(ports: Ports, story: Story) -> Story:
    """The story that a parameter stands for.

    Raises:
        LookupError: the shelf does not have it.
    """
    if not story.kept_as:
        return story
    text = ports.shelf.get(story.kept_as)
    if text is None:
        raise LookupError(f"The shelf has no {story.kept_as}, which holds the text of story {story.id}.")
    return Story.model_validate_json(text)


def listed(files: tuple[str, ...]) -> tuple[str, ...]:
    """The files of an outcome: all of them, or as many as a parameter holds and how many more there are."""
    room, kept = MOST_BYTES // 2, list[str]()
    for path in files:
        room -= len(json.dumps(path)) + 2
        if room < 0:
            return (*kept, f"… {len(files) - len(kept)} more")
        kept.append(path)
    return files
