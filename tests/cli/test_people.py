"""Questions are listed and shown; answered, cancelled and reversed from another process and directory."""

import json
import os
import subprocess
import sys
import threading
import urllib.error
import urllib.request

import pytest
from storyloom.cli.demo import make_repository, sample_folder
from storyloom.cli.groups import GROUPS
from storyloom.deployments.answer_server import answer_server
from storyloom.deployments.composition import compose
from storyloom.domain.escalations import Escalation, Question
from storyloom.domain.ports import ProjectRef
from storyloom.tasks.decide import decide
from storyloom.tasks.questions import kept_answer, mirror, mirrored
from typer.testing import CliRunner

ASKED = Question(
    project="p", story="1-2-x", step="turn 3", question="Which <i>alphabet</i>?\x1b[31m", options=("base58", "hex"),
    recommendation="base58", confidence=0.5,
)  # fmt: skip


class Desk:
    """A project with an open question, and the command line."""

    def __init__(self, folder):
        self.home = folder / "home"
        self.repository = make_repository(sample_folder(), folder / "project")
        self.elsewhere = folder / "elsewhere"
        self.elsewhere.mkdir()
        self.ports = compose(ProjectRef(repository=str(self.repository)))
        self.question = ASKED.model_copy(update={"project": str(self.repository)})
        decide(self.ports, self.question.model_copy(update={"must_ask": True}))
        open_ = Escalation(
            id=self.question.id, question=self.question, severity="important", created="2026-01-01T08:00:00+00:00"
        )
        mirror(self.ports, open_)

    def look(self, group, *words):
        """What a command that only reads prints, called here: to start one apart takes a second or two."""
        return CliRunner().invoke(GROUPS[group], [*words, "-C", str(self.repository)], catch_exceptions=False).stdout

    def run(self, *words, project=True):
        where = ["-C", str(self.repository)] if project else []
        command = [sys.executable, "-c", "from storyloom.cli.main import main; main()", *words, *where]
        return subprocess.run(
            command, cwd=self.elsewhere, env={**os.environ, "STORYLOOM_HOME": str(self.home)}, capture_output=True,
            text=True, check=False,
        )  # fmt: skip


@pytest.fixture
def desk(tmp_path, monkeypatch):
    monkeypatch.setenv("STORYLOOM_HOME", str(tmp_path / "home"))
    return Desk(tmp_path)


def test_a_question_is_found_shown_refused_answered_learned_and_reversed(desk):
    assert "Which <i>alphabet</i>?" in desk.run("escalations", "list").stdout
    shown = desk.look("escalations", "show", "1-2-x")
    assert "Choices:     base58, hex" in shown
    assert "\x1b" not in shown
    status = desk.run("status", "--json", project=False)
    assert status.returncode == 3
    assert [need["severity"] for need in json.loads(status.stdout)] == ["important"]
    wrong = desk.run("escalations", "answer", desk.question.id, "octal")
    assert (wrong.returncode, "not one of the choices" in wrong.stderr) == (2, True)
    right = desk.run("escalations", "answer", desk.question.id, "hex")
    assert (right.returncode, right.stdout[:10]) == (0, "Kept: hex."), right.stderr
    late = desk.run("escalations", "answer", desk.question.id, "base58")
    assert (late.returncode, "answered already, by owner: hex" in late.stderr) == (2, True)
    assert desk.run("status", project=False).stdout == "Nothing needs you.\n"
    assert "→ hex" in desk.look("facts", "list")
    assert "1 decisions, 0 made alone" in desk.look("decisions", "list")
    assert desk.run("decisions", "reverse", "1-2-x", "--answer", "base58").returncode == 0
    assert kept_answer(desk.ports, desk.question).answer == "base58"
    assert "before: hex (person, owner)" in desk.look("decisions", "show", "1-2-x")


def test_a_signed_link_shows_the_question_and_its_post_answers_once(desk):
    link = desk.run("escalations", "link", desk.question.id, "--answer", "hex").stdout.strip()
    word = link.rsplit("/", 1)[1]
    server = answer_server(0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    base = f"http://127.0.0.1:{server.server_port}/answer/"

    def ask(word, data=None):
        try:
            with urllib.request.urlopen(base + word, data=data) as reply:
                return reply.status, reply.read().decode(), reply.headers
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode(), error.headers

    try:
        code, page, headers = ask(word)
        assert (code, "&lt;i&gt;alphabet" in page, "<i>" in page) == (200, True, False)
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert kept_answer(desk.ports, desk.question) is None  # looking answers nothing
        assert ask(word[:-2] + "AA", b"")[0] == 403
        assert "Kept: hex" in ask(word, b"answer=base58")[1]
        assert "answered already" in ask(word, b"")[1]
    finally:
        server.shutdown()
        server.server_close()
    assert kept_answer(desk.ports, desk.question).answer == "hex"


def test_a_cancelled_question_takes_no_answer(desk):
    assert desk.run("escalations", "cancel", desk.question.id).returncode == 0
    assert "cancelled" in desk.run("escalations", "answer", desk.question.id, "hex").stderr
    assert "Nothing waits" in desk.look("escalations", "list")
    assert "no question" in desk.run("escalations", "show", "nope").stderr


def test_what_is_overdue_is_ended_in_all_projects_by_a_command_that_needs_no_server(desk):
    assert desk.run("escalations", "remind", "--all", project=False).stdout == "Nothing was due.\n"
    overdue = {"created": "2026-01-01T08:00:00+00:00", "deadline": "2026-01-02T08:00:00+00:00", "default": "base58"}
    mirror(desk.ports, mirrored(desk.ports, desk.question.id).model_copy(update=overdue))
    told = desk.run("escalations", "remind", "--all", project=False)
    assert "its time is up, it is answered; the run was not reached" in told.stdout, told.stderr
    assert kept_answer(desk.ports, desk.question).by == "deadline"
    assert desk.run("status", project=False).stdout == "Nothing needs you.\n"
