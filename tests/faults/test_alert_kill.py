"""A process is killed between paying for a call and telling that a budget is nearly spent: is it told all the same?"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

CHILD = textwrap.dedent(
    """
    import os, signal, sys
    from pathlib import Path
    from storyloom.deployments import composition
    from storyloom.deployments.environment import Environment
    from storyloom.domain.model_calls import Message, ModelRequest, Usage
    from storyloom.domain.ports import ProjectRef
    from storyloom.domain.wire import RawReply

    class Route:
        name = "scripted"
        def send(self, request, model, **_):
            used = Usage(input=10, output=int(sys.argv[2]))
            return RawReply(content="Done.", stop_reason="stop", usage=used, model=model)

    if "killed" in sys.argv:
        composition.tell_of_budget = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
    folder = Path(sys.argv[1])
    environment = Environment(home=folder / "home", keys={"openai": "none"})
    ports = composition.compose(ProjectRef(repository=str(folder / "project")), environment, {"*": Route()})
    if int(sys.argv[2]):
        asked = (Message(role="user", content="Think."),)
        ports.models.complete(ModelRequest(persona="amelia", model="light", system="s", messages=asked))
    """
)


@pytest.fixture
def heard() -> Iterator[list[dict[str, str]]]:
    got: list[dict[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    os.environ["STORYLOOM_NOTIFY_OPS"] = f"http://127.0.0.1:{server.server_port}/hook"
    yield got
    del os.environ["STORYLOOM_NOTIFY_OPS"]
    server.shutdown()
    server.server_close()


def test_an_alert_that_died_with_its_process_is_told_once_when_the_project_is_opened_again(
    repository: Path, tmp_path: Path, heard: list[dict[str, str]]
) -> None:
    (repository / ".bmad").mkdir()
    config = "notify: {normal: [ops], important: [ops], critical: [ops]}\nsettings: {llm_budget_usd: 1}\n"
    (repository / ".bmad" / "project-config.yaml").write_text(config)

    def child(tokens: int, *more: str) -> int:
        command = [sys.executable, "-c", CHILD, str(tmp_path), str(tokens), *more]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode in (0, -signal.SIGKILL), done.stderr[-2000:]
        return done.returncode

    assert child(1_000_000, "killed") == -signal.SIGKILL
    assert heard == []
    assert child(0) == child(0) == 0
    told = [message["body"] for message in heard if "project" in message["body"]]
    assert len(told) == 1
    assert "of $1.00" in told[0]
    assert len({message["body"] for message in heard}) == len(heard)
