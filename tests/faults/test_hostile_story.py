"""What a story's own commands and files try against its developer's tools, its tests and its worktree is contained."""

import os
import resource
import shutil
from pathlib import Path
from typing import Any

import psutil
import pytest
from storyloom.blocks.git_workspace import GitWorkspace
from storyloom.blocks.project_files import ProjectFiles
from storyloom.blocks.sandbox import BubblewrapSandbox
from storyloom.domain.agent_tools import ToolOutcome
from storyloom.domain.change_checks import check_change
from storyloom.domain.errors import UnsafePath
from storyloom.domain.model_calls import ToolCall
from storyloom.domain.ports import Limits
from storyloom.domain.settings import Commands
from storyloom.domain.stories import TestReport
from storyloom.tasks.agent_tools import Bench, apply_tools, run_project_tests

pytestmark = pytest.mark.sandbox
STORY, BRANCH = "1-1", "storyloom/1-1"
FAILING = "def test_it():\n    assert 1 == 2\n"
CASE = "import unittest\n\n\nclass T(unittest.TestCase):\n    def test_it(self):\n        self.assertEqual(1, 2)\n"
PYTEST, UNITTEST = "python -m pytest -p no:cacheprovider", "python -m unittest discover"


@pytest.fixture(scope="module")
def sandbox() -> BubblewrapSandbox:
    if shutil.which("bwrap") is None:
        pytest.skip("bubblewrap is not installed")
    made = BubblewrapSandbox()
    if not (probe := made.probe()).ok:
        pytest.skip(f"no sandbox works here: {probe.detail}")
    return made


class Desk:
    """A story's worktree with its developer's tools."""

    def __init__(self, workspace: GitWorkspace, sandbox: BubblewrapSandbox) -> None:
        self.workspace, self.sandbox, self.base = workspace, sandbox, workspace.tip()
        self.tree = Path(workspace.open(STORY, BRANCH, self.base))

    def bench(self, test: str = UNITTEST, **limits: Any) -> Bench:
        bounds = Limits(**{"wall_s": 120, **limits})
        return Bench(ProjectFiles(self.tree), self.sandbox, str(self.tree), Commands(test=test), bounds)

    def use(self, name: str, **arguments: Any) -> ToolOutcome:
        return apply_tools([ToolCall(id="1", name=name, arguments=arguments)], self.bench())[0]

    def run(self, command: str) -> ToolOutcome:
        return self.use("run", command=command)

    def tests(self, command: str, **files: str) -> TestReport:
        for name, text in files.items():
            (self.tree / f"{name}.py").write_text(text)
        return run_project_tests(self.bench(command))


@pytest.fixture
def desk(workspace: GitWorkspace, sandbox: BubblewrapSandbox) -> Desk:
    return Desk(workspace, sandbox)


FORGED = """
import os
for name in ("junit.xml", "report.xml", "build/junit.xml", ".pytest_cache/v/cache/lastfailed", ".coverage"):
    os.makedirs(os.path.dirname(name) or ".", exist_ok=True)
    with open(name, "w") as file:
        file.write('<testsuite tests="9" failures="0" errors="0"/>')
"""


@pytest.mark.parametrize("command", [f"{PYTEST} --junitxml=junit.xml", f"{UNITTEST} -p 'test_*.py'"])
def test_forged_result_files_are_no_pass(desk: Desk, command: str):
    report = desk.tests(command, conftest=FORGED, test_shop=f"import atexit\n{FORGED}\n{CASE}")
    assert (report.passed, report.ran, report.failures) == (False, 1, 1), report.tail


ZERO = "def pytest_sessionfinish(session, exitstatus):\n    session.exitstatus = 0\n"
LATE = "\nimport atexit, os\natexit.register(lambda: (print({!r}, flush=True), os._exit(0)))\n"
LATE_PYTEST, LATE_UNITTEST = LATE.format("9 passed in 0.1s"), LATE.format("Ran 9 tests in 0.1s\n\nOK")


@pytest.mark.parametrize(
    ("command", "files"),
    [
        (PYTEST, {"conftest": ZERO, "test_a": FAILING}),
        (PYTEST, {"conftest": LATE_PYTEST, "test_a": FAILING}),
        (UNITTEST, {"test_a": CASE + LATE_UNITTEST}),
        (f"{PYTEST}; true", {"test_a": FAILING}),
    ],
)
def test_an_exit_code_or_a_last_line_that_lies_is_no_pass(desk: Desk, command: str, files: dict[str, str]):
    assert desk.tests(command, **files).passed is False


@pytest.mark.parametrize("command", [PYTEST, UNITTEST])
def test_a_run_that_ends_itself_in_silence_shows_nothing(desk: Desk, command: str):
    assert desk.tests(command, test_a="import os\nos._exit(0)\n").passed is None


