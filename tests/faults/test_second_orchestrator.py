"""A second orchestrator is refused at once and told who the first is, on every way in; a dead one's place is free.

How long it took is printed; what is asserted is only that nobody waits for the first to end.
"""

import importlib.util
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from storyloom.deployments.composition import compose
from storyloom.deployments.environment import Environment, project_folder
from storyloom.deployments.lane import SharedLease
from storyloom.domain.errors import LeaseTaken
from storyloom.domain.ports import ProjectRef
from storyloom.tasks.ports import Ports, use

ATTEMPTS = 25
CEILING_S = 60.0
"""Far beyond what a refusal takes: the first one never ends by itself."""

HOLD = """
import sys
from pathlib import Path
from storyloom.deployments.lane import SharedLease
with SharedLease(Path(sys.argv[1])).held():
    print("mine", flush=True)
    sys.stdin.read()
"""


@contextmanager
def orchestrator(repository: Path, home: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the project's lease until it is killed."""
    folder = project_folder(home, str(repository)) / "lease"
    command, pipe = [sys.executable, "-c", HOLD, str(folder)], subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as child:
        assert child.stdout
        assert child.stderr
        try:
            assert child.stdout.readline() == "mine\n", child.stderr.read()
            yield child
        finally:
            child.kill()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def ports(repository: Path, home: Path) -> Ports:
    return compose(ProjectRef(repository=str(repository)), Environment(home=home))


def refused(mine: Ports, first: int, times: int = ATTEMPTS) -> float:
    """How long the slowest of many refusals took, in seconds; each one names the first."""
    slowest = 0.0
    for _ in range(times):
        began = time.monotonic()
        with pytest.raises(LeaseTaken, match=f"process {first} on "), mine.lease():
            pass
        slowest = max(slowest, time.monotonic() - began)
    assert slowest < CEILING_S
    return slowest


def test_while_the_first_lives_everybody_is_refused_and_after_kill_9_the_next_one_is_in(repository: Path, home: Path):
    mine = ports(repository, home)
    for _ in range(3):
        with orchestrator(repository, home) as first:
            slowest = refused(mine, first.pid)
            print(f"{ATTEMPTS} of {ATTEMPTS} refused, the slowest after {1000 * slowest:.1f} ms")
            first.send_signal(signal.SIGKILL)
            first.wait()
        entry = project_folder(home, str(repository)) / "lease" / "lease.json"
        assert f'"pid":{first.pid}' in entry.read_text().replace(" ", ""), "what a kill leaves behind"
        began = time.monotonic()
        with mine.lease(), mine.lease():
            print(f"a killed one's lease was taken over after {1000 * (time.monotonic() - began):.1f} ms")
            assert f'"pid":{os.getpid()}' in entry.read_text().replace(" ", "")


def test_the_first_that_comes_back_is_refused_by_the_one_that_took_over(repository: Path, home: Path):
    with orchestrator(repository, home) as first:
        first.send_signal(signal.SIGKILL)
        first.wait()
    with orchestrator(repository, home) as second:
        refused(ports(repository, home), second.pid)
    with orchestrator(repository, home) as third:  # the second one was killed, too
        refused(ports(repository, home), third.pid)


def test_the_command_says_who_works_on_the_project_and_starts_nothing(repository: Path, home: Path, tmp_path: Path):
    (tmp_path / "brief.md").write_text("A shelf for links.\n")
    environment = {**os.environ, "STORYLOOM_HOME": str(home), "ANTHROPIC_API_KEY": "none", "COLUMNS": "300"}
    main = "import sys; from storyloom.cli.main import main; sys.exit(main())"
    command = [sys.executable, "-c", main, "deliver", "--brief", str(tmp_path / "brief.md"), "-C", str(repository)]
    with orchestrator(repository, home) as first:
        began = time.monotonic()
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
        print(f"the command was refused after {time.monotonic() - began:.2f} s")
    assert done.returncode == 2, done.stdout + done.stderr
    assert f"process {first.pid} on " in done.stdout + done.stderr
    assert not (home / "prefect").exists(), "no server was started"


@pytest.mark.server
@pytest.mark.slow
def test_every_flow_that_orchestrates_is_refused_before_it_does_anything(
    prefect_harness: None, repository: Path, home: Path
):
    from storyloom.deployments.catalog import entries

    spec = importlib.util.spec_from_file_location("people", Path(__file__).parents[1] / "flows" / "people.py")
    assert spec
    assert spec.loader
    people = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(people)
    mine = people.project_ports(repository, lease=SharedLease(project_folder(home, str(repository)) / "lease").held)
    flows = [entry.flow for entry in entries() if entry.name not in ("run-workflow", "look-after-questions")]
    assert len(flows) == 8
    with orchestrator(repository, home) as first, use(lambda _project: mine):
        for flow in flows:
            with pytest.raises(LeaseTaken, match=f"process {first.pid} on "):
                flow(ProjectRef(repository=str(repository)))
    assert mine.recorder.events == []
    assert mine.shelf.kept == {}
