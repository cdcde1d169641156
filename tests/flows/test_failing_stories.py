"""What one story's failure means for the others: conflicts, tests that fail on the tip, prerequisites."""

import importlib.util
import shutil
import threading
from pathlib import Path

import pytest
from storyloom.domain.errors import ModelBusy, ModelRefused, SetUpFailed, StorageFull
from storyloom.domain.model_calls import ModelReply, ToolCall
from storyloom.tasks.ports import use

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.whole, pytest.mark.usefixtures("prefect_harness")]

_spec = importlib.util.spec_from_file_location("people", Path(__file__).with_name("people.py"))
people = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(people)

BAD, GOOD, approved, finishing = people.FAILED, people.PASSED, people.approving, people.writing


def story(number, files, after="None"):
    return people.planned(number, files, after=after)


@pytest.fixture
def batch(tmp_path):
    """Runs the implementation phase for some stories; gives the outcomes by key, and the workspace."""

    def run(stories, model, tests=lambda *_: GOOD, files=None, commands=None, **settings):
        from storyloom.flows.implementation import implementation

        config = {"settings": {"max_concurrent_agents": 3, "max_attempts": 1, **settings}, "commands": commands or {}}
        ports = people.committed_ports(tmp_path, {**people.epics(*stories), **(files or {})}, model, tests, config)
        with use(lambda project: ports):
            report = implementation(ports.project)
        return {outcome.story: outcome for outcome in report.stories}, ports.workspace

    return run


def test_a_story_that_fails_blocks_those_that_need_it_and_no_others(batch):
    def model(request):
        if request.purpose == "review":
            return approved()
        return finishing(f"part{request.tags.story.split('-')[1]}.py", "X = 1\n")

    def tests(command, worktree, *_):
        return BAD if (Path(worktree) / "part1.py").exists() else GOOD

    ends, workspace = batch(
        [story(1, "`part1.py`"), story(2, "`part2.py`", "1.1"), story(3, "`part3.py`", "1.2"), story(4, "`part4.py`")],
        model,
        tests,
    )
    got = {key: (end.status, end.lane and end.lane.value) for key, end in ends.items()}
    assert got["1-1-part"] == ("failed", "code")
    assert got["1-2-part"][0] == got["1-3-part"][0] == "blocked"
    assert "1-1-part" in ends["1-2-part"].reason or "1.1" in ends["1-2-part"].reason
    assert got["1-4-part"][0] == "merged"
    assert workspace.read(workspace.tip(), "part4.py") == "X = 1\n"
    assert workspace.read(workspace.tip(), "part1.py") is None


def test_a_story_that_conflicts_is_sent_back_once_onto_the_new_tip_and_merges(batch):
    """Both say that they touch files of their own, and both change the same line."""
    first, second, together = set(), [], threading.Barrier(2)
    attempts = []

    def model(request):
        if request.purpose == "review":
            return approved()
        key = request.tags.story
        attempts.append(request.tags.attempt)
        if key in first:
            second.append((key, str(request.messages[0].content)))
            return finishing("shared.txt", "first\nboth\nlast\n")
        first.add(key)
        together.wait(60)  # neither is merged before the other has started
        return finishing("shared.txt", f"first\n{key}\nlast\n")

    ends, workspace = batch(
        [story(1, "`part1.py`"), story(2, "`part2.py`")], model, files={"shared.txt": "first\nmiddle\nlast\n"}
    )
    assert {end.status for end in ends.values()} == {"merged"}, {k: (e.status, e.reason) for k, e in ends.items()}
    assert len(second) == 1, "one of the two was sent back, once"
    assert "shared.txt" in second[0][1], "what it conflicts with is said"
    assert attempts == [1, 1, 2], "the bill tells the first attempt's calls from the second's"
    assert workspace.read(workspace.tip(), "shared.txt") == "first\nboth\nlast\n"


