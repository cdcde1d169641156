"""A verdict holds for code, not for documents."""

from __future__ import annotations

from storyloom.domain.ports import DiffStat, ProjectRef
from storyloom.domain.settings import ProjectConfig
from storyloom.domain.stories import TestReport
from storyloom.tasks.ports import Ports, use
from storyloom.tasks.quality import code_changed, evidence_of, gate_kept, gated_commit, keep_gate


class Workspace:
    """Two commits of documents around one of code."""

    def __init__(self, changed: tuple[str, ...]) -> None:
        self.changed, self.at = changed, "c1"

    def tip(self) -> str:
        return self.at

    def files(self, commit: str) -> list[str]:
        return ["app.py", "docs/prd.md", "docs/stories/1-1-x.md", ".bmad/project-config.yaml"]

    def stat(self, base: str, head: str) -> DiffStat:
        return DiffStat(files=self.changed)


class Shelf(dict[str, str]):
    def put(self, name: str, text: str) -> None:
        self[name] = text


def ports(*changed: str) -> Ports:
    project = ProjectRef(repository="/p")
    return Ports(project, ProjectConfig(), workspace=Workspace(changed), shelf=Shelf())  # type: ignore[arg-type]


def test_documents_do_not_count_as_code():
    assert not code_changed(ports("docs/prd.md", "docs/stories/1-1-x.md"), "c1", "c2")
    assert code_changed(ports("docs/prd.md", "app.py"), "c1", "c2")
    assert not code_changed(ports("app.py"), "c1", "c1")


def test_a_kept_verdict_holds_until_the_code_changes():
    for changed, expected in (("docs/prd.md", "pass"), ("app.py", "")):
        made = ports(changed)
        with use(lambda project, made=made: made):
            assert gate_kept(made.project, "c1") == ""
            keep_gate(made.project, "pass")
            assert gated_commit(made.project) == "c1"
            assert gate_kept(made.project, "c2") == expected


def test_the_evidence_says_what_was_measured():
    made = ports()
    with use(lambda project: made):
        report = TestReport(command="make test", passed=False, exit_code=1, tail="a\nFAILED (failures=1)")
        text = evidence_of(made.project, "c1", report)
    assert "`make test` FAILED (exit code 1); 1 files" in text
    assert text.endswith("FAILED (failures=1)")
