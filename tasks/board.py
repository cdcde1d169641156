"""How does a story's status get onto the board and into its file?  Moves that wait together make one commit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.logging import get_run_logger

from ..domain.board import set_status, settle_epics, stamp_of
from ..domain.errors import StoryloomError
from ..domain.events import StoryMoved
from ..domain.keys import plain
from ..domain.model_calls import Value
from ..domain.phases import BOARD
from ..domain.ports import ProjectRef, TextsThere
from ..domain.settings import Settings
from ..domain.statuses import DONE
from ..domain.stories import Story, StoryOutcome
from ..domain.story_closing import closed_story_file
from .combining import Line, Waiting
from .documents import commit_texts
from .lines import line_of
from .ports import Ports, ports_for
from .recording import event_key, record, tags_for


class Move(Value):
    """A story that goes to another status, "" for one that stays; `outcome` says how the work on it ended.

    `by` is the workflow that moves it: only a review or the integration takes a story back from its review. A
    `round_number` tells apart moves to the same status.
    """

    story: Story
    status: str
    outcome: StoryOutcome | None = None
    by: str = "dev-story"
    round_number: int = 0


def moved_texts(texts_there: TextsThere, settings: Settings, moves: Sequence[Move]) -> dict[str, str | None]:
    """The texts that change when stories move; empty when they say so already."""
    now = datetime.now(UTC)
    board_path = f"{settings.planning_folder}/{BOARD}"
    files = {move.story.key: f"{settings.stories_folder}/{move.story.key}.md" for move in moves}
    before = texts_there([board_path, *files.values()])
    texts = dict(before)
    for move in moves:
        if move.status and board_path in texts:
            moved = set_status(texts[board_path], move.story.key, move.status, by=move.by, stamp=stamp_of(now))
            texts[board_path] = settle_epics(moved, stamp=stamp_of(now))
        if (path := files[move.story.key]) in texts:
            today = now.date().isoformat()
            texts[path] = closed_story_file(texts[path], move.status, move.outcome, today, by=move.by)
    return {path: text for path, text in texts.items() if text != before[path]}


@task(name="move-story", task_run_name="{status} · {story.id}", cache_policy=NO_CACHE)
def move_story(project: ProjectRef, story: Story, status: str, by: str = "dev-story", round_number: int = 0) -> None:
    """Write a story's status on the board and in its file: a commit of the main line for all moves that wait."""
    ports = ports_for(project)
    move = Move(story=story, status=status, by=by, round_number=round_number)
    _write_in_line(project, ports, move)
    record_move(ports, move)


@task(name="keep-end", task_run_name="{outcome.status} · {story.id}", cache_policy=NO_CACHE)
def keep_end(project: ProjectRef, story: Story, outcome: StoryOutcome) -> None:
    """Keep in a story's file how the work on it ended without a merge; a story that is given back leaves its review.

    What goes wrong here is logged: the end is the story's, not the file's.
    """
    ports = ports_for(project)
    status = "" if outcome.status == "waiting" else "in-progress"
    move = Move(story=story, status=status, outcome=outcome, by="integrate")
    try:
        _write_in_line(project, ports, move)
        if status:
            record_move(ports, move)
    except (StoryloomError, OSError) as error:
        get_run_logger().warning("How story %s ended could not be kept in its file: %s", story.id, error)


def _write_in_line(project: ProjectRef, ports: Ports, move: Move) -> None:
    """Write a move together with those that wait for the board, whoever's turn it is."""
    line: Line[Move, None] = line_of(project, "board")

    def write(waiting: Sequence[Waiting[Move, None]]) -> None:
        write_moves(ports, [one.item for one in waiting])
        for one in waiting:
            one.answer(None)

    line.ask(move, write, hold=ports.lane)


def record_move(ports: Ports, move: Move) -> None:
    """Record that a story has moved; once, however often it is said."""
    story, outcome = move.story, move.outcome
    which: tuple[object, ...] = (attempts(outcome), *((move.round_number,) if move.round_number else ()))
    if outcome is not None and move.status != DONE:
        which = (*which, outcome.status, outcome.reason)
    record(
        ports,
        StoryMoved(
            event_id=event_key("story", ports.project.repository, story.key, move.status, *which),
            tags=tags_for(ports, phase="implementation", epic=story.epic, story=story.key),
            title=story.title,
            points=story.points,
            to_status=move.status,
            reason=outcome.reason if outcome else "",
            lane=outcome.lane.value if outcome and outcome.lane else "",
        ),
    )


def attempts(outcome: StoryOutcome | None) -> int:
    """How many attempts the work took, 0 where it has not ended."""
    return outcome.attempts if outcome else 0


def write_moves(ports: Ports, moves: Sequence[Move]) -> None:
    """Write moves in one commit; none is made when the texts say so already. The caller holds the lane."""
    tip = ports.workspace.tip()

    def there(paths: Sequence[str]) -> Mapping[str, str]:
        return ports.workspace.texts(tip, paths)

    texts = moved_texts(there, ports.config.settings, moves)
    if texts:
        said = ", ".join(f"story {move.story.id} {_said(move)}" for move in moves)
        where = "-".join(f"{plain(move.story.key)}-{move.status or 'end'}" for move in moves)
        commit_texts(ports, texts, f"board: {said}", f"board-{where}"[:130] + f"-{tip[:12]}")


def _said(move: Move) -> str:
    return f"is {move.status}" if move.status else f"ended {move.outcome.status if move.outcome else ''}".rstrip()
