"""A composed project reaches its models by the right way, within limits that all projects and processes share."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from storyloom.analytics.bill import Bill, markdown, read_bill
from storyloom.analytics.ingest import ingest
from storyloom.blocks.clock import SystemClock
from storyloom.blocks.spool import read_spool
from storyloom.deployments.composition import compose
from storyloom.deployments.environment import Environment, project_folder, spool_folder, warehouse_path
from storyloom.deployments.models import must_redact
from storyloom.domain.budget import Scope
from storyloom.domain.decisions import decision_request
from storyloom.domain.errors import ConfigError, ModelUnauthorised
from storyloom.domain.escalations import Kind, Question
from storyloom.domain.model_calls import CallTags, Message, ModelReply, ModelRequest, Usage
from storyloom.domain.ports import ProjectRef
from storyloom.domain.redaction import Redactor
from storyloom.rehearsal.conversation import Conversation
from storyloom.rehearsal.script_files import Entry
from storyloom.rehearsal.server import RehearsalServer
from storyloom.tasks.ports import Ports

KEY = "sk-ant-composed-0123456789abcdef"
TOKENS = {"half": 50_000, "most": 30_000, "all": 20_000}  # at 0.1 dollars a million
Make = Callable[..., Ports]


@pytest.fixture
def server() -> Iterator[RehearsalServer]:
    spent = [Entry(subject=name, text=name, usage=Usage(input=tokens)) for name, tokens in TOKENS.items()]
    answers = Conversation([*spent, Entry(text='{"ok": true}')])
    with RehearsalServer(answers, keep_bodies=True, keys=[KEY]) as running:
        yield running


@pytest.fixture
def made(tmp_path: Path, server: RehearsalServer) -> Make:
    """Composes a project by name, in one home."""

    def make(name: str = "shelf", config: str = "", key: str = KEY) -> Ports:
        repository = tmp_path / name
        if not repository.exists():
            (repository / ".bmad").mkdir(parents=True)
            subprocess.run(["git", "init", "-q", "-b", "trunk"], cwd=repository, check=True)
            you = ("-c", "user.name=a", "-c", "user.email=a@b")
            subprocess.run(["git", *you, "commit", "-q", "--allow-empty", "-m", "start"], cwd=repository, check=True)
        (repository / ".bmad" / "project-config.yaml").write_text(config)
        environment = Environment(
            home=tmp_path / "home",
            keys={"anthropic": key, "openai": key},
            base_urls={"anthropic": server.anthropic_base, "openai": server.openai_base},
        )
        return compose(ProjectRef(repository=str(repository)), environment)

    return make


def ask(ports: Ports, text: str = "x", model: str = "light", **more: Any) -> ModelReply:
    tags = CallTags(project=ports.config.project.name, run="r1")
    messages = (Message(role="user", content=f"# {text}"),)
    request = ModelRequest(
        persona="amelia", model=model, system="S", messages=messages, max_output_tokens=100, tags=tags, **more
    )
    return ports.models.complete(request)


def test_claude_and_gpt_are_asked_by_their_own_sdk_and_by_litellm_where_that_is_said(
    made: Make, server: RehearsalServer
):
    schema = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}
    here = made()
    for model in ("anthropic/claude-haiku-5-5", "openai/gpt-6-luna", "litellm/anthropic/claude-haiku-5-5"):
        assert ask(here, model=model, schema_name="ok", schema_=schema).parsed == {"ok": True}
    claude, gpt, through_litellm = (call["body"] for call in server.calls)
    assert claude["output_config"]["format"]["type"] == "json_schema"  # litellm sends `output_format`
    assert gpt["stream_options"] == {"include_usage": True}
    assert "format" not in through_litellm.get("output_config", {})
    assert {call["wire"] for call in server.calls} == {"anthropic", "openai"}


def test_a_provider_that_rests_is_left_alone_by_other_projects_too(made: Make, server: RehearsalServer):
    server.down("anthropic", kind="overloaded")
    assert ask(made("one")).provider == "openai"
    tried = sum(call["wire"] == "anthropic" for call in server.calls)
    assert tried
    assert ask(made("other")).provider == "openai"
    assert sum(call["wire"] == "anthropic" for call in server.calls) == tried


def test_a_rate_limit_of_the_project_file_holds_over_projects(made: Make, server: RehearsalServer):
    limited = "settings:\n  rate_limits:\n    anthropic: {requests: 1}\n"
    assert ask(made("one", limited)).provider == "anthropic"
    assert ask(made("other", limited), "y").provider == "openai"
    assert [call["wire"] for call in server.calls] == ["anthropic", "openai"]


def test_a_later_run_pays_for_no_answer_that_still_stands_and_its_bill_says_what_that_saved(
    made: Make, server: RehearsalServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    question = Question(
        kind=Kind.CLARIFICATION,
        project="/shelf",
        workflow="prd",
        step="1",
        question="Which database?",
        options=("a", "b"),
    )

    def look_up_and_work(run: str) -> list[ModelReply]:
        ports = made()  # as another process would make them
        tags = CallTags(project=ports.config.project.name, run=run, phase="planning", agent="dana")
        looked_up = decision_request(question, {"docs/brief.md": "A brief."}, [], tags=tags).model_copy(
            update={"schema_": None}
        )
        work = ModelRequest(
            persona="amelia", model="light", system="S", messages=(Message(role="user", content="# half"),)
        )
        return [ports.models.complete(looked_up), ports.models.complete(work.model_copy(update={"tags": tags}))]

    def bill(run: str) -> Bill:
        ingest(spool_folder(tmp_path / "home"), warehouse_path(tmp_path / "home"))
        return read_bill(warehouse_path(tmp_path / "home"), project="shelf", run=run)

    first = look_up_and_work("r1")
    again = look_up_and_work("r2")
    assert [reply.cached for reply in (*first, *again)] == [False, False, True, True]
    assert len(server.calls) == 2
    paid = sum((reply.cost for reply in first), Decimal(0))
    assert paid > 0
    assert (bill("r1").total.cost, bill("r1").answers_used_again) == (paid, 0)
    later = bill("r2")
    assert (later.total.cost, later.total.calls, later.answers_used_again, later.saved) == (0, 0, 2, paid)
    assert "by the prompt cache and 2 answers used again." in markdown(later)
    an_hour_on = time.time() + 3601
    monkeypatch.setattr(SystemClock, "now", lambda _: an_hour_on)
    assert [reply.cached for reply in look_up_and_work("r3")] == [False, True]  # a look-up lives an hour, work stays
    assert len(server.calls) == 3


RESERVE_AND_DIE = """
import os, signal, sys
from decimal import Decimal
from storyloom.blocks.ledger import Ledger
from storyloom.domain.model_calls import CallTags
ledger = Ledger(sys.argv[1])
ledger.reserve("in flight", CallTags(project="shelf", run="r1"), usd=Decimal("0.5"), tokens=700)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_process_had_reserved_counts_as_spent_from_the_next_start(made: Make, tmp_path: Path):
    made()
    ledger = project_folder(tmp_path / "home", tmp_path / "shelf") / "ledger.sqlite"
    died = subprocess.run([sys.executable, "-c", RESERVE_AND_DIE, f"sqlite:///{ledger}"], check=False)
    assert died.returncode == -signal.SIGKILL
    ports = made()
    assert ports.budgets is not None
    spending = ports.budgets.spent(Scope(kind="project", id="shelf"))
    assert (spending.usd, spending.usd_reserved, spending.tokens) == (Decimal("0.5"), 0, 700)


