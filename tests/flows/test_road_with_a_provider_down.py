"""The sample project's recorded session reaches the same end with a provider down; the report shows where.

Run where STORYLOOM_EVERY_PROVIDER=1; elsewhere `test_recorded_session.py` must do, which plans as far as the stories.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from storyloom.blocks.sandbox import BubblewrapSandbox
from storyloom.cli.demo import DUMMY_KEY, make_repository
from storyloom.cli.report import app
from storyloom.domain.phases import Phase
from storyloom.domain.ports import ProjectRef
from storyloom.rehearsal.conversation import Conversation
from storyloom.rehearsal.server import RehearsalServer
from typer.testing import CliRunner

from .test_road import EXPECTED, SAMPLE, git

pytestmark = [
    pytest.mark.server,
    pytest.mark.sandbox,
    pytest.mark.slow,
    pytest.mark.whole,
    pytest.mark.xdist_group("road"),
    pytest.mark.timeout(900),
]

OTHER = {"openai": "anthropic/claude-sonnet-5-5", "anthropic": "openai/gpt-6.1-sol"}
KEY = DUMMY_KEY


def with_fallbacks(folder: Path) -> Path:
    """The sample, each of its personas with a model of the other provider behind the one that it has."""
    config = yaml.safe_load((SAMPLE / "project-config.yaml").read_text(encoding="utf-8"))
    config["agents"] = {who: [model, OTHER[model.split("/")[0]]] for who, model in config["agents"].items()}
    config["models"] = {name: list(OTHER.values()) for name in ("light", "standard", "heavy")}
    folder.mkdir()
    (folder / "project-config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    (folder / "brief.md").write_text((SAMPLE / "brief.md").read_text(encoding="utf-8"), encoding="utf-8")
    return folder


class Session:
    """What one delivery with one provider down left behind."""

    def __init__(self, folder: Path, down: str, delivery: Any, server: RehearsalServer) -> None:
        self.repository, self.down, self.delivery, self.server = folder / "project", down, delivery, server
        (self.other,) = set(OTHER) - {down}
        lines = (line for file in (folder / "home/spool").glob("*.jsonl") for line in file.read_text().splitlines())
        self.calls = [event for event in map(json.loads, lines) if event["event"] == "model_call"]


@pytest.fixture(scope="module")
def sessions(tmp_path_factory: pytest.TempPathFactory, prefect_harness: None) -> Iterator[Callable[[str], Session]]:
    """One delivery for each provider, made when it is first asked for."""
    probe = BubblewrapSandbox().probe()
    if not probe.ok:
        pytest.skip(f"no sandbox here: {probe.detail} {probe.remedy}")
    with ExitStack() as servers:
        yield cache(lambda down: deliver(tmp_path_factory.mktemp(f"no-{down}"), down, servers))


def deliver(folder: Path, down: str, servers: ExitStack) -> Session:
    from storyloom.flows.deliver_project import deliver_project

    for parent in (folder, *folder.parents[:2]):
        parent.chmod(0o755)
    server = servers.enter_context(RehearsalServer(Conversation.load(SAMPLE / "conversation", strict=True)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORYLOOM_HOME", str(folder / "home"))
        patch.setenv("STORYLOOM_MODE", "rehearsal")
        patch.setenv("ANTHROPIC_BASE_URL", server.anthropic_base)
        patch.setenv("OPENAI_BASE_URL", server.openai_base)
        patch.setenv("ANTHROPIC_API_KEY", KEY)
        patch.setenv("OPENAI_API_KEY", KEY)
        server.down(down, kind="overloaded")
        repository = make_repository(with_fallbacks(folder / "sample"), folder / "project")
        settings: dict[str, str | int | float | bool] = {"when_asked": "recommendation", "auto_merge_prs": True}
        project = ProjectRef(repository=str(repository), settings=settings)
        delivery = deliver_project(project, (SAMPLE / "brief.md").read_text(), Phase.DEPLOYMENT)
    return Session(folder, down, delivery, server)


@pytest.fixture(params=sorted(OTHER))
def session(
    request: pytest.FixtureRequest, sessions: Callable[[str], Session], monkeypatch: pytest.MonkeyPatch
) -> Session:
    """What the delivery without this provider left behind, with its state as this process's own."""
    found = sessions(request.param)
    monkeypatch.setenv("STORYLOOM_HOME", str(found.repository.parent / "home"))
    return found


def test_it_ends_with_the_same_tree_and_all_stories_merged(session: Session):
    assert session.delivery.status == "done", session.delivery.reason
    for path, digest in EXPECTED["tree"].items():
        assert hashlib.sha256((session.repository / path).read_bytes()).hexdigest() == digest, path
    merges = git(session.repository, "log", "--merges", "--format=%s").splitlines()
    assert sorted(merges) == sorted(f"Merge story {m['id']}: {m['title']}" for m in EXPECTED["merges"])


def test_every_answer_came_from_the_other_provider(session: Session):
    assert {call["provider"] for call in session.calls if call["status"] == "ok"} == {session.other}
    in_vain = [call for call in session.calls if call["provider"] == session.down]
    assert {call["status"] for call in in_vain} == {"error"}
    assert {call["http_status"] for call in in_vain} <= {503, 529}
    assert sum(Decimal(call["cost"]) for call in in_vain) == 0


def test_the_report_shows_where_another_model_answered_and_why(session: Session):
    answered = [call for call in session.calls if call["status"] == "ok" and call["fallback_reason"]]
    printed = CliRunner().invoke(app, ["fallbacks", "-C", "Shelf", "--json"], catch_exceptions=False).stdout
    rows = json.loads(printed)
    assert rows
    assert sum(row["calls"] for row in rows) == len(answered)
    wanted = {
        "openai": {"analysis", "planning", "solutioning", "deployment"},
        "anthropic": {"implementation", "quality"},
    }[session.down]
    assert wanted <= {row["phase"] for row in rows}
    assert all(session.down in row["reason"] for row in rows)
    assert {row["model"].split("/")[0] for row in rows} == {session.other}
    table = CliRunner().invoke(app, ["fallbacks", "-C", "Shelf"], catch_exceptions=False).stdout
    assert f"{session.down} resting" in table
    assert "instead of" in table


def test_the_bill_counts_what_the_server_counted_to_the_token(session: Session):
    classes = ("input", "cache_read", "cache_write", "output")
    served = session.server.totals()
    counted = {name: sum(call["usage"][name] for call in session.calls if call["status"] == "ok") for name in classes}
    assert counted == {name: served[name] for name in classes}
