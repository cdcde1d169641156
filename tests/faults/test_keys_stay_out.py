"""After a real delivery through a server that gives keys away, no key stands anywhere; a search would find one."""

from __future__ import annotations

import base64
import gzip
import json
import os
import re
import sqlite3
import subprocess
import sys
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import duckdb
import pytest
from storyloom.blocks.sandbox import BubblewrapSandbox
from storyloom.cli.demo import make_repository
from storyloom.deployments.environment import prefect_settings
from storyloom.deployments.server import prefect_server
from storyloom.domain.redaction import MASK
from storyloom.rehearsal.cassette import Cassette
from storyloom.rehearsal.conversation import Conversation
from storyloom.rehearsal.exchange import Alter, Exchange, Response, body_response
from storyloom.rehearsal.recorder_proxy import Recorder
from storyloom.rehearsal.scrub import SECRET
from storyloom.rehearsal.server import RehearsalServer, Scripted
from storyloom.rehearsal.talk import Answer

from .key_search import forms, places

SAMPLE = Path(__file__).parents[2] / "examples" / "shelf"
KEYS = {
    "anthropic": "sk-ant-api03-Vexing9Zephyr3Jolt5Quiet7-AA",
    "openai": "vexed+fjords/9quartz=7Nymph4Bling",  # of no known shape, and with signs that are encoded in addresses
    "block": "sk-proj-Waltz8Nymph2Quick6Fjord1Vex0",
}


class GivesKeysAway(Scripted):
    """Answers as the script says, and has the key that it was sent, in several forms, in whatever it says."""

    def __init__(self, conversation: Conversation) -> None:
        super().__init__(conversation)
        self.failed: set[str] = set()
        self.said = 0

    def respond(self, exchange: Exchange, alter: Alter | None) -> Response:
        key = exchange.headers.get("x-api-key") or exchange.headers.get("authorization", "").removeprefix("Bearer ")
        if exchange.asked and key not in self.failed:
            self.failed.add(key)
            error = exchange.wire.error("api_error", f"It broke for {key}; {_encoded(key)}.")
            return body_response(500, error, {"x-debug-key": key})
        return super().respond(exchange, lambda answer: self._with_key(answer, key))

    def _with_key(self, answer: Answer, key: str) -> Answer:
        self.said += 1
        said = f"{key} {_encoded(key)}"
        if answer.tools:
            tools = tuple(replace(tool, arguments=_commented(tool.arguments, said)) for tool in answer.tools)
            return replace(answer, tools=tools, text=f"{answer.text} {said}")
        try:
            value = json.loads(answer.text)
        except ValueError:
            return replace(answer, text=f"{answer.text}\n\nBy the way: {said}")
        return replace(answer, text=json.dumps(_in_long_texts(value, said)))


def _encoded(key: str) -> str:
    return f"{base64.b64encode(key.encode()).decode()} {quote(key, safe='')}"


def _commented(arguments: dict[str, Any], said: str) -> dict[str, Any]:
    if str(arguments.get("path", "")).endswith(".py") and "content" in arguments:
        return {**arguments, "content": f"{arguments['content']}\n# {said}\n"}
    return arguments


def _in_long_texts(value: Any, said: str) -> Any:
    if isinstance(value, dict):
        return {
            name: f"{part} {said}" if name in ("summary", "reason", "evidence") else _in_long_texts(part, said)
            for name, part in value.items()
        }
    return [_in_long_texts(part, said) for part in value] if isinstance(value, list) else value


ASK_BLOCK = """
import logging, os
from prefect import flow, get_run_logger, task
from prefect.artifacts import create_markdown_artifact
from storyloom.blocks.language_model import LanguageModel

LanguageModel(model="openai/gpt-6-luna", api_key=os.environ.pop("BLOCK_KEY"),
              base_url=os.environ["OPENAI_BASE_URL"]).save("standard")

@task(persist_result=True)
def ask(question: str) -> str:
    model = LanguageModel.load("standard")
    get_run_logger().info("asking %r", model)
    return model.ask(question, system="You are Anybody.").content

@flow(persist_result=True)
def summarise() -> str:
    text = ask("# Summarise")
    get_run_logger().info("%s", text)
    create_markdown_artifact(key="summary", markdown=text)
    return text

print(summarise())
"""


