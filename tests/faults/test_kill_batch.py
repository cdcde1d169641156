"""A three-story batch that is killed anywhere, left with locks or without room, run again: as if nothing had happened?

Every boundary with STORYLOOM_KILL_ALL=1 (or those of STORYLOOM_KILL_AT, such as 7-60,100), else some, each of another
kind of effect, spread evenly over the batch. Batches run side by side in STORYLOOM_KILL_WORKERS folders, all on one
Prefect server, each forked from a process that has imported everything.
"""

from __future__ import annotations

import contextlib
import importlib
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from queue import Queue
from typing import Any

import pytest
from storyloom.blocks.sandbox import BubblewrapSandbox
from storyloom.deployments.environment import prefect_settings
from storyloom.deployments.server import prefect_server
from storyloom.rehearsal.server import RehearsalServer

BOARD = "docs/sprint-status.yaml"  # compared without the times that stand in it
STORY = "docs/stories/"  # on several lanes compared without how many tests ran: that depends on who merged first
ROOT = Path(__file__).resolve().parents[2]
ALL = bool(os.environ.get("STORYLOOM_KILL_ALL"))
WORKERS = int(os.environ.get("STORYLOOM_KILL_WORKERS", "2"))
QUIET = {  # of the server only what a batch asks of it
    "PREFECT_LOGGING_TO_API_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_TRIGGERS_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_SCHEDULER_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_LATE_RUNS_ENABLED": "false",
}

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.xdist_group("kills"), pytest.mark.timeout(7200)]


@dataclass
class Bench:
    """Where batches are run, killed and looked at."""

    folder: Path
    zygotes: Queue[subprocess.Popen[str]]
    modules: Any
    runs: Iterator[int] = field(default_factory=itertools.count)
    batches: dict[tuple[int, str], Batch] = field(default_factory=dict)

    def fresh(self, given: list[Any], lanes: int = 1, sandbox: str = "none", folder: Path | None = None) -> Path:
        """A folder with a project of these stories."""
        folder = folder or self.folder / f"run-{next(self.runs)}"
        self.modules.make_repository(folder / "project", given, lanes=lanes, settings={"sandbox": sandbox})
        return folder

    def run(
        self, folder: Path, base_url: str, kill_at: int = 0, kill_name: str = "", together: int = 0, fill: bool = False
    ) -> int:
        """The exit code of one orchestrator."""
        job: dict[str, Any] = {"folder": str(folder), "base_url": base_url, "fill": fill}
        job |= {"kill_at": kill_at, "kill_name": kill_name, "together": together}
        zygote = self.zygotes.get()
        try:
            assert zygote.stdin
            assert zygote.stdout
            zygote.stdin.write(json.dumps(job) + "\n")
            zygote.stdin.flush()
            return int(json.loads(zygote.stdout.readline())["code"])
        finally:
            self.zygotes.put(zygote)

    def undisturbed(self, lanes: int = 1, sandbox: str = "none") -> Batch:
        """The three stories on so many lanes, run once."""
        if (lanes, sandbox) not in self.batches:
            self.batches[lanes, sandbox] = _undisturbed(self, lanes, sandbox)
        return self.batches[lanes, sandbox]

    def errors(self) -> str:
        """The last words of the orchestrators."""
        return (self.folder / "errors").read_text()[-3000:]

    def end(self, folder: Path, lanes: int) -> dict[str, Any]:
        """All that must be the same however the batch came to its end."""
        project = folder / "project"
        git = self.modules.git
        rows = git(project, "ls-tree", "-r", "storyloom/main").splitlines()
        ran = r"\b\d+ ran," if lanes > 1 else "(?!)"
        stories = [row.split("\t")[1] for row in rows if STORY in row]
        locks = [p.name for p in (project / ".git").rglob("*.lock") if p.name != "storyloom.lock"]
        return {
            "tree": [row for row in rows if BOARD not in row and STORY not in row],
            "stories": {
                name: re.sub(ran, "<some> ran,", git(project, "show", f"storyloom/main:{name}")) for name in stories
            },
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
    folder = tmp_path_factory.mktemp("kill-batch")
    for parent in (folder, *folder.parents[:2]):
        parent.chmod(parent.stat().st_mode | 0o055)  # the sandbox's user must reach the worktrees
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT))
        modules = importlib.import_module("benchmarks.task_sets")
        for name, value in QUIET.items():
            patch.setenv(name, value)
        with prefect_server(folder / "prefect") as url, (folder / "errors").open("w") as errors:
            env = {**os.environ, **prefect_settings(folder / "prefect", url)}
            child, pipe = [sys.executable, str(Path(__file__).with_name("batch_child.py"))], subprocess.PIPE
            started = [
                subprocess.Popen(child, env=env, stdin=pipe, stdout=pipe, stderr=errors, text=True)
                for _ in range(WORKERS)
            ]
            zygotes: Queue[subprocess.Popen[str]] = Queue()
            try:
                for zygote in started:
                    assert zygote.stdout
                    assert zygote.stdout.readline().strip() == "ready", (folder / "errors").read_text()[-2000:]
                    zygotes.put(zygote)
                yield Bench(folder, zygotes, modules)
            finally:
                for zygote in started:
                    zygote.stdin.close()  # type: ignore[union-attr]
                    zygote.wait(30)


