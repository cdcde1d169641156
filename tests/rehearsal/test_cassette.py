"""What a provider said can be played back to any client, holds no secret, and a changed request says how it changed."""

from __future__ import annotations

import json
import os
import socket
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anthropic
import httpx
import openai
import pytest
from storyloom.domain.errors import InputError
from storyloom.rehearsal.cassette import Cassette, Player
from storyloom.rehearsal.conversation import Conversation
from storyloom.rehearsal.recorder_proxy import Recorder
from storyloom.rehearsal.server import RehearsalServer

os.environ.update(
    LITELLM_LOCAL_MODEL_COST_MAP="True", LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS="True", LITELLM_MODE="PRODUCTION"
)
KEY = "sk-test-0123456789abcdef"
SCRIPT = f"""
- {{text: "Good morning, all of you who read this.", usage: {{input: 5, cache_read: 3, output: 8}}}}
- {{subject: leak, text: "my key is {KEY} and nothing else is said here at all"}}
- {{subject: twice, sample: 0, text: first}}
- {{subject: twice, sample: 1, text: second}}
- {{subject: tools, tools: [{{name: f, arguments: {{x: 1}}}}]}}
"""


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[RehearsalServer]:
    (tmp_path / "talk.yaml").write_text(SCRIPT, encoding="utf-8")
    with RehearsalServer(Conversation.load(tmp_path)) as running:
        yield running


@contextmanager
def recording(provider: RehearsalServer, path: Path) -> Iterator[RehearsalServer]:
    recorder = Recorder(Cassette(path), {"openai": provider.url, "anthropic": provider.url})
    with RehearsalServer(recorder) as server:
        yield server


@contextmanager
def playing(path: Path, **options: Any) -> Iterator[RehearsalServer]:
    with RehearsalServer(Player(Cassette(path), **options)) as server:
        yield server


def chat(server: RehearsalServer, subject: str = "s", more: str = "", **options: Any) -> Any:
    client = openai.OpenAI(base_url=server.openai_base, api_key=KEY, max_retries=0)
    said = [{"role": "user", "content": f"# {subject}\n{more}"}]
    return client.chat.completions.create(**{"model": "m", "messages": said, **options})


def session(server: RehearsalServer, more: str = "") -> list[Any]:
    """What three clients get, whole and streamed."""
    import litellm

    claude = anthropic.Anthropic(base_url=server.url, api_key=KEY, max_retries=0)
    said = [{"role": "user", "content": f"# s\n{more}"}]
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
    light = {"model": "anthropic/claude-haiku-5-5", "api_base": server.url, "api_key": KEY, "messages": said}
    gpt = openai.OpenAI(base_url=server.openai_base, api_key=KEY, max_retries=0)
    got = [
        chat(server, more=more).model_dump(),
        [chunk.model_dump() for chunk in chat(server, more=more, stream=True, stream_options={"include_usage": True})],
        chat(server, "tools", more, tools=[tool]).model_dump(),
        gpt.responses.create(model="m", input=f"# s\n{more}").model_dump(),
        claude.messages.create(model="claude-haiku-5-5", max_tokens=90, messages=said).model_dump(),
        [
            event.model_dump()
            for event in claude.messages.create(model="claude-haiku-5-5", max_tokens=90, messages=said, stream=True)
        ],
        litellm.completion(**light).choices[0].message.content,
    ]
    return json.loads(json.dumps(got, default=str))  # type: ignore[no-any-return]


RUNS = [
    "7b1f0c3e-0000-4000-8000-000000000001 at 2026-01-02T03:04:05Z in /tmp/a on 127.0.0.1:4711, Ran 3 tests in 0.01s",
    "8c2a1d4f-0000-4000-8000-000000000002 at 2026-05-06 07:08:09.123 in /tmp/c on 127.0.0.1:4712, Ran 3 tests in 2s",
]


