"""Every command ends with one sentence and the right exit code."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from storyloom.cli.failures import BUG, INPUT, INTERRUPTED, OK, STOPPED, run_guarded
from storyloom.domain.errors import InputError, LeaseTaken, StorageFull


def storyloom(*arguments: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from storyloom.cli.main import main; main()", *arguments]
    return subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, "COLUMNS": "160", **env},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    for arguments in (
        ("init", "-q", "-b", "main"),
        ("-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m", "start"),
    ):
        subprocess.run(["git", *arguments], cwd=folder, check=True)
    return folder


def check_refusal(result: subprocess.CompletedProcess[str], *words: str) -> None:
    """One sentence with the remedy, exit code 2, no traceback."""
    assert result.returncode == INPUT, result.stdout + result.stderr
    assert "Traceback" not in result.stderr
    assert len(result.stderr.strip().splitlines()) <= 2
    for word in words:
        assert word in result.stderr


def raising(error: BaseException):
    def app(**_: object) -> None:
        raise error

    return app


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InputError("bad"), INPUT),
        (LeaseTaken("process 7 works on it"), INPUT),
        (StorageFull("full"), STOPPED),
        (OSError(errno.ENOSPC, "No space left on device", "f"), STOPPED),
        (OSError(errno.EROFS, "Read-only file system", "f"), INPUT),
        (PermissionError(errno.EACCES, "Permission denied", "f"), INPUT),
        (KeyboardInterrupt(), INTERRUPTED),
        (SystemExit(5), 5),
        (typer.Exit(INTERRUPTED), INTERRUPTED),
        (BrokenPipeError(), OK),
    ],
)
def test_each_kind_of_end_has_its_exit_code(error: BaseException, code: int):
    assert run_guarded(raising(error), {}) == code


@pytest.mark.parametrize("ends", [KeyboardInterrupt(), typer.Abort()])
def test_ctrl_c_says_how_to_go_on_whoever_catches_it(ends: BaseException, capsys: pytest.CaptureFixture[str]):
    app = typer.Typer(pretty_exceptions_enable=False)

    @app.command()
    def wait() -> None:
        raise ends

    assert run_guarded(lambda **how: app([], **how), {}) == INTERRUPTED
    assert "Run the same command again to go on" in capsys.readouterr().err


def test_a_reader_that_has_seen_enough_is_no_failure():
    program = "from storyloom.cli.main import main; main()"
    shell = f"{sys.executable} -c '{program}' report list | head -n 1; echo ${{PIPESTATUS[0]}}"
    result = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[1:] == ["0"], result.stderr


def test_the_process_ends_in_order_and_without_a_last_look_for_garbage():
    program = """
import atexit, gc, threading, time
from storyloom.cli.failures import leave
atexit.register(print, "at exit")
threading.Thread(target=lambda: (time.sleep(0.3), print("thread"))).start()
gc.callbacks.append(lambda phase, _: print("garbage"))
print("end", end=" ")
leave(7)
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (7, "end thread\nat exit\n", "")


def test_a_bug_leaves_a_log_without_secrets(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "logs").mkdir()
    environ = {"STORYLOOM_HOME": str(tmp_path), "SOME_API_KEY": "hunter2-hunter2"}
    assert run_guarded(raising(ZeroDivisionError("hunter2-hunter2")), environ) == BUG
    log = next((tmp_path / "logs").glob("storyloom-bug-*.log")).read_text()
    assert "ZeroDivisionError" in log
    assert "hunter2" not in log
    assert "this is a bug" in capsys.readouterr().err


def test_a_folder_that_is_no_repository_is_refused(tmp_path: Path):
    check_refusal(storyloom("deliver", cwd=tmp_path), "is not in a git repository", "git init")


def test_a_repository_without_a_commit_is_refused(tmp_path: Path):
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    check_refusal(storyloom("init", cwd=tmp_path), "no commit yet")


def test_uncommitted_changes_are_refused_by_name(repository: Path):
    (repository / "a.txt").write_text("1")
    subprocess.run(["git", "add", "a.txt"], cwd=repository, check=True)
    check_refusal(storyloom("deliver", cwd=repository), "uncommitted changes (a.txt)", "Commit or stash")


