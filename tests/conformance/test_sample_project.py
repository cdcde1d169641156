"""The sample project's recorded conversation builds a product that works, in whatever order its stories are merged."""

import difflib
import hashlib
import itertools
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
import yaml
from storyloom.blocks.project_config import read_project_config
from storyloom.domain.agent_tools import ToolOutcome
from storyloom.domain.change_checks import check_change
from storyloom.domain.fakes import MemoryFiles, ScriptedSandbox
from storyloom.domain.model_calls import ToolCall
from storyloom.domain.ports import CommandResult
from storyloom.domain.review import Approve, SendBack, verdict
from storyloom.domain.settings import Commands, Settings
from storyloom.domain.stories import ReviewReport, TestReport
from storyloom.rehearsal.script_files import Entry, read_folder
from storyloom.tasks.agent_tools import Bench, apply_tools

SAMPLE = Path(__file__).parents[2] / "examples" / "shelf"
SUITE = f"{sys.executable} -B -m unittest discover -s tests -t ."
Tree = dict[str, str]


@cache
def entries() -> tuple[Entry, ...]:
    return read_folder(SAMPLE / "conversation")


def turns(story: str) -> list[Entry]:
    mine = [e for e in entries() if e.subject == f"Story {story} · develop"]
    return sorted(mine, key=lambda entry: entry.turn)


def reviews(story: str) -> list[ReviewReport]:
    found = [e for e in entries() if e.subject.startswith(f"Story {story} · review · round ")]
    return [ReviewReport.model_validate_json(e.text) for e in sorted(found, key=lambda entry: entry.subject)]


@cache
def epics() -> str:
    return next(entry.text for entry in entries() if entry.subject == "epics-and-stories · epics")


@cache
def plan() -> dict[str, dict[str, list[str]]]:
    """Prerequisites, files and criteria by story, read from the text of the epics alone."""
    found = {}
    for part in re.split(r"^### Story ", epics(), flags=re.MULTILINE)[1:]:
        part = part.split("\n## ")[0]
        prerequisites = re.search(r"^\*\*Prerequisites:\*\* (.*)$", part, re.MULTILINE)
        files = re.search(r"^\*\*Files:\*\* (.*)$", part, re.MULTILINE)
        assert prerequisites
        assert files
        found[part.split(":")[0]] = {
            "needs": re.findall(r"\d+\.\d+", prerequisites[1]),
            "files": re.findall(r"`([^`]+)`", files[1]),
            "criteria": re.findall(r"^\d+\. (.*)$", part, re.MULTILINE),
        }
    return found


STORIES = ("1.1", "1.2", "1.3", "1.4", "2.1", "2.2", "2.3")


def needs(story: str) -> set[str]:
    """All stories that are merged before this one can start."""
    direct = set(plan()[story]["needs"])
    return direct.union(*(needs(other) for other in direct))


def developed(story: str, base: Tree) -> Tree:
    """The tree after all turns of a story; no command is run."""
    bench = Bench(MemoryFiles(base), ScriptedSandbox(lambda *_: CommandResult(exit_code=0)), "/nowhere")
    played(turns(story), bench)
    return bench.files.texts


def played(some: list[Entry], bench: Bench) -> list[ToolOutcome]:
    """What the product's own tools make of these turns; every call must be carried out, every edit fit exactly."""
    found = []
    for entry in some:
        calls = [ToolCall(id=str(n), name=t.name, arguments=t.arguments) for n, t in enumerate(entry.tools)]
        for outcome in apply_tools(calls, bench):
            of_documents = outcome.name in ("read_file", "search") and "docs/" in str(calls)
            assert outcome.ok or of_documents, (entry.where, outcome.content)
            if outcome.name == "edit_file":
                assert outcome.content.endswith(": edited."), outcome.content
            found.append(outcome)
    return found


def merged(order: tuple[str, ...]) -> Tree:
    tree: Tree = {}
    for story in order:
        tree = developed(story, tree)
    return tree


