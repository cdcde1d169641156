"""Which questions were decided, by whom and why, and how is a decision taken back?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from storyloom.domain.decisions import Decision
    from storyloom.tasks.ports import Ports

app = typer.Typer(help="Review what was decided without you, and take it back.", no_args_is_help=True)

Project = Annotated[Path, typer.Option("--project", "-C", help="The project's git repository.", show_default=".")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
HERE = Path()
ALONE = ("onboarding", "fact", "model")


@app.command("list")
def list_(project: Project = HERE, as_json: AsJson = False) -> None:
    """Show all decisions, oldest first, and the share that needed no person."""
    from storyloom.domain.escalations import plain
    from storyloom.tasks.decide import decisions

    from .here import ports_of

    found = decisions(ports_of(project))
    if as_json:
        typer.echo(json.dumps([d.model_dump(mode="json") for d in found], indent=2, ensure_ascii=False))
        return
    for d in found:
        said = f"{d.answer.answer} ({d.answer.source} {d.answer.confidence:.0%})" if d.answer else "open"
        typer.echo(f"{d.id}\n  {plain(d.question.question, 90)}\n  → {plain(said, 90)}")
    alone = sum(d.answer is not None and d.answer.source in ALONE for d in found)
    remembered = sum(d.answer is not None and d.answer.source == "fact" for d in found)
    if found:
        typer.echo(
            f"{len(found)} decisions, {alone} made alone ({alone / len(found):.0%}), "
            f"{remembered} of them remembered from people's answers"
        )
    else:
        typer.echo("Nothing was decided yet.")


@app.command()
def show(decision: str, project: Project = HERE, as_json: AsJson = False) -> None:
    """Show how one decision was made."""
    from storyloom.domain.escalations import plain

    from .here import ports_of

    d = _find(ports_of(project), decision)
    if as_json:
        typer.echo(d.model_dump_json(indent=2))
        return
    typer.echo(f"{plain(d.question.question)}\n  asked by {d.question.asked_by or '?'} on {d.at}")
    for step in d.steps:
        typer.echo(f"  · {plain(step, 600)}")
    if d.answer:
        typer.echo(f"  = {plain(d.answer.answer)} ({d.answer.source}, {d.answer.by}, {d.answer.confidence:.0%})")
        typer.echo(f"    {plain(d.answer.reasoning, 600)}")
    for before in d.replaced:
        typer.echo(f"  before: {plain(before.answer)} ({before.source}, {before.by})")


@app.command()
def reverse(
    decision: str,
    answer: Annotated[str, typer.Option("--answer", help="What holds from now on.")],
    project: Project = HERE,
    who: Annotated[str, typer.Option("--as", help="Who decides, as the project's settings name them.")] = "",
    notes: Annotated[str, typer.Option(help="Why, for the record.")] = "",
) -> None:
    """Let another answer hold: for work that is not merged when it runs again, and for the same question later."""
    from storyloom.domain.approvals import may_rule
    from storyloom.domain.decisions import learned
    from storyloom.domain.errors import InputError
    from storyloom.domain.escalations import Answer, refuse
    from storyloom.tasks.decide import reverse as put_back
    from storyloom.tasks.facts import keep_fact
    from storyloom.tasks.questions import now

    from .here import me, ports_of

    ports = ports_of(project)
    d, name = _find(ports, decision), me(ports, who)
    if not may_rule(name, ports.config.people):
        raise InputError(f"{name} may not reverse decisions.")
    if why := refuse(d.question, answer):
        raise InputError(why)
    given = Answer(answer=answer, source="person", by=name, notes=notes, reasoning="reversed")
    put_back(ports, d, given)
    if fact := learned(d.question, given, now()):
        keep_fact(ports, fact)
    typer.echo(f"From now on: {answer}. What is merged already stays as it is; plan a story to change it.")


def _find(ports: Ports, decision: str) -> Decision:
    from storyloom.domain.errors import InputError
    from storyloom.tasks.decide import decisions

    found = [d for d in decisions(ports) if d.id.startswith(decision)]
    if len(found) != 1:
        raise InputError(f"There are {len(found)} decisions {decision!r}.", remedy="See: storyloom decisions list")
    return found[0]
