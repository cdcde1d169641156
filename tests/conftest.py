"""What holds for every test: nothing beyond loopback, nobody's home, no real keys, no server unless asked for.

`test_seal.py` proves that the seal works.
"""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# Before anything imports Prefect or litellm: their settings are read at import.
_HOME = tempfile.mkdtemp(prefix="storyloom-tests-")
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
    shutil.rmtree(_HOME, ignore_errors=True)


@pytest.fixture(scope="session")
def prefect_harness() -> Iterator[None]:
    """Our own Prefect server on a database of its own, without heartbeats, for tests that run flows."""
    from prefect.context import _temporary_global_settings_context, get_settings_context
    from prefect.settings import PREFECT_API_URL, PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
    from storyloom.deployments.server import drain, prefect_server

    with (
        tempfile.TemporaryDirectory(prefix="storyloom-server-") as home,
        prefect_server(Path(home)) as url,
        temporary_settings({PREFECT_API_URL: url, PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}),
        _temporary_global_settings_context(get_settings_context()),  # threads without a context of their own
    ):
        yield
        drain()
