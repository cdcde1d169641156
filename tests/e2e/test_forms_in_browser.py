"""A person starts a delivery in the browser, is asked in a form, is refused once, answers, and sees the run end."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any


def test_a_delivery_is_started_asked_refused_answered_and_ends_in_the_browser(
    site: Any, page: Any, shoot: Callable[[str], None]
) -> None:
    from playwright.sync_api import expect

    page.goto(f"{site.ui}/deployments/deployment/{site.deployment('deliver-project')}/run")
    expect(page.get_by_text("Absolute path of the project")).to_be_visible(timeout=60_000)
    page.locator("textarea").nth(0).fill(str(site.repository))
    page.locator("textarea").nth(2).fill((site.repository / "brief.md").read_text())
    shoot("start.png")
    page.get_by_role("button", name="Submit").click()
    look_away(page, lambda url: not url.endswith("/run"))

    paused = site.wait_for(lambda: site.runs(state={"type": {"any_": ["PAUSED"]}}))[0]
    assert paused["name"].startswith("develop · 1.2 ")
    page.goto(f"{site.ui}/runs/flow-run/{paused['id']}")
    page.get_by_role("button", name="Resume").first.click()
    form = page.locator(".p-modal")
    expect(form).to_contain_text("Without an answer by", timeout=30_000)
    shoot("form.png")
    form.locator("textarea").fill("x" * 4001)
    form.get_by_role("button", name="Submit").click()
    expect(page.locator(".p-toast__message").first).to_contain_text("is too long")
    shoot("refused.png")
    assert site.runs(id={"any_": [paused["id"]]})[0]["state_type"] == "PAUSED"

    form.locator("textarea").fill("As the requirements assume.")
    form.get_by_role("button", name="Submit").click()
    expect(form).to_have_count(0, timeout=30_000)
    look_away(page)
    top = next(run for run in site.runs() if run["name"].startswith("deliver "))
    site.wait_for(lambda: site.runs(id={"any_": [top["id"]]})[0]["state_type"] == "COMPLETED")
    page.goto(f"{site.ui}/runs/flow-run/{top['id']}")
    expect(page.get_by_text("Completed").first).to_be_visible(timeout=30_000)
    shoot("ended.png")
    assert len(site.runs(state={"type": {"any_": ["PAUSED"]}})) == 0


def test_a_suspended_delivery_frees_its_worker_and_goes_on_elsewhere_once_two_people_have_approved(
    fleet: Any, page: Any, shoot: Callable[[str], None]
) -> None:
    from playwright.sync_api import expect

    def choose(where: Any, number: int, text: str) -> None:
        where.locator(".p-select-button__control").nth(number).press("ArrowDown")
        page.locator(".p-select-option").get_by_text(text, exact=True).click()

    def suspended(before: str = "") -> dict[str, Any]:
        """The delivery, once it waits anew."""

        def found() -> Any:
            runs = [run for run in fleet.runs(state={"name": {"any_": ["Suspended"]}}) if run["state_id"] != before]
            assert not fleet.runs(state={"type": {"any_": ["FAILED", "CRASHED"]}})
            return runs and runs[0]

        return dict(fleet.wait_for(found))

    def form() -> Any:
        page.get_by_role("button", name="Resume").first.click()
        shown = page.locator(".p-modal")
        expect(shown).to_contain_text("Let analysis pass?", timeout=30_000)
        return shown

    def answer(name: str, told: str) -> None:
        page.goto(f"{fleet.ui}/runs/flow-run/{waits['id']}")
        shown = form()
        expect(shown).to_contain_text(told)
        choose(shown, 0, "approve")
        choose(shown, 1, name)
        shoot("suspended.png")
        shown.get_by_role("button", name="Submit").click()
        expect(shown).to_have_count(0, timeout=30_000)
        look_away(page)

    page.goto(f"{fleet.ui}/deployments/deployment/{fleet.deployment('deliver-project')}/run")
    expect(page.get_by_text("Absolute path of the project")).to_be_visible(timeout=60_000)
    page.locator("textarea").nth(0).fill(str(fleet.repository))
    page.locator("textarea").nth(2).fill((fleet.repository / "brief.md").read_text())
    choose(page, 0, "analysis")
    shoot("start.png")
    page.get_by_role("button", name="Submit").click()
    look_away(page, lambda url: not url.endswith("/run"))

    waits = suspended()
    assert waits["name"].startswith("deliver ")
    assert "waits-for-person" in waits["tags"]
    first = process_of(waits)
    fleet.wait_for(lambda: not alive(first), 60)
    page.goto(f"{fleet.ui}/artifacts/key/what-needs-me")
    page.locator('a[href^="/artifacts/artifact/"]').first.click()
    expect(page.get_by_text("Let analysis pass?").first).to_be_visible(timeout=30_000)
    shoot("needs.png")
    expect(page.get_by_role("link", name="Open the run").first).to_have_attribute("href", re.compile(waits["id"]))
    page.goto(f"{fleet.ui}/runs")
    expect(page.get_by_text("Flow runs").first).to_be_visible(timeout=30_000)
    choose(page, 0, "Waits for a person")
    expect(page).to_have_url(re.compile("tag=waits-for-person"))
    expect(page.get_by_text(waits["name"]).first).to_be_visible(timeout=30_000)
    told = fleet.storyloom("status")
    assert (told.returncode, "Let analysis pass?" in told.stdout) == (3, True), told.stderr
    page.goto(f"{fleet.ui}/runs/flow-run/{waits['id']}")
    shown = form()
    choose(shown, 0, "approve")
    choose(shown, 1, "Ada")
    shown.locator("textarea").fill("x" * 4001)
    shown.get_by_role("button", name="Submit").click()
    expect(page.locator(".p-toast__message").first).to_contain_text("is too long")
    assert fleet.run(waits["id"])["state_id"] == waits["state_id"]
    shown.locator("textarea").fill("The brief says what I want.")
    shown.get_by_role("button", name="Submit").click()
    expect(shown).to_have_count(0, timeout=30_000)
    look_away(page)

    once = suspended(waits["state_id"])
    assert process_of(once) != first
    answer("Bo", "1 of 2 approvals: Ada.")
    fleet.wait_for(lambda: fleet.run(waits["id"])["state_type"] == "COMPLETED")
    assert process_of(fleet.run(waits["id"])) != process_of(once)
    assert "waits-for-person" not in fleet.run(waits["id"])["tags"]


def look_away(page: Any, once_at: Any = "**") -> None:
    """Leave for an empty page until there is something to see: a run's live graph costs as much as the run itself."""
    page.wait_for_url(once_at, timeout=30_000)
    page.goto("about:blank")


def process_of(run: dict[str, Any]) -> int:
    """The process in which a worker started the run last."""
    return int(run["infrastructure_pid"].rsplit(":", 1)[-1])


def alive(process: int) -> bool:
    """Whether a process is there and has not ended."""
    try:
        return "State:\tZ" not in Path(f"/proc/{process}/status").read_text()
    except FileNotFoundError:
        return False
