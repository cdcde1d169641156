"""How are channels set up through which people hear of questions, and do they work?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Set up and try out how people hear of questions.", no_args_is_help=True)

Project = Annotated[Path, typer.Option("--project", "-C", help="The project's git repository.", show_default=".")]
HERE = Path()


@app.command()
def setup(
    channel: Annotated[str, typer.Argument(help="The channel's name, as `notify:` in the project file uses it.")],
    address: Annotated[
        str, typer.Option(prompt=True, hide_input=True, help="Its address: an apprise URL, or https://… of a webhook.")
    ],
) -> None:
    """Keep a channel's address as a Prefect Secret block, and let Prefect tell it of runs that fail or crash."""
    from storyloom.deployments.notices import set_up
    from storyloom.domain.errors import InputError

    from .here import find_api

    if not find_api():
        raise InputError("No Prefect server is known.", remedy="Start one (`storyloom serve`), or set PREFECT_API_URL.")
    for line in set_up(channel, address):
        typer.echo(line)


@app.command("test")
def try_out(channel: str, project: Project = HERE) -> None:
    """Send a message through a channel now."""
    from storyloom.domain.errors import InputError

    from .here import find_api, ports_of

    find_api()
    ports = ports_of(project)
    name = ports.config.project.name
    assert ports.notifier is not None
    if trouble := ports.notifier.send(channel, "Storyloom can reach you", f"A test for {name}.", "normal"):
        raise InputError(trouble)
    typer.echo(f"{channel} took the message.")
