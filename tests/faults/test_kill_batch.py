"""Killed at any boundary of a three-story batch, or within a stack of three, and run again: as if nothing had happened?

Every boundary with STORYLOOM_KILL_ALL=1 (about an hour), else a fixed choice of one for each kind of effect.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from storyloom.deployments.environment import prefect_settings
from storyloom.deployments.server import prefect_server
from storyloom.rehearsal.server import RehearsalServer

BOARD = "docs/sprint-status.yaml"  # compared without the times that stand in it
ROOT = Path(__file__).resolve().parents[2]
IN_FLIGHT = ("after OpenAIRoute.send", "before CallJournal.end")  # answered, but not on record yet: may be asked again
CHOSEN = (  # which boundary of which story, counted from the first
    ("after OpenAIRoute.send", 4),
    ("after CallJournal.end", 5),
    ("before GitWorkspace.checkpoint", 2),
    ("after git update-ref", 9),
    ("after GitWorkspace.merge_all", 1),
)

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.timeout(7200)]


@dataclass
class Bench:
    """Where batches are run, killed and looked at."""

    folder: Path
    zygote: subprocess.Popen[str]
    modules: Any
    runs: int = 0

    def fresh(self, given: list[Any], lanes: int = 1) -> Path:
        """A folder with a project of these stories."""
        self.runs += 1
        folder = self.folder / f"run-{self.runs}"
        self.modules.make_repository(folder / "project", given, lanes=lanes, settings={"sandbox": "none"})
        return folder

    def run(self, folder: Path, base_url: str, kill_at: int = 0, kill_name: str = "", together: int = 0) -> int:
        """The exit code of one orchestrator."""
        job: dict[str, Any] = {"folder": str(folder), "base_url": base_url}
        job |= {"kill_at": kill_at, "kill_name": kill_name, "together": together}
        assert self.zygote.stdin
        assert self.zygote.stdout
        self.zygote.stdin.write(json.dumps(job) + "\n")
        self.zygote.stdin.flush()
        return int(json.loads(self.zygote.stdout.readline())["code"])

    def end(self, folder: Path) -> dict[str, Any]:
        """All that must be the same however the batch came to its end."""
        project = folder / "project"
        git = self.modules.git
        locks = [p.name for p in (project / ".git").rglob("*.lock") if p.name != "storyloom.lock"]
        return {
            "tree": [row for row in git(project, "ls-tree", "-r", "storyloom/main").splitlines() if BOARD not in row],
            "board": re.sub(r"\d\d-\d\d-\d{4} \d\d:\d\d", "<time>", git(project, "show", f"storyloom/main:{BOARD}")),
            "merges": sorted(git(project, "log", "--merges", "--format=%s", "storyloom/main").splitlines()),
            "branches": git(project, "branch", "--list", "storyloom/[0-9]*"),
            "worktrees": sorted(p.name for p in (folder / "home").glob("projects/*/worktrees/*")),
            "locks": locks,
            "sound": subprocess.run(["git", "fsck", "--no-dangling"], cwd=project, capture_output=True).returncode,
        }


def tasks(modules: Any) -> list[Any]:
    """Three stories: the second needs the first and changes the same file, the third is on its own."""
    task, change = modules.Task, modules.Change
    return [
        task(
            "one",
            "Add",
            "",
            "from calc import add\nassert add(1, 2) == 3\n",
            (change("calc.py", "def add(a, b):\n    return a + b\n"),),
        ),
        task(
            "two",
            "Twice",
            "",
            "from calc import twice\nassert twice(4) == 8\n",
            (change("calc.py", "    return a + b\n\n\ndef twice(a):\n    return add(a, a)\n", "    return a + b\n"),),
            depends_on=("one",),
        ),
        task("three", "Name", "", "from name import NAME\nassert NAME == 'x'\n", (change("name.py", "NAME = 'x'\n"),)),
    ]


def apart(modules: Any) -> list[Any]:
    """Three stories that need nothing of each other."""
    return [
        modules.Task(
            name,
            name.title(),
            "",
            f"from {name} import NAME\nassert NAME == '{name}'\n",
            (modules.Change(f"{name}.py", f"NAME = '{name}'\n"),),
        )
        for name in ("one", "two", "three")
    ]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    sys.path.insert(0, str(ROOT))
    modules = importlib.import_module("benchmarks.task_sets")
    folder = tmp_path_factory.mktemp("kill-batch")
    with prefect_server(folder / "prefect") as url:
        env = {**os.environ, **prefect_settings(folder / "prefect", url)}
        child = [sys.executable, str(Path(__file__).with_name("batch_child.py"))]
        with (folder / "errors").open("w") as errors:
            pipe = subprocess.PIPE
            zygote = subprocess.Popen(child, env=env, stdin=pipe, stdout=pipe, stderr=errors, text=True)
        assert zygote.stdout
        assert zygote.stdout.readline().strip() == "ready", (folder / "errors").read_text()[-2000:]
        try:
            yield Bench(folder, zygote, modules)
        finally:
            zygote.stdin.close()  # type: ignore[union-attr]
            zygote.wait(30)
            sys.path.remove(str(ROOT))


def model(given: list[Any]) -> RehearsalServer:
    """The scripted model behind HTTP; its ledger says what was asked how often."""
    developer = importlib.import_module("benchmarks.scripted_developer")
    return RehearsalServer(developer.ScriptedSource(developer.Script(given)))


def asked(server: RehearsalServer) -> Counter[tuple[str, int]]:
    return Counter((call["subject"], call["turn"]) for call in server.calls)


def test_a_batch_that_is_killed_anywhere_ends_as_if_it_had_not_been(bench: Bench) -> None:
    given = tasks(bench.modules)
    folder = bench.fresh(given)
    with model(given) as server:
        assert bench.run(folder, server.openai_base) == 0, (bench.folder / "errors").read_text()[-3000:]
        golden, golden_calls = bench.end(folder), asked(server)
    boundaries = (folder / "boundaries").read_text().splitlines()
    assert len(golden["merges"]) == 3
    assert not golden["branches"]
    assert not golden["locks"]
    assert golden["worktrees"] == ["integration"]
    assert set(golden_calls.values()) == {1}
    wrong = []
    for number in _points(boundaries):
        name = boundaries[number - 1]
        folder = bench.fresh(given)
        with model(given) as server:
            killed = bench.run(folder, server.openai_base, kill_at=number)
            resumed = bench.run(folder, server.openai_base)
            end, calls = bench.end(folder), asked(server)
        repeated = sum(count - 1 for count in calls.values())
        allowed = 1 if name in IN_FLIGHT else 0
        if killed != -9 or resumed != 0 or end != golden or repeated > allowed or set(calls) != set(golden_calls):
            wrong.append((number, name, killed, resumed, repeated, {k: v for k, v in end.items() if v != golden[k]}))
        else:
            shutil.rmtree(folder)
        print(f"{number} of {len(boundaries)}: {name}", "wrong" if folder.exists() else "ok", flush=True)
    assert not wrong, (wrong, (bench.folder / "errors").read_text()[-3000:])


def test_a_stack_of_three_that_is_killed_between_its_merges_ends_as_if_it_had_not_been(bench: Bench) -> None:
    given = apart(bench.modules)
    folder = bench.fresh(given, lanes=3)
    with model(given) as server:
        assert bench.run(folder, server.openai_base, together=3) == 0, (bench.folder / "errors").read_text()[-3000:]
        golden, golden_calls = bench.end(folder), asked(server)
    boundaries = Counter((folder / "boundaries").read_text().splitlines())
    assert boundaries["before GitWorkspace.merge_all"] == 1
    assert boundaries["before one merge"] == boundaries["after one merge"] == len(golden["merges"]) == 3
    assert golden["worktrees"] == ["integration"]
    assert not golden["branches"]
    assert set(golden_calls.values()) == {1}
    wrong = []
    for name in ("before one merge", "after one merge"):
        for number in (1, 2, 3):
            folder = bench.fresh(given, lanes=3)
            with model(given) as server:
                killed = bench.run(folder, server.openai_base, kill_at=number, kill_name=name, together=3)
                merges = len(bench.end(folder)["merges"])
                resumed = bench.run(folder, server.openai_base)
                end, calls = bench.end(folder), asked(server)
            known = number if name.startswith("after") else number - 1
            if (killed, merges, resumed) != (-9, known, 0) or end != golden or calls != golden_calls:
                differs = {key: value for key, value in end.items() if value != golden[key]}
                wrong.append((name, number, killed, merges, resumed, differs, calls - golden_calls))
            print(f"{name} {number}", "wrong" if wrong and wrong[-1][:2] == (name, number) else "ok", flush=True)
    assert not wrong, (wrong, (bench.folder / "errors").read_text()[-3000:])


def _points(boundaries: list[str]) -> list[int]:
    """Numbers of the boundaries to be killed at, from 1."""
    if os.environ.get("STORYLOOM_KILL_ALL"):
        first = int(os.environ.get("STORYLOOM_KILL_FROM", "1"))
        return list(range(first, len(boundaries) + 1))
    points = []
    for name, which in CHOSEN:
        at = [number for number, each in enumerate(boundaries, 1) if each == name]
        assert len(at) > which, f"{name} happens {len(at)} times only: {sorted(set(boundaries))}"
        points.append(at[which])
    return sorted(points)