def test_a_lost_ledger_is_filled_again_from_the_journal(made: Make, tmp_path: Path):
    paid = ask(made(), "half").cost
    for left in project_folder(tmp_path / "home", tmp_path / "shelf").glob("ledger.sqlite*"):
        left.unlink()
    ports = made()
    assert ports.budgets is not None
    assert ports.budgets.spent(Scope(kind="project", id="shelf")).usd == paid > 0


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, Any]]]:
    """What a channel called `team` hears."""
    heard: list[dict[str, Any]] = []

    class Channel(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Channel) as web:
        threading.Thread(target=web.serve_forever, daemon=True).start()
        monkeypatch.setenv("STORYLOOM_NOTIFY_TEAM", f"http://127.0.0.1:{web.server_port}/")
        yield heard
        web.shutdown()


def test_half_most_and_all_of_a_budget_are_told_once_each(made: Make, told: list[dict[str, Any]], tmp_path: Path):
    channels = "notify: {normal: [team], important: [team], critical: [team]}\n"
    config = f"settings: {{budgets: {{run: {{usd: 0.01}}}}}}\n{channels}"
    for text in TOKENS:
        ask(made(config=config), text)  # each time as another process would
    assert [message["severity"] for message in told] == ["normal", "important", "critical"]
    assert "run r1 has used 50 % of its budget: $0.0050 of $0.01" in told[0]["body"]
    events = [e for e in read_spool(spool_folder(tmp_path / "home")).events if e.event == "budget"]
    assert [(e.scope, e.level, e.cap) for e in events] == [("run r1", n, 0.01) for n in (50, 80, 100)]


def test_a_channel_that_is_away_holds_nothing_up(made: Make, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("STORYLOOM_NOTIFY_TEAM", "http://127.0.0.1:9/")
    config = "settings: {budgets: {run: {usd: 0.01}}}\nnotify: {normal: [team]}\n"
    assert ask(made(config=config), "half").content == "half"


def test_a_wrong_key_is_said_so_and_no_other_provider_is_asked(made: Make, server: RehearsalServer):
    with pytest.raises(ModelUnauthorised):
        ask(made(key="sk-ant-wrong-0123456789abcdef"))
    assert {call["wire"] for call in server.calls} == {"anthropic"}


def test_nothing_starts_when_a_planted_key_is_not_taken_out():
    must_redact(Redactor([KEY]), {"anthropic": KEY})
    with pytest.raises(ConfigError, match="planted key"):
        must_redact(lambda text: text, {})
    unknown = "a-key-of-no-known-shape"
    with pytest.raises(ConfigError, match="ANTHROPIC_API_KEY would not be taken out"):
        must_redact(Redactor(), {"anthropic": unknown})


def test_a_key_that_json_writes_otherwise_is_refused_at_the_start(made: Make):
    with pytest.raises(ConfigError, match="without quotes") as refused:
        made(key='pass"word-of-no-known-shape')
    assert "word-of" not in str(refused.value)
