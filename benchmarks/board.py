"""How long does it take to load a board of a thousand stories, change one status and save it?

Load means read the file and parse it, save means an atomic replacement (temporary file, rename; with --sync also an
fsync). Beside it stands what a YAML library does for the same change: load everything, dump everything, which loses the
comments. The target is 50 ms.

    python benchmarks/board.py [--stories 1000] [--rounds 50] [--sync]
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import yaml
from storyloom.domain.board import merge, new_board, plan_entries, read_board, set_status
from storyloom.domain.keys import story_key
from storyloom.domain.schedule import build_dag, decide
from storyloom.domain.stories import Story

TARGET_MS = 50.0


def plan(stories: int) -> list[Story]:
    made = []
    for place in range(stories):
        number = f"{place // 20 + 1}.{place % 20 + 1}"
        title = f"Story number {place} of a large plan"
        epic = f"epic-{place // 20 + 1}"
        key = story_key(number, title)
        made.append(Story(key=key, id=number, epic=epic, title=title, files=(f"src/{key}.py",)))
    return made


def save(path: Path, text: str, sync: bool) -> None:
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False, encoding="utf-8") as file:
        file.write(text)
        if sync:
            file.flush()
            os.fsync(file.fileno())
    Path(file.name).replace(path)


def timed(work: Callable[[], object], rounds: int) -> tuple[float, float]:
    """Median and 95th percentile in milliseconds."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        times.append((time.perf_counter() - start) * 1000)
    times.sort()
    return statistics.median(times), times[min(len(times) - 1, int(len(times) * 0.95))]


def main() -> int:
    options = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    options.add_argument("--stories", type=int, default=1000)
    options.add_argument("--rounds", type=int, default=50)
    options.add_argument("--sync", action="store_true", help="fsync each save, as a store for production does")
    chosen = options.parse_args()
    stories = plan(chosen.stories)
    planned = plan_entries(stories)
    text = new_board("Large", planned, "05-06-2025 21:30")
    key = stories[len(stories) // 2].key
    dag = build_dag(stories)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sprint-status.yaml"

        def ours() -> None:
            path.write_text(text, encoding="utf-8")
            save(path, set_status(path.read_text(encoding="utf-8"), key, "review"), chosen.sync)

        def by_library(loader: type, dumper: type) -> Callable[[], None]:
            def work() -> None:
                path.write_text(text, encoding="utf-8")
                data = yaml.load(path.read_text(encoding="utf-8"), Loader=loader)
                data["development_status"][key] = "review"
                save(path, yaml.dump(data, Dumper=dumper, sort_keys=False), chosen.sync)

            return work

        rows = [
            ("load, change one, save (by lines)", timed(ours, chosen.rounds)),
            ("the same by PyYAML, pure Python", timed(by_library(yaml.SafeLoader, yaml.SafeDumper), 5)),
        ]
        if hasattr(yaml, "CSafeLoader"):
            compiled = by_library(yaml.CSafeLoader, yaml.CSafeDumper)
            rows.append(("the same by PyYAML, compiled", timed(compiled, chosen.rounds)))
        rows += [
            ("read only", timed(lambda: read_board(text), chosen.rounds)),
            ("merge with the plan", timed(lambda: merge(text, planned), chosen.rounds)),
            ("build the graph of all stories", timed(lambda: build_dag(stories), chosen.rounds)),
            ("decide what may start, 16 lanes", timed(lambda: decide(dag, (), width=16), chosen.rounds)),
        ]
    base = rows[0][1][0]
    print(f"{chosen.stories} stories, {len(text):,} characters, medians of {chosen.rounds} rounds")
    print(f"{'':36}{'median':>10}{'p95':>10}{'ratio':>8}")
    for name, (median, high) in rows:
        print(f"{name:36}{median:>7.2f} ms{high:>7.2f} ms{median / base:>7.1f}x")
    met = rows[0][1][0] <= TARGET_MS
    print(f"target {TARGET_MS:.0f} ms: {'met' if met else 'MISSED'}")
    return 0 if met else 1


if __name__ == "__main__":
    raise SystemExit(main())
