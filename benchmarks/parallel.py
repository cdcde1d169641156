"""How much faster is a batch of independent stories on more lanes, and what does each story wait for?

    python -m benchmarks.parallel [--stories 32] [--lanes 1,2,4,8,16] [--latency 3] [--spread 2]

Every answer of the scripted model takes between `latency` and `latency + spread` seconds (the same for the same
question); everything else is the product. Speed-up is against one lane of the same call, which is always run first.
Beside it stands the most that was possible: the stories as long as on one lane, each put on the lane that is free
first, and no more work in a second than the machine's cores do. Run it on a machine that does nothing else: what the
cores do is measured for all processes.
"""

from __future__ import annotations

import argparse
import heapq
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import psutil

from . import pipeline
from .gold import STEPS
from .scripted_developer import Script, ScriptedRoute
from .stopwatch import percentile
from .task_sets import Change, Task, make_repository


def main(arguments: Sequence[str] | None = None) -> int:
    """0 if every story of every run was merged."""
    options = _options(arguments)
    folder = Path(tempfile.mkdtemp(prefix="storyloom-parallel-"))
    try:
        with pipeline.prefect(folder / "home"):
            return run(folder, options)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def run(folder: Path, options: argparse.Namespace) -> int:
    """Run the same batch once for each width and print the ratios."""
    tasks = independent(options.stories)
    complete, serial, lengths = True, 0.0, list[float]()
    cores = psutil.cpu_count() or 1
    print(f"{options.stories} stories, {cores} cores, load {os.getloadavg()[0]:.1f} before")
    print("lanes   seconds  speed-up  of width  possible  cores busy  dispatch p95  lane wait p95  own/story")
    for lanes in options.lanes:
        repository = make_repository(folder / f"project-{lanes}", tasks, lanes=lanes)
        route = ScriptedRoute(Script(tasks), latency_s=options.latency, spread_s=options.spread)
        worked = cores_worked()
        began = pipeline.implement(repository, folder / "home", {"*": route})
        worked = cores_worked() - worked
        complete = complete and len(began.merged) == len(tasks)
        stories = sorted(began.watch.of("develop_and_integrate"), key=lambda span: span.began)
        if not lengths:
            serial, lengths = began.seconds, [span.seconds for span in stories]
        own = [span.own("model", "sandbox", "lane wait") for span in stories]
        waits = [span.seconds for span in began.watch.of("lane wait")]
        gaps = dispatch(began, lanes)
        least = max(makespan(lengths, lanes) + serial - sum(lengths), worked / cores)
        speedup = serial / began.seconds
        print(
            f"{lanes:>5} {began.seconds:>9.1f} {speedup:>9.2f} {speedup / lanes:>9.2f} {serial / least:>9.2f}"
            f" {100 * worked / cores / began.seconds:>9.0f} %"
            f" {1000 * percentile(gaps, 0.95):>10.0f} ms {1000 * percentile(waits, 0.95):>11.0f} ms"
            f" {1000 * percentile(own, 0.5):>7.0f} ms",
            flush=True,
        )
        if lanes == options.lanes[-1] or options.parts:
            print("\n".join(pipeline.show_parts(began.watch, STEPS)))
    print("all merged" if complete else "NOT ALL MERGED")
    return 0 if complete else 1


def independent(count: int) -> list[Task]:
    """Small tasks of which none touches another's files."""
    return [
        Task(
            id=f"part-{number}",
            title=f"Part {number}",
            text=f"Write a function that adds {number}.",
            test=f"from solutions.part_{number} import add\nassert add(1) == {number + 1}\n",
            solution=(Change(f"solutions/part_{number}.py", f"def add(x):\n    return x + {number}\n"),),
        )
        for number in range(1, count + 1)
    ]


def makespan(lengths: Sequence[float], lanes: int) -> float:
    """How long stories of these lengths take when each, in this order, is put on the lane that is free first."""
    free = [0.0] * lanes
    for length in lengths:
        heapq.heapreplace(free, free[0] + length)
    return max(free)


def cores_worked() -> float:
    """How long the machine's cores have worked since it was started, all together, in seconds."""
    times = psutil.cpu_times()
    waited = ("idle", "iowait", "guest", "guest_nice")  # of guests: stands in the user's time, too
    return float(sum(times) - sum(getattr(times, name, 0.0) for name in waited))


def widths(text: str) -> list[int]:
    """The widths of a comma-separated list, the narrowest first; one lane, with which they are compared, among them."""
    return sorted({1, *(int(part) for part in text.split(","))})


def dispatch(run: pipeline.Run, lanes: int) -> list[float]:
    """How long a lane that became free stayed empty, while stories were left to start; in seconds."""
    began = sorted(span.began for span in run.watch.of("develop_and_integrate"))
    ended = sorted(span.began + span.seconds for span in run.watch.of("develop_and_integrate"))
    return [max(0.0, start - end) for start, end in zip(began[lanes:], ended, strict=False)]


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.parallel", description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--stories", type=int, default=32)
    parser.add_argument("--lanes", type=widths, default=[1, 2, 4, 8, 16])
    parser.add_argument("--latency", type=float, default=3.0, help="seconds of the quickest answer")
    parser.add_argument("--spread", type=float, default=2.0, help="seconds by which the slowest takes longer")
    parser.add_argument("--parts", action="store_true", help="where the time goes, for every width")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    raise SystemExit(main())