@pytest.mark.parametrize(("command", "said"), [(PYTEST, "9 passed in 0.1s"), (UNITTEST, "Ran 9 tests in 0.1s\n\nOK")])
def test_a_run_that_ends_itself_with_a_forged_closing_line_does_not_pass_the_look_at_its_change(
    desk: Desk, command: str, said: str
):
    """The report alone cannot tell: the finding is high, so the story cannot be merged."""
    desk.tests(command, test_a=f"import os\nprint({said!r}, flush=True)\nos._exit(0)\n")
    commit = desk.workspace.checkpoint(str(desk.tree), "Forged")
    found = check_change(desk.workspace.diff(desk.base, commit))
    assert ("high", "A test decides how the whole run ends") in [(each.severity, each.title) for each in found]


NAMES = [
    "-rf",
    "--help",
    "--",
    "ü ñ 本 🚀.py",
    "e\u0301.txt",
    "a b;$(touch pwned)`id`.py",
    "'\"&|<>*?.txt",
    "\u202etxt.exe",
]


def test_odd_names_are_committed_rebased_merged_and_cleared_like_others(desk: Desk):
    for name in NAMES:
        (desk.tree / name).write_text(f"{name}\n")
    assert desk.run("ls -1 -- * | wc -l").ok
    commit = desk.workspace.checkpoint(str(desk.tree), "Odd names")
    assert set(desk.workspace.stat(desk.base, commit).files) == set(NAMES)
    assert check_change(desk.workspace.diff(desk.base, commit)) == ()
    desk.workspace.commit_files({"other.txt": "x\n"}, "Other", "other")
    head = desk.workspace.rebase(str(desk.tree), desk.workspace.tip())
    merge = desk.workspace.merge(head, "Merge odd names", "merge-odd")
    assert desk.workspace.texts(merge, NAMES) == {name: f"{name}\n" for name in NAMES}
    for name in ("ü ñ 本 🚀.py", "a b;$(touch pwned)`id`.py"):
        assert desk.use("read_file", path=name).ok
    desk.workspace.reset(str(desk.tree), desk.base)
    assert sorted(path.name for path in desk.tree.iterdir()) == [".git", "README.md", "app.py"]
    assert not (desk.tree / "pwned").exists()


@pytest.mark.parametrize("name", [b"a\nb", b"a\tb", b"\xff\xfe", b"a\\b", b"a\rb"])
def test_names_that_could_pass_for_two_are_never_committed_and_can_be_cleared(desk: Desk, name: bytes):
    Path(os.fsdecode(os.fsencode(desk.tree) + b"/" + name)).write_text("x")
    with pytest.raises(UnsafePath):
        desk.workspace.checkpoint(str(desk.tree), "Odd")
    assert desk.workspace.head(str(desk.tree)) == desk.base
    desk.workspace.reset(str(desk.tree), desk.base)
    assert desk.workspace.checkpoint(str(desk.tree), "Nothing") == desk.base


@pytest.mark.parametrize(
    "command",
    [
        "rm -rf .git",
        "mv .git away",
        "rm -f .git; git init -q .",
        "echo 'gitdir: /tmp/evil' > .git",
        "ln -sf /tmp .git",
        "chmod 777 .git && echo x > .git",
        "git config core.fsmonitor evil; git update-ref HEAD HEAD~1; git commit --allow-empty -m x",
        "git worktree prune; git branch -D storyloom/main; git reset --hard HEAD~1; git gc --prune=now -q",
    ],
)
def test_git_cannot_be_deleted_replaced_or_used_to_write_from_inside(desk: Desk, command: str):
    kept = (desk.tree / ".git").read_bytes()
    refs = desk.workspace._trees.repository().text("for-each-ref")
    desk.run(f"{command}; echo made > made.txt")
    assert (desk.tree / ".git").read_bytes() == kept
    assert not (desk.tree / ".git").is_symlink()
    assert desk.workspace._trees.repository().text("for-each-ref") == refs
    commit = desk.workspace.checkpoint(str(desk.tree), "After")
    assert desk.workspace.stat(desk.base, commit).files == ("made.txt",)


def test_a_gigabyte_on_stdout_is_cut_off_at_its_limit_and_never_in_our_memory(desk: Desk):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    bench = desk.bench()
    result = bench.sandbox.run("yes 'a line of output' | head -c 1G", bench.worktree, bench.limits)
    assert result.limit_hit == "file_bytes"
    assert result.output_bytes < bench.limits.file_bytes + (64 << 20)
    assert len(result.output) <= bench.limits.output_bytes
    outcome = desk.run("yes 'a line of output' | head -c 1G")
    assert "stopped by its limit on file_bytes" in outcome.content
    assert len(outcome.content) < 10_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10  # KiB