def small_project(folder: Path) -> Path:
    """The sample with its plan in place up to the first story; the product brief is still to be written."""
    repository = make_repository(SAMPLE, folder)
    entries = Conversation.load(SAMPLE / "conversation").entries
    epics = next(entry.text for entry in entries if entry.subject == "epics-and-stories · epics")
    first = re.split(r"^### Story 1\.2", epics, flags=re.MULTILINE)[0]
    texts = {
        "prd": "# PRD\n\nForty links.\n",
        "architecture": "# Architecture\n\nOne SQLite file.\n",
        "epics": first,
        "implementation-readiness": "# Readiness\n\n**Verdict: PASS**\n",
    }
    (repository / "docs").mkdir()
    for name, text in texts.items():
        (repository / "docs" / f"{name}.md").write_text(text, encoding="utf-8")
    you = ("-c", "user.name=You", "-c", "user.email=you@localhost")
    subprocess.run(["git", "add", "-A"], cwd=repository, check=True)
    subprocess.run(["git", *you, "commit", "-q", "-m", "The plan"], cwd=repository, check=True)
    return repository


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all that a delivery, a block's call and a recording left behind; the server is down again."""
    probe = BubblewrapSandbox().probe()
    if not probe.ok:
        pytest.skip(f"no sandbox here: {probe.detail} {probe.remedy}")
    folder = tmp_path_factory.mktemp("keys")
    for parent in (folder, *folder.parents[:2]):
        parent.chmod(0o755)
    repository, home = small_project(folder / "project"), folder / "home"
    home.mkdir()
    script = Conversation.load(SAMPLE / "conversation")
    more = Conversation.load(_extra(tmp_path_factory.mktemp("script")))
    source = GivesKeysAway(Conversation((*script.entries, *more.entries)))
    with RehearsalServer(source, keys=KEYS.values()) as model:
        recorder = Recorder(Cassette(folder / "tape.jsonl"), {"openai": model.url, "anthropic": model.url})
        with RehearsalServer(recorder) as tape, prefect_server(home) as url:
            environment = {
                **os.environ,
                **prefect_settings(home, url),
                "PREFECT_LOGGING_TO_API_ENABLED": "true",
                "PREFECT_LOGGING_LEVEL": "DEBUG",
                "STORYLOOM_HOME": str(home),
                "ANTHROPIC_BASE_URL": tape.anthropic_base,
                "OPENAI_BASE_URL": tape.openai_base,
                "ANTHROPIC_API_KEY": KEYS["anthropic"],
                "OPENAI_API_KEY": KEYS["openai"],
            }
            deliver = "from storyloom.cli.main import main; main()"
            wish = (
                "deliver",
                "--until",
                "implementation",
                "--when-asked",
                "recommendation",
                "--brief",
                "brief.md",
                "--json",
            )
            for name, code, arguments, more_env in (
                ("deliver", deliver, wish, {}),
                ("block", ASK_BLOCK, (), {"BLOCK_KEY": KEYS["block"], "OPENAI_API_KEY": ""}),
            ):
                done = subprocess.run(
                    [sys.executable, "-c", code, *arguments],
                    cwd=repository,
                    env={**environment, **more_env},
                    capture_output=True,
                    text=True,
                    timeout=500,
                    check=False,
                )
                (folder / f"{name}.out").write_text(done.stdout)
                (folder / f"{name}.err").write_text(done.stderr)
                assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert source.failed == set(KEYS.values())
    assert source.said > 10
    return folder


def _extra(folder: Path) -> Path:
    (folder / "block.yaml").write_text("- subject: Summarise\n  text: It is short.\n")
    return folder


def delivers(test: Callable[[Path], None]) -> Callable[[Path], None]:
    """Mark a test that needs the delivery."""
    together = pytest.mark.xdist_group("keys")
    for mark in (pytest.mark.server, pytest.mark.sandbox, pytest.mark.slow, together, pytest.mark.timeout(900)):
        test = mark(test)
    return test