def test_a_story_whose_tests_fail_only_on_the_tip_is_sent_back_once(batch):
    """Each passes alone; with the other's change the tests fail until the second one is mended."""
    tries, together = {}, threading.Barrier(2)

    def model(request):
        if request.purpose == "review":
            return approved()
        key = request.tags.story
        tries.setdefault(key, []).append(str(request.messages[0].content))
        if len(tries[key]) == 1:
            together.wait(60)  # neither is merged before the other has started
        return finishing(f"part{key.split('-')[1]}.py", f"TRY = {len(tries[key])}\n")

    def tests(command, worktree, *_):
        there = [Path(worktree) / f"part{n}.py" for n in (1, 2)]
        together = all(path.exists() for path in there)
        return BAD if together and all("TRY = 1" in path.read_text() for path in there) else GOOD

    ends, workspace = batch([story(1, "`part1.py`"), story(2, "`part2.py`")], model, tests)
    assert {end.status for end in ends.values()} == {"merged"}, {k: (e.status, e.reason) for k, e in ends.items()}
    assert sorted(len(asked) for asked in tries.values()) == [1, 2]
    texts = sorted(str(workspace.read(workspace.tip(), f"part{n}.py")) for n in (1, 2))
    assert texts == ["TRY = 1\n", "TRY = 2\n"]


def test_a_story_whose_turns_take_longer_than_its_limit_is_given_back(batch):
    asked = []

    def model(request):
        if request.purpose == "review":
            return approved()
        asked.append(request.tags.turn)
        call = ToolCall(id=f"t{len(asked)}", name="run", arguments={"command": f"step {len(asked)}"})
        return ModelReply(tool_calls=(call,), latency_s=40)

    ends, _ = batch([story(1, "`part1.py`")], model, story_wall_s=100)
    end = ends["1-1-part"]
    assert (end.status, end.lane and end.lane.value) == ("failed", "code")
    assert end.reason == "The story was not done in 100 s."
    assert asked == [1, 2, 3]


def test_a_story_that_is_sent_back_at_its_limit_takes_no_further_turn(batch):
    asked = []

    def model(request):
        if request.purpose == "review":
            return approved()
        asked.append((request.tags.story, request.tags.turn))
        return finishing(f"part{request.tags.story.split('-')[1]}.py", f"TRY = {request.tags.turn}\n")

    def tests(command, worktree, *_):
        done = Path(worktree, "part1.py")
        return BAD if done.exists() or "TRY = 1" in Path(worktree, "part2.py").read_text() else GOOD

    ends, _ = batch([story(1, "`part1.py`"), story(2, "`part2.py`")], model, tests, max_turns=2, max_attempts=5)
    assert (ends["1-1-part"].status, ends["1-1-part"].reason) == ("failed", "The story was not done in 2 turns.")
    assert ends["1-2-part"].status == "merged", "what is finished in the last turn is still judged"
    assert sorted(asked) == [(f"1-{n}-part", turn) for n in (1, 2) for turn in (1, 2)]


@pytest.mark.parametrize(
    ("error", "lane"),
    [(ModelBusy("The provider is down."), "provider"), (StorageFull("No room is left."), "infrastructure")],
)
def test_what_is_not_the_codes_fault_waits_and_the_others_merge(batch, error, lane, monkeypatch):
    from storyloom.tasks.develop_turn import develop_turn

    monkeypatch.setattr(develop_turn, "retries", 0)

    def model(request):
        if request.purpose == "review":
            return approved()
        if request.tags.story == "1-1-part":
            raise error
        return finishing("part2.py", "X = 1\n")

    ends, _ = batch([story(1, "`part1.py`"), story(2, "`part2.py`")], model)
    assert (ends["1-1-part"].status, ends["1-1-part"].lane.value) == ("waiting", lane)
    assert error.message in ends["1-1-part"].reason
    assert ends["1-2-part"].status == "merged"


@pytest.mark.parametrize(
    ("error", "status"), [(StorageFull("No room is left."), "waiting"), (RuntimeError("No room is left."), "failed")]
)
def test_a_story_whose_end_itself_cannot_be_kept_waits_where_waiting_helps(batch, error, status, monkeypatch):
    import importlib

    flow = importlib.import_module("storyloom.flows.implementation")  # the package holds a flow of that name

    def full(*_):
        raise error

    monkeypatch.setattr(flow, "develop_and_integrate", full)
    ends, _ = batch([story(1, "`part1.py`")], lambda _: None)
    end = ends["1-1-part"]
    assert (end.status, end.lane.value) == (status, "infrastructure")
    assert end.reason.endswith("No room is left.")