def test_a_command_that_is_too_long_for_a_process_is_answered_to_who_gave_it(desk: Desk):
    outcome = desk.run("cat > f <<'X'\n" + "x = 1\n" * 25_000 + "X\n")
    assert (outcome.ok, outcome.content) == (False, "The command is too long. Write it to a file and run that.")


NEST = (
    "python -c \"\nimport os\nfor _ in range({times}):\n    os.mkdir('{name}'); os.chdir('{name}')\nopen('f', 'w')\n\""
)


@pytest.mark.parametrize(("name", "times"), [("d", 1_500), ("d" * 200, 60)])
def test_folders_nested_deeper_than_any_path_are_cut_and_the_story_goes_on(desk: Desk, name: str, times: int):
    outcome = desk.run(NEST.format(name=name, times=times))
    assert outcome.ok
    assert outcome.content.startswith("Exit code 0. Removed, since they lay too deep")
    assert desk.run("echo again > again.txt").content == "Exit code 0. No output."
    assert desk.use("list_files").ok
    commit = desk.workspace.checkpoint(str(desk.tree), "Deep")
    assert desk.workspace.stat(desk.base, commit).files == ("again.txt",)
    desk.workspace.reset(str(desk.tree), desk.base)
    assert not (desk.tree / name).exists()
    desk.workspace.abandon(STORY, BRANCH)
    assert not desk.tree.exists()


def test_folders_that_a_test_nests_are_cut_and_the_report_says_so(desk: Desk):
    nest = "import os\nfor _ in range(1500):\n    os.mkdir('d')\n    os.chdir('d')\n"
    report = desk.tests(UNITTEST, test_a=CASE.replace("(1, 2)", "(1, 1)") + nest)
    assert report.passed
    assert "lay too deep" in report.tail


def test_a_link_out_of_the_worktree_leads_no_edit_out(desk: Desk, tmp_path: Path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "target.txt").write_text("untouched\n")
    links = f"ln -s {outside} out; ln -s {outside}/target.txt file; ln -s ../../../../../../../{outside} up"
    assert desk.run(links).ok
    for path in ("out/target.txt", "file", "up/target.txt", "out/new.txt"):
        edits = [{"search": "untouched\n", "replace": "EVIL\n"}]
        for name, given in (
            ("edit_file", {"edits": edits}),
            ("write_file", {"content": "EVIL\n"}),
            ("read_file", {}),
        ):
            outcome = desk.use(name, path=path, **given)
            assert not outcome.ok, (name, path, outcome.content)
            assert "untouched" not in outcome.content
    desk.use("delete_file", path="out/target.txt")
    desk.workspace.checkpoint(str(desk.tree), "Links")
    desk.workspace.reset(str(desk.tree), desk.base)
    desk.workspace.abandon(STORY, BRANCH)
    assert {path.name: path.read_text() for path in outside.iterdir()} == {"target.txt": "untouched\n"}


def test_a_huge_file_is_stopped_by_its_limit_and_one_below_it_is_not_read_or_shown(desk: Desk):
    assert "limit on file_bytes" in desk.run("head -c 200M /dev/zero > huge").content
    assert "limit on file_bytes" in desk.run("truncate -s 1T sparse").content
    assert (desk.tree / "huge").stat().st_size <= Limits().file_bytes
    desk.run("rm -f huge sparse; yes 'a long line of text' | head -c 40M > large.txt")
    for name, given in (("read_file", {}), ("edit_file", {"edits": [{"search": "a long", "replace": "b"}]})):
        outcome = desk.use(name, path="large.txt", **given)
        assert not outcome.ok
        assert len(outcome.content) < 2_000
    assert len(desk.use("search", pattern="long line").content) < 100_000
    commit = desk.workspace.checkpoint(str(desk.tree), "Large")
    assert len(desk.workspace.diff(desk.base, commit)) < 10_000


DAEMON = """
import os, subprocess, unittest


class T(unittest.TestCase):
    def test_it(self):
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                os.execvp("sleep", ["sleep", "4244"])
            os._exit(0)
        subprocess.Popen(["setsid", "nohup", "sleep", "4245"])
"""


def test_a_daemon_that_a_test_leaves_behind_ends_with_the_tests_and_holds_nothing_up(desk: Desk):
    report = desk.tests(UNITTEST, test_a=DAEMON)
    assert (report.passed, report.ran, report.limit_hit) == (True, 1, "")
    assert report.wall_s < 60
    for number in ("4244", "4245"):
        there = [p.pid for p in psutil.process_iter(["cmdline"]) if (p.info["cmdline"] or [])[:2] == ["sleep", number]]
        assert there == []
