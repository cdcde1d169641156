"""What shows that the main line works, and which verdict holds for it?"""

from __future__ import annotations

import json

from ..domain.phases import BOARD
from ..domain.ports import ProjectRef
from ..domain.stories import TestReport
from .ports import Ports, ports_for

GATE = "gates/quality.json"


def code_tree(ports: Ports, commit: str) -> list[str]:
    """Paths at a commit that a release consists of: all but the method's own documents and settings."""
    settings = ports.config.settings
    folders = (f"{settings.planning_folder}/", f"{settings.stories_folder}/", ".bmad/")
    return [p for p in ports.workspace.files(commit) if not p.startswith(folders) and not p.endswith(BOARD)]


def code_changed(ports: Ports, before: str, after: str) -> bool:
    """Whether anything but the method's own documents differs between two commits."""
    if before == after:
        return False
    released = set(code_tree(ports, before)) | set(code_tree(ports, after))
    return any(path in released for path in ports.workspace.stat(before, after).files)


def evidence_of(project: ProjectRef, commit: str, tests: TestReport) -> str:
    """What was measured, as text for the gate: our own test run and the size of the main line."""
    ports = ports_for(project)
    outcome = {True: "passed", False: "FAILED", None: "showed nothing"}[tests.passed]
    files = code_tree(ports, commit)
    tail = "\n".join(tests.tail.strip().splitlines()[-5:])
    return f"`{tests.command}` {outcome} (exit code {tests.exit_code}); {len(files)} files of code and tests.\n{tail}"


def gate_kept(project: ProjectRef, tip: str) -> str:
    """The verdict that holds for the code at the tip, "" when the code has changed since or none was given."""
    ports = ports_for(project)
    kept = json.loads(ports.shelf.get(GATE) or "{}")
    if not kept or code_changed(ports, kept["commit"], tip):
        return ""
    return str(kept["verdict"])


def keep_gate(project: ProjectRef, verdict: str) -> None:
    """Keep the verdict for the code at the tip."""
    ports = ports_for(project)
    ports.shelf.put(GATE, json.dumps({"commit": ports.workspace.tip(), "verdict": verdict}))


def gated_commit(project: ProjectRef) -> str:
    """The commit for which the quality gate's verdict holds, "" if there is none."""
    ports = ports_for(project)
    return str(json.loads(ports.shelf.get(GATE) or "{}").get("commit", ""))