def test_what_was_no_fault_of_the_code_counts_as_no_attempt_and_each_judgement_of_the_code_as_one(batch):
    tests = []

    def model(request):
        if request.purpose == "review":
            return approved()
        if request.tags.story == "1-1-part":
            raise ModelRefused("no")
        return finishing("part2.py", f"X = {len(tests)}\n")

    def fails_once(*_):
        tests.append(1)
        return GOOD if len(tests) > 2 else BAD  # a run of the developer's, then ours

    ends, _ = batch([story(1, "`part1.py`"), story(2, "`part2.py`")], model, fails_once, max_attempts=3)
    assert (ends["1-1-part"].lane.value, ends["1-1-part"].attempts) == ("provider", 0)
    assert (ends["1-2-part"].status, ends["1-2-part"].attempts) == ("merged", 2), ends["1-2-part"]


def test_a_story_whose_text_is_longer_than_a_flow_may_be_given_is_developed_and_merged(batch):
    seen = []

    def model(request):
        if request.purpose == "review":
            return approved()
        seen.append("the last word" in str(request.messages[0].content))
        return finishing("part1.py", "X = 1\n")

    heading, _, labels = story(1, "`part1.py`").partition("\n\n")
    long = f"{heading}\n\n{'All work and no play. ' * 30_000}the last word.\n\n{labels}"
    ends, _ = batch([long], model, max_context_tokens=2_000_000)
    assert ends["1-1-part"].status == "merged", ends["1-1-part"].reason[:500]
    assert seen == [True]


def test_the_person_may_commit_while_a_story_is_tested_and_loses_nothing(batch, tmp_path):
    """On a branch of theirs: it comes in with the next run. On the main line itself: the story is tested anew on it."""
    repository, clone, runs = tmp_path / "repo", tmp_path / "clone", []

    def model(request):
        return approved() if request.purpose == "review" else finishing("part1.py", "X = 1\n")

    def tests(command, worktree):
        runs.append(sorted(path.name for path in Path(worktree).glob("*.txt")))
        if len(runs) == 1:
            (repository / "mine.txt").write_text("mine\n")
            people.git(repository, "add", "mine.txt")
            people.git(repository, "commit", "-qm", "Mine")
            (repository / "draft.txt").write_text("not committed\n")
        if len(runs) <= 3:
            people.git(tmp_path, "clone", "-q", "-b", "storyloom/main", str(repository), str(clone))
            (clone / f"theirs{len(runs)}.txt").write_text("theirs\n")
            people.git(clone, "add", "-A")
            people.git(clone, "commit", "-qm", "Theirs")
            people.git(repository, "fetch", "-q", str(clone), "HEAD")
            people.git(repository, "update-ref", "refs/heads/storyloom/main", "FETCH_HEAD")
            shutil.rmtree(clone)
        return GOOD

    ends, workspace = batch([story(1, "`part1.py`")], model, tests)
    assert ends["1-1-part"].status == "merged", ends["1-1-part"].reason
    theirs = ["theirs1.txt", "theirs2.txt", "theirs3.txt"]
    assert runs == [[], [], theirs[:2], theirs]  # the developer's, ours, on the tip, and on the tip that moved under it
    tip = workspace.tip()
    assert {*theirs, "part1.py"} <= set(workspace.files(tip))
    assert workspace.read(tip, "mine.txt") is None
    assert people.git(repository, "status", "--porcelain") == "?? draft.txt\n"
    assert people.git(repository, "branch", "--show-current") == "main\n"
    workspace.follow("main")
    assert workspace.read(workspace.tip(), "mine.txt") == "mine\n"
    assert (repository / "draft.txt").read_text() == "not committed\n"


def test_a_set_up_that_fails_is_nobodys_code_and_costs_no_call(batch):
    calls = []

    def model(request):
        calls.append(request)
        return approved() if request.purpose == "review" else finishing("part1.py", "X = 1\n")

    def tests(command, worktree):
        raise SetUpFailed("The set-up `npm ci` ended with 1: no such package")

    ends, _ = batch([story(1, "`part1.py`")], model, tests, commands={"setup": "npm ci"})
    end = ends["1-1-part"]
    assert (end.status, end.lane.value, end.attempts) == ("waiting", "infrastructure", 0)
    assert "no such package" in end.reason
    assert calls == []


