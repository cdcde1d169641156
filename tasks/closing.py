"""What is left to do for a story that is in the main line?  Say so in the events, and clear its worktree away.

The worktree goes last: one that is still there shows that a crash came between, and the rest is done again.
"""

from __future__ import annotations

from collections.abc import Sequence

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.logging import get_run_logger

from ..domain.errors import StoryloomError
from ..domain.events import Merged
from ..domain.keys import plain
from ..domain.ports import ProjectRef
from ..domain.stories import Story, StoryOutcome
from .board import Move, record_move
from .integration import branch_of, merged_commit
from .ports import ports_for
from .recording import event_key, record, tags_for
from .story_start import outcome_name


@task(name="close-story", task_run_name="close · story {story.id}", cache_policy=NO_CACHE)
def close_story(project: ProjectRef, story: Story, outcome: StoryOutcome, merge: str) -> None:
    """Record that a story was merged, with what it changed by its reviewed `outcome`, and clear its worktree away.

    What goes wrong here is logged: the story is merged all the same, and the next run closes it.
    """
    ports = ports_for(project)
    try:
        stat = ports.workspace.stat(outcome.baseline, outcome.commit)
        record(
            ports,
            Merged(
                event_id=event_key("merge", project.repository, story.key),
                tags=tags_for(ports, phase="implementation", epic=story.epic, story=story.key),
                commit=merge,
                files=len(stat.files),
                insertions=stat.insertions,
                deletions=stat.deletions,
            ),
        )
        record_move(ports, Move(story=story, status="done", outcome=outcome))
        ports.workspace.abandon(story.key, branch_of(story.key))
    except (StoryloomError, OSError) as error:
        get_run_logger().warning("Story %s is merged, but could not be closed: %s", story.id, error)


def close_left_over(project: ProjectRef, done: Sequence[Story]) -> None:
    """Close what a crash left open among stories that are done."""
    ports = ports_for(project)
    left = set(ports.workspace.leftovers())
    for story in done:
        if plain(story.key) not in left or (merge := merged_commit(project, story.key)) is None:
            continue
        kept = ports.shelf.get(outcome_name(story.key))
        if kept is None:
            ports.workspace.abandon(story.key, branch_of(story.key))
        else:
            close_story(project, story, StoryOutcome.model_validate_json(kept), merge)
