"""What is happening is shown from the events alone."""

from __future__ import annotations

import io
import json
from decimal import Decimal
from pathlib import Path

import pytest
from rich.console import Console
from storyloom.cli.progress import View, render, watching
from storyloom.domain.phases import Phase, until


def event(kind: str, number: int, **more: object) -> dict[str, object]:
    return {"event": kind, "event_id": f"{kind}-{number}", "tags": {"story": "1-2-x"}, **more}


@pytest.fixture
def view() -> View:
    return View(until(Phase.DEPLOYMENT))


def test_an_event_that_is_recorded_twice_counts_once(view: View):
    call = event("model_call", 1, cost="0.25", status="ok", cost_status="priced")
    view.take(call)
    view.take(call)
    assert (view.calls, view.cost) == (1, Decimal("0.25"))


def test_an_answer_from_the_journal_costs_nothing_and_an_unpriced_one_is_counted(view: View):
    view.take(event("model_call", 1, cost="0.25", status="cache_hit", cost_status="priced"))
    view.take(event("model_call", 2, cost=None, status="ok", cost_status="unpriced"))
    assert (view.cost, view.unpriced) == (Decimal(0), 1)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (event("run", 1, name="planning", state="already_done"), "already done"),
        (event("story", 1, title="T", to_status="review", reason="why"), "1-2-x: review (why)"),
        (event("gate", 1, gate="tests", verdict="fail"), "tests 1-2-x"),
        (event("merge", 1, insertions=3, deletions=1), "merged"),
        (event("deploy", 1, release="abc", outcome="healthy"), "release abc: healthy"),
        (event("model_call", 1, status="error", error_class="ModelBusy"), "ModelBusy"),
        (event("decision", 1, question="Q", answer="A", confidence=0.9, source="model"), "decided by model (90%)"),
    ],
)
def test_what_is_worth_a_line_gets_one(view: View, given: dict[str, object], words: str):
    assert words in view.take(given)


def test_an_answer_by_policy_says_so(view: View):
    line = view.take(event("decision", 1, question="Q?", answer="yes", confidence=0.55, source="policy"))
    assert "below the threshold (55%)" in line
    assert "stated policy" in line


def test_the_live_view_shows_phases_stories_and_the_bill(view: View):
    view.take(event("run", 1, name="analysis", state="done"))
    view.take(event("story", 1, title="Short links", to_status="done"))
    view.take(event("model_call", 1, cost="0.0125", status="ok", cost_status="priced"))
    out = Console(file=io.StringIO(), width=100)
    out.print(render(view))
    text = out.file.getvalue()  # type: ignore[attr-defined]
    assert "✓ analysis" in text
    assert "1.2" in text
    assert "Short links" in text
    assert "1 model calls  $0.0125" in text


def test_only_what_is_new_and_whole_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    old = tmp_path / "a.jsonl"
    old.write_text(json.dumps(event("run", 1, name="analysis", state="done")) + "\n")
    with watching(tmp_path, Phase.DEPLOYMENT) as view, old.open("a") as file:
        file.write(json.dumps(event("merge", 2, insertions=1, deletions=0)) + "\n")
        file.write('{"event": "run", "event_id": "torn')
    assert view.seen == {"merge-2"}
    assert "merged" in capsys.readouterr().err


def test_quiet_shows_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    with watching(tmp_path, Phase.ANALYSIS, quiet=True):
        (tmp_path / "a.jsonl").write_text(json.dumps(event("merge", 1, insertions=1, deletions=0)) + "\n")
    assert capsys.readouterr().err == ""


def test_a_terminal_that_cannot_be_drawn_on_gets_lines_and_no_control_signs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("FORCE_COLOR", "1")  # a terminal, as far as rich can see
    with watching(tmp_path, Phase.ANALYSIS):
        (tmp_path / "a.jsonl").write_text(json.dumps(event("merge", 1, insertions=1, deletions=0)) + "\n")
    said = capsys.readouterr().err
    assert "merged" in said
    assert "\x1b" not in said