def test_a_story_that_changes_more_files_than_a_flow_may_be_told_of_is_merged(batch):
    def model(request):
        return approved() if request.purpose == "review" else finishing("part1.py", "X = 1\n")

    def tests(command, worktree):
        for number in range(6_000):
            (Path(worktree) / f"{'long-name-' * 9}{number}.txt").write_text("")
        return GOOD

    ends, workspace = batch([story(1, "`part1.py`")], model, tests)
    assert ends["1-1-part"].status == "merged", ends["1-1-part"].reason[:300]
    assert ends["1-1-part"].files[-1].endswith(" more")
    assert len(workspace.files(workspace.tip())) > 6_000


def rewrite(folder, workspace, old, new):
    """Somebody changes the plan on a branch of theirs, and the main line takes it over."""
    plan = folder / "repo" / "docs" / "epics.md"
    plan.write_text(plan.read_text().replace(old, new))
    people.git(folder / "repo", "commit", "-qam", "The story says what was meant")
    workspace.follow("main")


def told(word):
    heading, _, labels = story(1, "`part1.py`").partition("\n\n")
    criteria = f"**Acceptance Criteria:**\n\n1. It is {word}\n\n"
    return f"{heading}\n\nWrite the {word} thing.\n\n{criteria}**Technical Notes:** {word} is right.\n\n{labels}"


def met(word):
    verdict = {"criterion": f"It is {word}", "met": True, "evidence": "part1.py:1"}
    return ModelReply(parsed={"verdict": "approve", "summary": "fine", "criteria": [verdict], "findings": []})


def test_a_failed_story_begins_anew_once_it_is_rewritten_and_not_before(batch, tmp_path):
    asked = []

    def model(request):
        said = str(request.messages)
        asked.append((request.purpose, [word for word in ("FIRST", "SECOND") if word in said]))
        return met("SECOND") if request.purpose == "review" else finishing("part1.py", f"X = {asked[-1][1]}\n")

    def tests(command, worktree, *_):
        return GOOD if "SECOND" in (Path(worktree) / "part1.py").read_text() else BAD

    ends, workspace = batch([told("FIRST")], model, tests)
    again, _ = batch([], model, tests, when_asked="set_aside")
    assert ends["1-1-part"].status == again["1-1-part"].status == "failed"
    assert asked == [("work", ["FIRST"])], "an unchanged story repeats no call"

    rewrite(tmp_path, workspace, "FIRST", "SECOND")
    ends, _ = batch([], model, tests, when_asked="set_aside")
    assert ends["1-1-part"].status == "merged", ends["1-1-part"].reason
    assert ends["1-1-part"].attempts == 1, "attempts of its own"
    assert asked[1:] == [("work", ["SECOND"]), ("review", ["SECOND"])]
    text = workspace.read(workspace.tip(), "docs/stories/1-1-part.md")
    assert "FIRST" not in text
    assert text.partition("## Dev Agent Record")[0].count("SECOND") == 4  # story, criterion, its task, notes
    assert "Failed (code): The tests failed after 1 attempts." in text, "what is on record stays"


def test_a_story_that_is_under_way_goes_on_as_it_began(batch, tmp_path, monkeypatch):
    from storyloom.tasks.develop_turn import develop_turn

    monkeypatch.setattr(develop_turn, "retries", 0)
    asked, down = [], []

    def model(request):
        if request.purpose == "review":
            return met("SECOND")
        asked.append([word for word in ("FIRST", "SECOND", "THIRD") if word in str(request.messages)])
        if down:
            raise ModelBusy("The provider is down.")
        return finishing("part1.py", f"X = {asked[-1]}\n")

    def tests(command, worktree, *_):
        return BAD if "FIRST" in (Path(worktree) / "part1.py").read_text() else GOOD

    _, workspace = batch([told("FIRST")], model, tests)
    rewrite(tmp_path, workspace, "FIRST", "SECOND")
    down.append(1)
    ends, _ = batch([], model, tests, when_asked="set_aside")
    assert ends["1-1-part"].status == "waiting"
    rewrite(tmp_path, workspace, "Write the SECOND", "Write the THIRD")
    down.clear()
    ends, _ = batch([], model, tests, when_asked="set_aside")
    assert ends["1-1-part"].status == "merged", ends["1-1-part"].reason
    assert asked == [["FIRST"], ["SECOND"], ["SECOND"]]


