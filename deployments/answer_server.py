"""How does a signed link become an answer?  A tiny server on loopback, off unless an operator starts it.

A link in mail or chat is opened by scanners, too: opening it only shows the question, and answering is a POST.
"""

from __future__ import annotations

import html
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

from storyloom.domain.approvals import Given
from storyloom.domain.errors import StoryloomError
from storyloom.domain.links import BadTicket, Ticket, read
from storyloom.domain.ports import ProjectRef
from storyloom.tasks.answers import submit
from storyloom.tasks.ports import Ports
from storyloom.tasks.questions import mirrored

from .addresses import link_key
from .environment import project_folder, read_environment
from .server import require_free

MAX_BODY = 16_384
HEAD = (
    '<!doctype html><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Storyloom</title>'
    "<style>body{font:1.1rem sans-serif;max-width:40rem;margin:2rem auto;padding:0 1rem}"
    "button{font:inherit;padding:.5rem 1rem;margin:.3rem}textarea{width:100%;font:inherit}</style>"
)


class Answers(BaseHTTPRequestHandler):
    """GET shows the question of a link, POST answers it."""

    key: bytes = b""

    def do_GET(self) -> None:
        """Show the question and its choices."""
        self._reply(self._form)

    def do_POST(self) -> None:
        """Take the answer in."""
        self._reply(self._take)

    def _reply(self, work) -> None:  # type: ignore[no-untyped-def]
        try:
            word = self.path.removeprefix("/answer/") if self.path.startswith("/answer/") else ""
            code, text = 200, work(read(word, self.key, time.time()))
        except BadTicket as bad:
            code, text = 403, _page(str(bad))
        except StoryloomError as error:
            code, text = 409, _page(error.args[0] if error.args else "That did not work.")
        data = (HEAD + text).encode()
        self.send_response(code)
        for name, value in (
            ("Content-Type", "text/html; charset=utf-8"),
            ("Content-Length", str(len(data))),
            ("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'"),
            ("Referrer-Policy", "no-referrer"),
            ("Cache-Control", "no-store"),
        ):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def _form(self, ticket: Ticket) -> str:
        escalation = mirrored(_ports(ticket), ticket.question)
        if escalation is None or escalation.status not in ("pending", "set_aside"):
            return _page("This question is not open any more.")
        question = escalation.question
        choices = (ticket.answer,) if ticket.answer else question.options
        fields = (
            "".join(
                f'<button name="answer" value="{html.escape(choice)}">{html.escape(choice)}</button>'
                for choice in choices
            )
            or '<textarea name="answer" rows="4" required></textarea><button>Answer</button>'
        )
        told = "".join(f"<p>{html.escape(text)}" for text in (question.reasoning, question.context[:4000]) if text)
        return f'<h1>{html.escape(question.question)}</h1>{told}<form method="post">{fields}</form>'

    def _take(self, ticket: Ticket) -> str:
        length = min(int(self.headers.get("Content-Length") or 0), MAX_BODY)
        given = parse_qs(self.rfile.read(length).decode(errors="replace")).get("answer", [""])[0]
        text = ticket.answer or given
        ports = _ports(ticket)
        ruling = submit(ports, ticket.question, Given(answer=text, by=ticket.by, channel="link", digest=ticket.digest))
        escalation = mirrored(ports, ticket.question)
        if ruling.verdict == "holds" and escalation is not None and read_environment().prefect_api_url:
            from storyloom.flows.waking import wake_for
            from storyloom.tasks.waiting import show_needs

            wake_for(ports, escalation)
            show_needs(ports)
        return _page(ruling.reason or f"Kept: {text}. You can close this page.")

    def log_message(self, *_: object) -> None:
        """Paths are secrets here: nothing is logged."""


def answer_server(port: int) -> ThreadingHTTPServer:
    """The server, listening on loopback and not yet serving; port 0 picks a free one.

    Raises:
        InputError: somebody listens there.
    """
    if port:
        require_free(port)
    handler = type("KeyedAnswers", (Answers,), {"key": link_key(read_environment().home)})
    return ThreadingHTTPServer(("127.0.0.1", port), handler)


def serve_answers(port: int) -> None:
    """Serve until Ctrl-C."""
    with answer_server(port) as server:
        server.serve_forever()


def _ports(ticket: Ticket) -> Ports:
    from .composition import compose

    if not project_folder(read_environment().home, ticket.project).exists():
        raise BadTicket("This link's project is not here.")
    return compose(ProjectRef(repository=ticket.project))


def _page(text: str) -> str:
    return f"<p>{html.escape(text)}"
