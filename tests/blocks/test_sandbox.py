"""A command runs in its folder, finds its tools, and the canaries can fail."""

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from storyloom.blocks import sandbox as module
from storyloom.blocks.git_workspace import GitWorkspace
from storyloom.blocks.sandbox import CANARIES, BubblewrapSandbox, give
from storyloom.blocks.toolchain import Toolchain, python_toolchain
from storyloom.blocks.unsandboxed import UnsandboxedRunner
from storyloom.domain.errors import InputError, SandboxError, SandboxMissing
from storyloom.domain.ports import Limits, Sandbox, SandboxProbe

from .conftest import git

pytestmark = [
    pytest.mark.sandbox,
    pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed"),
]
LIMITS = Limits(wall_s=60, cpu_s=30)


@pytest.fixture(scope="module")
def sandbox() -> BubblewrapSandbox:
    made = BubblewrapSandbox()
    if not (probe := made.probe()).ok:
        pytest.skip(f"no sandbox works here: {probe.detail}")
    return made


@pytest.fixture
def folder(tmp_path: Path) -> str:
    return str(tmp_path)


def test_it_is_a_sandbox_and_says_so(sandbox: BubblewrapSandbox, folder: str):
    assert isinstance(sandbox, Sandbox)
    assert sandbox.run("true", folder, LIMITS).sandboxed


def test_output_exit_code_and_files_are_those_of_the_command(sandbox: BubblewrapSandbox, folder: str):
    result = sandbox.run("echo out; echo err >&2; echo made > made; exit 7", folder, LIMITS)
    assert (result.exit_code, result.output, result.limit_hit) == (7, "out\nerr\n", "")
    assert Path(folder, "made").read_text() == "made\n"
    assert sandbox.run("kill -9 $$", folder, LIMITS).exit_code == 137
    assert sandbox.run(["printf", "%s", "a b;$x"], folder, LIMITS).output == "a b;$x"
    assert sandbox.run("nothing-like-this", folder, LIMITS).exit_code == 127


def test_python_and_its_packages_are_there_at_their_own_place(sandbox: BubblewrapSandbox, folder: str):
    asked = "python -c 'import sys, pytest; print(sys.prefix)'"
    assert sandbox.run(asked, folder, LIMITS).output.strip() == sys.prefix


def test_the_systems_python_is_called_python_too(sandbox: BubblewrapSandbox, folder: str):
    plain = BubblewrapSandbox(Toolchain(python="/usr/bin/python3"))
    if not Path("/usr/bin/python3").exists() or Path("/usr/bin/python").exists():
        pytest.skip("this system has no python3, or a python of its own")
    assert plain.run("python -c 'print(6 * 7)'", folder, LIMITS).output == "42\n"


def test_a_toolchain_is_the_interpreter_and_its_virtual_environment(tmp_path: Path):
    (tmp_path / "env/bin").mkdir(parents=True)
    (tmp_path / "env/bin/python").touch()
    chain = python_toolchain(tmp_path / "env", tmp_path / "base")
    assert chain.folders == (str(tmp_path / "base"), str(tmp_path / "env"))
    assert chain.path == (str(tmp_path / "env/bin"), str(tmp_path / "base/bin"))
    assert chain.python == ""
    assert python_toolchain(Path("/usr"), Path("/usr")).folders == ()


def test_it_works_below_a_folder_that_only_its_owner_may_enter(sandbox: BubblewrapSandbox, tmp_path: Path):
    hidden = tmp_path / "hidden"
    project = hidden / "a project é"
    project.mkdir(parents=True)
    (project / "old").write_text("old")
    hidden.chmod(0o700)
    result = sandbox.run("pwd; cat old; echo new > new; echo more >> old", str(project), LIMITS)
    assert result.output == f"{project}\nold"
    assert (project / "new").read_text() == "new\n"
    assert (project / "old").read_text() == "oldmore\n"


def test_a_folder_may_be_shown_without_being_writable(sandbox: BubblewrapSandbox, folder: str):
    result = sandbox.run("echo x > made; mkdir sub; echo $?", folder, LIMITS, writable=False)
    assert "Read-only file system" in result.output
    assert list(Path(folder).iterdir()) == []


