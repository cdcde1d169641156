"""What has the project learned from its people, and what of it no longer holds?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="See and remove what was learned from people's answers.", no_args_is_help=True)

Project = Annotated[Path, typer.Option("--project", "-C", help="The project's git repository.", show_default=".")]
HERE = Path()


@app.command("list")
def list_(
    project: Project = HERE, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False
) -> None:
    """Show the facts that answer questions without asking again."""
    from storyloom.domain.escalations import plain
    from storyloom.tasks.facts import facts

    from .here import ports_of

    found = facts(ports_of(project))
    if as_json:
        typer.echo(json.dumps([f.model_dump() for f in found], indent=2, ensure_ascii=False))
        return
    for fact in found:
        typer.echo(f"{fact.id}  ({fact.by}, {fact.at[:10]})\n  {plain(fact.question, 100)} → {plain(fact.answer, 100)}")
    if not found:
        typer.echo("Nothing was learned yet.")


@app.command()
def remove(fact: str, project: Project = HERE) -> None:
    """Let a fact hold no longer; the question is asked again when it comes up."""
    from storyloom.domain.errors import InputError
    from storyloom.tasks.facts import remove_fact

    from .here import ports_of

    if not remove_fact(ports_of(project), fact):
        raise InputError(f"There is no fact {fact!r}.", remedy="See: storyloom facts list")
    typer.echo("Removed. What was decided by it stays decided.")
