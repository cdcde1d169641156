"""Hostile material in a repository is contained: each kind, with the limit that it hit."""

import os
import shutil
import socket
import subprocess
from pathlib import Path

import psutil
import pytest
import yaml
from storyloom.blocks.git_workspace import GitWorkspace
from storyloom.blocks.sandbox import BubblewrapSandbox
from storyloom.blocks.unsandboxed import UnsandboxedRunner
from storyloom.domain.errors import GitError, UnsafePath
from storyloom.domain.ports import Limits

TIGHT = Limits(
    wall_s=60,  # far beyond cpu_s: on a busy machine two seconds of processor take long
    cpu_s=2,
    memory_bytes=256 << 20,
    file_bytes=8 << 20,
    processes=64,
    tmp_bytes=16 << 20,
    disk_bytes=24 << 20,
)
QUICK = TIGHT.model_copy(update={"wall_s": 1.0})


@pytest.fixture(params=[True, False], ids=["cgroup", "watched"])
def sandbox(request: pytest.FixtureRequest) -> BubblewrapSandbox:
    if shutil.which("bwrap") is None:
        pytest.skip("bubblewrap is not installed")
    made = BubblewrapSandbox(use_cgroup=request.param)
    if not (probe := made.probe()).ok:
        pytest.skip(f"no sandbox works here: {probe.detail}")
    return made


MATERIAL = yaml.safe_load((Path(__file__).parent / "data/hostile.yaml").read_text())
EATERS, REACHING = MATERIAL["eaters"], MATERIAL["reaching"]
LIMITS = {"tight": TIGHT, "quick": QUICK}


def living(argument: str) -> list[list[str]]:
    """Command lines of processes that have this argument, the dead not counted."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        if argument in (process.info["cmdline"] or []) and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(process.info["cmdline"])
    return found


@pytest.mark.sandbox
@pytest.mark.parametrize("name", EATERS)
def test_what_eats_without_end_is_stopped_by_its_limit(sandbox: BubblewrapSandbox, tmp_path: Path, name: str):
    limits = LIMITS[EATERS[name].get("limits", "tight")]
    result = sandbox.run(EATERS[name]["command"], str(tmp_path), limits)
    assert result.limit_hit in EATERS[name]["stopped_by"], result
    assert result.exit_code
    assert result.output_bytes <= limits.file_bytes + (1 << 20)
    assert living(f"storyloom-{os.getpid()}") == []


@pytest.mark.sandbox
@pytest.mark.parametrize("name", REACHING)
def test_what_reaches_out_gets_nothing(sandbox: BubblewrapSandbox, tmp_path: Path, name: str):
    os.environ["STORYLOOM_TEST_API_KEY"] = "hush"
    try:
        result = sandbox.run(f"( {REACHING[name]} ) 2>/dev/null; true", str(tmp_path), TIGHT)
    finally:
        del os.environ["STORYLOOM_TEST_API_KEY"]
    assert result.output == ""


@pytest.mark.sandbox
def test_the_network_is_out_of_reach(sandbox: BubblewrapSandbox, tmp_path: Path):
    abstract = "\0storyloom-test"
    with socket.create_server(("127.0.0.1", 0)) as host, socket.socket(socket.AF_UNIX) as local:
        local.bind(abstract)
        local.listen()
        port = host.getsockname()[1]
        program = f"""
import socket
for address in (("127.0.0.1", {port}), ("169.254.169.254", 80), ("8.8.8.8", 53), ("::1", {port})):
    try:
        socket.create_connection(address, 1)
        print("reached", address)
    except OSError:
        pass
try:
    socket.socket(socket.AF_UNIX).connect({abstract!r})
    print("reached the socket")
except OSError:
    pass
try:
    print(socket.getaddrinfo("example.org", 80))
except OSError:
    pass
