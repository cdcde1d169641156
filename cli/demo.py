"""How does the whole road run on the sample project, offline, with recorded model answers?"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from storyloom.blocks.project_config import config_path
from storyloom.deployments.server import start_child, stop_child, wait_until
from storyloom.domain.errors import InputError

from .console import console as make_console
from .deliver import Wish, check, holding, require_sandbox, run_delivery, running_server
from .summary import show_delivery

SAMPLE = "shelf"
START_SECONDS = 60.0
DUMMY_KEY = "rehearsal-needs-no-key"
"""Stands where a key is expected: the rehearsal server takes any, and no real provider ever sees it."""


def run_demo(
    folder: Path, *, sample: Path | None, keep: bool, ask: bool, fresh: bool, port: int, until: str, unsandboxed: bool
) -> None:
    """Run the demo in a scratch folder; an unfinished run that is there is gone on with.

    Raises:
        InputError: the sample is not there (an installed wheel has no examples), or the folder cannot be made.
    """
    sample = sample_folder(sample)
    console = make_console()
    folder = folder.resolve()
    finished = folder / "finished.json"
    if fresh or finished.exists():
        _clear(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"The demo's folder {folder} cannot be made ({error.strerror}).", remedy="Name another one with --folder."
        ) from error
    going_on = (folder / "project" / ".git").exists()
    console.print(
        f"Everything is made in [bold]{folder}[/]" + (" (going on with an unfinished run)" if going_on else "")
    )
    console.print("The model's answers are recorded; git, the sandbox, the tests, Prefect and DuckDB are real.")
    repository = make_repository(sample, folder / "project")
    os.environ["STORYLOOM_HOME"] = str(folder / "home")
    with rehearsal(sample / "conversation", folder) as base:
        os.environ.update(
            STORYLOOM_MODE="rehearsal",
            ANTHROPIC_BASE_URL=base["anthropic_base"],
            OPENAI_BASE_URL=base["openai_base"],
            ANTHROPIC_API_KEY=DUMMY_KEY,
            OPENAI_API_KEY=DUMMY_KEY,
        )
        os.environ.pop("PREFECT_API_URL", None)
        settings: dict[str, str | int | float | bool] = {
            "when_asked": "pause" if ask else "recommendation",
            "auto_merge_prs": True,
        }
        if unsandboxed:
            settings["sandbox"] = "none"
        wish = Wish(repository, repository / "brief.md", until, settings, port, keep)
        job = check(wish)
        require_sandbox(job)
        with holding(job), running_server(job.environment, port, keep=keep) as url:
            console.print(f"Prefect UI: {url.removesuffix('/api')}")
            started = time.monotonic()
            delivery = run_delivery(job)
            show_delivery(job, delivery, url, kept=keep, console=console)
            seconds = time.monotonic() - started
            if delivery.status in ("done", "already_done"):
                finished.write_text(json.dumps({"seconds": seconds, "tip": delivery.tip}))
            farewell(console, repository, seconds, keep=keep)
    if delivery.status not in ("done", "already_done"):
        import typer

        raise typer.Exit(3 if delivery.status == "waiting" else 2)


def farewell(console: Console, repository: Path, seconds: float, *, keep: bool) -> None:
    """Say what this was, and how the same runs for real."""
    console.print(f"\nThat took {seconds:.0f} s. The answers of the model were recorded; everything else was real.")
    console.print(f"Look around:  git -C {shlex.quote(str(repository))} log --graph --oneline", soft_wrap=True)
    console.print("With a real model, in your own repository:", soft_wrap=True)
    console.print("  export ANTHROPIC_API_KEY=…   (or OPENAI_API_KEY, or any provider that litellm knows)")
    console.print("  storyloom init && storyloom deliver --brief brief.md")
    if keep:
        console.print("The Prefect server was left running; `make clean` ends it.")


def sample_folder(given: Path | None = None) -> Path:
    """Where the sample project lies.

    Raises:
        InputError: this is an installed wheel without examples.
    """
    folder = given or Path(__file__).resolve().parent.parent / "examples" / SAMPLE
    if not (folder / "brief.md").exists():
        raise InputError(
            "The sample project is not in this installation.",
            remedy="Run the demo from a clone, or name the sample's folder with --sample.",
        )
    return folder


def make_repository(sample: Path, repository: Path) -> Path:
    """A git repository as a person would have it: a README, the brief and the settings, committed."""
    if (repository / ".git").exists() and _git(repository, "rev-parse", "-q", "--verify", "HEAD", check=False):
        return repository
    shutil.rmtree(repository, ignore_errors=True)
    config_path(repository).parent.mkdir(parents=True)
    shutil.copy(sample / "brief.md", repository / "brief.md")
    shutil.copy(sample / "project-config.yaml", config_path(repository))
    (repository / ".gitignore").write_text("__pycache__/\n*.db\n")
    _git(repository, "init", "-q", "-b", "main")
    _git(repository, "add", "-A")
    _git(
        repository, "-c", "user.name=You", "-c", "user.email=you@localhost", "commit", "-q", "-m", "Start with an idea"
    )
    return repository


def _git(folder: Path, *arguments: str, check: bool = True) -> str:
    env = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    run = subprocess.run(["git", *arguments], cwd=folder, env=env, capture_output=True, text=True, check=check)
    return run.stdout.strip()


@contextlib.contextmanager
def rehearsal(conversation: Path, folder: Path) -> Iterator[dict[str, str]]:
    """The rehearsal model in a process of its own, for the time of the block; gives its base URLs."""
    ready = folder / "rehearsal.json"
    ready.unlink(missing_ok=True)
    log = folder / "home" / "logs" / "rehearsal.log"
    command = [sys.executable, "-m", "storyloom.rehearsal.serve", "--conversation", str(conversation)]
    process = start_child([*command, "--ready-file", str(ready)], os.environ, log)
    try:
        wait_until(ready.exists, process, "The rehearsal model", log, START_SECONDS)
        yield json.loads(ready.read_text())
    finally:
        stop_child(process)


def _clear(folder: Path) -> None:
    """Remove what an earlier demo made, and nothing else."""
    from storyloom.deployments.server import stop_kept

    stop_kept(folder / "home")
    for name in ("home", "project"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for name in ("finished.json", "rehearsal.json"):
        (folder / name).unlink(missing_ok=True)
