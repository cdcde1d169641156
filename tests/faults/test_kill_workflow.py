"""A workflow killed with SIGKILL at any boundary and run again: same documents byte for byte, nothing asked twice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from storyloom.deployments.environment import prefect_settings
from storyloom.deployments.server import prefect_server

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.timeout(1800)]


class Bench:
    """Starts runs of the workflow in processes of their own."""

    def __init__(self, folder: Path, child: subprocess.Popen[str]) -> None:
        self.folder, self.child, self.made = folder, child, 0

    def fresh(self) -> Path:
        self.made += 1
        folder = self.folder / f"run-{self.made}"
        (folder / "project" / "docs").mkdir(parents=True)
        (folder / "project" / "docs" / "idea.md").write_text("An idea.\n")
        return folder

    def run(self, folder: Path, kill_at: int = 0) -> int:
        assert self.child.stdin
        assert self.child.stdout
        self.child.stdin.write(json.dumps({"folder": str(folder), "kill_at": kill_at}) + "\n")
        self.child.stdin.flush()
        return int(self.child.stdout.readline())

    def documents(self, folder: Path) -> dict[str, str]:
        files = (path for path in (folder / "project").rglob("*") if path.is_file())
        return {path.relative_to(folder).as_posix(): path.read_text() for path in files}

    def asked(self, folder: Path) -> Counter[str]:
        return Counter((folder / "asked").read_text().splitlines())


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("kill-workflow")
    with prefect_server(folder / "prefect") as url:
        env = {**os.environ, **prefect_settings(folder / "prefect", url)}
        script = str(Path(__file__).with_name("workflow_child.py"))
        with (folder / "errors").open("w") as errors:
            pipe = subprocess.PIPE
            child = subprocess.Popen(
                [sys.executable, script], env=env, stdin=pipe, stdout=pipe, stderr=errors, text=True
            )
        assert child.stdout
        assert child.stdout.readline().strip() == "ready", (folder / "errors").read_text()[-2000:]
        try:
            yield Bench(folder, child)
        finally:
            child.stdin.close()  # type: ignore[union-attr]
            child.wait(30)


def test_a_workflow_killed_at_a_boundary_ends_as_if_it_had_not_been(bench: Bench) -> None:
    golden = bench.fresh()
    assert bench.run(golden) == 0, (bench.folder / "errors").read_text()[-3000:]
    boundaries = int((golden / "boundaries").read_text())
    assert boundaries >= 30
    documents, asked = bench.documents(golden), bench.asked(golden)
    assert sorted(documents) == ["project/docs/idea.md", "project/docs/note.md", "project/docs/parts.md"]
    assert set(asked.values()) == {1}
    step = 1 if os.environ.get("STORYLOOM_KILL_ALL") else 8
    for kill_at in range(step, boundaries + 1, step):
        folder = bench.fresh()
        assert bench.run(folder, kill_at) == -9
        assert bench.run(folder) == 0, (kill_at, (bench.folder / "errors").read_text()[-3000:])
        assert bench.documents(folder) == documents, kill_at
        assert bench.asked(folder) == asked, kill_at
        outcome = json.loads((folder / "outcome").read_text())
        assert (outcome["status"], len(outcome["steps_done"]), outcome["model_calls"]) == ("complete", 3, 8), kill_at
