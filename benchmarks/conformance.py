"""How much of what upstream ships do we read: files, characters, references, workflows, tags?

    python benchmarks/conformance.py UNPACKED_PACKAGE [UNPACKED_PACKAGE ...]
    python benchmarks/conformance.py --json --problems PACKAGE

No model is asked; with `--run` a script stands in for one, and documents live in memory. Upstream's own broken test
files are counted apart: they must be refused.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from storyloom.blocks.workflow_library import WorkflowLibrary
from storyloom.domain import frontmatter
from storyloom.domain.agent_reader import agent_problems
from storyloom.domain.customization import load_toml
from storyloom.domain.errors import DocumentError, InputError
from storyloom.domain.instruction_scanner import leaf_spans, scan
from storyloom.domain.safe_yaml import load_yaml
from storyloom.domain.static_references import static_references
from storyloom.domain.workflow_tree import Workflow
from unattended import Ended, plans, run_package


@dataclass
class Figures:
    """What one package gave. Counts are files, characters and tags."""

    name: str
    files: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    characters: int = 0
    assigned: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    steps: int = 0
    errors: int = 0
    warnings: int = 0
    tags: Counter[str] = field(default_factory=Counter)
    references: int = 0
    resolved: int = 0
    agents: int = 0
    fixtures: int = 0
    fixtures_judged: int = 0
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)
    conditions: dict[str, int] = field(default_factory=dict)
    ended: dict[str, Ended] = field(default_factory=dict)


def measure(folder: Path, *, run: bool = False) -> Figures:
    """Read everything below a folder, and with `run` run every workflow with a scripted model."""
    began = time.perf_counter()
    library = WorkflowLibrary.open(folder)
    figures = Figures(folder.parent.name if folder.name == "package" else folder.name)
    read_files(library, figures)
    workflows = read_workflows(library, figures)
    count_references(library, workflows, figures)
    count_offers(library, figures)
    figures.agents = len(library.agents)
    figures.problems += [f"{n.path}:{n.line}: {n.message}" for n in library.agent_notes]
    figures.conditions = count_conditions(library)
    if run:
        for manner in ("no", "yes", "mixed"):
            figures.ended[manner] = run_package(library, manner)
    figures.seconds = time.perf_counter() - began
    return figures


def read_files(library: WorkflowLibrary, figures: Figures) -> None:
    """Read every text by its format, and give every character of the instruction texts a home."""
    for path, text in library.files.items():
        if "/fixtures/" in path:
            if path.endswith(".agent.yaml"):
                figures.fixtures += 1
                figures.fixtures_judged += bool(agent_problems(path, text)) == ("/invalid/" in path)
            continue
        form = "agent" if path.endswith(".agent.yaml") else Path(path).suffix.lstrip(".").lower()
        try:
            if form == "agent":
                problems = agent_problems(path, text)
                if problems:
                    raise DocumentError(problems[0].message, path=path, line=problems[0].line)
            elif form in ("yaml", "yml"):
                load_yaml(text, path)
            elif form == "toml":
                load_toml(text, path)
            elif form in ("md", "xml"):
                if form == "md":
                    frontmatter.split(text, path)
            else:
                continue
            figures.files[form] += 1
        except DocumentError as error:
            figures.files[form] += 1
            figures.refused[form] += 1
            figures.problems.append(str(error))
        if form in ("md", "xml"):
            root, _ = scan(text, path)
            figures.characters += len(text)
            at = 0
            for start, end in leaf_spans(root):
                figures.assigned += end - start if start == at else 0
                at = end


def read_workflows(library: WorkflowLibrary, figures: Figures) -> dict[str, Workflow]:
    """Read every workflow, and count steps, tags and notes."""
    workflows: dict[str, Workflow] = {}
    for found in library.found:
        try:
            workflow = workflows[found.path] = library.workflow(found)
        except DocumentError as error:
            figures.kinds["broken"] += 1
            figures.problems.append(str(error))
            continue
        figures.kinds[workflow.kind] += 1
        figures.steps += len(workflow.steps)
        for note in workflow.notes:
            if note.severity == "error":
                figures.errors += 1
                figures.problems.append(f"{note.path}:{note.line}: {note.message}")
            else:
                figures.warnings += 1
        for step in workflow.steps:
            figures.tags.update(node.kind for node in step.node.walk() if node.kind not in ("text", "comment", "root"))
    return workflows


def count_references(library: WorkflowLibrary, workflows: dict[str, Workflow], figures: Figures) -> None:
    """Look up every file that a workflow names outright."""
    for workflow in workflows.values():
        for reference in static_references(workflow, library.references):
            figures.references += 1
            figures.resolved += bool(reference.found)
            if not reference.found:
                figures.problems.append(f"{reference.where}: {reference.written} does not exist")


def count_offers(library: WorkflowLibrary, figures: Figures) -> None:
    """Look up every workflow and file that an agent's menu names outright."""
    for agent in library.agents:
        for item in agent.menu:
            outright = item.kind in ("workflow", "exec", "skill") and item.target != "todo"
            if not outright or "{" in item.target.replace("{project-root}", "").replace("{project_root}", ""):
                continue
            try:
                found = library.references.find_workflow(item.target, agent.path.rpartition("/")[0])
            except InputError:
                found = None
            figures.references += 1
            figures.resolved += bool(found)
            if not found:
                figures.problems.append(f"{agent.path}: {item.trigger}: {item.target} does not exist")


