"""`storyloom rehearse` serves, records and replays around a command, and its exit code tells how that went."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from storyloom.cli.rehearse import app
from storyloom.rehearsal.conversation import Conversation
from storyloom.rehearsal.server import RehearsalServer
from typer.testing import CliRunner, Result

CLIENT = """
import json, os, sys, urllib.request
body = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "# " + sys.argv[1]}]}
key = {"x-api-key": os.environ["OPENAI_API_KEY"]}
for base, path in (("OPENAI_BASE_URL", "/chat/completions"), ("ANTHROPIC_BASE_URL", "/v1/messages")):
    request = urllib.request.Request(os.environ[base] + path, json.dumps(body).encode(), key)
    with urllib.request.urlopen(request) as reply:
        assert "hello" in reply.read().decode()
"""


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments])


def client(subject: str) -> list[str]:
    return ["--", sys.executable, "-c", CLIENT, subject]


@pytest.fixture
def talks(tmp_path: Path) -> Path:
    folder = tmp_path / "talks"
    folder.mkdir()
    (folder / "talk.yaml").write_text("- {subject: s, text: hello}", encoding="utf-8")
    return folder


def test_a_command_is_served_from_a_script(talks: Path):
    result = run("serve", str(talks), *client("s"))
    assert (result.exit_code, result.stderr.strip()) == (0, "2 calls, 0 of them missed")


def test_a_miss_shows_in_the_exit_code(talks: Path):
    result = run("serve", str(talks), *client("other"))
    assert result.exit_code == 1
    assert "1 of them missed" in result.stderr


def test_a_recorded_command_replays_without_its_provider(talks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    tape = str(tmp_path / "tape.jsonl")
    monkeypatch.setenv("OPENAI_API_KEY", "a-key-of-no-known-shape")
    with RehearsalServer(Conversation.load(talks)) as provider:
        recorded = run("record", tape, "--openai", provider.url, "--anthropic", provider.url, *client("s"))
    assert recorded.exit_code == 0, recorded.output
    assert "no-known-shape" not in Path(tape).read_text()
    assert run("replay", tape, "--strict", *client("s")).exit_code == 0
    assert run("replay", tape, *client("other")).exit_code == 1


def test_a_cassette_that_is_not_there_is_a_usage_error(tmp_path: Path):
    assert run("replay", str(tmp_path / "none.jsonl")).exit_code == 2