def test_variables_are_those_that_were_given_and_the_usual_few(sandbox: BubblewrapSandbox, folder: str):
    os.environ["STORYLOOM_TEST_SECRET"] = "hush"
    try:
        output = sandbox.run("env", folder, LIMITS, env={"MODE": "a b\nc"}).output
    finally:
        del os.environ["STORYLOOM_TEST_SECRET"]
    assert "MODE=a b\nc\n" in output
    assert "hush" not in output
    assert "STORYLOOM_CANARY" not in output
    with pytest.raises(SandboxError, match="environment variable"):
        sandbox.run("env", folder, LIMITS, env={"A=B": "x"})


def test_loopback_works_inside(sandbox: BubblewrapSandbox, folder: str):
    program = (
        "import socket; s = socket.create_server(('127.0.0.1', 0)); c = socket.create_connection(s.getsockname()); "
        "print(socket.gethostbyname('localhost'))"
    )
    assert sandbox.run(["python", "-c", program], folder, LIMITS).output == "127.0.0.1\n"


def test_git_works_inside_and_after_it_outside(sandbox: BubblewrapSandbox, workspace: GitWorkspace, repository: Path):
    git(repository, "remote", "add", "origin", "https://ada:hunter2@example.org/x.git")
    git(repository, "config", "http.extraheader", "AUTHORIZATION: basic c2VjcmV0")
    tree = workspace.open("1-1", "storyloom/1-1", workspace.tip())
    commands = (
        "echo changed > app.py; git status --porcelain; git diff --stat; git log --oneline | wc -l; git remote -v"
    )
    output = sandbox.run(commands, tree, LIMITS).output
    assert " M app.py" in output
    assert "\n1\n" in output
    assert "hunter2" not in sandbox.run(f"git config --list; cat {repository}/.git/config", tree, LIMITS).output
    refused = (
        "git add -A; git commit -m x; git config user.name x; rm -rf .git; mv .git x; ln -sf /tmp .git; echo x > .git"
    )
    output = sandbox.run(refused, tree, LIMITS).output
    assert output.count("Read-only") + output.count("busy") >= 5
    commit = workspace.checkpoint(tree, "Change")
    assert workspace.read(commit, "app.py") == "changed\n"
    assert sandbox.run("git status --porcelain", tree, LIMITS).output == ""


def test_in_an_ordinary_clone_git_is_read_only_and_keeps_its_secrets(sandbox: BubblewrapSandbox, repository: Path):
    git(repository, "config", "http.extraheader", "AUTHORIZATION: basic c2VjcmV0")
    output = sandbox.run("git status --porcelain; cat .git/config; echo x > .git/x", str(repository), LIMITS).output
    assert "Read-only file system" in output
    assert "c2VjcmV0" not in output
    assert "repositoryformatversion" in output


def test_git_works_inside_of_a_clone_that_borrows_its_objects(
    sandbox: BubblewrapSandbox, repository: Path, tmp_path: Path
):
    git(tmp_path, "clone", "-q", "--shared", str(repository), str(tmp_path / "borrower"))
    workspace = GitWorkspace(tmp_path / "borrower", tmp_path / "state2")
    tree = workspace.open("1-1", "storyloom/1-1", workspace.tip())
    for place in (tree, str(tmp_path / "borrower")):
        assert sandbox.run("git log --format=%s", place, LIMITS).output == "Start\n"


def test_with_the_network_a_set_up_step_reaches_what_we_reach(folder: str):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as host:
        asked = f"exec 3<>/dev/tcp/127.0.0.1/{host.getsockname()[1]} && echo reached"
        assert BubblewrapSandbox(network=True).run(asked, folder, LIMITS).output == "reached\n"
        assert BubblewrapSandbox().run(asked, folder, LIMITS).exit_code == 1


@pytest.mark.parametrize("lost", ["sys_admin", "setuid"])
def test_a_root_without_the_needed_capability_is_told_the_cure(lost: str):
    if os.geteuid() != 0:
        pytest.skip("only root has capabilities to lose")
    program = (
        "from storyloom.blocks.sandbox import BubblewrapSandbox; print(BubblewrapSandbox().probe().model_dump_json())"
    )
    drop = ["setpriv", f"--bounding-set=-{lost}", f"--inh-caps=-{lost}"]
    done = subprocess.run([*drop, sys.executable, "-c", program], capture_output=True, text=True, check=True)
    probe = SandboxProbe.model_validate_json(done.stdout)
    assert not probe.ok
    assert "SYS_ADMIN" in probe.remedy if lost == "sys_admin" else "CAP_SETUID" in probe.remedy


