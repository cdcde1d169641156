"""What is killed: an orchestrator of one story that conflicts twice and then waits for a person."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

KEY = "1-1-part"


def load_people() -> ModuleType:
    """The flows' tests' helpers."""
    spec = importlib.util.spec_from_file_location("people", Path(__file__).parents[1] / "flows" / "people.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def make_ports(folder: Path, calls: list[tuple[str, int]]) -> Any:
    """Ports on the project in a folder, made if it is new; `calls` gets purpose and attempt of each model call."""
    people = load_people()

    def model(request: Any) -> Any:
        calls.append((request.purpose, request.tags.attempt))
        if request.purpose == "review":
            return people.approving()
        attempt = request.tags.attempt
        if attempt < 3:
            moved = {"shared.txt": f"first\nmoved {attempt}\nlast\n"}
            ports.workspace.commit_files(moved, "moved", f"moved-{attempt}")
        return people.writing("shared.txt", f"first\nmade {attempt}\nlast\n")

    files = {**people.epics(people.planned(1, "`part1.py`")), "shared.txt": "first\nmiddle\nlast\n"}
    ports = people.committed_ports(folder, files, model)
    return ports


def main() -> None:
    """Run the phase on the project in the folder that the first argument names."""
    from storyloom.flows.implementation import implementation
    from storyloom.tasks.ports import use

    ports = make_ports(Path(sys.argv[1]), [])
    with use(lambda _project: ports):
        implementation(ports.project)


if __name__ == "__main__":
    main()