@delivers
def test_no_key_stands_in_any_store(told: Path):
    kinds = {"prefect.db", "warehouse.duckdb", "ledger.sqlite", "tape.jsonl"}
    found = {path.name for path in told.rglob("*") if path.is_file()}
    assert kinds <= found
    for some in ("home/spool/*.jsonl", "home/results/*", "home/logs/*", "home/projects/*/journal/calls/*.jsonl"):
        assert list(told.glob(some)), some
    assert places(told, KEYS) == []


@delivers
def test_where_the_keys_were_given_away_a_mark_stands_instead(told: Path):
    repository = told / "project"
    tip = subprocess.run(
        ["git", "show", "storyloom/main:shelf/storage.py"], cwd=repository, capture_output=True, text=True, check=True
    )
    assert f"# {MASK} {MASK}" in tip.stdout
    journal = "".join(path.read_text() for path in told.glob("home/projects/*/journal/calls/*.jsonl"))
    assert f"It broke for {MASK}" in journal
    assert f"It broke for {SECRET}" in (told / "tape.jsonl").read_text()
    assert f"It is short.\n\nBy the way: {MASK}" in (told / "block.out").read_text()


def test_a_search_finds_a_key_in_every_kind_of_store(tmp_path: Path):
    for number, (name, plant) in enumerate(PLANTS.items()):
        folder = tmp_path / str(number)
        folder.mkdir()
        assert places(folder, KEYS) == []
        plant(folder, KEYS["openai"])
        assert any(place.endswith(")") and "openai" in place for place in places(folder, KEYS)), name


@pytest.mark.parametrize("form", forms("x" * 20))
@pytest.mark.parametrize("key", KEYS)
def test_a_search_finds_a_key_in_every_form(tmp_path: Path, key: str, form: str):
    (tmp_path / "some.log").write_bytes(b"before " + forms(KEYS[key])[form] + b" after")
    assert any(f"{key} (" in place for place in places(tmp_path, KEYS))


def _git(folder: Path, *arguments: str) -> None:
    you = ("-c", "user.name=a", "-c", "user.email=a@b")
    subprocess.run(["git", *you, *arguments], cwd=folder, check=True, capture_output=True)


def _in_git(folder: Path, key: str, *then: str) -> None:
    _git(folder, "init", "-q")
    (folder / "a.py").write_text("x = 1\n" * 50 + f"# {key}\n")
    _git(folder, "add", "-A")
    _git(folder, "commit", "-q", "-m", "a")
    (folder / "a.py").unlink()
    _git(folder, "commit", "-q", "-a", "-m", "taken out again")
    if then:
        _git(folder, *then)


def _in_sqlite(folder: Path, value: object) -> None:
    with sqlite3.connect(folder / "p.db") as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("CREATE TABLE log (message)")
        database.execute("INSERT INTO log VALUES (?)", [value])
    database.close()


def _in_duckdb(folder: Path, key: str) -> None:
    with duckdb.connect(str(folder / "w.duckdb")) as database:
        database.execute("CREATE TABLE t AS SELECT $key || range AS v FROM range(5000)", {"key": key})


PLANTS: dict[str, Callable[[Path, str], object]] = {
    "a text": lambda folder, key: (folder / "a.jsonl").write_text(json.dumps({"said": f"key {key}"})),
    "a file's name": lambda folder, key: (folder / quote(key, safe="")).write_text(""),
    "a packed file": lambda folder, key: (folder / "a.gz").write_bytes(gzip.compress(key.encode())),
    "a result packed inside JSON": lambda folder, key: (folder / "r").write_text(
        json.dumps({"result": base64.b64encode(zlib.compress(b"\x80\x05 pickled " + key.encode())).decode()})
    ),
    "text inside base64": lambda folder, key: (folder / "r").write_bytes(base64.b64encode(f"of {key} it".encode() * 9)),
    "a loose git object": lambda folder, key: _in_git(folder, key),
    "a packed git object": lambda folder, key: _in_git(folder, key, "gc", "-q"),
    "a SQLite text": _in_sqlite,
    "a packed SQLite blob": lambda folder, key: _in_sqlite(folder, gzip.compress(key.encode())),
    "a compressed DuckDB column": _in_duckdb,
}
