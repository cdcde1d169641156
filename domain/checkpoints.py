"""Before which steps of a story must a person approve?"""

from __future__ import annotations

from .settings import Gates
from .stories import Story

ALL = "all"


def gates_epic(story: Story, gates: Gates) -> bool:
    """Whether the story's epic needs an approval before its first story starts."""
    return ALL in gates.epics or story.epic in gates.epics


def gates_spec(story: Story, gates: Gates) -> bool:
    """Whether the story needs an approval before it is developed: its own checkpoint, or the project's settings."""
    return story.spec_checkpoint or gates.stories in ("spec", "both")


def gates_done(story: Story, gates: Gates) -> bool:
    """Whether the reviewed story needs an approval before it is merged."""
    return story.done_checkpoint or gates.stories in ("done", "both")
