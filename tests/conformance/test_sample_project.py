"""The sample project's recorded conversation builds a product that works, in whatever order its stories are merged."""

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
from storyloom.domain.stories import ReviewReport
from storyloom.rehearsal.script_files import Entry, read_folder

SAMPLE = Path(__file__).parents[2] / "examples" / "shelf"
SUITE = [sys.executable, "-B", "-m", "unittest", "discover", "-s", "tests", "-t", "."]
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
    """The tree after all turns of a story; every edit must find its text exactly once."""
    tree = dict(base)
    for entry in turns(story):
        for tool in entry.tools:
            _apply(tool.name, tool.arguments, tree)
    return tree


def _apply(name: str, arguments: dict, tree: Tree) -> None:
    if name == "write_file":
        tree[arguments["path"]] = arguments["content"]
    elif name == "edit_file":
        text = tree[arguments["path"]]
        for edit in arguments["edits"]:
            assert text.count(edit["search"]) == 1, (arguments["path"], edit["search"])
            text = text.replace(edit["search"], edit["replace"])
        tree[arguments["path"]] = text
    elif name == "delete_file":
        del tree[arguments["path"]]
    elif name == "read_file":
        assert arguments["path"] in tree or arguments["path"].startswith("docs/"), arguments["path"]


def merged(order: tuple[str, ...]) -> Tree:
    tree: Tree = {}
    for story in order:
        tree = developed(story, tree)
    return tree


def run(tree: Tree, folder: Path, command: list[str]) -> subprocess.CompletedProcess[str]:
    for path, text in tree.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)


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
    tree = merged(tuple(s for s in STORIES if s in needs(story)))
    results = []
    for entry in turns(story):
        for tool in entry.tools:
            _apply(tool.name, tool.arguments, tree)
            folder = tmp_path / f"{entry.turn}-{len(results)}"
            if tool.name == "run_tests":
                results.append(run(tree, folder, SUITE).returncode == 0)
            elif tool.name == "run":
                done = run(tree, folder, ["bash", "-c", tool.arguments["command"]])
                assert done.returncode == 0, done.stderr
            elif tool.name == "finish":
                assert results[-1], f"story {story} says finished though its last tests failed"
    assert results == ([False, True] if story == "1.3" else [True] * len(results))


@pytest.mark.slow
@pytest.mark.parametrize("base", allowed_bases(), ids=lambda chosen: "+".join(chosen))
def test_all_tests_pass_on_every_state_that_the_main_line_can_have(base: tuple[str, ...], tmp_path: Path):
    done = run(merged(base), tmp_path, SUITE)
    assert done.returncode == 0, done.stderr


def test_the_product_is_the_same_whatever_the_order_of_merges():
    expected = yaml.safe_load((SAMPLE / "expected" / "outcome.yaml").read_text(encoding="utf-8"))
    assert len(orders()) > 10
    for order in orders():
        tree = merged(order)
        sums = {path: hashlib.sha256(text.encode()).hexdigest() for path, text in sorted(tree.items())}
        assert sums == expected["tree"], order


def test_reviews_judge_every_criterion_and_one_story_is_sent_back_for_a_real_fault(tmp_path: Path):
    for story in STORIES:
        for report in reviews(story):
            assert [c.criterion for c in report.criteria] == plan()[story]["criteria"]
        assert reviews(story)[-1].verdict == "approve"
        assert all(c.met for c in reviews(story)[-1].criteria)
    sent_back = {story: reviews(story)[0] for story in STORIES if reviews(story)[0].verdict == "changes_requested"}
    assert [f.severity for f in sent_back["2.2"].findings] == ["high"]
    assert list(sent_back) == ["2.2"]
    first = merged(("1.1", "1.2"))
    for entry in turns("2.2")[:3]:
        for tool in entry.tools:
            _apply(tool.name, tool.arguments, first)
    finding = sent_back["2.2"].findings[0]
    assert finding.line
    assert "storage.add(link)" in first[finding.file].splitlines()[finding.line - 1]
    first["tests/test_exchange.py"] = merged(("1.1", "1.2", "2.2"))["tests/test_exchange.py"]
    assert "test_a_mistake_in_a_later_line" in run(first, tmp_path, SUITE).stderr


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