def test_a_missing_and_an_empty_brief_are_refused(repository: Path):
    check_refusal(storyloom("deliver", "--brief", "nowhere.md", cwd=repository), "nowhere.md does not exist")
    (repository / "brief.md").write_text(" \n")
    check_refusal(storyloom("deliver", "--brief", "brief.md", cwd=repository), "brief.md is empty")
    check_refusal(storyloom("deliver", cwd=repository), "There is no brief yet")


def test_a_missing_key_is_refused_with_its_name(repository: Path):
    (repository / "brief.md").write_text("An idea.")
    check_refusal(
        storyloom("deliver", "--brief", "brief.md", cwd=repository),
        "neither ANTHROPIC_API_KEY nor OPENAI_API_KEY is set",
        "export",
    )


def test_a_misspelt_setting_names_line_and_nearest_key(repository: Path):
    (repository / ".bmad").mkdir()
    (repository / ".bmad" / "project-config.yaml").write_text("settings:\n  max_turn: 3\n")
    check_refusal(storyloom("deliver", cwd=repository), "project-config.yaml:2", "'max_turns'")


def test_an_unknown_phase_and_an_unknown_option_are_refused(repository: Path):
    (repository / "brief.md").write_text("An idea.")
    check_refusal(storyloom("deliver", "--brief", "brief.md", "--until", "launch", cwd=repository), "no phase 'launch'")
    assert storyloom("deliver", "--nonsense", cwd=repository).returncode == INPUT


def test_a_model_that_nobody_has_a_price_for_is_refused_before_anything_starts(repository: Path):
    (repository / "brief.md").write_text("An idea.")
    (repository / ".bmad").mkdir()
    (repository / ".bmad" / "project-config.yaml").write_text("agents:\n  mary: openai/gpt-99-imaginary\n")
    result = storyloom("deliver", "--brief", "brief.md", cwd=repository, OPENAI_API_KEY="x")
    check_refusal(result, "gpt-99-imaginary", "price")


def test_a_port_in_use_is_refused(repository: Path):
    import socket

    (repository / "brief.md").write_text("An idea.")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        result = storyloom(
            "deliver", "--brief", "brief.md", "--port", port, cwd=repository, ANTHROPIC_API_KEY="x", OPENAI_API_KEY="x"
        )
    check_refusal(result, f"Port {port}", "--port")


