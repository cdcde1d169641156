"""What can a person type?  One line per command; everything heavy is imported inside."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from .failures import leave, run_guarded

app = typer.Typer(
    name="storyloom",
    help="Runs the BMAD method on Prefect: from a brief to planned, developed, tested, reviewed and merged code.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

Repository = Annotated[Path, typer.Option("--project", "-C", help="The project's git repository.", show_default=".")]
Unsandboxed = Annotated[bool, typer.Option("--unsandboxed", help="Run generated code unprotected; recorded.")]
UNTIL = "The last phase to run: analysis, planning, solutioning, implementation, quality or deployment."
HERE = Path()


@app.command()
def init(
    project: Repository = HERE,
    name: Annotated[str, typer.Option(help="The project's name; the folder's name if not given.")] = "",
    model: Annotated[str, typer.Option(help="The model for everybody, as litellm names it.")] = "",
    test: Annotated[str, typer.Option(help="The command that runs the project's tests.")] = "",
) -> None:
    """Write .bmad/project-config.yaml for a git repository."""
    from .init import init_project

    init_project(project, name=name, model=model, test=test)


@app.command()
def deliver(
    project: Repository = HERE,
    brief: Annotated[Path | None, typer.Option(help="The idea, as a Markdown file.")] = None,
    until: Annotated[str, typer.Option(help=UNTIL)] = "deployment",
    plan: Annotated[
        bool, typer.Option("--plan", help="Show what would run, and what it would cost: probably, and at most.")
    ] = False,
    when_asked: Annotated[
        str,
        typer.Option(
            help="What to do with open questions: pause, recommendation or set_aside; empty: as the project says."
        ),
    ] = "",
    unsandboxed: Annotated[
        bool, typer.Option("--unsandboxed", help="Run generated code unprotected; recorded.")
    ] = False,
    lanes: Annotated[int, typer.Option(help="How many stories at a time; 0: as the project says.")] = 0,
    budget: Annotated[str, typer.Option(help="Cap in US dollars for this project.")] = "",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of the Prefect server that is started; 0: any free one.")
    ] = 0,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the Prefect server running.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
) -> None:
    """Turn a brief into merged and deployed code; run it again to go on where it stopped."""
    from .deliver import Wish, deliver_here

    settings: dict[str, str | int | float | bool] = {}
    if when_asked:
        settings["when_asked"] = when_asked
    if unsandboxed:
        settings["sandbox"] = "none"
    if lanes:
        settings["max_concurrent_agents"] = lanes
    if budget:
        settings["llm_budget_usd"] = budget
    wish = Wish(project=project, brief=brief, until=until, settings=settings, port=port, keep=keep, as_json=as_json)
    deliver_here(wish, plan_only=plan)


@app.command()
def demo(
    folder: Annotated[Path, typer.Option(help="Scratch folder for everything that the demo makes.")] = Path(".demo"),
    sample: Annotated[Path | None, typer.Option(help="The sample's folder; the clone's own if not given.")] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the Prefect server running.")] = False,
    ask: Annotated[bool, typer.Option("--ask", help="Pause at the open question, answer in the UI.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Start over even if an unfinished run is there.")] = False,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of the Prefect server; 0: any free one.")] = 0,
    until: Annotated[str, typer.Option(help=UNTIL)] = "deployment",
    unsandboxed: Annotated[
        bool, typer.Option("--unsandboxed", help="Run generated code unprotected; recorded.")
    ] = False,
) -> None:
    """Run the whole road on the sample project, offline, with recorded model answers."""
    from .demo import run_demo

    run_demo(folder, sample=sample, keep=keep, ask=ask, fresh=fresh, port=port, until=until, unsandboxed=unsandboxed)


@app.command()
def doctor(
    project: Repository = HERE,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Check Python, git, the sandbox, Prefect, keys and disk, each with a remedy."""
    from .doctor import examine

    raise typer.Exit(examine(project, as_json=as_json))


@app.command()
def serve(
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of the Prefect server that is started if none is set.")
    ] = 4200,
    limit: Annotated[int, typer.Option(help="How many runs at a time.")] = 4,
) -> None:
    """Serve all flows, so that they can be started from the Prefect UI."""
    from .serve import serve_all

    serve_all(port=port, limit=limit)


@app.command()
def clean(folder: Annotated[Path, typer.Option(help="The demo's scratch folder.")] = Path(".demo")) -> None:
    """End a Prefect server that the demo left running."""
    from .clean import clean_up

    clean_up(folder)


@app.command()
def status(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Show what needs you, over all projects: questions, failures, budgets; exit code 3 if anything does."""
    from .status import show_status

    raise typer.Exit(show_status(as_json=as_json))


@app.command()
def version() -> None:
    """Print the version."""
    from importlib.metadata import version as installed

    typer.echo(installed("storyloom"))


def _add_groups() -> None:
    from .groups import GROUPS

    for name, group in GROUPS.items():
        app.add_typer(group, name=name)


def main() -> None:
    """Entry point: run the command and leave with its exit code (0, 1 a bug, 2 bad input, 130 Ctrl-C)."""
    _add_groups()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal of another encoding must not end a run
    leave(run_guarded(app, os.environ))
