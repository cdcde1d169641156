"""How do reviewed stories enter the main line?  One on top of the other; each step is safe to run again.

A story's merge commit carries an operation id and the story's `done` on the board: a story is merged and done in the
same moment, and only once.
"""

from __future__ import annotations

from collections.abc import Sequence

from prefect import task
from prefect.cache_policies import NO_CACHE
from pydantic import Field

from ..domain.errors import MergeConflict
from ..domain.keys import plain
from ..domain.merge_stack import bookkeeping, only_below
from ..domain.model_calls import Value
from ..domain.ports import Merge, ProjectRef
from ..domain.stories import Story, StoryOutcome
from .board import Move, moved_texts, write_moves
from .ports import Ports, ports_for


class Candidate(Value):
    """A reviewed story that wants to enter the main line."""

    story: Story
    outcome: StoryOutcome


class Placed(Value):
    """A story that stands in a stack: its commits above those of the stories before it."""

    candidate: Candidate
    commit: str


class Stack(Value):
    """Stories one on the other on the main line's tip.

    `merged` holds the merge commits of those that were in the main line already, `conflicts` the files on which others
    conflict with the tip itself, both by key. A story that only conflicts with one below it stands in none: whether
    that one enters is not known yet.
    """

    tip: str
    placed: tuple[Placed, ...] = ()
    merged: dict[str, str] = Field(default_factory=dict)
    conflicts: dict[str, tuple[str, ...]] = Field(default_factory=dict)


def merge_op(story_key: str) -> str:
    """The operation id under which a story is merged: once, unless a person reverts the merge."""
    return f"merge-{plain(story_key)}"


def branch_of(story_key: str) -> str:
    """The branch on which a story is developed."""
    return f"storyloom/{story_key}"


def merged_commit(project: ProjectRef, story_key: str) -> str | None:
    """The merge commit of a story, None if it is not in the main line."""
    return ports_for(project).workspace.find_op(merge_op(story_key))


@task(name="stack-stories", task_run_name="stack · {names}", cache_policy=NO_CACHE)
def stack_stories(project: ProjectRef, candidates: Sequence[Candidate], names: str) -> Stack:  # noqa: ARG001 - for the run
    """The stories rebased one on the other, on the main line's tip, in their own worktrees."""
    ports = ports_for(project)
    tip = top = ports.workspace.tip()
    placed: list[Placed] = []
    merged: dict[str, str] = {}
    conflicts: dict[str, tuple[str, ...]] = {}
    for one in candidates:
        key = one.story.key
        if (done := merged_commit(project, key)) is not None:
            with ports.lane():  # the merge said so, unless somebody has changed the board since
                write_moves(ports, [Move(story=one.story, status="done", outcome=one.outcome)])
            merged[key] = done
            continue
        try:
            top = _rebased(ports, one, top)
        except MergeConflict as conflict:
            if not placed:
                conflicts[key] = conflict.files or ("(unknown)",)
            continue
        placed.append(Placed(candidate=one, commit=top))
    return Stack(tip=tip, placed=tuple(placed), merged=merged, conflicts=conflicts)


def _rebased(ports: Ports, one: Candidate, onto: str) -> str:
    commit = one.outcome.commit
    worktree = ports.workspace.open(one.story.key, branch_of(one.story.key), commit)
    ports.workspace.reset(worktree, commit)
    return ports.workspace.rebase(worktree, onto)


@task(name="merge-stack", task_run_name="merge · {names}", cache_policy=NO_CACHE)
def merge_stack(project: ProjectRef, tip: str, placed: Sequence[Placed], names: str) -> list[str]:  # noqa: ARG001
    """Merge stories that were tested on `tip`, bottom first, and return their merge commits; each says `done` besides.

    Empty when more than the board has moved the main line since: what was tested would not be what is merged.
    """
    ports = ports_for(project)
    settings = ports.config.settings
    ours = bookkeeping(settings.planning_folder, settings.stories_folder)
    with ports.lane():
        now = ports.workspace.tip()
        if now != tip and not only_below(ports.workspace.stat(tip, now).files, ours):
            return []
        try:
            return ports.workspace.merge_all([_merge(ports, one) for one in placed])
        except MergeConflict:
            return []


def _merge(ports: Ports, placed: Placed) -> Merge:
    story = placed.candidate.story
    move = Move(story=story, status="done", outcome=placed.candidate.outcome)
    return Merge(
        commit=placed.commit,
        message=f"Merge story {story.id}: {story.title}",
        op_id=merge_op(story.key),
        edit=lambda texts: moved_texts(texts, ports.config.settings, [move]),
    )