def test_without_a_sandbox_nothing_is_started_and_both_ways_on_are_named(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from storyloom.blocks.sandbox import BubblewrapSandbox
    from storyloom.cli.deliver import Wish, deliver_here
    from storyloom.domain.errors import SandboxMissing
    from storyloom.domain.ports import SandboxProbe

    missing = SandboxProbe(name="bubblewrap", ok=False, detail="bwrap is missing.", remedy="Install bubblewrap.")
    monkeypatch.setattr(BubblewrapSandbox, "probe", lambda self: missing)
    for name, value in {
        "STORYLOOM_HOME": str(tmp_path / "home"),
        "ANTHROPIC_API_KEY": "x",
        "OPENAI_API_KEY": "x",
    }.items():
        monkeypatch.setenv(name, value)
    (repository / "brief.md").write_text("An idea.")
    with pytest.raises(SandboxMissing, match=r"Install bubblewrap\. Or choose --unsandboxed"):
        deliver_here(Wish(project=repository, brief=repository / "brief.md"))
    assert {path.name for path in (tmp_path / "home").rglob("*") if path.is_file()} <= {"lease.lock"}


def test_a_second_delivery_is_refused_before_a_server_is_started(repository: Path, tmp_path: Path):
    from storyloom.blocks.lease import Lease
    from storyloom.deployments.environment import project_folder

    home = tmp_path / "home"
    (repository / "brief.md").write_text("An idea.")
    keys = {"STORYLOOM_HOME": str(home), "ANTHROPIC_API_KEY": "x", "OPENAI_API_KEY": "x"}
    with Lease(project_folder(home, repository) / "lease"):
        result = storyloom("deliver", "--brief", "brief.md", "--unsandboxed", cwd=repository, **keys)
    check_refusal(result, f"process {os.getpid()} on ", "Wait until it has ended, or end it")
    assert not (home / "prefect").exists()
    assert not (home / "logs").exists()


def test_a_delivery_holds_its_project_from_before_the_server_is_started(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    import contextlib

    from storyloom.blocks.lease import Lease
    from storyloom.cli import deliver
    from storyloom.deployments.environment import project_folder

    for name, value in {"STORYLOOM_HOME": str(tmp_path), "ANTHROPIC_API_KEY": "x", "OPENAI_API_KEY": "x"}.items():
        monkeypatch.setenv(name, value)
    (repository / "brief.md").write_text("An idea.")

    @contextlib.contextmanager
    def server(*_: object, **__: object):
        with pytest.raises(LeaseTaken, match=f"process {os.getpid()}"):
            Lease(project_folder(tmp_path, repository) / "lease").take()
        raise InputError("far enough")
        yield

    monkeypatch.setattr(deliver, "running_server", server)
    wish = deliver.Wish(project=repository, brief=repository / "brief.md", settings={"sandbox": "none"})
    with pytest.raises(InputError, match="far enough"):
        deliver.deliver_here(wish)
    with Lease(project_folder(tmp_path, repository) / "lease"):
        pass


@pytest.mark.parametrize(
    "command", [("deliver", "--brief", "brief.md", "--unsandboxed"), ("facts", "list"), ("serve",)]
)
def test_state_that_cannot_be_kept_is_refused_with_the_way_on(repository: Path, command: tuple[str, ...]):
    (repository / "brief.md").write_text("An idea.")
    (repository / ".gitignore").write_text("x")
    home = str(repository / "brief.md" / "home")
    result = storyloom(*command, cwd=repository, STORYLOOM_HOME=home, ANTHROPIC_API_KEY="x", OPENAI_API_KEY="x")
    check_refusal(result, "State cannot be kept in", "export STORYLOOM_HOME=")


def test_a_demo_folder_that_cannot_be_made_is_refused(tmp_path: Path):
    (tmp_path / "file").write_text("")
    check_refusal(storyloom("demo", "--folder", "file/demo", cwd=tmp_path), "cannot be made", "--folder")


def test_a_terminal_of_another_encoding_gets_signs_in_place_of_those_it_lacks(repository: Path, tmp_path: Path):
    place = tmp_path / "pröject ✓"
    repository.rename(place)
    result = storyloom("config", "explain", cwd=place, PYTHONIOENCODING="ascii", STORYLOOM_HOME=str(place / "home"))
    assert result.returncode == OK, result.stderr
    assert "pr?ject ?" in result.stdout


@pytest.mark.parametrize("extra", [{}, {"NO_COLOR": "1"}, {"TERM": "dumb"}, {"LC_ALL": "C", "LANG": "C"}])
def test_what_is_piped_holds_no_control_characters(repository: Path, extra: dict[str, str]):
    (repository / "brief.md").write_text("An idea.")
    result = storyloom("deliver", "--brief", "brief.md", "--plan", "--until", "analysis", cwd=repository, **extra)
    assert result.returncode == OK, result.stderr
    assert all(sign.isprintable() or sign == "\n" for sign in result.stdout + result.stderr)


def test_without_git_the_remedy_is_to_install_it(repository: Path, tmp_path: Path):
    empty = tmp_path / "bin"
    empty.mkdir()
    check_refusal(storyloom("init", cwd=repository, PATH=str(empty)), "git was not found", "Install git")


def test_nothing_is_made_by_a_refusal(repository: Path):
    before = sorted(p for p in repository.rglob("*") if ".git" not in p.parts)
    storyloom("deliver", "--brief", "nowhere.md", cwd=repository)
    assert sorted(p for p in repository.rglob("*") if ".git" not in p.parts) == before


def test_init_writes_settings_that_are_valid_and_never_replaces_them(repository: Path):
    first = storyloom("init", "--name", 'The "best"', cwd=repository, ANTHROPIC_API_KEY="x")
    assert first.returncode == OK, first.stderr
    text = (repository / ".bmad" / "project-config.yaml").read_text()
    assert "anthropic/" in text
    check_refusal(storyloom("init", cwd=repository), "is there already")
    assert (repository / ".bmad" / "project-config.yaml").read_text() == text


def test_doctor_names_every_check_and_a_remedy_for_what_is_missing(repository: Path):
    import json

    result = storyloom("doctor", "--json", cwd=repository)
    findings = {f["name"]: f for f in json.loads(result.stdout)}
    assert set(findings) >= {"python", "git", "project", "sandbox", "prefect", "key", "disk"}
    assert result.returncode == INPUT
    assert all(f["remedy"] for f in findings.values() if not f["ok"])
    assert storyloom("doctor", cwd=repository, ANTHROPIC_API_KEY="x").stdout.count("ok ") >= 5


def test_help_names_every_command(repository: Path):
    text = storyloom("--help", cwd=repository).stdout
    for command in ("init", "deliver", "demo", "doctor", "serve", "report", "workflow", "rehearse"):
        assert f"  {command} " in text


def test_the_plan_says_what_would_run_and_starts_nothing(repository: Path, tmp_path: Path):
    (repository / "brief.md").write_text("An idea.")
    home = tmp_path / "home"
    result = storyloom(
        *("deliver", "--brief", "brief.md", "--plan"),
        cwd=repository,
        ANTHROPIC_API_KEY="x",
        OPENAI_API_KEY="x",
        STORYLOOM_HOME=str(home),
    )
    assert result.returncode == OK, result.stderr
    assert "docs/prd.md" in result.stdout
    assert "Nothing was started" in result.stdout
    assert not list(home.glob("projects/*/journal/*"))


def test_config_explain_names_the_source_of_every_value(repository: Path):
    import json

    (repository / ".bmad").mkdir()
    (repository / ".bmad" / "project-config.yaml").write_text("settings:\n  max_turns: 7\nagents:\n  mary: light\n")
    result = storyloom("config", "explain", "--json", cwd=repository, ANTHROPIC_API_KEY="sk-very-secret")
    found = {line["name"]: line for line in json.loads(result.stdout)}
    assert (found["settings.max_turns"]["value"], found["settings.max_turns"]["source"]) == (7, "line 2")
    assert found["agents"]["source"] == "line 3"
    assert found["settings.auto_merge_prs"]["source"] == "default"
    assert found["ANTHROPIC_API_KEY"]["value"] == "(set)"
    assert "sk-very-secret" not in result.stdout
    assert "settings.max_turns" in storyloom("config", "explain", "--changed", cwd=repository).stdout


def test_a_plan_needs_no_key(repository: Path):
    (repository / "brief.md").write_text("An idea.")
    result = storyloom("deliver", "--brief", "brief.md", "--plan", cwd=repository)
    assert result.returncode == OK, result.stderr
    assert "docs/product-brief.md" in result.stdout


def test_a_plan_of_a_repository_with_uncommitted_changes_names_them_and_is_made(repository: Path):
    (repository / "brief.md").write_text("An idea.")
    (repository / "über.txt").write_text("1")
    subprocess.run(["git", "add", "über.txt"], cwd=repository, check=True)
    before = subprocess.run(["git", "status", "--porcelain"], cwd=repository, capture_output=True, check=True).stdout
    result = storyloom("deliver", "--brief", "brief.md", "--plan", cwd=repository)
    assert result.returncode == OK, result.stderr
    assert "Uncommitted changes (über.txt): commit or stash them" in result.stdout
    assert "Nothing was started" in result.stdout
    after = subprocess.run(["git", "status", "--porcelain"], cwd=repository, capture_output=True, check=True).stdout
    assert after == before


@pytest.mark.parametrize(
    "command", [("deliver", "--plan", "--brief", "brief.md"), ("config", "explain"), ("facts", "list")]
)
def test_a_misspelt_persona_names_line_and_nearest_name(repository: Path, command: tuple[str, ...]):
    (repository / "brief.md").write_text("An idea.")
    (repository / ".bmad").mkdir()
    (repository / ".bmad" / "project-config.yaml").write_text("agents:\n  mary: light\n  ameila: heavy\n")
    check_refusal(storyloom(*command, cwd=repository), "project-config.yaml:3", "no persona 'ameila'", "'amelia'?")