def test_a_git_file_that_points_elsewhere_shows_nothing_of_it(sandbox: BubblewrapSandbox, tmp_path: Path):
    elsewhere, project = tmp_path / "elsewhere", tmp_path / "project"
    for path in (elsewhere / "refs", elsewhere / "objects", project):
        path.mkdir(parents=True)
    for name in ("HEAD", "secret"):
        (elsewhere / name).write_text("secret")
    (elsewhere / "commondir").write_text(".")
    (project / ".git").write_text(f"gitdir: {elsewhere}\n")
    assert "secret" not in sandbox.run(f"cat {elsewhere}/secret; true", str(project), LIMITS).output.replace(
        f"cat: {elsewhere}/secret", ""
    )


def test_the_tail_of_the_output_is_kept_clean(sandbox: BubblewrapSandbox, folder: str):
    shown = r"printf '\033[31mred\033[0m \033]0;title\007\xff\0 \u202ereversed\r\n'"
    assert sandbox.run(shown, folder, LIMITS).output == "red \ufffd reversed\n"
    result = sandbox.run("seq 1 100000", folder, LIMITS.model_copy(update={"output_bytes": 1000}))
    assert result.output.endswith("99999\n100000\n")
    assert len(result.output) <= 1000
    assert result.output_bytes == 588_895
    assert all(line.isdigit() and len(line) >= 5 for line in result.output.split())


def test_memory_is_measured(sandbox: BubblewrapSandbox, folder: str):
    result = sandbox.run(
        ["python", "-c", "x = bytearray(b'x') * (200 << 20); import time; time.sleep(0.5)"], folder, LIMITS
    )
    assert result.exit_code == 0
    assert 200 << 20 < (result.peak_memory_bytes or 0) < 400 << 20


def test_a_folder_that_is_none_is_told(sandbox: BubblewrapSandbox, tmp_path: Path):
    with pytest.raises(SandboxError, match="not a folder"):
        sandbox.run("true", str(tmp_path / "nothing"), LIMITS)


@pytest.mark.parametrize("command", ["echo a\0b", "echo \ud800", ["printf", "\0"]])
def test_a_command_that_no_process_can_be_given_is_refused(sandbox: BubblewrapSandbox, folder: str, command):
    for runner in (sandbox, UnsandboxedRunner()):
        with pytest.raises(InputError, match="whole signs"):
            runner.run(command, folder, LIMITS)


def test_a_command_that_is_too_long_is_told(sandbox: BubblewrapSandbox, folder: str):
    for runner in (sandbox, UnsandboxedRunner()):
        with pytest.raises(InputError, match="too long"):
            runner.run("echo " + "x" * 200_000, folder, LIMITS)


def test_root_gives_away_no_folder_of_the_systems_or_of_other_users(sandbox: BubblewrapSandbox, tmp_path: Path):
    if os.geteuid() != 0:
        pytest.skip("only root gives files away")
    os.chown(tmp_path, 4321, 4321)
    for place, owner in (("/", 0), ("/etc", 0), (str(tmp_path), 4321)):
        with pytest.raises(SandboxError, match="own folder"):
            sandbox.run("true", place, LIMITS)
        assert Path(place).stat().st_uid == owner


