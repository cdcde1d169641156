"""How does a person list, look at and check the workflows of a folder, from the command line?"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from . import workflow_run

if TYPE_CHECKING:
    from ..blocks.workflow_library import WorkflowLibrary
    from ..domain.workflow_catalog import FoundWorkflow
    from ..domain.workflow_tree import Note, Step, Workflow

app = typer.Typer(help="List, look at, check and run workflows of the method in any folder.", no_args_is_help=True)
app.command()(workflow_run.run)
app.command()(workflow_run.plan)

Folder = Annotated[
    Path | None,
    typer.Argument(help="An installed project, or a folder of workflows; without one: this project's, or our own."),
]
In = Annotated[Path | None, typer.Option("--in", help="The folder that holds the workflow, as for `list`.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
LIMIT = 60


@app.command("list")
def list_workflows(
    folder: Folder = None,
    tasks: Annotated[bool, typer.Option("--tasks", help="Show tasks, too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show the workflows of a folder: id, shape, steps, who offers it, and what it is for."""
    library = _library(folder)
    rows = []
    for found in library.found:
        if found.role == "task" and not tasks:
            continue
        workflow, problem = _read(library, found)
        rows.append(
            {
                "id": found.id,
                "kind": workflow.kind if workflow else "broken",
                "steps": len(workflow.steps) if workflow else 0,
                "persona": workflow.persona if workflow else "",
                "path": found.path,
                "description": workflow.description if workflow else problem,
                "errors": len(_errors(workflow.notes)) if workflow else 1,
            }
        )
    if as_json:
        typer.echo(json.dumps(rows, ensure_ascii=False, indent=2))
        return
    if not rows:
        typer.echo(f"There are no workflows in {library.root}.")
        return
    width = max(len(str(row["id"])) for row in rows)
    for row in rows:
        mark = "!" if row["errors"] else " "
        text = _cut(str(row["description"]))
        typer.echo(
            f"{mark} {row['id']:<{width}}  {row['kind']:<6} {row['steps']:>3}  {row['persona']:<12}  {text}".rstrip()
        )
    typer.echo(f"{len(rows)} workflows in {library.root}")


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="A workflow's id, name, path or folder.")],
    folder: In = None,
    as_json: AsJson = False,
) -> None:
    """Show one workflow: its steps in the order in which they run, its files, and what was odd about it."""
    library = _library(folder)
    found = library.find(name)
    workflow = library.workflow(found)
    if as_json:
        typer.echo(json.dumps(_as_json(found, workflow), ensure_ascii=False, indent=2, default=str))
        return
    typer.echo(f"{found.id}  ({workflow.kind}, {found.path})")
    for label, value in (("", workflow.description), ("offered by", workflow.persona)):
        if value:
            typer.echo(f"  {label + ': ' if label else ''}{value}")
    pages = [name for name, text in (("template", workflow.template), ("checklist", workflow.checklist)) if text]
    if pages or workflow.input_patterns:
        inputs = [f"inputs {', '.join(workflow.input_patterns)}"] if workflow.input_patterns else []
        typer.echo(f"  has: {', '.join([*pages, *inputs])}")
    typer.echo("")
    for step in workflow.steps:
        typer.echo(f"  {step.number or '-':>6}  {step.title or '(no title)'}{_conditions(step)}")
    for note in workflow.notes:
        typer.echo(f"{note.path}:{note.line}: {note.severity}: {note.message}", err=True)


@app.command()
def validate(
    name: Annotated[str, typer.Argument(help="One workflow; without it, all workflows and agents.")] = "",
    folder: In = None,
    as_json: AsJson = False,
) -> None:
    """Check workflows and agents; every problem with file and line. Errors end with exit code 2."""
    from ..domain.errors import InputError

    library = _library(folder)
    chosen = [library.find(name)] if name else list(library.found)
    notes = _problems(library, chosen, everything=not name)
    errors = _errors(notes)
    if as_json:
        found = [{"path": n.path, "line": n.line, "severity": n.severity, "message": n.message} for n in notes]
        typer.echo(
            json.dumps({"workflows": len(chosen), "errors": len(errors), "notes": found}, ensure_ascii=False, indent=2)
        )
    else:
        for note in notes:
            typer.echo(f"{note.path}:{note.line}: {note.severity}: {note.message}")
        agents = "" if name else f" and {len(library.agents)} agents"
        typer.echo(f"{len(chosen)} workflows{agents}: {len(errors)} errors, {len(notes) - len(errors)} warnings")
    if errors:
        raise InputError(
            f"{len(errors)} {'error' if len(errors) == 1 else 'errors'} in {library.root}: "
            f"the first at {errors[0].path}:{errors[0].line}.",
            remedy="Correct them and run `storyloom workflow validate` again.",
        )


