"""A session of the sample project, recorded to one cassette, replays to the same documents with any provider down."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from storyloom.cli.demo import make_repository
from storyloom.cli.report import app
from storyloom.domain.phases import Phase
from storyloom.domain.ports import ProjectRef
from storyloom.rehearsal.cassette import Cassette, Player
from storyloom.rehearsal.conversation import Conversation
from storyloom.rehearsal.recorder_proxy import Recorder
from storyloom.rehearsal.server import RehearsalServer
from typer.testing import CliRunner

from .test_road import SAMPLE, git
from .test_road_with_a_provider_down import OTHER, with_fallbacks

pytestmark = [
    pytest.mark.server,
    pytest.mark.slow,
    pytest.mark.whole,
    pytest.mark.xdist_group("road"),
    pytest.mark.timeout(900),
]

KEYS = {"anthropic": "sk-ant-tape-0123456789abcdef", "openai": "sk-proj-tape-0123456789abcdef"}
DATES = r"20\d\d-\d\d-\d\d"  # midnight may pass between a recording and its replay


def plan(folder: Path, server: RehearsalServer, down: str) -> dict[str, str]:
    """Plan the sample up to its stories with one provider down; every document of the main line by its path."""
    from storyloom.flows.deliver_project import deliver_project

    folder.mkdir()
    server.down(down, kind="unavailable")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORYLOOM_HOME", str(folder / "home"))
        patch.setenv("STORYLOOM_MODE", "rehearsal")
        for name, base in (("ANTHROPIC", server.anthropic_base), ("OPENAI", server.openai_base)):
            patch.setenv(f"{name}_BASE_URL", base)
            patch.setenv(f"{name}_API_KEY", KEYS[name.lower()])
        repository = make_repository(with_fallbacks(folder / "sample"), folder / "shelf")
        settings: dict[str, str | int | float | bool] = {"when_asked": "recommendation", "sandbox": "none"}
        project = ProjectRef(repository=str(repository), settings=settings)
        delivery: Any = deliver_project(project, (SAMPLE / "brief.md").read_text(), Phase.SOLUTIONING)
        assert delivery.status == "done", delivery.reason
        told = CliRunner().invoke(app, ["fallbacks", "-C", "Shelf"], catch_exceptions=False).stdout
    assert f"instead of {'openai/gpt-6-sol' if down == 'openai' else 'anthropic/claude-'}" in told
    assert f"{down} resting" in told
    paths = git(repository, "ls-tree", "-r", "--name-only", "storyloom/main").splitlines()
    return {path: git(repository, "show", f"storyloom/main:{path}") for path in paths if path.startswith("docs/")}


def test_a_recorded_session_replays_with_any_one_provider_down(tmp_path: Path, prefect_harness: None):
    tape, recorded = tmp_path / "session.jsonl", dict[str, dict[str, str]]()
    script = Conversation.load(SAMPLE / "conversation", strict=True)
    for down in sorted(OTHER):
        with RehearsalServer(script) as model:
            upstreams = {"openai": model.url, "anthropic": model.url}
            recorder = Recorder(Cassette(tape, ignore=[DATES]), upstreams)
            with RehearsalServer(recorder) as between:
                recorded[down] = plan(tmp_path / f"recorded-{down}", between, down)
    assert {"docs/prd.md", "docs/architecture.md", "docs/epics.md"} <= set(recorded["openai"])
    assert not [key for key in KEYS.values() if key in tape.read_text()]
    for down in sorted(OTHER):
        with RehearsalServer(Player(Cassette(tape, ignore=[DATES]))) as replayed:
            assert plan(tmp_path / f"replayed-{down}", replayed, down) == recorded[down]
            assert not [call for call in replayed.calls if call["entry"] == "rehearsal_miss"]
