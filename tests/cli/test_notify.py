"""`storyloom notify setup` on a real server: what it makes there, made again the same, and messages that arrive."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from prefect import flow, get_client, tags
from prefect.settings import PREFECT_API_URL, PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
from storyloom.deployments.environment import prefect_settings
from storyloom.deployments.server import drain, free_port, prefect_server
from storyloom.domain.ports import ProjectRef

pytestmark = [
    pytest.mark.server,
    pytest.mark.slow,
    pytest.mark.whole,
    pytest.mark.xdist_group("notify"),
    pytest.mark.timeout(600),
]

_spec = importlib.util.spec_from_file_location("people", Path(__file__).parents[1] / "flows" / "people.py")
assert _spec
assert _spec.loader
people = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(people)

CONFIG = "project: {name: Parts}\nnotify: {important: [ops, mail]}\nsettings: {second_opinion: false, sandbox: none}\n"


@dataclass
class Heard:
    """What arrived at a webhook and in a mailbox, both on loopback."""

    hook: str = ""
    mail: str = ""
    posts: list[dict[str, str]] = field(default_factory=list)
    mails: list[str] = field(default_factory=list)

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        self.mails.append(envelope.content.decode())
        return "250 OK"


@pytest.fixture
def heard() -> Iterator[Heard]:
    found = Heard()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            found.posts.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    hook = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=hook.serve_forever, daemon=True).start()
    port = free_port()
    mail = Controller(found, hostname="127.0.0.1", port=port)
    mail.start()
    found.hook = f"http://127.0.0.1:{hook.server_port}/hook/S3CRET"
    found.mail = f"mailto://127.0.0.1:{port}?from=storyloom@localhost.test&to=anna@localhost.test"
    yield found
    mail.stop()
    hook.shutdown()
    hook.server_close()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., str]]:
    """Runs a command of a real `storyloom` that knows a real server."""
    tmp_path = tmp_path_factory.mktemp("notify")
    with prefect_server(tmp_path / "server") as url:
        env = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
        env |= prefect_settings(tmp_path / "home", url) | {"STORYLOOM_HOME": str(tmp_path / "home")}

        def command(*arguments: str) -> str:
            storyloom = [sys.executable, "-c", "from storyloom.cli.main import main; main()", *arguments]
            done = subprocess.run(storyloom, env=env, cwd=tmp_path, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
            return done.stdout

        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PREFECT_API_URL", url)
            patch.setenv("STORYLOOM_HOME", str(tmp_path / "home"))
            with temporary_settings({PREFECT_API_URL: url, PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
                yield command
                drain()


def made(*channels: str) -> dict[str, Any]:
    """The automations and blocks on the server, of these channels: what they are for, and their ids."""
    with get_client(sync_client=True) as client:
        automations = client.request("POST", "/automations/filter", json={}).json()
        blocks = client.request("POST", "/block_documents/filter", json={"include_secrets": False}).json()
    shown = json.dumps([automations, blocks])
    assert "S3CRET" not in shown
    assert "anna@" not in shown
    told = sorted((one["name"], one["id"], one["actions"][0]["block_document_id"]) for one in automations)
    kept = sorted((one["name"], one["block_type"]["slug"], one["id"]) for one in blocks)
    return {
        "automations": [row for row in told if row[0].rsplit("-")[-1] in channels],
        "blocks": [row for row in kept if row[0].rsplit("-")[-1] in channels],
    }


def test_channels_are_set_up_once_and_a_question_arrives_by_webhook_and_mail(
    tmp_path: Path, heard: Heard, run: Callable[..., str]
) -> None:
    assert "The automation storyloom-notify-ops tells ops" in run("notify", "setup", "ops", "--address", heard.hook)
    run("notify", "setup", "mail", "--address", heard.mail)
    first = made("ops", "mail")
    assert [name for name, *_ in first["automations"]] == ["storyloom-notify-mail", "storyloom-notify-ops"]
    assert [row[:2] for row in first["blocks"]] == [
        ("storyloom-notify-mail", "secret"),
        ("storyloom-notify-mail", "slack-webhook"),
        ("storyloom-notify-ops", "custom-webhook"),
        ("storyloom-notify-ops", "secret"),
    ]
    assert {block for *_, block in first["automations"]} <= {block for *_, block in first["blocks"]}
    run("notify", "setup", "ops", "--address", heard.hook)
    run("notify", "setup", "mail", "--address", heard.mail)
    assert made("ops", "mail") == first

    project = tmp_path / "project"
    (project / ".bmad").mkdir(parents=True)
    (project / ".bmad" / "project-config.yaml").write_text(CONFIG)
    who = ["-c", "user.name=t", "-c", "user.email=t@localhost"]
    for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "start"]):
        subprocess.run(["git", *who, *arguments], cwd=project, check=True)
    join = people.in_thread(lambda: ask(project))
    _arrives(heard, "A question waits: Which alphabet?", "base58, hex")  # told by the run
    _arrives(heard, "asks is Paused", "")  # told by the server
    (waiting,) = json.loads(run("escalations", "list", "--json", "-C", str(project)))
    assert "Kept: hex" in run("escalations", "answer", waiting["id"], "hex", "-C", str(project))
    assert join().answer == "hex"
    questions = [post for post in heard.posts if "Which alphabet" in post["title"]]
    assert len(questions) == 1
    assert sum("Which alphabet" in text for text in heard.mails) == 1


def ask(project: Path) -> Any:
    from storyloom.deployments.composition import compose
    from storyloom.flows.asking import settle
    from storyloom.tasks.ports import use

    ref = ProjectRef(repository=str(project))
    question = people.ASKED.model_copy(update={"project": ref.repository})

    @flow(name="asks")
    def asking() -> Any:
        return settle(ref, question)

    with use(compose), tags("storyloom"):  # as served deployments have it
        return asking()


def _arrives(heard: Heard, title: str, body: str) -> None:
    until = time.monotonic() + 120

    def there() -> bool:
        posts = [post for post in heard.posts if title in post["title"] and body in post["body"]]
        return bool(posts) and any(title in text and body in text for text in heard.mails)

    while not there():
        assert time.monotonic() < until, (title, heard)
        time.sleep(0.2)


def test_a_channel_whose_address_becomes_one_of_another_sort_leaves_no_block_behind(
    heard: Heard, run: Callable[..., str]
) -> None:
    run("notify", "setup", "moved", "--address", heard.hook)
    first = made("moved")
    run("notify", "setup", "moved", "--address", heard.mail)
    second = made("moved")
    assert [row[:2] for row in second["blocks"]] == [
        ("storyloom-notify-moved", "secret"),
        ("storyloom-notify-moved", "slack-webhook"),
    ]
    assert [row[:2] for row in second["automations"]] == [row[:2] for row in first["automations"]]
