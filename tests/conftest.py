"""What holds for every test: nothing beyond loopback, nobody's home, no real keys, no server unless asked for.

`test_seal.py` proves that the seal works.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from hypothesis import is_hypothesis_test, settings

# Before anything imports Prefect or litellm: their settings are read at import.
_KEPT = os.environ.get("STORYLOOM_TESTS_KEEP")  # a folder for what is looked at after the tests
_HOME = tempfile.mkdtemp(prefix="storyloom-tests-", dir=_KEPT)
Path(_HOME).chmod(0o755)
for _name in [n for n in os.environ if n.endswith(("_API_KEY", "_TOKEN", "_BASE_URL")) or n.startswith("PREFECT_")]:
    del os.environ[_name]
os.environ.update(
    HOME=_HOME,
    XDG_STATE_HOME=f"{_HOME}/state",
    STORYLOOM_HOME=f"{_HOME}/storyloom",
    PREFECT_HOME=f"{_HOME}/prefect",
    PREFECT_LOGGING_TO_API_ENABLED="false",
    PREFECT_LOGGING_LEVEL="ERROR",
    PREFECT_SERVER_ANALYTICS_ENABLED="false",
    PREFECT_SERVER_EPHEMERAL_ENABLED="false",  # who wants a server starts one, and ends it
    PREFECT_RESULTS_PERSIST_BY_DEFAULT="true",
    PREFECT_RESULTS_DEFAULT_SERIALIZER="json",
    DO_NOT_TRACK="1",
    LITELLM_LOCAL_MODEL_COST_MAP="True",
    LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS="True",
    LITELLM_MODE="PRODUCTION",
    GIT_CONFIG_GLOBAL=os.devnull,
    GIT_CONFIG_NOSYSTEM="1",
)

settings.register_profile("calm", deadline=None)  # a busy machine is no failure
settings.load_profile("calm")

collect_ignore = []
if not os.environ.get("STORYLOOM_EVERY_PROVIDER"):
    collect_ignore.append("flows/test_road_with_a_provider_down.py")  # test_recorded_session.py shows as much of each

LOOPBACK = ("127.", "::1", "localhost")
_connect, _connect_ex = socket.socket.connect, socket.socket.connect_ex


class BeyondLoopback(AssertionError):
    """A test tried to reach another machine."""


def _guard(address: object) -> None:
    if isinstance(address, tuple) and not str(address[0]).startswith(LOOPBACK):
        raise BeyondLoopback(f"A test tried to connect to {address!r}.")


def _guarded_connect(self: socket.socket, address: object) -> None:
    _guard(address)
    _connect(self, address)  # type: ignore[arg-type]


def _guarded_connect_ex(self: socket.socket, address: object) -> int:
    _guard(address)
    return _connect_ex(self, address)  # type: ignore[arg-type]


socket.socket.connect = _guarded_connect  # type: ignore[method-assign, assignment]
socket.socket.connect_ex = _guarded_connect_ex  # type: ignore[method-assign, assignment]


def pytest_unconfigure() -> None:
    if not _KEPT:
        shutil.rmtree(_HOME, ignore_errors=True)


UNCOUNTED = ("faults", "conformance", "benchmarks", "e2e")
"""Folders of tests in which lines are not counted."""


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Count lines in the tests of single parts alone: to count takes a third of the time, in properties two thirds.

    What whole batches, kills and hundreds of examples reach on top of them is not counted.
    """
    coverage = getattr(item.config.pluginmanager.getplugin("_cov"), "cov_controller", None)
    whole = item.get_closest_marker("whole") or is_hypothesis_test(getattr(item, "obj", None))
    if coverage is None or not (whole or item.path.parent.name in UNCOUNTED):
        yield
        return
    coverage.pause()
    try:
        yield
    finally:
        coverage.resume()


@pytest.fixture(scope="session", autouse=True)
def migrated_database(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Iterator[None]:
    """Every Prefect server that tests start finds its tables there: to make them takes ten seconds, each time anew."""
    from storyloom.deployments import server

    base = tmp_path_factory.getbasetemp()
    template = (base if worker_id == "master" else base.parent) / "migrated" / "prefect.db"
    start = server.start_child

    def start_with_tables(command: Any, env: Any, log: Path, **options: Any) -> Any:
        database = Path(env.get("PREFECT_HOME", "")) / "prefect.db"
        if server.APP in command and not database.exists():
            database.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(_migrated(template), database)
        return start(command, env, log, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server, "start_child", start_with_tables)
        yield


def _migrated(template: Path) -> Path:
    template.parent.mkdir(exist_ok=True)
    with FileLock(template.with_suffix(".lock")):
        if not template.exists():
            being_made = template.with_suffix(".new")
            env = {**os.environ, "PREFECT_API_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{being_made}"}
            prefect = [sys.executable, "-m", "prefect", "server", "database", "upgrade", "-y"]
            subprocess.run(prefect, env=env, check=True, capture_output=True)
            being_made.rename(template)
    return template


QUIET = ("SCHEDULER", "LATE_RUNS", "FOREMAN", "REPOSSESSOR", "EVENT_PERSISTER", "TRIGGERS", "TASK_RUN_RECORDER")
"""Services of Prefect's server that the tests of flows look at nothing of; they cost as much as all the rest."""


@pytest.fixture(scope="session")
def prefect_harness(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Our own Prefect server on a database of its own, without heartbeats, for tests that run flows."""
    from prefect.context import _temporary_global_settings_context, get_settings_context
    from prefect.settings import (
        PREFECT_API_URL,
        PREFECT_CLIENT_CSRF_SUPPORT_ENABLED,
        PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
        temporary_settings,
    )
    from storyloom.deployments.server import drain, prefect_server

    with ExitStack() as running:
        with pytest.MonkeyPatch.context() as patch:
            for service in QUIET:
                patch.setenv(f"PREFECT_SERVER_SERVICES_{service}_ENABLED", "false")
            url = running.enter_context(prefect_server(tmp_path_factory.mktemp("server")))
        settings = {
            PREFECT_API_URL: url,
            PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None,
            PREFECT_CLIENT_CSRF_SUPPORT_ENABLED: False,
        }
        running.enter_context(temporary_settings(settings))
        running.enter_context(_temporary_global_settings_context(get_settings_context()))  # for threads without any
        yield
        drain()