def count_conditions(library: WorkflowLibrary) -> dict[str, int]:
    """How many conditions there are, by kind, and how many of them code decides."""
    made = plans(library)
    kinds = sum((Counter(plan.conditions) for plan in made), Counter[str]())
    return {"all": kinds.total(), "by code": sum(plan.by_code for plan in made), **kinds}


def table(all_figures: list[Figures]) -> str:
    """The figures as a Markdown table, a column for each package."""
    rows: list[tuple[str, list[str]]] = []

    def row(title: str, cells: list[str]) -> None:
        rows.append((title, cells))

    for form, title in (
        ("yaml", "YAML files"),
        ("toml", "TOML files"),
        ("md", "Markdown"),
        ("xml", "XML"),
        ("agent", "agents"),
    ):
        row(f"{title} read / all", [f"{f.files[form] - f.refused[form]} / {f.files[form]}" for f in all_figures])
    row("upstream's agent test files judged alike", [f"{f.fixtures_judged} / {f.fixtures}" for f in all_figures])
    row("characters assigned", [share(f.assigned, f.characters) for f in all_figures])
    row("references resolved", [f"{f.resolved} / {f.references}" for f in all_figures])
    row("workflows read", [str(sum(f.kinds.values()) - f.kinds["broken"]) for f in all_figures])
    for kind in ("xml", "prose", "steps", "skill", "broken"):
        row(f"… {kind}", [str(f.kinds[kind]) for f in all_figures])
    row("steps", [str(f.steps) for f in all_figures])
    row("personas", [str(f.agents) for f in all_figures])
    row("errors / warnings", [f"{f.errors} / {f.warnings}" for f in all_figures])
    row("conditions", [str(f.conditions["all"]) for f in all_figures])
    row("… decided by code", [share(f.conditions["by code"], f.conditions["all"]) for f in all_figures])
    for kind in ("expression", "existence", "answer", "else", "flag", "prose"):
        row(f"… {kind}", [str(f.conditions.get(kind, 0)) for f in all_figures])
    for manner in ("no", "yes", "mixed"):
        if any(f.ended for f in all_figures):
            cells = [f.ended[manner] for f in all_figures]
            row(
                f"run with answers {manner!r}: complete / partial / blocked / refused",
                [" / ".join(str(e.by_status[s]) for s in ("complete", "partial", "blocked", "refused")) for e in cells],
            )
            row("… steps executed, model calls", [f"{e.steps}, {e.calls}" for e in cells])
    tags = Counter[str]()
    for figures in all_figures:
        tags += figures.tags
    for tag, _ in tags.most_common():
        row(f"<{tag}>", [str(f.tags[tag]) for f in all_figures])
    row("seconds", [f"{f.seconds:.1f}" for f in all_figures])
    lines = ["| | " + " | ".join(f.name for f in all_figures) + " |", "|---|" + "--:|" * len(all_figures)]
    return "\n".join([*lines, *(f"| {title} | " + " | ".join(cells) + " |" for title, cells in rows)])


def share(part: int, whole: int) -> str:
    """A part of a whole in per cent."""
    return f"{100 * part / whole:.2f} % of {whole:,}" if whole else "-"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("paths", nargs="+", type=Path, help="unpacked packages or installed projects")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--run", action="store_true", help="run every workflow to its end, with a scripted model")
    parser.add_argument("--problems", action="store_true", help="list every problem")
    wanted = parser.parse_args()
    figures = [measure(path, run=wanted.run) for path in wanted.paths]
    if wanted.json:
        print(json.dumps([vars(f) for f in figures], ensure_ascii=False, indent=2, default=vars))
        return 0
    print(table(figures))
    for one in figures if wanted.problems else []:
        print(f"\n{one.name}: {len(one.problems)} problems")
        print("\n".join(f"- {problem}" for problem in one.problems))
    return 0


if __name__ == "__main__":
    sys.exit(main())
