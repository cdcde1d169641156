"""A message really arrives, at a webhook and in a mailbox, both on loopback."""

import hashlib
import hmac
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from aiosmtpd.controller import Controller
from storyloom.blocks.notifier import AppriseNotifier, block_name, variable
from storyloom.deployments.server import free_port
from storyloom.domain.escalations import Escalation, Question
from storyloom.domain.fakes import MemoryShelf
from storyloom.domain.ports import ProjectRef
from storyloom.domain.settings import ProjectConfig
from storyloom.tasks.notify import tell
from storyloom.tasks.ports import Ports

ASKED = Escalation(
    id="q-1",
    question=Question(project="p", question="Which alphabet?", options=("a", "b"), recommendation="a"),
    severity="critical",
    created="2026-01-01T08:00:00+00:00",
    deadline="2999-01-01T08:00:00+00:00",
)


class Webhook:
    """Keeps what is posted."""

    def __init__(self, status=204):
        got = self.got = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                got.append((self.path, self.headers, body))
                self.send_response(status)
                self.send_header("Location", "/elsewhere")
                self.end_headers()

            do_GET = do_POST

            def log_message(self, *_):
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


class Mailbox:
    def __init__(self):
        self.mails = []

    async def handle_DATA(self, _server, _session, envelope):
        self.mails.append(envelope)
        return "250 OK"


@pytest.fixture
def mail():
    box = Mailbox()
    box.port = free_port()
    controller = Controller(box, hostname="127.0.0.1", port=box.port)
    controller.start()
    yield box
    controller.stop()


def test_a_webhook_gets_the_message_signed():
    with Webhook() as hook:
        notifier = AppriseNotifier(lambda _channel: hook.url, key=b"k")
        assert notifier.send("ops", "A question waits", "Which?", "critical") == ""
    path, headers, body = hook.got[0]
    assert path == "/hook"
    assert json.loads(body) == {"title": "A question waits", "body": "Which?", "severity": "critical", "channel": "ops"}
    assert headers["X-Storyloom-Signature"] == "sha256=" + hmac.new(b"k", body, hashlib.sha256).hexdigest()


def test_a_mail_arrives(mail):
    address = f"mailto://127.0.0.1:{mail.port}?from=storyloom@localhost.test&to=anna@localhost.test"
    assert AppriseNotifier(lambda _channel: address).send("mail", "A question waits", "Which?", "normal") == ""
    assert mail.mails[0].rcpt_tos == ["anna@localhost.test"]
    assert b"Subject: A question waits" in mail.mails[0].content


@pytest.mark.parametrize("status", [302, 404, 500])
def test_a_webhook_that_refuses_or_leads_elsewhere_is_told_without_its_address(status):
    with Webhook(status) as hook:
        trouble = AppriseNotifier(lambda _channel: hook.url).send("ops", "t", "b", "normal")
    assert trouble == f"The webhook answered {status}."
    assert len(hook.got) == 1


def test_a_channel_without_an_address_or_with_a_strange_one_says_what_to_do():
    assert variable("team chat") in AppriseNotifier(lambda _channel: "").send("team chat", "t", "b", "normal")
    assert block_name("Team Chat") == "storyloom-notify-team-chat"
    assert "apprise" in AppriseNotifier(lambda _channel: "nothing://x").send("x", "t", "b", "normal")
    with Webhook() as hook:
        pass
    trouble = AppriseNotifier(lambda _channel: hook.url).send("x", "t", "b", "normal")
    assert "cannot be reached" in trouble
    assert "/hook" not in trouble


def test_a_question_is_told_once_per_moment_by_severity_and_a_dead_channel_holds_nothing_up(mail):
    with Webhook() as hook:
        addresses = {
            "ops": hook.url,
            "mail": f"mailto://127.0.0.1:{mail.port}?from=storyloom@localhost.test&to=anna@localhost.test",
        }
        ports = Ports(
            ProjectRef(repository="/p"),
            ProjectConfig.model_validate({"notify": {"critical": ["ops", "mail", "dead"], "reminders": 0}}),
            shelf=MemoryShelf(),
            notifier=AppriseNotifier(lambda channel: addresses.get(channel, "")),
        )
        assert tell(ports, ASKED) == ["ops", "mail"]
        assert tell(ports, ASKED) == []
        assert tell(ports, ASKED.model_copy(update={"status": "answered"})) == []
    assert (len(hook.got), len(mail.mails)) == (1, 1)
    assert b"storyloom escalations answer q-1" in mail.mails[0].content