def test_many_run_at_once(sandbox: BubblewrapSandbox, tmp_path: Path):
    results: dict[int, str] = {}

    def one(number: int) -> None:
        tree = tmp_path / str(number)
        tree.mkdir()
        results[number] = sandbox.run(f"echo {number} > x; cat x", str(tree), LIMITS).output

    threads = [threading.Thread(target=one, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {number: f"{number}\n" for number in range(12)}


class TestCanaries:
    """Each protection taken away in turn is noticed."""

    @staticmethod
    def weaken(monkeypatch: pytest.MonkeyPatch, change: Callable[[list[str]], list[str]]) -> str:
        real = module.bwrap_arguments
        monkeypatch.setattr(module, "bwrap_arguments", lambda *given: change(real(*given)))
        weak = BubblewrapSandbox()
        probe = weak.probe()
        assert not probe.ok
        with pytest.raises(SandboxMissing):
            weak.run("true", "/", LIMITS)
        return probe.detail

    def test_a_worktree_that_cannot_be_written(self, monkeypatch: pytest.MonkeyPatch):
        def change(given: list[str]) -> list[str]:
            return ["--ro-bind" if part == "--bind" else part for part in given]

        assert CANARIES[11] in self.weaken(monkeypatch, change)

    def test_a_host_file_in_sight(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
        import tempfile

        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

        def change(given: list[str]) -> list[str]:
            at = given.index("--remount-ro")
            canary = str(next(tmp_path.glob("storyloom-canary-*")))
            return [*given[:at], "--dev-bind", "/dev/null", canary, *given[at:]]

        assert CANARIES[12] in self.weaken(monkeypatch, change)

    def test_a_port_in_reach(self, monkeypatch: pytest.MonkeyPatch):
        assert CANARIES[13] in self.weaken(monkeypatch, lambda given: ["--unshare-all", "--share-net", *given[1:]])

    def test_capabilities(self, monkeypatch: pytest.MonkeyPatch):
        def change(given: list[str]) -> list[str]:
            return ["--cap-add" if part == "--cap-drop" else part for part in given if part != "--disable-userns"]

        assert CANARIES[14] in self.weaken(monkeypatch, change)

    def test_an_environment_that_goes_along(self, monkeypatch: pytest.MonkeyPatch):
        assert CANARIES[15] in self.weaken(monkeypatch, lambda given: [part for part in given if part != "--clearenv"])

    def test_writable_memory_file_systems(self, monkeypatch: pytest.MonkeyPatch):
        def change(given: list[str]) -> list[str]:
            at = given.index("--remount-ro")
            return given[:at] + given[at + 4 :]

        assert CANARIES[16] in self.weaken(monkeypatch, change)

    def test_a_writable_git_folder(self, monkeypatch: pytest.MonkeyPatch):
        def change(given: list[str]) -> list[str]:
            at = next(number for number, part in enumerate(given) if part.endswith("/.git")) - 2
            if not given[at + 1].endswith("/.git"):
                at = next(number for number, part in enumerate(given) if part.endswith("/.git")) - 1
            return given[:at] + given[at + 3 :]

        real = module.give
        monkeypatch.setattr(
            module, "give", lambda folder, uid: (real(folder, uid), os.chown(folder / ".git", uid, uid))
        )
        assert CANARIES[17] in self.weaken(monkeypatch, change)

    def test_another_user(self, monkeypatch: pytest.MonkeyPatch):
        assert CANARIES[18] in self.weaken(
            monkeypatch, lambda given: ["1001" if part == "1000" else part for part in given]
        )

    def test_a_bubblewrap_that_does_not_know_our_options_or_is_missing(self, monkeypatch: pytest.MonkeyPatch):
        assert "Unknown option" in self.weaken(monkeypatch, lambda given: ["--no-such-option", *given])
        monkeypatch.setattr(module, "HOST_PATH", "/nowhere")
        probe = BubblewrapSandbox().probe()
        assert not probe.ok
        assert "bubblewrap" in probe.remedy


def test_files_are_given_away_but_not_links_second_names_or_git(tmp_path: Path):
    if os.geteuid() != 0:
        pytest.skip("only root gives files away")
    folder, outside = tmp_path / "folder", tmp_path / "outside"
    (folder / ".git").mkdir(parents=True)
    (folder / "deep").mkdir()
    outside.write_text("x")
    (folder / "deep/plain").write_text("x")
    (folder / "link").symlink_to(outside)
    os.link(outside, folder / "hard")
    give(folder, 65534)
    owners = {path.name: path.lstat().st_uid for path in (folder, *folder.rglob("*"), outside)}
    assert owners == {"folder": 65534, ".git": 0, "deep": 65534, "plain": 65534, "link": 65534, "hard": 0, "outside": 0}


def test_without_a_sandbox_the_result_says_so(folder: str):
    runner = UnsandboxedRunner()
    assert isinstance(runner, Sandbox)
    assert runner.probe().name == "none"
    result = runner.run("pwd; echo $MODE; touch ~/x; exit 3", folder, LIMITS, env={"MODE": "x"})
    assert (result.exit_code, result.output, result.sandboxed) == (3, f"{folder}\nx\n", False)
    assert list(Path(folder).iterdir()) == []
    with pytest.raises(SandboxError, match="nowhere"):
        runner.run("true", "/nowhere", LIMITS)


def test_leftovers_of_a_killed_orchestrator_are_swept(sandbox: BubblewrapSandbox, tmp_path: Path):
    if os.geteuid() != 0:
        pytest.skip("only root makes mount points")
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    left = Path(module._points_parent(), f"{module.NEUTRAL}{dead.pid}-x")
    (left / "0").mkdir(parents=True)
    sandbox.sweep()  # unless another process of ours was quicker
    assert not left.exists()
