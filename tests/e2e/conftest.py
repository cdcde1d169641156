"""What the tests in a browser share: a real Prefect server with served deployments or a work pool, and a project.

Git and sandbox are real; the model's answers are recorded. With STORYLOOM_IMAGES set to a folder the screenshots of the
documentation are made there.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    f"--{flag}"
    for flag in (
        *("headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run"),
        *("disable-background-networking", "disable-component-update", "disable-sync"),
    )
]
FLEET = """  fleet: true
gates:
  phases: [analysis]
  approvals: 2
people:
- {name: Ada, role: approver}
- {name: Bo, role: approver}
- {name: Cy, role: developer}
"""


class Site:
    """A Prefect server with deployments that somebody runs, and a project that they can work on."""

    def __init__(self, api: str, repository: Path, env: dict[str, str]) -> None:
        self.api, self.ui, self.repository, self.env = api, api.removesuffix("/api"), repository, env

    def post(self, path: str, body: dict[str, Any]) -> Any:
        request = urllib.request.Request(
            self.api + path, data=json.dumps(body).encode(), headers={"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=30) as reply:
            return json.load(reply)

    def runs(self, **wanted: Any) -> list[dict[str, Any]]:
        return list(self.post("/flow_runs/filter", {"flow_runs": wanted}))

    def run(self, run_id: str) -> dict[str, Any]:
        return self.runs(id={"any_": [run_id]})[0]

    def deployment(self, name: str) -> str:
        """The id of a deployment, once it is there."""
        found = self.wait_for(lambda: [d["id"] for d in self.post("/deployments/filter", {}) if d["name"] == name])
        return str(found[0])

    def wait_for(self, what: Callable[[], Any], seconds: float = 400) -> Any:
        until = time.monotonic() + seconds
        while not (found := what()):
            assert time.monotonic() < until, "it never came"
            time.sleep(0.5)
        return found

    def storyloom(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A command of ours, in the environment of this site."""
        command = [sys.executable, "-c", "from storyloom.cli.main import main; main()", *words]
        return subprocess.run(command, env=self.env, capture_output=True, text=True, check=False)


@contextmanager
def started(folder: Path, more: str = "") -> Iterator[Site]:
    """A server and the sample project, whose settings end in `more`."""
    from storyloom.blocks.project_config import config_path
    from storyloom.blocks.sandbox import BubblewrapSandbox
    from storyloom.cli.demo import DUMMY_KEY, make_repository, rehearsal, sample_folder
    from storyloom.deployments.environment import prefect_settings
    from storyloom.deployments.server import prefect_server

    probe = BubblewrapSandbox().probe()
    if not probe.ok:
        pytest.skip(f"no sandbox here: {probe.detail} {probe.remedy}")
    for parent in (folder, *folder.parents[:2]):
        parent.chmod(0o755)
    home, sample = folder / "home", sample_folder()
    repository = make_repository(sample, folder / "project")
    with config_path(repository).open("a") as settings:
        settings.write(more)
    with rehearsal(sample / "conversation", folder) as base, prefect_server(home) as api:
        env = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
        env |= prefect_settings(home, api)
        env |= {"STORYLOOM_HOME": str(home), "STORYLOOM_MODE": "rehearsal"}
        env |= {"ANTHROPIC_BASE_URL": base["anthropic_base"], "OPENAI_BASE_URL": base["openai_base"]}
        env |= {"ANTHROPIC_API_KEY": DUMMY_KEY, "OPENAI_API_KEY": DUMMY_KEY}
        yield Site(api, repository, env)


@pytest.fixture
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Deployments served from one process, as by `storyloom serve`."""
    from storyloom.deployments.server import start_child, stop_child

    folder = tmp_path_factory.mktemp("site")
    with started(folder) as site:
        command = [sys.executable, "-c", "from storyloom.cli.main import main; main()", "serve"]
        served = start_child(command, site.env, folder / "serve.log")
        try:
            yield site
        finally:
            stop_child(served)


@pytest.fixture
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Deployments on a process work pool with one worker; the project frees it, and needs two people at a gate."""
    from storyloom.deployments.server import start_child, stop_child

    folder = tmp_path_factory.mktemp("fleet")
    prefect = [sys.executable, "-m", "prefect", "--no-prompt"]
    with started(folder, FLEET) as site:
        site.env |= {"PREFECT_WORKER_QUERY_SECONDS": "1"}
        site.post("/work_pools/", {"name": "storyloom", "type": "process"})
        worker = start_child([*prefect, "worker", "start", "--pool", "storyloom"], site.env, folder / "worker.log")
        try:
            deploy = [*prefect, "deploy", "--name", "deliver-project", "--name", "look-after-questions"]
            subprocess.run(deploy, env=site.env, cwd=ROOT, check=True, capture_output=True)
            yield site
        finally:
            stop_child(worker)


@pytest.fixture
def page() -> Iterator[Any]:
    """A page of a headless browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield browser.new_page(viewport={"width": 1280, "height": 1000})
        browser.close()


@pytest.fixture
def shoot(page: Any) -> Callable[[str], None]:
    """Make a screenshot, if somebody wants them."""

    def shoot(name: str) -> None:
        if folder := os.environ.get("STORYLOOM_IMAGES"):
            page.wait_for_timeout(1500)
            page.screenshot(path=str(Path(folder) / name))

    return shoot


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of these need a browser, a server and the sandbox, and are not run beside each other."""
    here = Path(__file__).parent
    for item in items:
        if here not in item.path.parents:
            continue
        for mark in ("browser", "server", "sandbox", "slow"):
            item.add_marker(getattr(pytest.mark, mark))
        item.add_marker(pytest.mark.timeout(900))
        item.add_marker(pytest.mark.xdist_group("road"))
        item.add_marker(pytest.mark.skipif(not CHROMIUM.exists(), reason="no /usr/bin/chromium here"))
        missing = importlib.util.find_spec("playwright") is None
        item.add_marker(pytest.mark.skipif(missing, reason="playwright is not installed"))
