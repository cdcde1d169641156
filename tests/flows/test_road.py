"""The whole road on the sample project: real git, sandbox, Prefect, DuckDB; the model's answers are recorded."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from storyloom.blocks.sandbox import BubblewrapSandbox
from storyloom.cli.demo import DUMMY_KEY, make_repository
from storyloom.domain.phases import Phase
from storyloom.domain.ports import ProjectRef

pytestmark = [
    pytest.mark.server,
    pytest.mark.sandbox,
    pytest.mark.slow,
    pytest.mark.whole,
    pytest.mark.xdist_group("road"),
    pytest.mark.timeout(900),
]

SAMPLE = Path(__file__).resolve().parents[2] / "examples" / "shelf"


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


class Road:
    """The sample project after one delivery."""

    def __init__(self, folder: Path, server: Any) -> None:
        self.folder, self.server = folder, server
        self.repository = make_repository(SAMPLE, folder / "project")
        settings: dict[str, str | int | float | bool] = {"when_asked": "recommendation", "auto_merge_prs": True}
        self.project = ProjectRef(repository=str(self.repository), settings=settings)

    def deliver(self) -> Any:
        from storyloom.flows.deliver_project import deliver_project

        return deliver_project(self.project, (SAMPLE / "brief.md").read_text(), Phase.DEPLOYMENT)

    def calls(self) -> list[dict[str, Any]]:
        return [e for e in self.events() if e["event"] == "model_call"]

    def events(self) -> list[dict[str, Any]]:
        files = sorted((self.folder / "home" / "spool").glob("*.jsonl"))
        return [json.loads(line) for file in files for line in file.read_text().splitlines()]


@pytest.fixture(scope="module")
def road(tmp_path_factory: pytest.TempPathFactory, prefect_harness: None) -> Iterator[Road]:
    probe = BubblewrapSandbox().probe()
    if not probe.ok:
        pytest.skip(f"no sandbox here: {probe.detail} {probe.remedy}")
    from storyloom.rehearsal.conversation import Conversation
    from storyloom.rehearsal.server import RehearsalServer

    folder = tmp_path_factory.mktemp("road")
    for parent in (folder, *folder.parents[:2]):
        parent.chmod(0o755)
    conversation = Conversation.load(SAMPLE / "conversation", strict=True)
    with RehearsalServer(conversation) as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORYLOOM_HOME", str(folder / "home"))
        patch.setenv("STORYLOOM_MODE", "rehearsal")
        patch.setenv("ANTHROPIC_BASE_URL", server.anthropic_base)
        patch.setenv("OPENAI_BASE_URL", server.openai_base)
        patch.setenv("ANTHROPIC_API_KEY", DUMMY_KEY)
        patch.setenv("OPENAI_API_KEY", DUMMY_KEY)
        road = Road(folder, server)
        road.delivery = road.deliver()  # type: ignore[attr-defined]
        yield road


EXPECTED = yaml.safe_load((SAMPLE / "expected" / "outcome.yaml").read_text())


def test_the_delivery_is_done_phase_by_phase(road: Road):
    delivery = road.delivery  # type: ignore[attr-defined]
    assert delivery.status == "done", delivery.reason
    assert [report.phase for report in delivery.phases] == list(Phase)
    assert delivery.published == ""


def test_each_story_is_merged_once_and_never_before_what_it_needs(road: Road):
    subjects = git(road.repository, "log", "--merges", "--reverse", "--format=%s").splitlines()
    assert sorted(subjects) == sorted(f"Merge story {m['id']}: {m['title']}" for m in EXPECTED["merges"])
    place = {subject.split(":")[0].split()[-1]: n for n, subject in enumerate(subjects)}
    for merge in EXPECTED["merges"]:
        assert all(place[need] < place[merge["id"]] for need in merge["after"])


def test_the_product_is_the_expected_one_and_its_tests_pass_by_hand(road: Road):
    for path, digest in EXPECTED["tree"].items():
        assert hashlib.sha256((road.repository / path).read_bytes()).hexdigest() == digest, path
    run = subprocess.run(
        ["python3", "-m", "unittest", "discover", "-s", "tests", "-t", "."],
        cwd=road.repository,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert f"Ran {EXPECTED['product_tests']} tests" in run.stderr


def test_no_worktree_or_branch_of_a_story_is_left_over(road: Road):
    assert git(road.repository, "branch", "--format=%(refname:short)").split() == ["main", "storyloom/main"]
    assert len(git(road.repository, "worktree", "list").splitlines()) == 2
    assert git(road.repository, "status", "--porcelain") == ""


def test_documents_and_board_are_in_the_main_line(road: Road):
    for path in EXPECTED["documents"]:
        assert (road.repository / path).stat().st_size > 200, path
    board = yaml.safe_load((road.repository / "docs" / "sprint-status.yaml").read_text())["development_status"]
    assert EXPECTED["board"].items() <= board.items()
    assert board["epic-1"] == "done"
    story = (road.repository / "docs" / "stories" / "2-2-export-and-import.md").read_text()
    assert "Status: done" in story
    assert "Senior Developer Review" in story


def test_the_open_question_was_answered_by_the_stated_policy_and_recorded(road: Road):
    decisions = [e for e in road.events() if e["event"] == "decision" and e["source"] == "policy"]
    assert [d["answer"] for d in decisions] == [EXPECTED["question"]["recommendation"]]
    assert decisions[0]["confidence"] < 0.75


def test_one_story_was_sent_back_and_repaired(road: Road):
    reviews = [e for e in road.events() if e["event"] == "gate" and e["gate"] == "review"]
    sent_back = [e["tags"]["story"] for e in reviews if e["verdict"] == "fail"]
    assert sent_back == ["2-2-export-and-import"]
    assert [e["verdict"] for e in reviews if e["tags"]["story"] == "2-2-export-and-import"] == ["fail", "pass"]


def test_the_release_is_live_behind_an_atomic_link_and_healthy(road: Road):
    current = next((road.folder / "home" / "projects").glob("*/releases/current"))
    assert current.is_symlink()
    assert (current.resolve() / "shelf" / "__main__.py").exists()
    assert [e["outcome"] for e in road.events() if e["event"] == "deploy"] == ["healthy"]


def test_the_warehouse_adds_up_to_the_journal_to_the_last_digit(road: Road):
    from storyloom.analytics.bill import read_bill
    from storyloom.deployments.environment import warehouse_path

    bill = read_bill(warehouse_path(road.folder / "home"), project="Shelf")
    journal = sum((Decimal(call["cost"]) for call in road.calls()), Decimal(0))
    assert journal > 0
    assert bill.total.cost == journal
    assert sum((line.cost for line in bill.by_phase_and_agent), Decimal(0)) == journal
    assert sum((line.cost for line in bill.by_story), Decimal(0)) == journal


def test_the_estimate_was_stated_before_the_first_call_and_the_bill_says_how_far_off_it_was(road: Road):
    from storyloom.analytics.bill import bill_markdown
    from storyloom.deployments.environment import warehouse_path

    stated = {e["name"]: e for e in road.events() if e["event"] == "estimate"}
    stories = {e["tags"]["story"] for e in road.events() if e["event"] == "merge"}
    phases = {"analysis", "planning", "solutioning", "quality", "deployment"}
    assert set(stated) == phases | stories | {"stories", "total"}
    assert max(e["ts"] for e in stated.values() if e["name"] not in stories) < min(call["ts"] for call in road.calls())
    first_turn = min(call["ts"] for call in road.calls() if call["tags"]["story"])
    assert max(stated[story]["ts"] for story in stories) < first_turn
    text = bill_markdown(warehouse_path(road.folder / "home"), "Shelf")
    assert re.search(
        r"Estimated \$[\d.]+ to \$[\d.]+, likely \$[\d.]+: \$[\d.]+ was paid, .* range, \d+ % less\.", text
    )
    for name in phases | stories:
        assert re.search(rf"^\| {name} \| \$[\d.]+ \|.*\| \d+ % (more|less) \|$", text, re.MULTILINE), name


def test_the_bill_counts_what_the_server_counted_to_the_token(road: Road):
    classes = ("input", "cache_read", "cache_write", "output")
    counted = {name: sum(call["usage"][name] for call in road.calls()) for name in classes}
    served = road.server.totals()
    assert counted == {name: served[name] for name in classes}
    assert len(road.server.calls) == len(road.calls())


def test_delivering_again_does_nothing_and_asks_no_model(road: Road):
    stated = {e["event_id"] for e in road.events() if e["event"] == "estimate"}
    before, tip = len(road.server.calls), git(road.repository, "rev-parse", "main")
    again = road.deliver()
    assert again.status == "already_done", again
    assert len(road.server.calls) == before
    assert {e["event_id"] for e in road.events() if e["event"] == "estimate"} == stated
    assert git(road.repository, "rev-parse", "main") == tip
