"""Which stories are there, which are done, and what does the board look like?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from prefect import task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.logging import get_run_logger

from ..domain.board import merge, new_board, plan_entries, read_board, stamp_of
from ..domain.epics import Epic, read_epics
from ..domain.errors import DocumentError
from ..domain.model_calls import Value
from ..domain.phases import BOARD
from ..domain.ports import ProjectRef
from ..domain.progress import batch_table, board_table
from ..domain.stories import Story, StoryOutcome
from ..domain.stories_yaml import with_checkpoints
from ..domain.story_file import new_story_file
from ..domain.story_file_edits import set_title, told_anew
from ..domain.unplanned import done_stories, with_done
from .documents import commit_texts
from .ports import Ports, ports_for
from .story_start import begins_anew

EPICS = "epics.md"
LIST = "stories.yaml"


class Sprint(Value):
    """What the epics document plans. `gone` are keys of prerequisites that are done and not planned any more."""

    epics: tuple[Epic, ...]
    stories: tuple[Story, ...]
    gone: tuple[str, ...] = ()


@task(name="plan-sprint", task_run_name="bob · sprint planning", cache_policy=NO_CACHE)
def plan_sprint(project: ProjectRef) -> Sprint:
    """The planned stories, with a board and a file for each in the main line. A board that is there is kept and merged;
    so is the file of a story, until it begins anew because the plan says something else of it.

    Raises:
        DocumentError: the epics document is missing, or a heading in it cannot be told apart.
    """
    plan = read_sprint(project)
    ports = ports_for(project)
    settings = ports.config.settings
    tip = ports.workspace.tip()
    epics_path, board_path = (f"{settings.planning_folder}/{name}" for name in (EPICS, BOARD))
    texts: dict[str, str | None] = {}
    stamp = stamp_of(datetime.now(UTC))
    planned = plan_entries(plan.stories, on_disk=[story.key for story in plan.stories])
    board = ports.workspace.read(tip, board_path)
    renamed: Mapping[str, str] = {}
    if board is None:
        name = ports.config.project.name or "project"
        texts[board_path] = new_board(name, planned, stamp, story_location=settings.stories_folder)
    else:
        merged = merge(board, planned, stamp=stamp, path=board_path)
        renamed = merged.renamed
        for note in merged.notes:
            get_run_logger().warning("%s:%s: %s", note.path, note.line, note.message)
        if merged.text != board:
            texts[board_path] = merged.text
    texts |= _story_files(ports, plan.stories, tip, epics_path, renamed)
    if texts:
        commit_texts(ports, texts, "board: sprint planning", "sprint-planning")
    return plan


def _story_files(
    ports: Ports, stories: Sequence[Story], tip: str, source: str, renamed: Mapping[str, str]
) -> dict[str, str | None]:
    """What changes in the stories' files: new ones, those of stories that begin anew, and, of `renamed` keys (old to
    new), those that go along with their story."""
    folder, there = ports.config.settings.stories_folder, set(ports.workspace.files(tip))
    texts: dict[str, str | None] = {}
    before = {new: f"{folder}/{old}.md" for old, new in renamed.items()}
    for story in stories:
        path = f"{folder}/{story.key}.md"
        if path not in there:
            old = before.get(story.key, "")
            if old in there:
                texts[path], texts[old] = set_title(ports.workspace.read(tip, old) or "", story), None
            else:
                texts[path] = new_story_file(story, references=(source,))
        elif begins_anew(ports, story):
            text = ports.workspace.read(tip, path) or ""
            if (told := told_anew(text, story)) != text:
                texts[path] = told
    return texts


def read_sprint(project: ProjectRef) -> Sprint:
    """The planned stories, as the epics document on the main line's tip names them.

    Raises:
        DocumentError: the epics document is missing, or a heading in it cannot be told apart.
    """
    ports = ports_for(project)
    path = f"{ports.config.settings.planning_folder}/{EPICS}"
    text = ports.workspace.read(ports.workspace.tip(), path)
    if text is None:
        raise DocumentError("There is no such document.", path=path, remedy="Run the phase solutioning first.")
    plan = read_epics(text, path)
    errors = [note for note in plan.notes if note.severity == "error"]
    if errors:
        raise DocumentError(errors[0].message, path=errors[0].path, line=errors[0].line, remedy="Mend the document.")
    listed = f"{ports.config.settings.planning_folder}/{LIST}"
    stories = with_checkpoints(plan.stories, ports.workspace.read(ports.workspace.tip(), listed) or "", listed)
    board = ports.workspace.read(ports.workspace.tip(), f"{ports.config.settings.planning_folder}/{BOARD}") or ""
    done = done_stories(board)
    stories = with_done(stories, done)
    needed = {name for story in stories for name in story.depends_on}
    gone = sorted((needed & done) - {story.key for story in stories})
    return Sprint(epics=plan.epics, stories=stories, gone=tuple(gone))


def story_ends(project: ProjectRef, sprint: Sprint) -> set[str]:
    """Keys of the stories that need no work: merged by us, or done on the board."""
    ports = ports_for(project)
    text = ports.workspace.read(ports.workspace.tip(), f"{ports.config.settings.planning_folder}/{BOARD}") or ""
    board = read_board(text)
    done = {entry.key for entry in board.entries if entry.status == "done"}
    return {story.key for story in sprint.stories if story.key in done}


def show_board(
    project: ProjectRef,
    sprint: Sprint,
    ends: Mapping[str, StoryOutcome],
    running: Sequence[str] = (),
    held: Mapping[str, str] | None = None,
) -> None:
    """Publish the board and the batch's progress as artifacts in the UI."""
    ports = ports_for(project)
    text = ports.workspace.read(ports.workspace.tip(), f"{ports.config.settings.planning_folder}/{BOARD}") or ""
    table = board_table(read_board(text), sprint.stories, ends)
    create_markdown_artifact(key="board", markdown=table, description="Where every story stands")
    batch = batch_table(sprint.stories, ends, running, held or {})
    create_markdown_artifact(key="batch", markdown=batch, description="How the running batch is doing")
