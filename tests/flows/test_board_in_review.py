"""Where a story stands is on the board at every moment, and only a review or the lane ever takes it back."""

import importlib.util
import itertools
import re
import threading
from pathlib import Path

import pytest
from storyloom.domain.errors import ModelRefused
from storyloom.domain.model_calls import ModelReply
from storyloom.domain.statuses import Kind, Move, judge_move
from storyloom.tasks.ports import use

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.usefixtures("prefect_harness")]

_spec = importlib.util.spec_from_file_location("people", Path(__file__).with_name("people.py"))
people = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(people)

KEY, BOARD = "1-1-part", "docs/sprint-status.yaml"
FILES = {**people.epics(people.planned(1, "`part1.py`")), "shared.txt": "first\nmiddle\nlast\n"}
CHANGES = ModelReply(
    parsed={
        "verdict": "changes_requested",
        "summary": "no",
        "criteria": [],
        "findings": [{"severity": "high", "title": "Wrong", "file": "part1.py", "line": 1, "status": "open"}],
    }
)


class Project:
    """One story, the model's answers, and what the board and the story's file said at each of its calls."""

    def __init__(self, folder, answer, **settings):
        self.folder, self.answer, self.config = folder, answer, {"settings": settings}
        self.seen = list[tuple[str, str]]()
        self.start()

    def start(self):
        self.ports = people.committed_ports(self.folder, FILES, self.model, config=self.config)

    def model(self, request):
        self.seen.append((request.purpose, self.status()))
        return self.answer(request, len(self.seen))

    def status(self):
        workspace = self.ports.workspace
        tip = workspace.tip()
        on_board = re.search(rf"{KEY}: (\S+)", workspace.read(tip, BOARD))[1]
        in_file = re.search(r"Status: (\S+)", workspace.read(tip, f"docs/stories/{KEY}.md"))[1]
        assert on_board == in_file
        return on_board

    def run(self):
        from storyloom.flows.implementation import implementation

        with use(lambda _project: self.ports):
            return implementation(self.ports.project).stories[0]

    def history(self):
        """The story's statuses in all commits of the board, oldest first."""
        repository = Path(self.ports.project.repository)
        commits = people.git(
            repository, "log", "--reverse", "--first-parent", "--format=%H", "storyloom/main", "--", BOARD
        )
        texts = [people.git(repository, "show", f"{commit}:{BOARD}") for commit in commits.split()]
        return [key for key, _ in itertools.groupby(re.search(rf"{KEY}: (\S+)", text)[1] for text in texts)]


def lawful(history):
    return all(judge_move(Kind.STORY, *pair) in (Move.FORWARD, Move.BACK) for pair in itertools.pairwise(history))


def test_a_story_is_in_review_while_somebody_reviews_it_and_goes_back_when_changes_are_asked_for(tmp_path):
    def answer(request, call):
        if request.purpose == "review":
            return CHANGES if call == 2 else people.approving()
        return people.writing("part1.py", f"X = {call}\n")

    project = Project(tmp_path, answer)
    assert project.run().status == "merged"
    assert project.seen == [("work", "in-progress"), ("review", "review")] * 2
    assert project.history() == ["ready-for-dev", "in-progress", "review", "in-progress", "review", "done"]
    moves = [(e.to_status, e.event_id) for e in project.ports.recorder.events if type(e).__name__ == "StoryMoved"]
    assert len({event_id for _, event_id in moves}) == len(moves) == 5, moves


def test_what_is_played_again_after_an_interruption_does_not_take_the_board_back(tmp_path):
    def answer(request, call):
        if request.purpose == "review":
            if call == 2:
                raise ModelRefused("no")
            return people.approving()
        return people.writing("part1.py", "X = 1\n")

    project = Project(tmp_path, answer)
    assert (project.run().lane, project.status()) == ("provider", "review")
    text = project.ports.workspace.read(project.ports.workspace.tip(), f"docs/stories/{KEY}.md")
    assert "- Waiting (provider): no" in text
    project.start()
    assert project.run().status == "merged"
    assert project.seen[-1] == ("review", "review")
    assert project.history() == ["ready-for-dev", "in-progress", "review", "done"]


def test_a_story_that_the_lane_sends_back_is_in_progress_again_and_one_given_back_is_not_in_review(tmp_path):
    def answer(request, call):
        if request.purpose == "review":
            return people.approving()
        attempt = request.tags.attempt
        text = {"shared.txt": f"first\nmoved {attempt}\nlast\n"}
        project.ports.workspace.commit_files(text, "moved", f"moved-{attempt}")
        return people.writing("shared.txt", f"first\nmade {attempt}\nlast\n")

    project = Project(tmp_path, answer, when_asked="recommendation", max_attempts=2)
    assert project.run().status == "failed"
    assert project.seen == [("work", "in-progress"), ("review", "review")] * 2
    assert project.history() == ["ready-for-dev", *["in-progress", "review"] * 2, "in-progress"]
    assert lawful(project.history())
    text = project.ports.workspace.read(project.ports.workspace.tip(), f"docs/stories/{KEY}.md")
    assert "- Failed (code): The story conflicts with the main line in shared.txt. It was given back by policy." in text
    assert "- Conflicts with the main line in shared.txt." in text
    moves = [e for e in project.ports.recorder.events if type(e).__name__ == "StoryMoved"]
    assert (moves[-1].to_status, moves[-1].lane) == ("in-progress", "code")


def test_moves_back_and_forth_within_a_minute_are_all_written(tmp_path):
    from storyloom.tasks.board import move_story
    from storyloom.tasks.sprint import plan_sprint

    project = Project(tmp_path, lambda *_: people.approving())
    lane = threading.RLock()
    object.__setattr__(project.ports, "lane", lambda: lane)
    with use(lambda _project: project.ports):
        story = plan_sprint(project.ports.project).stories[0]
        for status, by in [
            ("in-progress", "dev-story"),
            *[("review", "dev-story"), ("in-progress", "code-review")] * 3,
        ]:
            move_story(project.ports.project, story, status, by)
            assert project.status() == status
        move_story(project.ports.project, story, "review")
        move_story(project.ports.project, story, "in-progress", "dev-story")
    assert project.status() == "review", "who develops may not take a story out of its review"