def model(given: list[Any]) -> RehearsalServer:
    """The scripted model behind HTTP; its ledger says what was asked how often."""
    developer = importlib.import_module("benchmarks.scripted_developer")
    return RehearsalServer(developer.ScriptedSource(developer.Script(given)))


def asked(server: RehearsalServer) -> Counter[tuple[str, int]]:
    return Counter((call["subject"], call["turn"]) for call in server.calls)


@dataclass(frozen=True)
class Batch:
    """The three stories on so many lanes, and how they end when nobody disturbs them."""

    bench: Bench
    lanes: int
    sandbox: str
    end: dict[str, Any]
    calls: Counter[tuple[str, int]]
    boundaries: list[str]

    def killed_at(self, number: int) -> str:
        """What is wrong with such a batch that was killed at a boundary and run again, "" if nothing is."""
        given = tasks(self.bench.modules)
        folder = self.bench.fresh(given, self.lanes, self.sandbox)
        with model(given) as server:
            killed = self.bench.run(folder, server.openai_base, kill_at=number)
            before = passed(folder)
            wrong = self.resumed(folder, server)
        if killed != -9 or len(before) != number:
            wrong += f" killed: {killed} after {len(before)}"
        print(f"{number} of {len(self.boundaries)}: {before[-1]}", wrong or "ok", flush=True)
        if wrong:
            return f"{number} {before[-1]}: {wrong} {folder}"
        shutil.rmtree(folder)
        return ""

    def resumed(self, folder: Path, server: RehearsalServer) -> str:
        """What is wrong with such a batch once it was run again, "" if nothing is."""
        before = passed(folder)
        sent, kept = (before.count(name) for name in ("before OpenAIRoute.send", "after CallJournal.end"))
        resumed = self.bench.run(folder, server.openai_base)
        end, calls = self.bench.end(folder, self.lanes), asked(server)
        wrong = {key: value for key, value in end.items() if value != self.end[key]}
        if resumed:
            wrong["exit code"] = resumed
        if set(calls) != set(self.calls):
            wrong["other calls"] = set(calls) ^ set(self.calls)
        if (calls - self.calls).total() > sent - kept:  # what was in flight may be asked again: sent, but not on record
            wrong["calls repeated"] = calls - self.calls
        return str(wrong or "")


def passed(folder: Path) -> list[str]:
    """The boundaries that the batch of a folder has passed."""
    return folder.with_suffix(".boundaries").read_text().splitlines()


def _undisturbed(bench: Bench, lanes: int, sandbox: str) -> Batch:
    given = tasks(bench.modules)
    folder = bench.fresh(given, lanes, sandbox)
    with model(given) as server:
        assert bench.run(folder, server.openai_base) == 0, bench.errors()
        end, calls = bench.end(folder, lanes), asked(server)
    assert len(end["merges"]) == 3
    assert not end["branches"]
    assert not end["locks"]
    assert end["sound"] == 0
    assert end["worktrees"] == ["integration"]
    assert set(calls.values()) == {1}
    return Batch(bench, lanes, sandbox, end, calls, passed(folder))


def all_wrong(work: Callable[[int], str], numbers: Sequence[int]) -> list[str]:
    """What is wrong at any of these boundaries; as many at once as there are orchestrators."""
    with ThreadPoolExecutor(WORKERS) as pool:
        return [wrong for wrong in pool.map(work, numbers) if wrong]


def test_a_batch_that_is_killed_anywhere_ends_as_if_it_had_not_been(bench: Bench) -> None:
    batch = bench.undisturbed()
    numbers = _every(batch) if ALL else _each_another(batch.boundaries, 2)
    wrong = all_wrong(batch.killed_at, numbers)
    assert not wrong, (wrong, bench.errors())


if ALL:  # else the one in the sandbox, which runs on three lanes too, must do

    def test_stories_side_by_side_that_are_killed_anywhere_end_as_if_they_had_not_been(bench: Bench) -> None:
        batch = bench.undisturbed(lanes=3)
        wrong = all_wrong(batch.killed_at, _every(batch))
        assert not wrong, (wrong, bench.errors())


