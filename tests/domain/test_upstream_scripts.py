"""Upstream's own scripts accept what we write, and agree with us on what we read.

Set STORYLOOM_UPSTREAM to the unpacked npm package (the folder that holds `package.json`) of release 6.12.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from storyloom.domain.board import merge, new_board, next_action, plan_entries, read_board, set_status, settle_epics
from storyloom.domain.epics import read_epics
from storyloom.domain.keys import slug
from storyloom.domain.statuses import ORDER, Kind

ROOT = os.environ.get("STORYLOOM_UPSTREAM", "")
pytestmark = pytest.mark.skipif(not ROOT, reason="STORYLOOM_UPSTREAM names no unpacked package")
pytest.importorskip("ruamel.yaml")
STAMP = "05-06-2025 21:30"

EPICS = """\
# Shelf - Epic Breakdown
### Epic 1: Reading (summary)
## Epic 1: Reading
### Story 1.1: User Authentication & Login!
### Story 1.2: Страница счёта
### Story 1.2a: 🎉🎉
### Story 1.3 No colon here
#### Story 1.4: A deeper heading ##
```
### Story 1.9: fenced
```
## EPIC 2
### story 2.1:    LONG
### Story 2.1: LONG
### Story 2.2: under_score — dash, "quotes" / slash
### Story 4.1: an epic without a heading
## Epic 3: Empty
""".replace("LONG", "long " * 30)


def run(script: str, *arguments: str) -> dict:
    (path,) = Path(ROOT).rglob(script)
    command = [sys.executable, str(path), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    answer = json.loads(done.stdout)
    assert answer.get("ok", True), answer
    return answer


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "epics.md").write_text(EPICS, encoding="utf-8")
    return tmp_path


def generate(folder: Path, status: Path, *more: str) -> dict:
    names = ["--epic-file", str(folder / "epics.md"), "--status-file", str(status), "--stories-dir", str(folder)]
    return run("sprint_plan.py", "generate", *names, "--project", "Shelf", "--date", STAMP, *more)


def rows(text: str) -> list[tuple[str, str]]:
    return [(entry.key, entry.status) for entry in read_board(text).entries]


def test_both_make_the_same_board_of_the_same_epics(folder: Path):
    theirs = folder / "theirs.yaml"
    generate(folder, theirs)
    plan = read_epics(EPICS)
    ours = new_board("Shelf", plan_entries(plan.stories, [epic.number for epic in plan.epics]), STAMP)
    assert rows(ours) == rows(theirs.read_text(encoding="utf-8"))
    assert read_board(theirs.read_text(encoding="utf-8")).notes == ()


def test_validate_and_status_accept_every_board_that_we_write(folder: Path):
    plan = read_epics(EPICS)
    planned = plan_entries(plan.stories, [epic.number for epic in plan.epics])
    text = new_board('A "quoted": name', planned, STAMP)
    status = folder / "sprint-status.yaml"
    chance = random.Random(5)
    for _ in range(8):
        status.write_text(text, encoding="utf-8")
        assert run("sprint_plan.py", "validate", "--status-file", str(status))["problems"] == []
        said = run("sprint_plan.py", "status", "--status-file", str(status), "--date", STAMP)
        assert said["unrecognized"] == said["illegal"] == said["warnings"] == []
        action = next_action(read_board(text))
        if said["recommendation"] and said["recommendation"]["story_key"]:
            assert said["recommendation"]["story_key"] == action.key
        for key in chance.sample([story.key for story in plan.stories], 3):
            text = set_status(text, key, chance.choice(ORDER[Kind.STORY]), stamp="05-07-2025 08:00")
        text = settle_epics(text)


def test_generate_finds_our_merged_board_in_sync(folder: Path):
    plan = read_epics(EPICS)
    planned = plan_entries(plan.stories, [epic.number for epic in plan.epics])
    text = set_status(new_board("Shelf", planned[:4], STAMP), planned[1][0], "review")
    status = folder / "sprint-status.yaml"
    status.write_text(merge(text, planned).text, encoding="utf-8")
    assert generate(folder, status, "--dry-run")["in_sync"] is True


def test_the_retrospective_script_reads_and_updates_our_board(folder: Path):
    plan = read_epics(EPICS)
    text = new_board("Shelf", plan_entries(plan.stories), STAMP)
    text = set_status(text, plan.stories[0].key, "done")
    status = folder / "sprint-status.yaml"
    status.write_text(text, encoding="utf-8")
    found = run("sprint_status.py", "detect-epic", "--file", str(status))
    assert (found["epic"], found["retro_status"]) == (1, "optional")
    action = json.dumps([{"action": "Write more tests", "owner": "Amelia"}])
    told = ["--epic", "1", "--set-retro-done", "--add-action", action, "--date", "05-08-2025 09:00"]
    assert run("sprint_status.py", "update", "--file", str(status), *told)["action_items_added"] == 1
    after = status.read_text(encoding="utf-8")
    assert read_board(after).get("epic-1-retrospective").status == "done"
    assert set_status(after, plan.stories[1].key, "review").count("Write more tests") == 1


def test_slugs_are_made_alike(folder: Path):
    titles = ["A  b--c", "Ünïcode ß", "日本 語", "-", "x" * 61, "a_b", "é" * 59 + " - b", "1.2 (x)", "`code` *b*"]
    text = "## Epic 1: x\n" + "\n".join(f"### Story 1.{number}: {title}" for number, title in enumerate(titles, 1))
    (folder / "epics.md").write_text(text, encoding="utf-8")
    theirs = folder / "theirs.yaml"
    generate(folder, theirs)
    keys = [key for key, _ in rows(theirs.read_text(encoding="utf-8"))][1:-1]
    assert keys == [f"1-{number}-{slug(title)}" for number, title in enumerate(titles, 1)]
    assert keys == [story.key for story in read_epics(text).stories]
