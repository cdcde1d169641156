"""What do the numbers say?  Named reports, charts and free queries on the warehouse."""

from __future__ import annotations

import json
import sys
import textwrap
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

if TYPE_CHECKING:
    import pandas as pd


class _Reports(TyperGroup):
    """Takes any word that is no command for a report's name: `report latency` is `report show latency`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            args = ["show", *args]
        return super().resolve_command(ctx, args)


app = typer.Typer(
    cls=_Reports,
    help="Reports on cost, quality and speed from the warehouse: storyloom report NAME.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Project = Annotated[
    str, typer.Option("--project", "-C", help="A project's name, or its repository (budget known too).")
]
Run = Annotated[str, typer.Option(help="Only this run's id.")]
Since = Annotated[str, typer.Option(help="Only from this time on, UTC, as 2026-05-31 or 2026-05-31T12:00.")]
Until = Annotated[str, typer.Option(help="Only before this time, UTC.")]
Json = Annotated[bool, typer.Option("--json", help="Print the rows as JSON.")]
Csv = Annotated[bool, typer.Option("--csv", help="Print the rows as CSV.")]


@app.command("list")
def list_reports(as_json: Json = False) -> None:
    """Say which reports there are, what they answer, and what they take."""
    from ..analytics.report import reports

    found = reports().values()
    if as_json:
        shown = [{"name": r.name, "title": r.title, "answers": r.answers, "parameters": r.parameters} for r in found]
        typer.echo(json.dumps(shown, indent=2))
        return
    for one in found:
        text = f"{one.answers} Takes {', '.join(one.parameters)}."
        typer.echo(f"{one.name.replace('_', '-')}\n{textwrap.indent(textwrap.fill(text, 90), '    ')}")


@app.command("sql")
def free_query(
    query: Annotated[str, typer.Argument(help='For instance "SELECT * FROM fact_call LIMIT 5".')],
    as_json: Json = False,
    as_csv: Csv = False,
) -> None:
    """Run a query of your own on the warehouse, read only."""
    from ..analytics.report import run_sql

    _print_rows(run_sql(query, _fresh_warehouse()), as_json=as_json, as_csv=as_csv)


@app.command()
def bill(
    project: Project = "",
    run: Run = "",
    since: Since = "",
    until: Until = "",
    as_json: Json = False,
    as_csv: Csv = False,
) -> None:
    """Print the bill by phase and agent and by story, and how far off the estimate was."""
    from ..analytics.bill import markdown, read_bill

    bounds = _bounds(project, run, since, until)
    bounds.pop("budget_usd", None)
    found = read_bill(_warehouse_with(bounds), **bounds)
    if as_json or as_csv:
        _print_rows(found.frame(), as_json=as_json, as_csv=as_csv)
        return
    from .console import print_markdown

    print_markdown(markdown(found))


@app.command(hidden=True)
def show(
    name: Annotated[str, typer.Argument(help="A report's name.")],
    project: Project = "",
    run: Run = "",
    since: Since = "",
    until: Until = "",
    param: Annotated[list[str] | None, typer.Option(help="A report's own parameter, as NAME=VALUE.")] = None,
    as_json: Json = False,
    as_csv: Csv = False,
    chart: Annotated[Path | None, typer.Option(help="Draw the report into this .png, .svg or .pdf file.")] = None,
) -> None:
    """Print a report, and draw it."""
    from ..analytics.report import report, run_report

    wanted = report(name)  # a misspelt name is told before anything is read
    bounds = {key: value for key, value in _bounds(project, run, since, until).items() if key in wanted.parameters}
    rows = run_report(wanted.name, _warehouse_with(bounds), {**bounds, **_own(param or [])})
    if chart is not None:
        from ..analytics.charts import draw

        typer.echo(f"drawn: {draw(wanted.name, rows, chart)}", err=True)
    if not (as_json or as_csv):
        typer.echo(wanted.title)
    _print_rows(rows, as_json=as_json, as_csv=as_csv)


def _bounds(project: str, run: str, since: str, until: str) -> dict[str, Any]:
    from ..domain.errors import InputError

    times: dict[str, Any] = {}
    for name, text in (("since", since), ("until", until)):
        if text:
            try:
                times[name] = datetime.fromisoformat(text)
            except ValueError as error:
                raise InputError(f"--{name}: {text!r} is no time.", remedy="Write it as 2026-05-31.") from error
    chosen = {"project": project, "run": run}
    if project and Path(project).is_dir():
        from ..blocks.project_config import read_project_config

        config = read_project_config(Path(project))
        chosen["project"] = config.project.name or Path(project).resolve().name
        times["budget_usd"] = str(config.settings.llm_budget_usd)
    return {key: value for key, value in {**chosen, **times}.items() if value}


def _own(given: list[str]) -> dict[str, str]:
    from ..domain.errors import InputError

    pairs = [text.partition("=") for text in given]
    wrong = next((name for name, sign, _ in pairs if not sign), None)
    if wrong is not None:
        raise InputError(f"--param {wrong} has no value.", remedy="Write it as NAME=VALUE.")
    return {name.strip().replace("-", "_"): value for name, _, value in pairs}


def _fresh_warehouse() -> Path:
    """The warehouse, with all that is in the spool by now."""
    from ..analytics.ingest import ingest
    from ..deployments.environment import read_environment, spool_folder, warehouse_path

    home = read_environment().home
    done = ingest(spool_folder(home), warehouse_path(home))
    if done.bad_lines:
        typer.echo(f"{done.bad_lines} lines of the spool could not be read and are left out", err=True)
    return warehouse_path(home)


def _warehouse_with(bounds: dict[str, Any]) -> Path:
    """The warehouse, in which there is something of the project and the run that were named."""
    from ..analytics.report import require_known

    warehouse = _fresh_warehouse()
    require_known(warehouse, project=bounds.get("project"), run=bounds.get("run"))
    return warehouse


def _print_rows(rows: pd.DataFrame, *, as_json: bool, as_csv: bool) -> None:
    if as_csv:
        rows.to_csv(sys.stdout, index=False)
        return
    records = [{name: _plain(value) for name, value in row.items()} for row in rows.to_dict("records")]
    if as_json:
        typer.echo(json.dumps(records, indent=2, ensure_ascii=False, default=_exact))
        return
    if not records:
        typer.echo("(no rows)")
        return
    from .console import print_table

    numbers = {
        str(name)
        for name in rows.columns
        if all(isinstance(row[name], int | float | Decimal | None) for row in records)
    }
    cells = [["–" if value is None else _shown(value) for value in row.values()] for row in records]
    print_table([str(name) for name in rows.columns], cells, right=numbers, ruled=True)


def _plain(value: Any) -> Any:
    """A cell without pandas' ways to say that there is nothing; money as an exact text."""
    if value is None or value != value:  # NaN and NaT
        return None
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return int(value)
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    return value


def _exact(value: Any) -> str:
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def _shown(value: Any) -> str:
    return f"{value.normalize():f}" if isinstance(value, Decimal) else str(value)
