"""Reviewed stories that wait for the lane together: how often are the tests run, and what is in the main line then?"""

import contextvars
import importlib.util
import os
import re
import subprocess
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
from storyloom.blocks.git_workspace import GitWorkspace
from storyloom.domain.fakes import ScriptedSandbox
from storyloom.domain.ports import CommandResult
from storyloom.domain.stories import Lane, Story, StoryOutcome
from storyloom.tasks.lines import line_of
from storyloom.tasks.ports import use
from storyloom.tasks.verification import COUNT

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.whole, pytest.mark.usefixtures("prefect_harness")]

_spec = importlib.util.spec_from_file_location("people", Path(__file__).with_name("people.py"))
people = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(people)

PASSED = CommandResult(exit_code=0, output="Ran 3 tests in 0.001s\n\nOK\n")
FAILED = CommandResult(exit_code=1, output="Ran 3 tests in 0.001s\n\nFAILED (failures=1)\n")
NOTHING = CommandResult(exit_code=0, output="")


NAME = "part"  # of every story


def story(number: int) -> Story:
    return Story(key=f"1-{number}-{NAME}", id=f"1.{number}", epic="epic-1", title=f"Part {number}", independent=True)


def board(count: int) -> str:
    rows = "".join(f"  {story(n).key}: in-progress\n" for n in range(1, count + 1))
    return f"generated: 01-01-2026 10:00\nproject: lane\ndevelopment_status:\n  epic-1: in-progress\n{rows}"


