"""Does every task of a set reach the main line, whatever the model does wrong at first, and how many in a minute?

    python -m benchmarks.gold --tasks FILE [--limit N] [--lanes N] [--faults] [--seed N] [--model http]

The tasks become stories of one repository, developed by a scripted model that knows their solutions, through the whole
road. With --faults three stories in four begin with a fault; those over their budget must end with that reason, and a
second run with a raised budget must merge them too. At the end every task's test is run on the merged tree, apart from
Storyloom. Exit code 0: all merged, and every end had the reason it should have.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from . import pipeline
from .scripted_developer import Script, ScriptedRoute, ScriptedSource, choose_faults, wire_faults
from .stopwatch import percentile
from .task_sets import Task, git, load_tasks, make_repository, solved, story_ids

STORY_BUDGET = 20.0
SMALL, SPARSE = 200, 25  # in larger sets, all tests are run at every 25th merge, else those that a change affects
STEPS = (
    "start_story",
    "develop_turn",
    "run_tests",
    "review_story",
    "move_story",
    "stack_stories",
    "run_tests_again",
    "merge_stack",
    "close_story",
    "show_board",
    "decide",
    "develop_and_integrate",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code of the benchmark."""
    options = _options(arguments)
    tasks = load_tasks(options.tasks, options.limit)
    faults = choose_faults(tasks, options.seed) if options.faults else {}
    folder = Path(tempfile.mkdtemp(prefix="storyloom-gold-"))
    try:
        return run(folder, tasks, faults, options)
    finally:
        if options.keep:
            print(f"Kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


def run(folder: Path, tasks: Sequence[Task], faults: Mapping[str, str], options: argparse.Namespace) -> int:
    """Take the tasks through the road once, and once more what the first budget did not cover."""
    settings = {"story_budget_usd": STORY_BUDGET} if faults else {}
    every = options.whole_every or (1 if len(tasks) <= SMALL else SPARSE)
    repository = make_repository(folder / "project", tasks, lanes=options.lanes, whole_every=every, settings=settings)
    print(f"{len(tasks)} stories on {options.lanes} lanes, {len(faults)} of them with a fault, model: {options.model}")
    print(f"all tests at every merge{'' if every == 1 else f' that is a multiple of {every}, and at the end'}")
    problems: list[str] = []
    with pipeline.prefect(folder / "home"), model(options.model, Script(tasks, faults)) as (routes, base_url):
        first = pipeline.implement(repository, folder / "home", routes, base_url=base_url)
        show(first)
        if faults:
            problems += check_reasons(first, tasks, faults)
        merged = set(first.merged)
        if faults and len(merged) < len(tasks):
            raised = {"story_budget_usd": STORY_BUDGET * 1_000}
            second = pipeline.implement(repository, folder / "home", routes, base_url=base_url, settings=raised)
            merged |= set(second.merged)
            print(f"with a raised budget: {len(second.merged)} more merged in {second.seconds:.0f} s")
            problems += [
                f"{end.story}: {end.status}: {end.reason}" for end in second.report.stories if end.status != "merged"
            ]
        elif not faults:
            problems += [
                f"{end.story}: {end.status}: {end.reason}" for end in first.report.stories if end.status != "merged"
            ]
    problems += check_tree(folder, repository, tasks)
    print(f"{len(merged)} of {len(tasks)} merged ({100 * len(merged) / max(1, len(tasks)):.1f} %)")
    for problem in problems[:20]:
        print("PROBLEM", problem[:500])
    return 0 if not problems and len(merged) == len(tasks) else 1


@contextlib.contextmanager
def model(kind: str, script: Script) -> Iterator[tuple[dict[str, ScriptedRoute] | None, str]]:
    """The scripted model as a route in this process, or behind the rehearsal server."""
    if kind == "inside":
        yield {"*": ScriptedRoute(script)}, ""
        return
    from storyloom.rehearsal.server import RehearsalServer

    with RehearsalServer(ScriptedSource(script), faults=wire_faults(script.faults)) as server:
        yield None, server.openai_base


def not_merged(run: pipeline.Run) -> list[str]:
    """The stories that did not reach the main line, with their reasons."""
    return [f"{end.story}: {end.status}: {end.reason}" for end in run.report.stories if end.status != "merged"]


def show(run: pipeline.Run) -> None:
    """Print how the stories ended, the throughput and where the time went."""
    ends = Counter(f"{end.status}{f' ({end.lane.value})' if end.lane else ''}" for end in run.report.stories)
    print(", ".join(f"{count} {end}" for end, count in ends.most_common()) or run.report.reason)
    minutes = run.seconds / 60
    print(f"{run.seconds:.1f} s for {len(run.merged)} merged stories: {len(run.merged) / minutes:.1f} stories a minute")
    stories = run.watch.of("develop_and_integrate")
    own = [span.own("model", "sandbox", "lane wait") for span in stories]
    turns = [span.own("model", "sandbox") for span in run.watch.of("develop_turn")]
    print(
        f"own time (beside model, tests and the wait for the lane): {1000 * percentile(own, 0.5):.0f} ms a story, "
        f"{1000 * percentile(turns, 0.5):.0f} ms a turn (medians)"
    )
    print("\n".join(pipeline.show_parts(run.watch, STEPS)))


def check_reasons(run: pipeline.Run, tasks: Sequence[Task], faults: Mapping[str, str]) -> list[str]:
    """Stories over budget must say so, those that need them must be blocked by them, and all others be merged."""
    ids, problems = story_ids(tasks), []
    over = {task.id for task in tasks if faults.get(ids[task.id]) == "over_budget"}
    behind: set[str] = set()
    for task in tasks:  # a task stands after those that it needs, or is caught in the next round
        if set(task.depends_on) & (over | behind):
            behind.add(task.id)
    kinds: Counter[str] = Counter()
    for task in tasks:
        story = ids[task.id]
        prefix = story.replace(".", "-") + "-"
        end = next((end for key, end in run.outcomes.items() if key.startswith(prefix)), None)
        got = f"{end.status}/{end.lane.value if end.lane else ''}" if end else "nothing"
        fault = faults.get(story, "none")
        if task.id in behind:
            good = got.startswith("blocked")
        elif task.id in over:
            good = got.endswith("/budget")
        else:
            good = got == "merged/"
        kinds[f"{fault} -> {got}"] += 1
        if not good:
            problems.append(f"story {story} ({fault}): {got}: {end.reason if end else ''}")
    print("\n".join(f"  {count:>4} × {kind}" for kind, count in sorted(kinds.items())))
    return problems


def check_tree(folder: Path, repository: Path, tasks: Sequence[Task]) -> list[str]:
    """Run every task's own test on the merged tree, apart from Storyloom, and look for what was left behind."""
    tree = folder / "tree"
    git(repository, "worktree", "add", "-q", "--detach", str(tree), "storyloom/main")
    problems = []
    tests = {task.test_path: task.test for task in tasks}
    problems += [f"{path} is missing or changed" for path, text in tests.items() if not _holds(tree / path, text)]
    if not any(task.together for task in tasks):
        texts: dict[str, str] = {}
        for task in tasks:
            texts.update(task.given)
        expected = solved(tasks, texts)
        problems += (
            [f"{path} differs from the reference" for path, text in expected.items() if not _holds(tree / path, text)][
                :10
            ]
            if not _shared(tasks)
            else []
        )
    began = time.perf_counter()
    done = subprocess.run([sys.executable, "check.py"], cwd=tree, capture_output=True, text=True, check=False)
    said = (done.stdout.strip().splitlines() or ["nothing"])[-1]
    print(f"the tests of the merged tree, run apart: {said}, in {time.perf_counter() - began:.1f} s")
    if done.returncode:
        problems.append(f"the tests fail on the merged tree: {done.stdout[-600:]}{done.stderr[-300:]}")
    left = git(repository, "branch", "--list", "storyloom/[0-9]*")
    if left:
        problems.append(f"branches are left: {left[:200]}")
    merges = Counter(git(repository, "log", "--merges", "--format=%s", "storyloom/main").splitlines())
    problems += [f"merged {count} times: {subject}" for subject, count in merges.items() if count > 1]
    return problems


def _holds(path: Path, text: str) -> bool:
    """Whether a file is there and holds this text, line ends as they are."""
    return path.is_file() and path.read_bytes() == text.encode()


def _shared(tasks: Sequence[Task]) -> bool:
    """Whether two tasks change one file, so that its end depends on their order."""
    counts = Counter(path for task in tasks for path in task.files)
    return any(count > 1 for count in counts.values())


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.gold", description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--tasks", type=Path, required=True, help="a JSONL file of tasks (.gz too): docs/benchmarks.md")
    parser.add_argument("--limit", type=int, help="only the first N tasks")
    parser.add_argument("--lanes", type=int, default=4, help="stories at the same time")
    parser.add_argument("--faults", action="store_true", help="three stories in four begin with a fault")
    parser.add_argument("--seed", type=int, default=0, help="which stories get which fault")
    parser.add_argument("--model", choices=("inside", "http"), default="inside")
    parser.add_argument(
        "--whole-every", type=int, help=f"all tests at every N-th merge; 1 up to {SMALL} tasks, else {SPARSE}"
    )
    parser.add_argument("--keep", action="store_true", help="keep the repository and the state")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    raise SystemExit(main())
