"""How does a reviewed story enter the main line?  Each step is safe to run again."""

from __future__ import annotations

from datetime import UTC, datetime

from prefect import task
from prefect.cache_policies import NO_CACHE

from ..domain.board import set_status, settle_epics, stamp_of
from ..domain.errors import MergeConflict
from ..domain.events import Merged, StoryMoved
from ..domain.keys import plain
from ..domain.model_calls import Value
from ..domain.phases import BOARD
from ..domain.ports import ProjectRef
from ..domain.stories import Story, StoryOutcome
from ..domain.story_closing import closed_story_file
from .documents import commit_texts
from .ports import Ports, ports_for
from .recording import event_key, record, tags_for


class Rebased(Value):
    """A story's branch on the main line's tip, or the files on which it conflicts with it."""

    commit: str = ""
    tip: str = ""
    conflicts: tuple[str, ...] = ()


def merge_op(story_key: str) -> str:
    """The operation id under which a story is merged: once in the life of the main line."""
    return f"merge-{plain(story_key)}"


def branch_of(story_key: str) -> str:
    """The branch on which a story is developed."""
    return f"storyloom/{story_key}"


def merged_commit(project: ProjectRef, story_key: str) -> str | None:
    """The merge commit of a story, None if it is not in the main line."""
    return ports_for(project).workspace.find_op(merge_op(story_key))


@task(name="rebase-story", task_run_name="rebase · story {story.id}", cache_policy=NO_CACHE)
def rebase_story(project: ProjectRef, story: Story, commit: str) -> Rebased:
    """The story's commits on top of the main line's tip."""
    ports = ports_for(project)
    tip = ports.workspace.tip()
    worktree = ports.workspace.open(story.key, branch_of(story.key), commit)
    ports.workspace.reset(worktree, commit)
    try:
        return Rebased(commit=ports.workspace.rebase(worktree, tip), tip=tip)
    except MergeConflict as conflict:
        return Rebased(tip=tip, conflicts=conflict.files or ("(unknown)",))


@task(name="merge-story", task_run_name="merge · story {story.id}", cache_policy=NO_CACHE)
def merge_story(project: ProjectRef, story: Story, commit: str, outcome: StoryOutcome) -> str:
    """Merge the story's commit into the main line, once, and return the merge commit; `outcome` says what changed."""
    ports = ports_for(project)
    message = f"Merge story {story.id}: {story.title}"
    merge = ports.workspace.merge(commit, message, merge_op(story.key))
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
    return merge


@task(name="move-story", task_run_name="{status} · {story.id}", cache_policy=NO_CACHE)
def move_story(project: ProjectRef, story: Story, status: str, outcome: StoryOutcome | None = None) -> None:
    """Write a story's status on the board and in its file, in one commit of the main line."""
    ports = ports_for(project)
    with ports.lane():
        texts = board_texts(ports, story, status, outcome)
        if texts:
            commit_texts(ports, texts, f"board: story {story.id} is {status}", f"board-{plain(story.key)}-{status}")
    record(
        ports,
        StoryMoved(
            event_id=event_key("story", project.repository, story.key, status, outcome.attempts if outcome else 0),
            tags=tags_for(ports, phase="implementation", epic=story.epic, story=story.key),
            title=story.title,
            points=story.points,
            to_status=status,
            reason=outcome.reason if outcome else "",
            lane=outcome.lane.value if outcome and outcome.lane else "",
        ),
    )


def board_texts(ports: Ports, story: Story, status: str, outcome: StoryOutcome | None) -> dict[str, str | None]:
    """The texts that change when a story moves; empty when they say so already."""
    settings = ports.config.settings
    tip = ports.workspace.tip()
    texts: dict[str, str | None] = {}
    board_path = f"{settings.planning_folder}/{BOARD}"
    file_path = f"{settings.stories_folder}/{story.key}.md"
    read = ports.workspace.texts(tip, [board_path, file_path])
    board, text = read.get(board_path), read.get(file_path)
    if board is not None:
        stamp = stamp_of(datetime.now(UTC))
        new = settle_epics(set_status(board, story.key, status, by="dev-story", stamp=stamp), stamp=stamp)
        if new != board:
            texts[board_path] = new
    if text is not None:
        today = datetime.now(UTC).date().isoformat()
        new = closed_story_file(text, status, outcome, today)
        if new != text:
            texts[file_path] = new
    return texts


@task(name="clear-worktree", task_run_name="clear · story {story.id}", cache_policy=NO_CACHE)
def clear_worktree(project: ProjectRef, story: Story) -> None:
    """Remove the story's worktree and branch: its work is in the main line."""
    ports_for(project).workspace.abandon(story.key, branch_of(story.key))
