"""How does a person see what waits for an answer, and answer it from a terminal?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from storyloom.domain.escalations import Escalation
    from storyloom.tasks.ports import Ports

app = typer.Typer(help="See what waits for an answer, and answer it.", no_args_is_help=True)

Project = Annotated[Path, typer.Option("--project", "-C", help="The project's git repository.", show_default=".")]
Id = Annotated[str, typer.Argument(help="The question's id, or its beginning.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
As = Annotated[str, typer.Option("--as", help="Who answers, as the project's settings name them.")]
HERE = Path()


@app.callback()
def find_server() -> None:
    """See what waits for an answer, and answer it."""
    from .here import find_api

    find_api()  # Prefect reads its settings when it is imported: the address has to be there before


@app.command("list")
def list_(
    project: Project = HERE,
    everything: Annotated[bool, typer.Option("--all", help="Closed ones, too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show the questions that wait, the gravest and oldest first."""
    from storyloom.flows.suspending import GRAVEST
    from storyloom.tasks.questions import escalations

    from .here import ports_of

    found = [e for e in escalations(ports_of(project)) if everything or e.status in ("pending", "set_aside")]
    found.sort(key=lambda e: (GRAVEST.index(e.severity), e.created))
    if as_json:
        typer.echo(json.dumps([e.model_dump() for e in found], indent=2, ensure_ascii=False))
        return
    for e in found:
        typer.echo(f"{e.severity:<9} {e.status:<9} {e.id}\n          {_line(e.question.question)}")
    if not found:
        typer.echo("Nothing waits for an answer.")


@app.command()
def show(question: Id, project: Project = HERE, as_json: AsJson = False) -> None:
    """Show a question with all that helps to answer it."""
    from storyloom.domain.escalations import plain
    from storyloom.tasks.answers import votes

    from .here import ports_of

    ports = ports_of(project)
    e = find(ports, question)
    if as_json:
        typer.echo(e.model_dump_json(indent=2))
        return
    q = e.question
    approved = ", ".join(f"{vote.by}: {vote.answer}" for vote in votes(ports, e.id))
    answer = f"{e.response.answer} ({e.response.by})" if e.response else ""
    rows = {
        "Question": q.question, "Kind": f"{q.kind} · {e.severity} · {e.status}",
        "Where": " · ".join(p for p in (q.workflow, q.story, q.step) if p), "Choices": ", ".join(q.options),
        "Would do": f"{q.recommendation} ({q.confidence:.0%})" if q.recommendation else "", "Because": q.reasoning,
        "Cost so far": q.cost_so_far, "Until": e.deadline, "Then": e.default or "the work is set aside",
        "For": ", ".join(e.audience), "So far": approved, "Digest": q.subject, "Answer": answer, "Run": e.link,
    }  # fmt: skip
    for name, value in rows.items():
        if value:
            typer.echo(f"{name + ':':<13}{plain(value, 2000)}")
    for line in q.context.splitlines():
        typer.echo(f"  {plain(line, 500)}")


@app.command()
def answer(
    question: Id,
    text: Annotated[str, typer.Argument(help="The answer; one of the choices if there are any.")],
    project: Project = HERE,
    who: As = "",
    notes: Annotated[str, typer.Option(help="For the record.")] = "",
    digest: Annotated[str, typer.Option(help="What you saw, as `show` prints it: refused if it changed since.")] = "",
) -> None:
    """Answer a question; the run that waits for it goes on."""
    from storyloom.domain.approvals import Given
    from storyloom.domain.errors import InputError
    from storyloom.tasks.answers import submit

    from .here import me, ports_of

    ports = ports_of(project)
    e = find(ports, question)
    given = Given(answer=text, by=me(ports, who), channel="command", notes=notes, digest=digest)
    ruling = submit(ports, e.id, given)
    if ruling.verdict == "refused":
        raise InputError(ruling.reason, remedy="See: storyloom escalations show " + e.id)
    if ruling.verdict == "counted":
        typer.echo(ruling.reason)
        return
    typer.echo(f"Kept: {text}. {resume(ports, e)}")


