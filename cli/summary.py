"""What was built, what did it cost, and what can be done with it now?"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from storyloom.deployments.environment import project_folder

from .console import console as make_console
from .console import print_markdown, print_plain, print_table

if TYPE_CHECKING:
    from storyloom.domain.delivery import Delivery

    from .deliver import Job

WORDS = {
    "done": "[green]done[/]",
    "already_done": "there already",
    "waiting": "[magenta]waiting[/]",
    "failed": "[red]failed[/]",
}


def show_delivery(job: Job, delivery: Delivery, url: str, *, kept: bool = True, console: Console | None = None) -> None:
    """Print the end of a delivery: phases, board, bill, where things are, and what to do next."""
    from storyloom.tasks.ports import ports_for

    console = console or make_console()
    console.print()
    if delivery.status == "already_done":
        console.print("[bold]Nothing to do:[/] every phase was done before. No model was called.")
    _show_phases(delivery, console)
    outcomes = next((r.stories for r in delivery.phases if r.stories), ())
    if outcomes:
        console.print("Stories", style="italic")
        columns = ("story", "end", "turns", "attempts", "commit", "reason")
        rows = [(o.story, o.status, str(o.turns), str(o.attempts), o.commit[:10], o.reason) for o in outcomes]
        print_table(columns, rows, on=console)
    ports = ports_for(job.project)
    bill = ports.bill()
    if bill:
        print_markdown(bill, on=console)
    repository = job.project.repository
    console.print(f"Repository   {repository}", soft_wrap=True, markup=False)
    console.print(f"Main line    {job.config.settings.integration_branch} at {delivery.tip[:12]}", soft_wrap=True)
    if delivery.published:
        console.print(f"Your branch  {delivery.published}", soft_wrap=True)
    if ports.deploy is not None and ports.deploy.current():
        live = project_folder(job.environment.home, repository) / "releases" / "current"
        console.print(f"Live         {live} (release {ports.deploy.current()})", soft_wrap=True)
        if job.config.commands.start:
            console.print(
                f"Start it     cd {shlex.quote(str(live))} && {job.config.commands.start}", soft_wrap=True, markup=False
            )
    console.print(f"State        {project_folder(job.environment.home, repository)}", soft_wrap=True, markup=False)
    ui = url.removesuffix("/api")
    note = "" if kept else "  (ends with this command; KEEP=1 or --keep leaves it up)"
    console.print(f"Prefect UI   {ui}/runs  ·  {ui}/artifacts{note}", soft_wrap=True)


def _show_phases(delivery: Delivery, console: Console) -> None:
    table = Table(box=None, padding=(0, 2), show_header=False)
    console.print("Phases", style="italic")
    for report in delivery.phases:
        what = ", ".join(report.did) or ", ".join(report.found)
        told = what + (f"\n{report.reason}" if report.reason else "")
        table.add_row(report.phase.value, WORDS[report.status], escape(told))
    if console.is_terminal:
        console.print(table)
        return
    with console.capture() as shown:
        console.print(table)
    print_plain(shown.get(), on=console)