@pytest.mark.sandbox
def test_a_batch_in_the_sandbox_that_is_killed_ends_as_if_it_had_not_been(bench: Bench) -> None:
    if not (probe := BubblewrapSandbox().probe()).ok:
        pytest.skip(f"no sandbox works here: {probe.detail}")
    batch = bench.undisturbed(lanes=3, sandbox="required")
    numbers = [n for n, name in enumerate(batch.boundaries, 1) if name.endswith("BubblewrapSandbox.run")]
    assert len(numbers) >= 12
    wrong = all_wrong(batch.killed_at, numbers if ALL else numbers[len(numbers) // 2 :][:1])
    assert not wrong, (wrong, bench.errors())


def test_a_stack_of_three_that_is_killed_between_its_merges_ends_as_if_it_had_not_been(bench: Bench) -> None:
    given = apart(bench.modules)
    folder = bench.fresh(given, lanes=3)
    with model(given) as server:
        assert bench.run(folder, server.openai_base, together=3) == 0, bench.errors()
        golden, golden_calls = bench.end(folder, 3), asked(server)
    boundaries = Counter(passed(folder))
    assert boundaries["before GitWorkspace.merge_all"] == 1
    assert boundaries["before one merge"] == boundaries["after one merge"] == len(golden["merges"]) == 3
    assert golden["worktrees"] == ["integration"]
    assert not golden["branches"]
    assert set(golden_calls.values()) == {1}

    def work(point: tuple[str, int]) -> str:
        name, number = point
        folder = bench.fresh(given, lanes=3)
        with model(given) as server:
            killed = bench.run(folder, server.openai_base, kill_at=number, kill_name=name, together=3)
            merges = len(bench.end(folder, 3)["merges"])
            resumed = bench.run(folder, server.openai_base)
            end, calls = bench.end(folder, 3), asked(server)
        known = number if name.startswith("after") else number - 1
        right = (killed, merges, resumed) == (-9, known, 0) and end == golden and calls == golden_calls
        print(name, number, "ok" if right else "wrong", flush=True)
        differs = {key: value for key, value in end.items() if value != golden[key]}
        return "" if right else f"{name} {number}: {killed}, {merges}, {resumed}, {differs}, {calls - golden_calls}"

    points = [(f"{side} one merge", number) for side in ("before", "after") for number in (1, 2, 3)]
    wrong = all_wrong(work, points if ALL else [points[4]])
    assert not wrong, (wrong, bench.errors())


def test_locks_that_a_killed_batch_has_left_hold_up_nobody(bench: Bench) -> None:
    batch, given = bench.undisturbed(), tasks(bench.modules)
    folder = bench.fresh(given)
    with model(given) as server:
        killed = bench.run(folder, server.openai_base, kill_at=2, kill_name="before GitWorkspace.checkpoint")
        assert killed == -9, bench.errors()
        (lease,) = (folder / "home").rglob("lease.json")
        assert lease.with_suffix(".lock").exists()
        git = folder / "project/.git"
        worktrees = sorted((git / "worktrees").iterdir())
        assert len(worktrees) == 2  # of a story, and of the main line
        for place in worktrees:
            for lock in ("index.lock", "HEAD.lock", "locked"):
                (place / lock).touch()
        for lock in ("packed-refs.lock", "refs/heads/storyloom/main.lock"):
            (git / lock).touch()
        wrong = batch.resumed(folder, server)
    assert not wrong, (wrong, bench.errors())


def test_a_batch_that_runs_out_of_room_ends_waiting_and_goes_on_once_there_is_some(bench: Bench) -> None:
    batch, given = bench.undisturbed(), tasks(bench.modules)
    with small_disk(bench.folder / "disk") as folder, model(given) as server:
        bench.fresh(given, folder=folder)
        ended = bench.run(folder, server.openai_base, kill_at=2, kill_name="before GitWorkspace.checkpoint", fill=True)
        assert (folder / "filler").exists()
        report = json.loads(folder.with_suffix(".report").read_text())
        assert ended == 2, bench.errors()
        assert {story["status"] for story in report["stories"]} == {"waiting", "blocked"}, report
        assert "the disk is full" in report["reason"]
        (folder / "filler").unlink()
        wrong = batch.resumed(folder, server)
    assert not wrong, (wrong, bench.errors())


@contextlib.contextmanager
def small_disk(place: Path) -> Iterator[Path]:
    """A file system of 32 MiB."""
    place.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small file system")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32m,mode=755", "tmpfs", str(place)], check=False)
    if mounted.returncode:
        pytest.skip("this container may not mount a file system")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def _every(batch: Batch) -> list[int]:
    """Numbers of the boundaries to be killed at, from 1."""
    chosen = os.environ.get("STORYLOOM_KILL_AT") or f"1-{len(batch.boundaries)}"
    ranges = (part.partition("-") for part in chosen.split(","))
    return [number for first, _, last in ranges for number in range(int(first), int(last or first) + 1)]


def _each_another(boundaries: list[str], wanted: int) -> list[int]:
    """So many of them evenly apart, each with another name."""
    numbers, seen = [], set[str]()
    for at in range(wanted):
        first = 1 + (2 * at + 1) * len(boundaries) // (2 * wanted)
        number = next((n for n in range(first, len(boundaries) + 1) if boundaries[n - 1] not in seen), first)
        seen.add(boundaries[number - 1])
        numbers.append(number)
    return numbers
