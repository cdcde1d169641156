"""A person starts a delivery in the browser, is asked in a form, is refused once, answers, and sees the run end.

Real Prefect server, served deployments, git and sandbox; the model's answers are recorded. With STORYLOOM_IMAGES set
to a folder the screenshots of the documentation are made there.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    f"--{flag}"
    for flag in (
        *("headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run"),
        *("disable-background-networking", "disable-component-update", "disable-sync"),
    )
]

pytestmark = [
    pytest.mark.browser,
    pytest.mark.server,
    pytest.mark.sandbox,
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.xdist_group("road"),
    pytest.mark.skipif(not CHROMIUM.exists(), reason="no /usr/bin/chromium here"),
    pytest.mark.skipif(importlib.util.find_spec("playwright") is None, reason="playwright is not installed"),
]


class Site:
    """A Prefect server with served deployments, and a project that they can work on."""

    def __init__(self, api: str, repository: Path) -> None:
        self.api, self.ui, self.repository = api, api.removesuffix("/api"), repository

    def post(self, path: str, body: dict[str, Any]) -> Any:
        request = urllib.request.Request(
            self.api + path, data=json.dumps(body).encode(), headers={"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=30) as reply:
            return json.load(reply)

    def runs(self, **wanted: Any) -> list[dict[str, Any]]:
        return list(self.post("/flow_runs/filter", {"flow_runs": wanted}))

    def wait_for(self, what: Callable[[], Any], seconds: float = 400) -> Any:
        until = time.monotonic() + seconds
        while not (found := what()):
            assert time.monotonic() < until, "it never came"
            time.sleep(1)
        return found


@pytest.fixture
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    from storyloom.blocks.sandbox import BubblewrapSandbox
    from storyloom.cli.demo import DUMMY_KEY, make_repository, rehearsal, sample_folder
    from storyloom.deployments.environment import prefect_settings
    from storyloom.deployments.server import prefect_server, start_child, stop_child

    probe = BubblewrapSandbox().probe()
    if not probe.ok:
        pytest.skip(f"no sandbox here: {probe.detail} {probe.remedy}")
    folder = tmp_path_factory.mktemp("site")
    for parent in (folder, *folder.parents[:2]):
        parent.chmod(0o755)
    home, sample = folder / "home", sample_folder()
    repository = make_repository(sample, folder / "project")
    with rehearsal(sample / "conversation", folder) as base, prefect_server(home) as api:
        env = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
        env |= prefect_settings(home, api)
        env |= {"STORYLOOM_HOME": str(home), "STORYLOOM_MODE": "rehearsal"}
        env |= {"ANTHROPIC_BASE_URL": base["anthropic_base"], "OPENAI_BASE_URL": base["openai_base"]}
        env |= {"ANTHROPIC_API_KEY": DUMMY_KEY, "OPENAI_API_KEY": DUMMY_KEY}
        command = [sys.executable, "-c", "from storyloom.cli.main import main; main()", "serve"]
        served = start_child(command, env, folder / "serve.log")
        try:
            yield Site(api, repository)
        finally:
            stop_child(served)


def shoot(page: Any, name: str) -> None:
    if folder := os.environ.get("STORYLOOM_IMAGES"):
        page.wait_for_timeout(1500)
        page.screenshot(path=str(Path(folder) / name))


def test_a_delivery_is_started_asked_refused_answered_and_ends_in_the_browser(site: Site) -> None:
    from playwright.sync_api import expect, sync_playwright

    deployed = site.wait_for(
        lambda: [d["id"] for d in site.post("/deployments/filter", {}) if d["name"] == "deliver-project"]
    )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 1000})
        page.goto(f"{site.ui}/deployments/deployment/{deployed[0]}/run")
        expect(page.get_by_text("Absolute path of the project")).to_be_visible(timeout=60_000)
        page.locator("textarea").nth(0).fill(str(site.repository))
        page.locator("textarea").nth(2).fill((site.repository / "brief.md").read_text())
        shoot(page, "start.png")
        page.get_by_role("button", name="Submit").click()

        paused = site.wait_for(lambda: site.runs(state={"type": {"any_": ["PAUSED"]}}))[0]
        assert paused["name"].startswith("develop · 1.2 ")
        page.goto(f"{site.ui}/runs/flow-run/{paused['id']}")
        page.get_by_role("button", name="Resume").first.click()
        form = page.locator(".p-modal")
        expect(form).to_contain_text("Without an answer by", timeout=30_000)
        shoot(page, "form.png")
        form.locator("textarea").fill("x" * 4001)
        form.get_by_role("button", name="Submit").click()
        expect(page.locator(".p-toast__message").first).to_contain_text("is too long")
        shoot(page, "refused.png")
        assert site.runs(id={"any_": [paused["id"]]})[0]["state_type"] == "PAUSED"

        form.locator("textarea").fill("As the requirements assume.")
        form.get_by_role("button", name="Submit").click()
        expect(form).to_have_count(0, timeout=30_000)
        top = next(run for run in site.runs() if run["name"].startswith("deliver "))
        site.wait_for(lambda: site.runs(id={"any_": [top["id"]]})[0]["state_type"] == "COMPLETED")
        page.goto(f"{site.ui}/runs/flow-run/{top['id']}")
        expect(page.get_by_text("Completed").first).to_be_visible(timeout=30_000)
        shoot(page, "ended.png")
        browser.close()
    assert len(site.runs(state={"type": {"any_": ["PAUSED"]}})) == 0
