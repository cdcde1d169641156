"""`storyloom rehearse` serves, records and replays around a command, and its exit code tells how that went."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from storyloom.cli.rehearse import app
from storyloom.domain.errors import InputError
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


def test_a_miss_shows_in_the_exit_code_and_the_difference_on_standard_error(talks: Path):
    result = run("serve", str(talks), *client("other"))
    assert result.exit_code == 1
    assert "1 of them missed" in result.stderr
    assert "- subject: s\n+ subject: other" in result.stderr


def test_standard_output_belongs_to_the_command(talks: Path):
    program = "from storyloom.cli.rehearse import app; app()"
    given = ["serve", str(talks), "--", sys.executable, "-c", "print('its own words')"]
    result = subprocess.run([sys.executable, "-c", program, *given], capture_output=True, text=True, check=True)
    assert result.stdout == "its own words\n"
    assert result.stderr == "0 calls, 0 of them missed\n"


@pytest.mark.parametrize(
    ("command", "complaint"),
    [("no-such-program", "was not found"), ("/", "is no program that may be run"), ("SCRIPT", "cannot be run")],
)
def test_a_command_that_cannot_be_run_is_refused_with_the_way_on(talks: Path, command: str, complaint: str):
    script = talks / "script"
    script.write_text("echo no first line says who reads this")
    script.chmod(0o755)
    result = run("serve", str(talks), "--", str(script) if command == "SCRIPT" else command)
    assert isinstance(result.exception, InputError)
    assert complaint in str(result.exception)
    assert result.exception.remedy


def test_a_command_that_a_signal_ended_has_the_exit_code_of_a_shell(talks: Path):
    assert run("serve", str(talks), "--", sys.executable, "-c", "import os; os.kill(os.getpid(), 15)").exit_code == 143


def test_a_ready_file_that_cannot_be_written_is_refused(talks: Path):
    result = run("serve", str(talks), "--ready-file", str(talks / "none" / "ready.json"), "--", sys.executable, "-V")
    assert isinstance(result.exception, InputError)


def test_a_port_out_of_range_is_a_usage_error(talks: Path):
    assert run("serve", str(talks), "--port", "99999").exit_code == 2


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


@pytest.mark.parametrize(("sign", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_a_server_that_is_told_to_stop_ends(talks: Path, sign: signal.Signals, code: int):
    program = "from storyloom.cli.main import main; main()"
    command = [sys.executable, "-c", program, "rehearse", "serve", str(talks)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        where = json.loads(process.stdout.readline())
        process.send_signal(sign)
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
    assert (process.returncode, "0 calls" in said, "Stopped." in said) == (code, True, code == 130)
    assert where["pid"] == process.pid