"""
        result = sandbox.run(["python", "-c", program], str(tmp_path), TIGHT)
    assert (result.exit_code, result.output) == (0, "")


@pytest.mark.sandbox
def test_nothing_outlives_the_command(sandbox: BubblewrapSandbox, tmp_path: Path):
    command = "(setsid nohup sleep 4242 >/dev/null 2>&1 &) ; setsid sleep 4243 & sleep 0.2; echo started"
    result = sandbox.run(command, str(tmp_path), TIGHT)
    assert result.output == "started\n"
    assert result.wall_s < 15
    assert living("4242") == living("4243") == []


@pytest.mark.sandbox
def test_only_the_three_usual_descriptors_go_in(sandbox: BubblewrapSandbox, tmp_path: Path):
    with Path("/etc/hostname").open() as leak:
        os.set_inheritable(leak.fileno(), True)
        result = sandbox.run("ls /proc/self/fd", str(tmp_path), TIGHT)
    assert result.output.split() == ["0", "1", "2", "3"]  # 3 is the folder that ls reads


@pytest.mark.sandbox
def test_another_storys_worktree_is_not_in_sight(sandbox: BubblewrapSandbox, workspace: GitWorkspace):
    mine = workspace.open("1-1", "storyloom/1-1", workspace.tip())
    other = workspace.open("1-2", "storyloom/1-2", workspace.tip())
    result = sandbox.run(f"ls {other}/ {workspace.integration()}/; echo x > {other}/app.py", mine, TIGHT)
    assert "No such file" in result.output
    assert "README" not in result.output
    assert Path(other, "app.py").read_text() != "x\n"


@pytest.mark.sandbox
def test_permissions_taken_away_do_not_stop_a_checkpoint_or_a_reset(
    sandbox: BubblewrapSandbox, workspace: GitWorkspace
):
    base = workspace.tip()
    tree = workspace.open("1-1", "storyloom/1-1", base)
    spoil = "mkdir -p d/e; echo x > d/e/f; echo y > locked; chmod 000 locked d/e; chmod 500 d; chmod 000 ."
    sandbox.run(spoil, tree, TIGHT)
    commit = workspace.checkpoint(tree, "Spoiled")
    assert workspace.read(commit, "locked") == "y\n"
    sandbox.run(spoil.replace("d/e", "d/g"), tree, TIGHT)
    workspace.reset(tree, base)
    assert not Path(tree, "d").exists()
    sandbox.run(spoil, tree, TIGHT)
    workspace.abandon("1-1", "storyloom/1-1")
    assert not Path(tree).exists()


@pytest.mark.sandbox
def test_pipes_sockets_and_endless_links_do_not_hang_us(sandbox: BubblewrapSandbox, workspace: GitWorkspace):
    base = workspace.tip()
    tree = workspace.open("1-1", "storyloom/1-1", base)
    odd = "mkfifo p; ln -s l l; ln -s /dev/zero z; ln -s .. up; python -c \"import socket; socket.socket(1).bind('s')\""
    assert sandbox.run(odd, tree, TIGHT).exit_code == 0
    commit = workspace.checkpoint(tree, "Odd")
    assert workspace.stat(base, commit).files == ("l", "up", "z")
    assert sandbox.run("echo again", tree, TIGHT).output == "again\n"
    workspace.reset(tree, base)


class TestGit:
    """An agent that somehow wrote git's own files: our later calls of git run none of it."""

    @pytest.fixture
    def marker(self, tmp_path: Path) -> Path:
        return tmp_path / "pwned"

    @pytest.fixture
    def program(self, tmp_path: Path, marker: Path) -> str:
        script = tmp_path / "evil.sh"
        script.write_text(f"#!/bin/sh\ntouch '{marker}'\ncat\n")
        script.chmod(0o755)
        return str(script)

    @staticmethod
    def work(workspace: GitWorkspace, tree: str) -> None:
        """Everything that we do to a worktree."""
        base = workspace.tip()
        for step in (
            lambda: workspace.checkpoint(tree, "Evil"),
            lambda: workspace.rebase(tree, base),
            lambda: workspace.merge(workspace.head(tree), "Merge", "merge:1"),
            lambda: workspace.diff(base, workspace.head(tree)),
            lambda: workspace.stat(base, workspace.head(tree)),
            lambda: workspace.commit_files({"x": "y"}, "m", "op"),
            lambda: workspace.reset(tree, base),
            lambda: workspace.recover(),
            lambda: workspace.abandon("1-1", "storyloom/1-1"),
        ):
            try:
                step()
            except (GitError, UnsafePath):
                continue

    @pytest.mark.parametrize("key", MATERIAL["git_keys"])
    def test_a_git_folder_in_place_of_the_git_file(self, workspace: GitWorkspace, marker: Path, program: str, key: str):
        tree = Path(workspace.open("1-1", "storyloom/1-1", workspace.tip()))
        (tree / ".git").unlink()
        quiet = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null"}
        subprocess.run(["git", "init", "-q"], cwd=tree, check=True, env=quiet)
        subprocess.run(["git", "config", key, program], cwd=tree, check=True, env=quiet)
        subprocess.run(["git", "config", "commit.gpgSign", "true"], cwd=tree, check=True, env=quiet)
        (tree / ".gitattributes").write_text("* filter=evil diff=evil merge=evil\n")
        (tree / "app.py").write_text("changed\n")
        for hook in MATERIAL["hooks"]:
            (tree / ".git/hooks" / hook).parent.mkdir(exist_ok=True)
            (tree / ".git/hooks" / hook).write_text(f"#!/bin/sh\ntouch '{marker}'\n")
            (tree / ".git/hooks" / hook).chmod(0o755)
        self.work(workspace, str(tree))
        assert not marker.exists()

    def test_a_repository_inside_with_a_monitor(self, workspace: GitWorkspace, marker: Path, program: str):
        tree = Path(workspace.open("1-1", "storyloom/1-1", workspace.tip()))
        quiet = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@a",
                 "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@a"}  # fmt: skip
        (tree / "sub").mkdir()
        for line in (
            ["init", "-q"],
            ["commit", "-q", "--allow-empty", "-m", "x"],
            ["config", "core.fsmonitor", program],
        ):
            subprocess.run(["git", *line], cwd=tree / "sub", check=True, env=quiet)
        with pytest.raises(UnsafePath, match="sub"):
            workspace.checkpoint(str(tree), "Evil")
        self.work(workspace, str(tree))
        assert not marker.exists()

    def test_a_bare_repository_inside_and_a_gitmodules_with_a_program(
        self, workspace: GitWorkspace, marker: Path, program: str
    ):
        tree = Path(workspace.open("1-1", "storyloom/1-1", workspace.tip()))
        for name, text in {
            "HEAD": "ref: refs/heads/x\n",
            "config": f"[core]\n\tfsmonitor = {program}\n\tbare = false\n\tworktree = .\n",
            ".gitmodules": f'[submodule "x"]\n\tpath = x\n\turl = ext::{program}\n\tupdate = !{program}\n',
        }.items():
            (tree / name).write_text(text)
        for name in ("objects", "refs"):
            (tree / name).mkdir()
        self.work(workspace, str(tree))
        assert not marker.exists()

    def test_hooks_of_the_persons_own_repository_do_not_run(
        self, workspace: GitWorkspace, repository: Path, marker: Path
    ):
        for hook in (
            "pre-commit",
            "post-checkout",
            "post-merge",
            "reference-transaction",
            "pre-rebase",
            "post-rewrite",
        ):
            (repository / ".git/hooks" / hook).write_text(f"#!/bin/sh\ntouch '{marker}'\n")
            (repository / ".git/hooks" / hook).chmod(0o755)
        tree = Path(workspace.open("1-1", "storyloom/1-1", workspace.tip()))
        (tree / "app.py").write_text("changed\n")
        self.work(workspace, str(tree))
        assert not marker.exists()

    def test_an_environment_that_steers_git_is_not_passed_on(
        self, workspace: GitWorkspace, marker: Path, program: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ):
        for name, value in {
            "GIT_DIR": str(tmp_path / "nowhere"),
            "GIT_INDEX_FILE": str(tmp_path / "index"),
            "GIT_EXTERNAL_DIFF": program,
            "GIT_SSH_COMMAND": program,
            "GIT_PAGER": program,
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "core.fsmonitor",
            "GIT_CONFIG_VALUE_0": program,
        }.items():
            monkeypatch.setenv(name, value)
        tree = Path(workspace.open("1-1", "storyloom/1-1", workspace.tip()))
        (tree / "app.py").write_text("changed\n")
        self.work(workspace, str(tree))
        assert not marker.exists()
        assert not (tmp_path / "index").exists()


@pytest.mark.parametrize("name", [name for name, eater in EATERS.items() if eater.get("unsandboxed")])
@pytest.mark.parametrize("use_cgroup", [True, False], ids=["cgroup", "watched"])
def test_without_a_sandbox_the_limits_hold_all_the_same(tmp_path: Path, name: str, use_cgroup: bool):
    limits = LIMITS[EATERS[name].get("limits", "tight")]
    result = UnsandboxedRunner(use_cgroup=use_cgroup).run(EATERS[name]["command"], str(tmp_path), limits)
    assert result.limit_hit in EATERS[name]["stopped_by"], result
    assert not result.sandboxed