def test_a_recorded_session_is_replayed_equal_although_ids_and_times_have_changed(
    provider: RehearsalServer, tmp_path: Path
):
    tape = tmp_path / "deep" / "tape.jsonl"
    with recording(provider, tape) as server:
        recorded = session(server, RUNS[0])
    assert len(provider.calls) == 7
    with playing(tape, strict=True) as server:
        assert session(server, RUNS[1]) == recorded
        assert server.totals()["input"] == provider.totals()["input"]
        assert server.totals()["cache_read"] == provider.totals()["cache_read"]
        assert server.totals()["output"] == provider.totals()["output"]
    assert len(provider.calls) == 7
    assert stat.S_IMODE(tape.stat().st_mode) == 0o600


def test_a_cassette_holds_no_secret_even_if_the_answer_streams_one_in_pieces(provider: RehearsalServer, tmp_path: Path):
    tape = tmp_path / "tape.jsonl"
    with recording(provider, tape) as server:
        answer = chat(server, "leak", "use ghp_abcdefghijklmnopqrstuvwxyz0123")
        assert KEY in answer.choices[0].message.content  # the client gets what the provider said
        said = "".join(c.choices[0].delta.content or "" for c in chat(server, "leak", stream=True) if c.choices)
        assert KEY in said
        odd = openai.OpenAI(base_url=server.openai_base, api_key="a-key-of-no-known-shape", max_retries=0)
        said = [{"role": "user", "content": "# s\nmine is a-key-of-no-known-shape"}]
        odd.chat.completions.create(model="m", messages=said)  # type: ignore[arg-type]
    text = tape.read_text()
    assert KEY not in text
    assert "ghp_" not in text
    assert "no-known-shape" not in text
    with playing(tape) as server:
        stream = chat(server, "leak", stream=True)
        said = "".join(c.choices[0].delta.content or "" for c in stream if c.choices)
    assert said == "my key is <secret> and nothing else is said here at all"
    assert not any(KEY[start : start + 8] in said for start in range(3, len(KEY) - 8))


def test_errors_are_recorded_and_takes_are_played_in_their_order(provider: RehearsalServer, tmp_path: Path):
    tape = tmp_path / "tape.jsonl"
    provider.fault("overloaded", subject="twice")

    def three(server: RehearsalServer) -> list[str]:
        found = []
        for _ in range(3):
            try:
                found.append(chat(server, "twice").choices[0].message.content)
            except openai.APIStatusError as error:
                found.append(f"{error.status_code}")
        return found

    with recording(provider, tape) as server:
        assert three(server) == ["529", "first", "second"]
    with playing(tape) as server:
        assert three(server) == ["529", "first", "second"]
        assert chat(server, "twice").choices[0].message.content == "second"
    with playing(tape, strict=True) as server:
        three(server)
        with pytest.raises(openai.BadRequestError, match="all 3 takes") as raised:
            chat(server, "twice")
        assert raised.value.response.headers["x-should-retry"] == "false"


def test_a_changed_request_is_refused_with_the_difference(provider: RehearsalServer, tmp_path: Path):
    tape = tmp_path / "tape.jsonl"
    with recording(provider, tape) as server:
        chat(server, "s", "the same line\nadd two numbers\nthe end")
        chat(server, "twice", "something else")
    with playing(tape) as server, pytest.raises(openai.BadRequestError) as raised:
        chat(server, "s", "the same line\nadd three numbers\nthe end")
    message = raised.value.body["message"]  # type: ignore[index]
    assert "-add two numbers" in message
    assert "+add three numbers" in message
    assert "something else" not in message


def test_what_a_person_ignores_makes_no_difference(provider: RehearsalServer, tmp_path: Path):
    tape = tmp_path / "tape.jsonl"
    with RehearsalServer(Recorder(Cassette(tape, ignore=[r"build \d+"]), {"openai": provider.url})) as server:
        answer = chat(server, "s", "build 17").choices[0].message.content
    with RehearsalServer(Player(Cassette(tape, ignore=[r"build \d+"]))) as server:
        assert chat(server, "s", "build 18").choices[0].message.content == answer
        with pytest.raises(openai.BadRequestError):
            chat(server, "s", "built 18")


