"""A story that conflicts even after its repair waits for a person, alone; what they answer is carried out once."""

import importlib.util
import threading
from pathlib import Path

import pytest
from storyloom.blocks import git as blocks_git
from storyloom.domain.approvals import Given
from storyloom.domain.conflicts import AGAIN, BACK
from storyloom.domain.stories import StoryOutcome
from storyloom.tasks.answers import submit
from storyloom.tasks.ports import use
from storyloom.tasks.questions import escalations
from storyloom.tasks.story_start import outcome_name

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.whole, pytest.mark.usefixtures("prefect_harness")]

_spec = importlib.util.spec_from_file_location("people", Path(__file__).with_name("people.py"))
people = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(people)

FILES = {
    **people.epics(people.planned(1, "`part1.py`"), people.planned(2, "`part2.py`")),
    "shared.txt": "first\nmiddle\nlast\n",
}
KEY, OTHER = "1-1-part", "1-2-part"
RESOLVED = f"it is resolved on resolved/{KEY}"


class Project:
    """Two stories. While the first one is developed, somebody else changes the same line, in its first attempts."""

    def __init__(self, folder, moves=2, **settings):
        self.folder, self.moves, self.settings = folder, moves, {"max_concurrent_agents": 2, **settings}
        self.said = list[str]()
        self.start()

    def start(self):
        """Ports as a new process makes them."""
        config = {"settings": self.settings}
        self.ports = people.committed_ports(self.folder, FILES, self.model, self.tests, config)
        self.workspace = self.ports.workspace

    def model(self, request):
        if request.purpose == "review":
            return people.approving()
        if request.tags.story == OTHER:
            return people.writing("part2.py", "X = 1\n")
        self.said.append(str(request.messages[0].content))
        attempt = request.tags.attempt
        if attempt <= self.moves:
            self.workspace.commit_files({"shared.txt": f"first\nmoved {attempt}\nlast\n"}, "moved", f"moved-{attempt}")
        return people.writing("shared.txt", f"first\nmade {attempt}\nlast\n")

    def tests(self, command, worktree):
        bad = "broken" in (Path(worktree) / "shared.txt").read_text()
        return people.FAILED if bad else people.PASSED

    def run(self):
        from storyloom.flows.implementation import implementation

        with use(lambda _project: self.ports):
            report = implementation(self.ports.project)
        return {outcome.story: outcome for outcome in report.stories}

    def question(self):
        return next(e for e in escalations(self.ports) if e.status in ("pending", "set_aside"))

    def resolve(self, text, branch=f"resolved/{KEY}", onto="storyloom/main"):
        """What a person does in a clone of their own: take the main line, settle the change, commit."""
        repository, clone = Path(self.ports.project.repository), self.folder / "clone"
        if not clone.exists():
            people.git(self.folder, "clone", "-q", str(repository), str(clone))
        people.git(clone, "fetch", "-q", "origin", "+refs/heads/*:refs/heads/o/*")
        people.git(clone, "checkout", "-q", "-B", branch, f"o/{onto}")
        (clone / "shared.txt").write_text(text)
        people.git(clone, "commit", "-qam", "Settle")
        people.git(clone, "push", "-qf", "origin", branch)

    def shared(self):
        return self.workspace.read(self.workspace.tip(), "shared.txt")


def test_the_run_pauses_alone_and_develops_the_story_again_with_the_hint_that_it_is_given(tmp_path):
    project = Project(tmp_path)
    merged_meanwhile = []

    def person():
        asked = people.open_question(project.ports, 120)
        people.wait_for(lambda: project.workspace.find_op(f"merge-{OTHER}") is not None, 120)
        merged_meanwhile.append(project.workspace.find_op(f"merge-{KEY}"))
        parked = StoryOutcome.model_validate_json(project.ports.shelf.get(outcome_name(KEY)))
        assert (parked.status, parked.lane) == ("waiting", "person")
        assert "How shall it go on?" in parked.reason
        assert "- main line: moved 2" in asked.question.context
        assert "- story: made 2" in asked.question.context
        assert submit(project.ports, asked.id, Given(answer=AGAIN, notes="keep both lines")).verdict == "holds"

    join = people.in_thread(lambda: (person(), True))
    ends = project.run()
    join()
    assert {key: end.status for key, end in ends.items()} == {KEY: "merged", OTHER: "merged"}, ends
    assert merged_meanwhile == [None]
    assert len(project.said) == 3
    assert "A person who looked at the conflict says: keep both lines" in project.said[2]
    assert "A person" not in project.said[1]
    assert project.shared() == "first\nmade 3\nlast\n"


