"""The end of a delivery says what was done, in words that can be copied."""

from __future__ import annotations

import io
import shlex
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console
from storyloom.cli.deliver import Wish, check
from storyloom.cli.summary import show_delivery
from storyloom.domain.delivery import Delivery, PhaseReport
from storyloom.domain.phases import Phase


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    home, project = tmp_path / "a home", tmp_path / "my project"
    project.mkdir()
    subprocess.run(["git", "init", "-q"], cwd=project, check=True)
    (project / ".bmad").mkdir()
    (project / ".bmad" / "project-config.yaml").write_text("commands:\n  start: run it\n")
    subprocess.run(["git", "add", "."], cwd=project, check=True)
    you = ("-c", "user.name=a", "-c", "user.email=a@b")
    subprocess.run(["git", *you, "commit", "-q", "-m", "start"], cwd=project, check=True)
    (tmp_path / "brief.md").write_text("An idea.")
    for name, value in {"STORYLOOM_HOME": str(home), "ANTHROPIC_API_KEY": "x", "OPENAI_API_KEY": "x"}.items():
        monkeypatch.setenv(name, value)
    job = check(Wish(project=project, brief=tmp_path / "brief.md"))
    ports = SimpleNamespace(bill=lambda: "", deploy=SimpleNamespace(current=lambda: "abc"))
    monkeypatch.setattr("storyloom.tasks.ports.ports_for", lambda _: ports)
    report = PhaseReport(phase=Phase.ANALYSIS, status="failed", did=("a.md",), reason="[why] not")
    out = io.StringIO()
    delivery = Delivery(status="failed", phases=(report,), tip="0" * 40)
    show_delivery(job, delivery, "http://x/api", console=Console(file=out, width=100))
    return out.getvalue()


def test_the_way_to_start_a_release_can_be_copied_from_a_folder_with_spaces(told: str):
    line = next(line for line in told.splitlines() if line.startswith("Start it"))
    words = shlex.split(line)
    assert words[2:5:2] == ["cd", "&&"]
    assert words[3].endswith("/releases/current")
    assert "a home" in words[3]


def test_a_pipe_gets_the_phases_without_spaces_at_the_ends_of_lines(told: str):
    assert "[why] not" in told
    assert [line for line in told.splitlines() if line != line.rstrip()] == []