def test_a_provider_that_cannot_be_reached_is_a_502_and_not_recorded(tmp_path: Path):
    tape = tmp_path / "tape.jsonl"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{free.getsockname()[1]}"
    with RehearsalServer(Recorder(Cassette(tape), {"openai": nobody})) as server:
        with pytest.raises(openai.InternalServerError, match="cannot be reached"):
            chat(server)
        with pytest.raises(anthropic.NotFoundError, match="no upstream"):
            anthropic.Anthropic(base_url=server.url, api_key="x", max_retries=0).messages.create(
                model="m", max_tokens=1, messages=[{"role": "user", "content": "x"}]
            )
    assert not tape.exists()
    with pytest.raises(InputError, match="no address"):
        Recorder(Cassette(tape), {"openai": "file:///etc/passwd"})


def test_an_answer_that_breaks_off_reaches_the_client_broken_and_is_not_recorded(
    provider: RehearsalServer, tmp_path: Path
):
    tape = tmp_path / "tape.jsonl"
    provider.fault("cut")
    with recording(provider, tape) as server, pytest.raises((httpx.TransportError, openai.APIConnectionError)):
        list(chat(server, stream=True))
    assert not tape.exists()


def test_a_torn_last_line_is_left_out_and_a_broken_one_is_named(provider: RehearsalServer, tmp_path: Path):
    tape = tmp_path / "tape.jsonl"
    with recording(provider, tape) as server:
        chat(server)
    whole = tape.read_text()
    tape.write_text(whole + whole[:50])
    cassette = Cassette(tape)
    assert (cassette.torn, sum(map(len, cassette.takes.values()))) == (1, 1)
    tape.write_text(whole[:50] + "\n" + whole)
    with pytest.raises(InputError, match=r"tape\.jsonl:1"):
        Cassette(tape)


def test_faults_can_be_laid_over_a_recording(provider: RehearsalServer, tmp_path: Path):
    tape = tmp_path / "tape.jsonl"
    with recording(provider, tape) as server:
        chat(server)
    with playing(tape) as server:
        server.fault("rate_limit")
        server.fault("no_usage")
        server.fault("refusal")
        with pytest.raises(openai.RateLimitError):
            chat(server)
        assert chat(server).usage is None
        with pytest.raises(openai.BadRequestError, match="cannot be played over a recording"):
            chat(server)


def test_an_empty_cassette_says_so(tmp_path: Path):
    with playing(tmp_path / "none.jsonl") as server, pytest.raises(openai.BadRequestError, match="holds no take"):
        chat(server)


def test_parallel_recordings_do_not_tear_each_other(provider: RehearsalServer, tmp_path: Path):
    tape = tmp_path / "tape.jsonl"
    with recording(provider, tape) as server:
        threads = [threading.Thread(target=chat, args=(server, "s", f"number {n}")) for n in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len([json.loads(line) for line in tape.read_text().splitlines()]) == 16


@pytest.mark.parametrize("line", ['{"name": "x"}', "[1]", "3", "hello"])
def test_a_file_that_is_no_cassette_is_refused_with_its_line(tmp_path: Path, line: str):
    (tmp_path / "tape.jsonl").write_text(line, encoding="utf-8")
    with pytest.raises(InputError, match=r"tape\.jsonl:1: .*storyloom rehearse record"):
        Cassette(tmp_path / "tape.jsonl")


def test_what_cannot_be_read_or_written_is_refused_before_the_first_call(tmp_path: Path):
    with pytest.raises(InputError, match="no cassette can be read here"):
        Cassette(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="the cassette cannot be written"):
        Recorder(Cassette(tmp_path / "file" / "tape.jsonl"))
    Recorder(Cassette(tmp_path / "tape.jsonl"))
    assert not (tmp_path / "tape.jsonl").exists()


def test_a_pattern_that_is_none_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match=r"'\(' is no regular expression"):
        Cassette(tmp_path / "tape.jsonl", ignore=["("])