def test_set_aside_it_is_merged_from_the_persons_branch_after_a_restart_and_no_call_is_repeated(tmp_path):
    project = Project(tmp_path, when_asked="set_aside")
    first = project.run()
    assert {key: end.status for key, end in first.items()} == {KEY: "waiting", OTHER: "merged"}, first
    assert first[KEY].lane == "person"
    assert submit(project.ports, project.question().id, Given(answer=RESOLVED)).verdict == "holds"
    project.start()
    assert "There is no branch resolved/1-1-part." in project.run()[KEY].reason
    project.resolve("first\nbroken\nlast\n")
    project.start()
    broken = project.run()[KEY]
    assert (broken.status, broken.lane, broken.tests.passed) == ("blocked", "code", False), broken
    project.resolve("first\nsettled\nlast\n")
    project.start()
    assert project.run()[KEY].status == "merged"
    assert project.shared() == "first\nsettled\nlast\n"
    assert len(project.said) == 2
    assert project.ports.models.asked == []
    assert project.workspace.leftovers() == []


def test_while_it_waits_its_branch_shows_the_work_and_git_may_clean_up(tmp_path):
    project = Project(tmp_path, when_asked="set_aside")
    ends = [project.run()[KEY]]
    repository = Path(project.ports.project.repository)
    for _ in range(2):
        project.start()
        ends.append(project.run()[KEY])
        assert people.git(repository, "rev-parse", f"storyloom/{KEY}").strip() == ends[-1].commit
        people.git(repository, "gc", "-q", "--prune=now")
        blocks_git._commits.clear()
    assert [(end.status, end.lane, end.reason, end.commit) for end in ends] == 3 * [
        ("waiting", "person", ends[0].reason, ends[0].commit)
    ]
    assert len(project.said) == 2


def test_a_persons_branch_that_conflicts_itself_is_asked_about_anew_and_waits_until_it_changes(tmp_path):
    project = Project(tmp_path, when_asked="set_aside")
    project.run()
    asked = project.question().id
    submit(project.ports, asked, Given(answer=RESOLVED, notes="mine"))
    project.resolve("first\nmine\nlast\n", branch="mine", onto="main")
    assert project.run()[KEY].status == "waiting"
    again = project.question().id
    assert again != asked
    submit(project.ports, again, Given(answer=RESOLVED, notes="mine"))
    assert "The branch mine still conflicts in shared.txt." in project.run()[KEY].reason
    project.resolve("first\nmine\nlast\n", branch="mine")
    assert project.run()[KEY].status == "merged"
    assert project.shared() == "first\nmine\nlast\n"


def test_given_back_it_ends_for_good_and_says_by_whom_and_why(tmp_path):
    project = Project(tmp_path, when_asked="set_aside")
    project.run()
    submit(project.ports, project.question().id, Given(answer=BACK, notes="not now"))
    for _ in range(2):
        end = project.run()[KEY]
        assert (end.status, end.lane) == ("failed", "code")
        assert end.reason == "The story conflicts with the main line in shared.txt. It was given back by owner: not now"
    assert len(project.said) == 2
    assert project.shared() == "first\nmoved 2\nlast\n"


def test_unattended_it_is_made_again_as_often_as_the_settings_allow_and_then_given_back(tmp_path):
    project = Project(tmp_path, moves=9, when_asked="recommendation", max_attempts=3)
    end = project.run()[KEY]
    assert (end.status, "given back by policy" in end.reason) == ("failed", True), end
    assert len(project.said) == 3


def test_nothing_is_held_while_a_person_thinks(tmp_path):
    held = threading.Lock()
    project = Project(tmp_path, when_asked="set_aside")
    object.__setattr__(project.ports, "integrating", lambda: held)
    from storyloom.flows import at_a_conflict

    seen = []
    plain = at_a_conflict.settle

    def watched(*arguments, **more):
        seen.append(held.locked())
        return plain(*arguments, **more)

    at_a_conflict.settle = watched
    try:
        project.run()
    finally:
        at_a_conflict.settle = plain
    assert seen == [False]