class Project:
    """A repository with reviewed stories, each on a branch of its own, and the ports to integrate them with."""

    def __init__(
        self,
        folder: Path,
        changes: dict[int, dict[str, str]],
        commands: dict[str, str] | None = None,
        **settings: object,
    ) -> None:
        self.repository = folder / "repo"
        self.repository.mkdir(parents=True)
        texts = {"docs/sprint-status.yaml": board(len(changes)), "shared.txt": "start\n"}
        texts |= {f"docs/stories/{story(n).key}.md": f"# Story {n}\n\nStatus: in-progress\n" for n in changes}
        for path, text in texts.items():
            (self.repository / path).parent.mkdir(parents=True, exist_ok=True)
            (self.repository / path).write_text(text)
        for line in ("init -q -b main", "add -A", "commit -qm Start"):
            self.git(*line.split())
        self.workspace = GitWorkspace(self.repository, folder / "state")
        self.sandbox = ScriptedSandbox(self.verdict)
        self.gate = threading.Lock()
        self.ports = people.project_ports(
            self.repository,
            {"settings": settings, "commands": commands or {}},
            workspace=self.workspace,
            sandbox=self.sandbox,
            integrating=lambda: self.gate,
        )
        self.reviewed = {n: self.develop(n, files) for n, files in changes.items()}
        self.got: dict[int, StoryOutcome | BaseException] = {}

    def git(self, *arguments: str) -> str:
        who = ["-c", "user.name=t", "-c", "user.email=t@localhost"]
        done = subprocess.run(
            ["git", *who, *arguments], cwd=self.repository, env=dict(os.environ), capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def verdict(self, _command: str, worktree: str) -> CommandResult:
        """The project's tests: they fail where a file is called bad, or where both halves of a clash are there."""
        names = {path.name for path in Path(worktree).iterdir()}
        if "slow.txt" in names:
            return NOTHING
        return FAILED if "bad.txt" in names or {"left.txt", "right.txt"} <= names else PASSED

    def develop(self, number: int, files: dict[str, str]) -> StoryOutcome:
        tip, key = self.workspace.tip(), story(number).key
        tree = self.workspace.open(key, f"storyloom/{key}", tip)
        for path, text in files.items():
            Path(tree, path).write_text(text)
        commit = self.workspace.checkpoint(tree, f"Part {number}")
        return StoryOutcome(
            story=key, status="reviewed", commit=commit, baseline=tip, attempts=1, turns=2, files=tuple(files)
        )

    def integrate(self, number: int) -> None:
        from prefect import task
        from prefect.cache_policies import NO_CACHE
        from storyloom.flows.integrate import integrate

        in_a_task = task(integrate, name="story", cache_policy=NO_CACHE)  # as the batch does
        try:
            self.got[number] = in_a_task(self.ports.project, story(number), self.reviewed[number])
        except BaseException as error:
            self.got[number] = error

    def one_by_one(self) -> dict[int, StoryOutcome]:
        with use(lambda _project: self.ports):
            for number in self.reviewed:
                self.integrate(number)
        return self.got

    def together(self) -> dict[int, StoryOutcome]:
        """All stories integrated at once: they line up, in order, behind a lane that is taken until all are there."""
        threads = []
        with use(lambda _project: self.ports):
            line = line_of(self.ports.project, "integration")
            with self.gate:
                for place, number in enumerate(self.reviewed, 1):
                    context = contextvars.copy_context()
                    threads.append(threading.Thread(target=context.run, args=(self.integrate, number)))
                    threads[-1].start()
                    until = time.monotonic() + 60
                    while len(line._standing) < place:
                        assert time.monotonic() < until, self.got
                        time.sleep(0.01)
            for thread in threads:
                thread.join(120)
        assert self.got.keys() == self.reviewed.keys()
        return self.got

    @property
    def runs(self) -> int:
        """How often the tests were run."""
        return len(self.sandbox.asked)

    @property
    def merges(self) -> list[str]:
        """Subjects of the merge commits, oldest first."""
        return self.git("log", "--merges", "--reverse", "--format=%s", "storyloom/main").splitlines()

    def tree(self) -> dict[str, str]:
        """All texts of the main line, times taken out."""
        tip = self.workspace.tip()
        texts = self.workspace.texts(tip, self.workspace.files(tip))
        return {path: re.sub(r"\d\d-\d\d-\d{4} \d\d:\d\d", "<time>", text) for path, text in texts.items()}


def names(numbers: list[int]) -> list[str]:
    return [f"Merge story 1.{n}: Part {n}" for n in numbers]


def own(count: int) -> dict[int, dict[str, str]]:
    return {n: {f"part{n}.txt": f"{n}\n"} for n in range(1, count + 1)}


def statuses(got: dict[int, StoryOutcome]) -> dict[int, str]:
    return {n: getattr(end, "status", repr(end)) for n, end in sorted(got.items())}


def test_eight_stories_that_wait_are_tested_once_and_end_as_one_by_one(tmp_path):
    before = Project(tmp_path / "before", own(8), merge_stack=1)
    after = Project(tmp_path / "after", own(8))
    assert set(statuses(before.one_by_one()).values()) == {"merged"}
    assert set(statuses(after.together()).values()) == {"merged"}
    print(f"runs of the tests for 8 stories that wait at the same time: {before.runs} one by one, {after.runs} stacked")
    assert (before.runs, after.runs) == (8, 1)
    assert after.merges == before.merges == names(list(range(1, 9)))
    assert after.tree() == before.tree()
    assert "epic-1: done" in after.tree()["docs/sprint-status.yaml"]
    assert "Status: done" in after.tree()["docs/stories/1-8-part.md"]
    assert all(end.tests.passed for end in after.got.values())
    assert after.workspace.leftovers() == []
    assert after.git("branch", "--list", "storyloom/1*") == ""
    commits = after.git("rev-list", "--count", "--first-parent", "main..storyloom/main")
    assert commits == "8"  # the board is in the merge commits: no commits besides


def test_no_more_stories_are_stacked_than_the_settings_allow(tmp_path):
    project = Project(tmp_path, own(5), merge_stack=2)
    assert set(statuses(project.together()).values()) == {"merged"}
    assert project.runs == 3
    assert project.merges == names([1, 2, 3, 4, 5])


def test_the_story_that_fails_is_found_and_sent_back_and_the_others_are_merged(tmp_path):
    changes = own(5)
    changes[3] = {"bad.txt": ""}
    project = Project(tmp_path, changes)
    got = project.together()
    assert statuses(got) == {1: "merged", 2: "merged", 3: "blocked", 4: "merged", 5: "merged"}
    assert got[3].lane is Lane.CODE
    assert got[3].tests.passed is False
    assert "tests fail" in got[3].reason
    assert got[2].tests.passed is True
    assert project.merges == names([1, 2, 4, 5])
    assert project.runs == 4  # five (fails), two (pass), three (fails), then the two that are left: at most 1+3+1
    assert "bad.txt" not in project.tree()
    assert project.workspace.leftovers() == ["1-3-part"]
    assert "1-3-part: in-progress" in project.tree()["docs/sprint-status.yaml"]


def test_two_stories_that_only_fail_together_are_told_apart_by_their_order(tmp_path):
    changes = own(4)
    changes[2] = {"left.txt": ""}
    changes[4] = {"right.txt": ""}
    project = Project(tmp_path, changes)
    assert statuses(project.together()) == {1: "merged", 2: "merged", 3: "merged", 4: "blocked"}
    assert project.runs == 3


def test_a_conflict_in_the_middle_drops_only_that_story(tmp_path):
    changes = own(5)
    changes[2] = {"shared.txt": "two\n"}
    changes[4] = {"shared.txt": "four\n"}
    project = Project(tmp_path, changes)
    got = project.together()
    assert statuses(got) == {1: "merged", 2: "merged", 3: "merged", 4: "blocked", 5: "merged"}
    assert got[4].lane is Lane.CODE
    assert "conflicts with the main line in shared.txt" in got[4].reason
    assert project.runs == 1
    assert project.tree()["shared.txt"] == "two\n"


def test_a_conflict_with_a_story_that_itself_does_not_enter_is_none(tmp_path):
    changes = own(3)
    changes[2] = {"shared.txt": "two\n", "bad.txt": ""}
    changes[3] = {"shared.txt": "three\n"}
    project = Project(tmp_path, changes)
    assert statuses(project.together()) == {1: "merged", 2: "blocked", 3: "merged"}
    assert project.tree()["shared.txt"] == "three\n"


def test_tests_without_a_result_let_nothing_in_and_are_run_again_another_time(tmp_path):
    project = Project(tmp_path, {1: {"slow.txt": ""}})
    got = project.one_by_one()
    assert statuses(got) == {1: "blocked"}
    assert "no result" in got[1].reason
    assert project.runs == 1
    project.sandbox.answer = lambda *_: PASSED
    assert statuses(project.one_by_one()) == {1: "merged"}
    assert project.runs == 2


def test_the_main_line_may_move_under_the_tests_and_is_tested_again_unless_only_the_board_moved(tmp_path):
    board_moves = Project(tmp_path / "board", own(2))
    code_moves = Project(tmp_path / "code", own(2))
    for project, path in ((board_moves, "docs/stories/1-9-other.md"), (code_moves, "docs/architecture.md")):

        def verdict(command, worktree, project=project, path=path):
            if project.runs == 1:
                project.workspace.commit_files({path: "moved\n"}, "moved", "moved")
            return project.verdict(command, worktree)

        project.sandbox.answer = verdict
        assert statuses(project.together()) == {1: "merged", 2: "merged"}
        assert project.merges == names([1, 2])
        assert project.tree()[path] == "moved\n"
    assert (board_moves.runs, code_moves.runs) == (1, 2)


def test_a_story_whose_worktree_breaks_fails_alone(tmp_path):
    project = Project(tmp_path, own(4))
    project.reviewed[2] = project.reviewed[2].model_copy(update={"commit": "0" * 40})
    got = project.together()
    assert statuses({n: end for n, end in got.items() if n != 2}) == {1: "merged", 3: "merged", 4: "merged"}
    assert "GitError" in type(got[2]).__name__
    assert len(project.merges) == 3


def test_a_story_that_was_merged_is_found_again(tmp_path):
    project = Project(tmp_path, own(2))
    first = dict(project.together())
    again = project.together()
    assert {n: end.commit for n, end in again.items()} == {n: end.commit for n, end in first.items()}
    assert project.merges == names([1, 2])
    assert project.runs == 1


QUICK = {"test": "all", "test_changed": "some {changed}"}


def test_a_stack_is_tested_for_all_that_it_changes_and_each_of_its_merges_counts(tmp_path):
    project = Project(tmp_path, own(3), QUICK, whole_suite_every=10)
    assert set(statuses(project.together()).values()) == {"merged"}
    assert project.sandbox.asked == ["some part1.txt part2.txt part3.txt"]
    assert project.ports.shelf.get(COUNT) == "3"


def test_a_stack_with_the_merge_at_which_all_tests_are_due_runs_them_and_counts_anew(tmp_path):
    project = Project(tmp_path, own(3), QUICK, whole_suite_every=4)
    project.ports.shelf.put(COUNT, "2")
    assert set(statuses(project.together()).values()) == {"merged"}
    assert project.sandbox.asked == ["all"]
    assert project.ports.shelf.get(COUNT) == "0"


def test_halving_tests_only_changes_too_and_counts_only_those_that_entered(tmp_path):
    project = Project(tmp_path, {**own(2), 3: {"bad.txt": ""}}, QUICK, whole_suite_every=10)
    assert statuses(project.together()) == {1: "merged", 2: "merged", 3: "blocked"}
    assert project.sandbox.asked[0] == "some bad.txt part1.txt part2.txt"
    assert all(command.startswith("some ") for command in project.sandbox.asked)
    assert project.ports.shelf.get(COUNT) == "2"


def test_the_tests_of_a_change_are_no_answer_for_all_tests_of_the_same_files(tmp_path):
    from storyloom.tasks.verification import run_tests

    project = Project(tmp_path, own(1), QUICK, whole_suite_every=10)
    reviewed = project.reviewed[1]
    tree = project.workspace.path(reviewed.story)
    with use(lambda _project: project.ports):
        for since in (reviewed.baseline, "", reviewed.baseline, ""):
            run_tests(project.ports.project, tree, reviewed.commit, "a change", reviewed.story, since)
    assert project.sandbox.asked == ["some part1.txt", "all"]


def test_what_was_merged_by_fewer_tests_is_proven_with_nobody_else_in_the_lane(tmp_path):
    from storyloom.flows.implementation import prove_main_line

    project = Project(tmp_path, own(2), QUICK, whole_suite_every=10)
    project.together()
    held: list[bool] = []

    def verdict(command, worktree):
        held.append(project.gate.locked())
        return project.verdict(command, worktree)

    project.sandbox.answer = verdict
    with use(lambda _project: project.ports):
        assert prove_main_line(project.ports.project) == ""
        assert prove_main_line(project.ports.project) == ""
    assert held == [True]
    assert project.sandbox.asked[1:] == ["all"]
    assert project.ports.shelf.get(COUNT) == "0"


def test_moves_on_the_board_that_wait_together_make_one_commit(tmp_path):
    from storyloom.tasks.board import move_story

    project = Project(tmp_path, own(4))
    ready = board(4).replace("part: in-progress", "part: ready-for-dev")
    project.workspace.commit_files({"docs/sprint-status.yaml": ready}, "ready", "ready")
    ports = people.project_ports(project.repository, workspace=project.workspace, lane=lambda: project.gate)
    before = project.workspace.tip()
    threads = []
    with use(lambda _project: ports), project.gate:
        line = line_of(ports.project, "board")
        for number in range(1, 5):
            moving = (move_story, ports.project, story(number), "in-progress")
            threads.append(threading.Thread(target=contextvars.copy_context().run, args=moving))
            threads[-1].start()
        until = time.monotonic() + 60
        while len(line._standing) < 4:
            assert time.monotonic() < until
            time.sleep(0.01)
        ports_lane = threading.RLock()  # commit_texts takes the lane once more, as the holder may
        object.__setattr__(ports, "lane", lambda: ports_lane)
    for thread in threads:
        thread.join(60)
    assert project.git("rev-list", "--count", f"{before}..storyloom/main") == "1"
    assert project.tree()["docs/sprint-status.yaml"].count("part: in-progress") == 4


@pytest.mark.parametrize("name", ["part", "größe"])
def test_what_a_crash_left_open_after_the_merge_is_closed_by_the_next_run(tmp_path, monkeypatch, name):
    from storyloom.flows import integrate
    from storyloom.tasks.closing import close_left_over
    from storyloom.tasks.story_start import keep_outcome

    monkeypatch.setattr(integrate, "close_story", lambda *_: None)
    monkeypatch.setitem(globals(), "NAME", name)
    project = Project(tmp_path, own(2))
    assert set(statuses(project.together()).values()) == {"merged"}
    assert len(project.workspace.leftovers()) == 2
    with use(lambda _project: project.ports):
        keep_outcome(project.ports.project, project.reviewed[1])
        close_left_over(project.ports.project, [story(1), story(2)])
        close_left_over(project.ports.project, [story(1), story(2)])
    assert project.workspace.leftovers() == []
    assert project.git("branch", "--list", "storyloom/1*") == ""
    events = Counter((type(event).__name__, event.tags.story) for event in project.ports.recorder.events)
    assert events["Merged", story(1).key] == events["StoryMoved", story(1).key] == 1