def _library(folder: Path | None) -> WorkflowLibrary:
    """The library of a folder; without one, that of the project here, or else the method that ships with Storyloom."""
    from ..blocks.workflow_library import WorkflowLibrary

    if folder is not None:
        return WorkflowLibrary.open(folder)
    if WorkflowLibrary.is_installed(Path()):
        here = WorkflowLibrary.open(Path())
        if here.found:
            return here
    from importlib import resources

    return WorkflowLibrary.open(Path(str(resources.files("storyloom.method"))))


def _read(library: WorkflowLibrary, found: FoundWorkflow) -> tuple[Workflow | None, str]:
    from ..domain.errors import DocumentError

    try:
        return library.workflow(found), ""
    except DocumentError as error:
        return None, str(error)


def _problems(library: WorkflowLibrary, chosen: list[FoundWorkflow], *, everything: bool) -> list[Note]:
    from ..domain.agent_reader import agent_problems
    from ..domain.errors import DocumentError
    from ..domain.invocations import invocation_cycles
    from ..domain.workflow_tree import Note

    notes: list[Note] = []
    read: dict[str, Workflow] = {}
    for found in library.found if not everything else chosen:
        try:
            read[found.path] = library.workflow(found)
        except DocumentError as error:
            if found in chosen:
                lead = f"{error.path}:{error.line}: "
                notes.append(Note(error.path or found.path, error.line or 1, error.message.removeprefix(lead), "error"))
    paths = {found.path for found in chosen}
    notes += [note for found in chosen if found.path in read for note in read[found.path].notes]
    notes += [note for note in invocation_cycles(read, library.references) if note.path in paths]
    if everything:
        yamls = [path for path in library.agent_paths if path.endswith((".yaml", ".yml"))]
        strict = [note for path in yamls for note in agent_problems(path, library.files[path])]
        notes += strict + [note for note in library.agent_notes if note.path not in yamls] + list(library.skipped)
    return sorted(dict.fromkeys(notes), key=lambda note: (note.path, note.line))


def _errors(notes: list[Note] | tuple[Note, ...]) -> list[Note]:
    return [note for note in notes if note.severity == "error"]


def _conditions(step: Step) -> str:
    parts = [f"if {step.condition}" if step.condition else "", "optional" if step.optional else ""]
    parts += [
        f"repeat {step.repeat}" if step.repeat else "",
        f"→ {Path(step.next_file).name}" if step.next_file else "",
    ]
    parts += ["menu " + "/".join(option.key for option in step.menu) if step.menu else ""]
    told = ", ".join(part for part in parts if part)
    return f"  [{told}]" if told else ""


def _as_json(found: FoundWorkflow, workflow: Workflow) -> Mapping[str, object]:
    return {
        "id": found.id,
        "module": found.module,
        "role": found.role,
        "name": workflow.name,
        "description": workflow.description,
        "kind": workflow.kind,
        "path": workflow.path,
        "persona": workflow.persona,
        "template": bool(workflow.template),
        "checklist": bool(workflow.checklist),
        "input_patterns": workflow.input_patterns,
        "variables": workflow.variables,
        "critical": workflow.critical,
        "steps": [
            {
                "number": step.number,
                "title": step.title,
                "line": step.line,
                "file": step.file,
                "condition": step.condition,
                "optional": step.optional,
                "repeat": step.repeat,
                "anchors": step.anchors,
                "next_file": step.next_file,
                "menu": [{"key": o.key, "label": o.label, "target": o.target} for o in step.menu],
            }
            for step in workflow.steps
        ],
        "notes": [
            {"path": n.path, "line": n.line, "severity": n.severity, "message": n.message} for n in workflow.notes
        ],
    }


def _cut(text: str) -> str:
    return text if len(text) <= LIMIT else text[: LIMIT - 1].rstrip() + "…"