@app.command()
def cancel(question: Id, project: Project = HERE, who: As = "") -> None:
    """Cancel a question; its work is set aside and may ask anew."""
    from storyloom.domain.errors import InputError
    from storyloom.tasks.answers import cancel as cancel_question

    from .here import me, ports_of

    ports = ports_of(project)
    e = find(ports, question)
    if trouble := cancel_question(ports, e.id, me(ports, who)):
        raise InputError(trouble)
    typer.echo(f"Cancelled. {resume(ports, e, 'end')}")


@app.command()
def remind(
    project: Project = HERE,
    everywhere: Annotated[bool, typer.Option("--all", help="All projects of this installation.")] = False,
) -> None:
    """Tell people again what is due, end what is overdue, and wake runs whose answer is there.

    Needed only where no worker and no `storyloom serve` runs: there Prefect starts the same in time by itself.
    """
    from storyloom.deployments.environment import read_environment
    from storyloom.deployments.watch import look_after_all
    from storyloom.flows.looking_after import look_after

    from .here import ports_of

    lines = look_after_all(read_environment()) if everywhere else look_after(ports_of(project))
    for line in lines or ["Nothing was due."]:
        typer.echo(line)


@app.command()
def link(
    question: Id,
    project: Project = HERE,
    who: As = "",
    text: Annotated[str, typer.Option("--answer", help="The answer that the link gives; empty: a choice.")] = "",
    base: Annotated[str, typer.Option(help="Where `escalations serve` is reached.")] = "http://127.0.0.1:4280",
    hours: Annotated[float, typer.Option(help="How long it holds.")] = 24,
) -> None:
    """Print a signed link that lets one person answer one question once."""
    import time

    from storyloom.deployments.addresses import link_key
    from storyloom.deployments.environment import read_environment
    from storyloom.domain.approvals import refuse_person
    from storyloom.domain.errors import InputError
    from storyloom.domain.escalations import refuse
    from storyloom.domain.links import Ticket, sign

    from .here import me, ports_of

    ports = ports_of(project)
    e, name = find(ports, question), me(ports, who)
    trouble = refuse_person(e.question, name, ports.config.people) or (refuse(e.question, text) if text else "")
    if trouble:
        raise InputError(trouble)
    expires = int(time.time() + hours * 3600)
    ticket = Ticket(
        project=ports.project.repository,
        question=e.id,
        by=name,
        expires=expires,
        answer=text,
        digest=e.question.subject,
    )
    typer.echo(f"{base.rstrip('/')}/answer/{sign(ticket, link_key(read_environment().home))}")


@app.command()
def serve(
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port on loopback; put a proxy with TLS before it.")
    ] = 4280,
) -> None:
    """Take answers by signed links, until Ctrl-C. Off unless you start it."""
    from storyloom.deployments.answer_server import serve_answers

    serve_answers(port)


def find(ports: Ports, question: str) -> Escalation:
    """The one question whose id begins so.

    Raises:
        InputError: there is none, or several.
    """
    from storyloom.domain.errors import InputError
    from storyloom.tasks.questions import escalations

    found = [e for e in escalations(ports) if e.id.startswith(question)]
    exact = [e for e in found if e.id == question]
    if len(exact or found) != 1:
        what = "no question" if not found else f"{len(found)} questions"
        raise InputError(f"There is {what} {question!r}.", remedy="See: storyloom escalations list")
    return (exact or found)[0]


def resume(ports: Ports, e: Escalation, what: str = "answer") -> str:
    """Wake the run that waits, if its server can be reached, and say what happens now."""
    from .here import find_api

    if find_api():
        from storyloom.flows.waking import wake_for
        from storyloom.tasks.waiting import show_needs

        woken = wake_for(ports, e)
        show_needs(ports)
        if woken == "goes on":
            return "The run goes on."
        if woken == "kept":
            return f"The {what} is kept; the run reads it when it is started again."
    return f"The run was not reached; it sees the {what} itself if it is alive, else when it is started again."


def _line(text: str) -> str:
    from storyloom.domain.escalations import plain

    return plain(text, 100)
