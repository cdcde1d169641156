"""How does a person run a workflow of the method, or see what running it would do, from the command line?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..domain.ports import ProjectRef
    from ..domain.run_state import Outcome
    from ..domain.workflow_plan import Plan
    from ..tasks.ports import Factory

Name = Annotated[str, typer.Argument(help="A workflow's name, id or folder.")]
In = Annotated[Path | None, typer.Option("--in", help="A folder of workflows, instead of the project's own and ours.")]
Inputs = Annotated[
    list[str] | None, typer.Option("--input", "-i", help="NAME=VALUE: answers the question of that name; repeatable.")
]
Repository = Annotated[Path, typer.Option("--project", "-C", help="The project's git repository.", show_default=".")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
HERE = Path()
EXIT = {"complete": 0, "partial": 3, "blocked": 2}


def run(
    name: Name,
    project: Repository = HERE,
    folder: In = None,
    inputs: Inputs = None,
    questions: Annotated[
        str, typer.Option(help="Who answers: simulate, unsure or person; without it, as the project says.")
    ] = "",
    fresh: Annotated[bool, typer.Option("--fresh", help="Begin anew instead of going on or finding it done.")] = False,
    port: Annotated[int, typer.Option(help="Port of the Prefect server that is started; 0: any free one.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Run a workflow to its end, unattended; run it again to go on where it stopped."""
    given = pairs(inputs or [])
    if questions not in {"", "simulate", "unsure", "person"}:
        raise typer.BadParameter("--questions is simulate, unsure or person")
    outcome = _run(project, name, given, folder, questions, fresh=fresh, port=port)
    if as_json:
        typer.echo(outcome.model_dump_json(indent=2))
    else:
        typer.echo(describe(outcome))
    if outcome.status != "complete":
        raise typer.Exit(3 if outcome.question or outcome.interrupted else EXIT[outcome.status])


def plan(
    name: Name,
    folder: In = None,
    inputs: Inputs = None,
    conditions: Annotated[bool, typer.Option("--conditions", help="List every condition and who decides it.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show what a run would do: the sequence, who decides each condition, and the model calls at most."""
    from dataclasses import asdict

    from ..domain.ports import ProjectRef
    from ..domain.workflow_plan import plan_workflow
    from ..tasks.library import open_workflow
    from ..tasks.ports import Ports
    from .workflow import _library

    ports = Ports(ProjectRef(repository=str(Path.cwd())), texts=_library(folder))
    planned = plan_workflow(open_workflow(ports, name).program, pairs(inputs or []))
    if as_json:
        typer.echo(json.dumps(asdict(planned), ensure_ascii=False, indent=2))
        return
    typer.echo("\n".join(_lines(planned, conditions=conditions)))


def pairs(texts: list[str]) -> dict[str, str]:
    """The inputs that were given as NAME=VALUE.

    Raises:
        InputError: one has no name or no equals sign.
    """
    from ..domain.errors import InputError

    given = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign or not name.strip():
            raise InputError(f"--input {text!r} is not NAME=VALUE.", remedy="For example: --input story_path=docs/1.md")
        given[name.strip()] = value
    return given


def describe(outcome: Outcome) -> str:
    """An outcome as a person reads it."""
    judged = sum(decision.by == "model" for decision in outcome.decisions)
    lines = [f"{outcome.workflow}: {outcome.status}" + (f" ({outcome.reason})" if outcome.reason else "")]
    lines += [f"  wrote {path}" for path in outcome.artefacts]
    lines.append(
        f"  {len(outcome.steps_done)} steps, {outcome.model_calls} model calls, {len(outcome.decisions)} conditions "
        f"({len(outcome.decisions) - judged} decided by code)"
    )
    lines += [
        f"  assumed: {' → '.join(part for part in (_cut(a.question), _cut(a.answer)) if part)}"
        for a in outcome.assumptions
    ]
    lines += [f"  open: {_cut(question)}" for question in outcome.open_questions]
    passed = sum(verdict == "PASS" for verdict in outcome.checks.values())
    lines += [f"  checklist: {passed} of {len(outcome.checks)} passed"] if outcome.checks else []
    lines += [
        f"  {verdict}: {_cut(item)}" for item, verdict in outcome.checks.items() if verdict in {"FAIL", "PARTIAL"}
    ]
    return "\n".join(lines)


def _run(
    project: Path, name: str, inputs: Mapping[str, str], folder: Path | None, questions: str, *, fresh: bool, port: int
) -> Outcome:
    from ..blocks.project_config import read_project_config
    from ..deployments.environment import read_environment
    from ..deployments.server import drain
    from ..domain.ports import ProjectRef
    from .deliver import running_server
    from .doctor import keys
    from .init import repository_root

    root = repository_root(project)
    ref = ProjectRef(repository=str(root))
    environment = read_environment()
    _require_keys([f for f in keys(read_project_config(root), environment) if f.needed and not f.ok])
    with running_server(environment, port, keep=False):
        from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

        from ..flows.run_workflow import run_workflow
        from ..tasks.ports import use
        from ..tasks.workflow_machine import RunOptions

        options = RunOptions.model_validate({"asking": questions})
        with use(_factory(folder)), temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
            try:
                outcome: Outcome = run_workflow(ref, name, dict(inputs), options, fresh=fresh, commit=True)
            finally:
                drain()  # a server of our own ends soon: what is still queued would find nobody
    return outcome


def _factory(folder: Path | None) -> Factory:
    """The installed composition, its workflows those of a folder if one is given."""
    from dataclasses import replace

    from ..deployments.composition import compose
    from ..tasks.ports import Ports

    if folder is None:
        return compose
    from .workflow import _library

    library = _library(folder)

    def composed(project: ProjectRef) -> Ports:
        return replace(compose(project), texts=library)

    return composed


def _require_keys(missing: list[object]) -> None:
    from ..domain.errors import InputError

    if missing:
        details = "; ".join(str(getattr(one, "detail", one)) for one in missing)
        raise InputError(f"{details}.", remedy=f"Set it: {getattr(missing[0], 'remedy', '')}.")


def _lines(planned: Plan, *, conditions: bool) -> list[str]:
    lines = [f"{planned.workflow} ({planned.kind})", ""]
    for step in planned.steps:
        marks = ["optional"] if step.optional else []
        marks += [f"repeat {step.repeat}"] if step.repeat else []
        lines.append(
            f"  {step.number or '-':>6}  {step.title or '(no title)'}" + (f"  [{', '.join(marks)}]" if marks else "")
        )
        parts = [
            _count(len(step.sections), "section"),
            _count(len(step.questions), "question"),
            _count(step.actions, "action"),
            _count(len(step.conditions), "condition"),
            _count(len(step.calls_workflows), "called workflow"),
        ]
        what = ", ".join(part for part in parts if part) or "nothing to ask"
        lines.append(f"          {what}; calls at most {step.most_calls}")
        if conditions:
            lines += [
                f"          {'code ' if c.by_code else 'model'}  {c.kind:<10}  {_cut(c.text)}" for c in step.conditions
            ]
    count = planned.condition_count
    share = f", {100 * planned.by_code // count} %" if count else ""
    lines += ["", f"{count} conditions, {planned.by_code} decided by code{share}"]
    lines.append(f"model calls at most {planned.most_calls}, each step taken once")
    return lines


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' if number != 1 else ''}" if number else ""


def _cut(text: str, most: int = 100) -> str:
    text = " ".join(text.split())
    return text if len(text) <= most else text[: most - 1] + "…"
