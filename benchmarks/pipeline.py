"""How is a set of tasks taken through the whole road, with a scripted model in the model's place?

Everything but the model's answers is the product: Prefect, board, worktrees, tools, sandbox, review, integration lane,
door, journal, ledger, spool.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .stopwatch import Stopwatch

if TYPE_CHECKING:
    from storyloom.domain.delivery import PhaseReport
    from storyloom.domain.stories import StoryOutcome
    from storyloom.domain.wire import Route

KEY = "no-key-is-needed"


@dataclass
class Run:
    """What one run of the implementation phase came to."""

    report: PhaseReport
    seconds: float
    watch: Stopwatch = field(default_factory=Stopwatch)

    @property
    def outcomes(self) -> dict[str, StoryOutcome]:
        """How each story ended, by its key."""
        return {outcome.story: outcome for outcome in self.report.stories}

    @property
    def merged(self) -> list[str]:
        """Keys of the stories that this run merged."""
        return [outcome.story for outcome in self.report.stories if outcome.status == "merged"]


@contextlib.contextmanager
def prefect(home: Path) -> Iterator[str]:
    """A Prefect server for the block, the one at PREFECT_API_URL if that is set, and the product's settings.

    To be called before Prefect is imported.
    """
    from storyloom.deployments.environment import own_server_settings, prefect_settings
    from storyloom.deployments.server import prefect_server

    home.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        if url := os.environ.get("PREFECT_API_URL", ""):
            os.environ.update(prefect_settings(home, url))
        else:
            url = stack.enter_context(prefect_server(home))
            os.environ.update(own_server_settings(home, url))
        yield url
        say_goodbye()


def say_goodbye() -> None:
    """Let Prefect send what it still holds: at the interpreter's end it would wait for a server that is gone."""
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    for worker in (APILogWorker, EventsWorker):
        worker.drain_all(timeout=10)


def implement(
    repository: Path,
    home: Path,
    routes: Mapping[str, Route] | None = None,
    *,
    base_url: str = "",
    settings: Mapping[str, str | int | float | bool] | None = None,
) -> Run:
    """Run the implementation phase on a repository, in this process, and measure where its time goes.

    Without `routes` the models are asked over HTTP at `base_url` (OpenAI's format).
    """
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
    from storyloom.deployments.composition import compose
    from storyloom.deployments.environment import Environment
    from storyloom.domain.ports import ProjectRef
    from storyloom.flows.implementation import implementation
    from storyloom.tasks.ports import Ports, use

    environment = Environment(
        home=home, keys={"openai": KEY}, base_urls={"openai": base_url} if base_url else {}, mode="rehearsal"
    )
    watch = Stopwatch()

    def watched(project: ProjectRef) -> Ports:
        return watch.watch(compose(project, environment, routes))

    project = ProjectRef(repository=str(repository), settings=dict(settings or {}))
    with (
        use(watched),
        _measured(watch),
        temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}),
    ):
        began = time.perf_counter()
        report = implementation(project)
        return Run(report, time.perf_counter() - began, watch)


STEPS = {  # where a step is called from: the names that are measured there
    "develop_story": ("develop_turn", "run_tests", "review_story", "start_story", "move_story"),
    "integrate": ("stack_stories", "run_tests_again", "merge_stack", "close_story"),
    "implementation": ("develop_and_integrate", "show_board", "decide"),
}


@contextlib.contextmanager
def _measured(watch: Stopwatch) -> Iterator[None]:
    """Measure each step where the flows call it."""
    import importlib

    from storyloom.tasks.combining import Line

    before: list[tuple[Any, str, Any]] = [(Line, "_served_by_another", Line._served_by_another)]
    Line._served_by_another = watch.wait("lane wait", Line._served_by_another)  # type: ignore[method-assign]
    for module_name, names in STEPS.items():
        module = importlib.import_module(f"storyloom.flows.{module_name}")
        for name in names:
            if not hasattr(module, name):
                continue
            before.append((module, name, getattr(module, name)))
            setattr(module, name, watch.around(name, getattr(module, name)))
    try:
        yield
    finally:
        for module, name, original in before:
            setattr(module, name, original)


def show_parts(watch: Stopwatch, names: Sequence[str]) -> list[str]:
    """A table: each step's median and 95th percentile, and the mean share of each port, in milliseconds."""
    from .stopwatch import percentile

    rows = [f"{'step':<22} {'calls':>6} {'median':>8} {'p95':>8}   mean ms by part"]
    for name in names:
        spans = watch.of(name)
        if not spans:
            continue
        seconds = [span.seconds for span in spans]
        totals: dict[str, float] = {}
        for span in spans:
            for part, value in span.parts.items():
                totals[part] = totals.get(part, 0.0) + value
        rest = sum(seconds) - sum(totals.values())
        parts = sorted({**totals, "own": rest}.items(), key=lambda item: -item[1])
        shown = "  ".join(
            f"{part} {1000 * value / len(spans):.0f}" for part, value in parts if value / len(spans) >= 5e-4
        )
        rows.append(
            f"{name:<22} {len(spans):>6} {1000 * percentile(seconds, 0.5):>8.0f} "
            f"{1000 * percentile(seconds, 0.95):>8.0f}   {shown}"
        )
    return rows
