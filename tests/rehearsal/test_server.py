"""The server is careful: loopback only, its own ledger, no key kept, and it ends when it is told to."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from storyloom.domain.errors import InputError
from storyloom.rehearsal.conversation import Conversation
from storyloom.rehearsal.server import RehearsalServer

PATHS = ("/v1/chat/completions", "/v1/messages", "/v1/responses")


def conversation(folder: Path, text: str = "- {text: hello there}") -> Conversation:
    (folder / "talk.yaml").write_text(text, encoding="utf-8")
    return Conversation.load(folder)


def ask(server: RehearsalServer, path: str, subject: str = "s") -> httpx.Response:
    said: dict[str, Any] = {"model": "m", "max_tokens": 50}
    if path == "/v1/responses":
        said["input"] = f"# {subject}"
    else:
        said["messages"] = [{"role": "user", "content": f"# {subject}"}]
    return httpx.post(server.url + path, json=said, headers={"authorization": "Bearer sk-secret-value-1"}, timeout=60)


def test_a_port_that_is_taken_or_does_not_exist_is_refused_with_the_way_on(tmp_path: Path):
    with (
        RehearsalServer(conversation(tmp_path)) as server,
        pytest.raises(InputError, match=rf"Port {server.port} on 127\.0\.0\.1 is in use\. .*--port"),
    ):
        RehearsalServer(conversation(tmp_path), server.port)
    with pytest.raises(InputError, match="There is no port 99999"):
        RehearsalServer(conversation(tmp_path), 99999)


def test_whoever_started_it_is_told_of_each_miss(tmp_path: Path):
    told: list[str] = []
    script = conversation(tmp_path, "- {subject: s, text: hello}")
    with RehearsalServer(script, on_miss=told.append) as server:
        assert ask(server, PATHS[0]).status_code == 200
        assert ask(server, PATHS[0], "t").status_code == 400
    assert len(told) == 1
    assert "- subject: s\n+ subject: t" in told[0]


def test_the_ledger_counts_every_call_and_keeps_no_key(tmp_path: Path):
    with RehearsalServer(conversation(tmp_path), keep_bodies=True) as server:
        for path in PATHS:
            assert ask(server, path).status_code == 200
        seen = httpx.get(f"{server.url}/_rehearsal/calls").json()
        assert [call["wire"] for call in seen["calls"]] == ["openai", "anthropic", "responses"]
        assert {call["entry"] for call in seen["calls"]} == {"talk.yaml:1"}
        assert seen["totals"] == {"calls": 3, "input": 3, "cache_read": 0, "cache_write": 0} | {
            "cache_write_1h": 0,
            "output": 9,
            "reasoning": 0,
        }
        assert "sk-secret-value-1" not in json.dumps(seen)
        assert seen["calls"][0]["key"] == "<redacted>"
        assert httpx.delete(f"{server.url}/_rehearsal/calls").json()["totals"]["calls"] == 0


def test_a_miss_is_a_400_that_clients_do_not_retry(tmp_path: Path):
    with RehearsalServer(conversation(tmp_path, "- {subject: other, text: x}")) as server:
        for path in PATHS:
            reply = ask(server, path, "mine")
            assert (reply.status_code, reply.headers["x-should-retry"]) == (400, "false")
            assert reply.json()["error"]["code"] == "rehearsal_miss"
            assert "- subject: other\n+ subject: mine" in reply.json()["error"]["message"]
        assert {call["entry"] for call in server.calls} == {"rehearsal_miss"}


def test_only_loopback_is_served(tmp_path: Path):
    with pytest.raises(InputError, match="loopback"):
        RehearsalServer(conversation(tmp_path), host="0.0.0.0")
    with RehearsalServer(conversation(tmp_path)) as server:
        reply = httpx.get(f"{server.url}/_rehearsal/calls", headers={"host": "attacker.example"})
        assert reply.status_code == 403


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", {"messages": []}),
        ("/v1/chat/completions", {"messages": [{"role": "robot", "content": "x"}]}),
        ("/v1/chat/completions", {"messages": ["x"]}),
        ("/v1/messages", {"messages": None}),
        ("/v1/messages", {"messages": [{"role": "system", "content": "x"}]}),
        ("/v1/messages", {"messages": [{"role": "user", "content": 7}]}),
        ("/v1/responses", {"input": []}),
        ("/v1/responses", {"input": "x", "previous_response_id": "resp_1"}),
        ("/v1/responses", {"input": [{"type": "computer_call"}]}),
        ("/v1/responses", "not json"),
    ],
)
def test_a_request_that_cannot_be_read_is_a_400(tmp_path: Path, path: str, body: Any):
    with RehearsalServer(conversation(tmp_path)) as server:
        text = body if isinstance(body, str) else json.dumps(body)
        reply = httpx.post(server.url + path, content=text)
        assert reply.status_code == 400
        assert reply.json()["error"]["message"]


def test_unknown_paths_and_unlisted_models_are_404s(tmp_path: Path):
    with RehearsalServer(conversation(tmp_path), models=("a", "b"), only_listed=True) as server:
        assert httpx.get(f"{server.url}/nothing").status_code == 404
        assert httpx.post(f"{server.url}/v1/embeddings", json={}).status_code == 404
        assert httpx.get(f"{server.url}/_rehearsal/nothing").status_code == 404
        assert ask(server, "/v1/messages").status_code == 404
        assert httpx.get(f"{server.url}/v1/models/c").status_code == 404
        assert [model["id"] for model in httpx.get(f"{server.url}/v1/models").json()["data"]] == ["a", "b"]
        assert httpx.get(f"{server.url}/_rehearsal/health").json() == {"ok": True}


def test_many_clients_at_once_each_get_their_own_answer(tmp_path: Path):
    from concurrent.futures import ThreadPoolExecutor

    script = "\n".join(f"- {{subject: s{n}, text: answer {n}, latency_s: 0.05}}" for n in range(40))
    with RehearsalServer(conversation(tmp_path, script)) as server, ThreadPoolExecutor(20) as pool:
        replies = list(pool.map(lambda n: ask(server, "/v1/messages", f"s{n}").json()["content"][0]["text"], range(40)))
        assert replies == [f"answer {n}" for n in range(40)]
        assert sorted(call["number"] for call in server.calls) == list(range(1, 41))


def test_a_body_may_come_in_chunks(tmp_path: Path):
    def parts() -> Iterator[bytes]:
        yield b'{"model": "m", "messages": '
        yield b'[{"role": "user", "content": "# s"}]}'

    with RehearsalServer(conversation(tmp_path)) as server, httpx.Client() as client:
        for _ in range(2):  # the connection stays usable
            reply = client.post(f"{server.openai_base}/chat/completions", content=parts())
            assert reply.json()["choices"][0]["message"]["content"] == "hello there"


def test_a_connection_that_was_kept_alive_ends_with_the_server(tmp_path: Path):
    with httpx.Client() as client:
        with RehearsalServer(conversation(tmp_path)) as server:
            url = f"{server.url}/_rehearsal/health"
            assert client.get(url).status_code == 200
        with pytest.raises(httpx.TransportError):
            client.get(url)


def start(folder: Path, *more: str) -> subprocess.Popen[bytes]:
    (folder / "talk.yaml").write_text("- {text: hello}", encoding="utf-8")
    command = [sys.executable, "-m", "storyloom.rehearsal.serve", "--conversation", str(folder), *more]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def wait_for(path: Path, seconds: float = 30) -> dict[str, Any]:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if path.exists():
            return json.loads(path.read_text())  # type: ignore[no-any-return]
        time.sleep(0.02)
    raise AssertionError(f"{path} did not appear")


def test_a_process_of_its_own_says_where_it_is_and_ends_on_sigterm(tmp_path: Path):
    ready = tmp_path / "ready.json"
    process = start(tmp_path, "--ready-file", str(ready))
    try:
        where = wait_for(ready)
        assert httpx.get(f"{where['url']}/_rehearsal/health").json() == {"ok": True}
        assert where["pid"] == process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0
        process.communicate()


def test_a_process_of_its_own_ends_with_its_parent(tmp_path: Path):
    (tmp_path / "talk.yaml").write_text("- {text: hello}", encoding="utf-8")
    ready = tmp_path / "ready.json"
    parent = f"""
    import subprocess, sys, time
    subprocess.Popen([sys.executable, "-m", "storyloom.rehearsal.serve", "--conversation", {str(tmp_path)!r},
                      "--ready-file", {str(ready)!r}], stdout=subprocess.DEVNULL)
    time.sleep(60)
    """
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(parent)])
    where = wait_for(ready)
    process.kill()
    process.wait()
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and _alive(where["pid"]):
        time.sleep(0.05)
    assert not _alive(where["pid"])


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text().rpartition(")")[2].split()[0] != "Z"


def test_a_script_with_a_mistake_ends_with_code_2_and_one_line(tmp_path: Path):
    (tmp_path / "bad.yaml").write_text("- {subject: x}", encoding="utf-8")
    process = start(tmp_path)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 2
    assert said.decode().strip() == f"{tmp_path / 'bad.yaml'}:1: the entry has no reply: give text, json or tools"
    (tmp_path / "bad.yaml").unlink()
    process = start(tmp_path, "--host", "0.0.0.0")
    assert process.wait(timeout=30) == 2
    process.communicate()