def run(tree: Tree, folder: Path, command: str = SUITE) -> CommandResult:
    """What a command really does in a folder with this tree."""
    for path, text in tree.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    done = subprocess.run(["bash", "-c", command], cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    return CommandResult(exit_code=done.returncode, output=done.stdout + done.stderr)


def workbench(tree: Tree, folder: Path) -> Bench:
    """A bench whose commands really run, each in a folder of its own."""
    files, count = MemoryFiles(tree), itertools.count()
    sandbox = ScriptedSandbox(lambda command, _: run(files.texts, folder / str(next(count)), command))
    return Bench(files, sandbox, str(folder), Commands(test=SUITE))


def diff(before: Tree, after: Tree) -> str:
    """The change as git prints it."""
    parts = []
    for path in sorted(after):
        if after[path] != before.get(path):
            was = before.get(path)
            old, new = (was or "").splitlines(keepends=True), after[path].splitlines(keepends=True)
            names = ("/dev/null" if was is None else f"a/{path}", f"b/{path}")
            parts += [f"diff --git a/{path} b/{path}\n", *(["new file mode 100644\n"] if was is None else [])]
            parts += difflib.unified_diff(old, new, *names)
    return "".join(parts)


def allowed_bases() -> list[tuple[str, ...]]:
    """Every set of stories that can be on the main line at some moment, in an order in which it can come about."""
    return [
        chosen
        for size in range(1, len(STORIES) + 1)
        for chosen in itertools.combinations(STORIES, size)
        if all(needs(story) <= set(chosen) for story in chosen)
    ]


def orders() -> list[tuple[str, ...]]:
    """Every order in which all stories can be merged."""
    allowed = (order for order in itertools.permutations(STORIES[1:-1]))
    whole = [(STORIES[0], *order, STORIES[-1]) for order in allowed]
    return [o for o in whole if all(o.index(need) < o.index(story) for story in o for need in plan()[story]["needs"])]


def test_the_epics_plan_seven_stories_of_which_two_and_then_three_can_run_at_once():
    assert tuple(plan()) == STORIES
    after_first = [story for story in STORIES if needs(story) == {"1.1"}]
    assert after_first == ["1.2", "1.3"]
    after_rules_and_visits = [s for s in STORIES[3:] if needs(s) <= {"1.1", "1.2", "1.3"}]
    assert after_rules_and_visits == ["1.4", "2.1", "2.2"]


def test_stories_that_can_run_at_the_same_time_touch_different_files():
    for one, other in itertools.combinations(STORIES, 2):
        if one not in needs(other) and other not in needs(one):
            assert not set(plan()[one]["files"]) & set(plan()[other]["files"]), (one, other)


@pytest.mark.parametrize("story", STORIES)
def test_a_story_changes_exactly_the_files_that_it_names(story: str):
    base = merged(tuple(s for s in STORIES if s in needs(story)))
    after = developed(story, base)
    assert {path for path in after if after[path] != base.get(path)} == set(plan()[story]["files"])


@pytest.mark.parametrize("story", STORIES)
def test_each_run_of_the_tests_ends_as_the_developer_says_on_a_base_with_only_the_prerequisites(story, tmp_path):
    bench = workbench(merged(tuple(s for s in STORIES if s in needs(story))), tmp_path)
    outcomes = played(turns(story), bench)
    results = [outcome.tests.passed for outcome in outcomes if outcome.tests]
    assert results == ([False, True] if story == "1.3" else [True] * len(results))
    assert all("Exit code 0." in outcome.content for outcome in outcomes if outcome.name == "run")
    last = [outcome for outcome in outcomes if outcome.tests or outcome.finish]
    assert last[-1].finish
    assert last[-2].tests.passed


@pytest.mark.slow
@pytest.mark.parametrize("base", allowed_bases(), ids=lambda chosen: "+".join(chosen))
def test_all_tests_pass_on_every_state_that_the_main_line_can_have(base: tuple[str, ...], tmp_path: Path):
    done = run(merged(base), tmp_path)
    assert done.exit_code == 0, done.output


def test_the_product_is_the_same_whatever_the_order_of_merges():
    expected = yaml.safe_load((SAMPLE / "expected" / "outcome.yaml").read_text(encoding="utf-8"))
    assert len(orders()) > 10
    for order in orders():
        tree = merged(order)
        sums = {path: hashlib.sha256(text.encode()).hexdigest() for path, text in sorted(tree.items())}
        assert sums == expected["tree"], order


@pytest.mark.parametrize("story", STORIES)
def test_reviews_lead_to_approval_by_the_products_own_rules(story: str):
    base = merged(tuple(s for s in STORIES if s in needs(story)))
    own = check_change(diff(base, developed(story, base)), planned=plan()[story]["files"])
    assert own == ()
    said, criteria = reviews(story), plan()[story]["criteria"]
    assert all([c.criterion for c in report.criteria] == criteria for report in said)
    for number in range(1, len(said) + 1):
        decided = verdict(said[:number], Settings(), criteria=criteria, tests=TestReport(passed=True), own=own)
        assert isinstance(decided, Approve if number == len(said) else SendBack), decided


def test_one_story_is_sent_back_for_a_real_fault(tmp_path: Path):
    sent_back = {story: reviews(story)[0] for story in STORIES if reviews(story)[0].verdict == "changes_requested"}
    assert list(sent_back) == ["2.2"]
    assert [f.severity for f in sent_back["2.2"].findings] == ["high"]
    bench = workbench(merged(("1.1", "1.2")), tmp_path)
    played(turns("2.2")[:3], bench)
    first, finding = bench.files.texts, sent_back["2.2"].findings[0]
    assert "storage.add(link)" in first[finding.file].splitlines()[finding.line - 1]
    first["tests/test_exchange.py"] = merged(("1.1", "1.2", "2.2"))["tests/test_exchange.py"]
    assert "FAIL: test_a_mistake_in_a_later_line" in run(first, tmp_path / "again").output


def test_one_question_falls_below_the_threshold_and_recommends_one_of_its_options():
    asked = [(e.subject, t.arguments) for e in entries() for t in e.tools if t.name == "ask"]
    assert [subject for subject, _ in asked] == ["Story 1.2 · develop"]
    question = asked[0][1]
    assert question["confidence"] < 0.75
    assert question["recommendation"] in question["options"]


@pytest.mark.parametrize("story", STORIES)
def test_every_turn_has_calls_and_every_round_ends_with_finish(story: str):
    said = turns(story)
    assert [entry.turn for entry in said] == list(range(len(said)))
    assert all(entry.tools for entry in said)
    finishes = [entry.turn for entry in said if entry.tools[-1].name == "finish"]
    assert len(finishes) == len(reviews(story))
    assert finishes[-1] == said[-1].turn


def test_the_settings_use_both_wire_formats_and_another_model_for_review(tmp_path: Path):
    (tmp_path / ".bmad").mkdir()
    (tmp_path / ".bmad" / "project-config.yaml").write_text((SAMPLE / "project-config.yaml").read_text())
    config = read_project_config(tmp_path)
    assert {str(model).split("/")[0] for model in config.agents.values()} == {"openai", "anthropic"}
    assert config.agents["quinn"] != config.agents["amelia"]
    assert config.settings.max_concurrent_agents == 3


def test_the_quality_gate_claims_no_more_than_is_there():
    tree = merged(STORIES)
    product = [text for path, text in tree.items() if path.startswith("shelf/")]
    lines = sum(text.count("\n") for text in product)
    evidence = next(e.text for e in entries() if e.subject == "quality-gate · evidence_review")
    claimed = re.search(r"\| about (\d+) \|", evidence)
    assert claimed
    assert abs(int(claimed[1]) - lines) <= 5
    assert lines < 700
    for named in re.findall(r"`(tests/\w+\.py)`", evidence):
        assert named in tree