def test_a_merge_that_a_person_reverts_is_made_anew_once(batch, tmp_path):
    written = []

    def model(request):
        if request.purpose == "review":
            return approved()
        written.append(f"X = {len(written) + 1}\n")
        return finishing("part1.py", written[-1])

    _, workspace = batch([story(1, "`part1.py`")], model)
    tree, at = workspace.integration(), tmp_path / "repo"
    who = ("-c", "user.name=t", "-c", "user.email=t@localhost")
    people.git(tree, *who, "revert", "-m", "1", "--no-edit", "HEAD")
    for _ in range(2):
        ends, workspace = batch([], model, when_asked="set_aside")
        assert workspace.read(workspace.tip(), "part1.py") == "X = 2\n"
    assert ends == {}, "it is done"
    assert len(written) == 2
    merges = people.git(at, "log", "--merges", "--format=%s", "storyloom/main").split("\n")
    assert merges.count("Merge story 1.1: Part") == 2
    assert "1-1-part: done" in workspace.read(workspace.tip(), "docs/sprint-status.yaml")


def test_a_merged_story_whose_title_is_corrected_is_not_developed_again(batch, tmp_path):
    asked = []

    def model(request):
        asked.append(request.tags.story)
        return approved() if request.purpose == "review" else finishing("part1.py", "X = 1\n")

    ends, workspace = batch([story(1, "`part1.py`")], model)
    assert ends["1-1-part"].status == "merged", ends["1-1-part"].reason
    people.git(tmp_path / "repo", "merge", "-q", "--ff-only", "storyloom/main")
    rewrite(tmp_path, workspace, "Story 1.1: Part", "Story 1.1: The part")
    calls = len(asked)
    ends, _ = batch([], model)
    assert ends == {}
    assert len(asked) == calls
    tip = workspace.tip()
    assert "  1-1-the-part: done\n" in workspace.read(tip, "docs/sprint-status.yaml")
    text = workspace.read(tip, "docs/stories/1-1-the-part.md")
    assert text.startswith("# Story 1.1: The part\n\nStatus: done\n")
    assert workspace.read(tip, "docs/stories/1-1-part.md") is None


def test_what_needs_a_done_story_that_is_pruned_from_the_plan_goes_on_and_what_needs_none_that_exists_waits(
    batch, tmp_path
):
    def model(request):
        number = request.tags.story.split("-")[1]
        return approved() if request.purpose == "review" else finishing(f"part{number}.py", "X = 1\n")

    ends, workspace = batch([story(1, "`part1.py`")], model)
    assert ends["1-1-part"].status == "merged", ends["1-1-part"].reason
    people.git(tmp_path / "repo", "merge", "-q", "--ff-only", "storyloom/main")
    plan = people.epics(story(2, "`part2.py`", "Story 1.1"), story(3, "`part3.py`", "Story 7.7"))["docs/epics.md"]
    rewrite(tmp_path, workspace, (tmp_path / "repo" / "docs" / "epics.md").read_text(), plan)
    for _ in range(2):  # the second time its row is a comment on the board
        ends, _ = batch([], model)
        assert ends["1-3-part"].status == "blocked"
        assert ends["1-3-part"].reason == "needs Story 7.7, which is not planned"
        assert ends.get("1-2-part") is None or ends["1-2-part"].status == "merged", ends["1-2-part"].reason
    assert workspace.read(workspace.tip(), "part2.py") == "X = 1\n"


def test_a_circle_of_merged_stories_holds_up_no_other(batch, tmp_path):
    def model(request):
        number = request.tags.story.split("-")[1]
        return approved() if request.purpose == "review" else finishing(f"part{number}.py", "X = 1\n")

    ends, workspace = batch([story(1, "`part1.py`"), story(2, "`part2.py`", "Story 1.1")], model)
    assert {end.status for end in ends.values()} == {"merged"}
    people.git(tmp_path / "repo", "merge", "-q", "--ff-only", "storyloom/main")
    stories = [story(1, "`part1.py`", "Story 1.2"), story(2, "`part2.py`", "Story 1.1"), story(3, "`part3.py`")]
    plan = people.epics(*stories)["docs/epics.md"]
    rewrite(tmp_path, workspace, (tmp_path / "repo" / "docs" / "epics.md").read_text(), plan)
    ends, _ = batch([], model)
    assert {key: end.status for key, end in ends.items()} == {"1-3-part": "merged"}
