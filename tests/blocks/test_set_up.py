"""What a project needs is installed once, by the one command that may have a network, and is read-only afterwards."""

import base64
import hashlib
import http.server
import io
import os
import shutil
import threading
import time
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from storyloom.blocks.sandbox import BubblewrapSandbox
from storyloom.blocks.set_up import MOST_FILES, UNUSED_FOR_S, PreparedSandbox, inputs
from storyloom.blocks.unsandboxed import UnsandboxedRunner
from storyloom.domain.errors import ConfigError, SetUpFailed
from storyloom.domain.ports import CommandResult, Limits, Sandbox, SandboxProbe
from storyloom.domain.settings import Commands

LIMITS = Limits(wall_s=120, cpu_s=120)


class Counting:
    """A sandbox that keeps which commands it ran."""

    def __init__(self, inner: Sandbox) -> None:
        self.inner, self.ran = inner, list[str]()

    def probe(self) -> SandboxProbe:
        return self.inner.probe()

    def run(self, command: str | Sequence[str], worktree: str, limits: Limits, **more: object) -> CommandResult:
        self.ran.append(str(command))
        return self.inner.run(command, worktree, limits, **more)  # type: ignore[arg-type]


@pytest.fixture(params=["bubblewrap", "none"])
def plain(request: pytest.FixtureRequest) -> Sandbox:
    if request.param == "none":
        return UnsandboxedRunner()
    return _bubblewrap()


def _bubblewrap(network: bool = False) -> BubblewrapSandbox:
    if shutil.which("bwrap") is None:
        pytest.skip("bubblewrap is not installed")
    made = BubblewrapSandbox(network=network)
    if not (probe := made.probe()).ok:
        pytest.skip(f"no sandbox works here: {probe.detail}")
    return made


def prepared(
    plain: Sandbox, folder: Path, setup: str, *folders: str, network: Sandbox | None = None
) -> tuple[PreparedSandbox, Counting]:
    counting = Counting(network or plain)
    commands = Commands(setup=setup, **({"setup_folders": folders} if folders else {}))  # type: ignore[arg-type]
    return PreparedSandbox(plain, counting, commands, folder, LIMITS, network=network is not None), counting


def worktree(folder: Path, name: str, files: Mapping[str, str]) -> Path:
    tree = folder / name
    for path, text in files.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text(text)
    return tree


SETUP = "mkdir -p lib && cat requirements.txt > lib/installed && ls > lib/seen"


def test_it_is_made_once_for_all_worktrees_with_the_same_inputs_and_seen_in_each(plain: Sandbox, tmp_path: Path):
    sandbox, made = prepared(plain, tmp_path / "set-ups", SETUP, "lib")
    one = worktree(tmp_path, "one", {"requirements.txt": "a==1\n", "main.py": "x"})
    two = worktree(tmp_path, "two", {"requirements.txt": "a==1\n", "main.py": "y"})
    for tree in (one, two, one):
        assert sandbox.run("cat lib/installed", str(tree), LIMITS).output == "a==1\n"
        assert sorted(path.name for path in tree.iterdir()) == ["main.py", "requirements.txt"], "nothing stays behind"
    assert made.ran == [SETUP]
    assert sandbox.run("cat lib/seen", str(one), LIMITS).output.split() == ["lib", "requirements.txt"], (
        "no source is seen"
    )
    (two / "requirements.txt").write_text("a==2\n")
    assert sandbox.run("cat lib/installed", str(two), LIMITS).output == "a==2\n"
    assert sandbox.run("cat lib/installed", str(one), LIMITS).output == "a==1\n"
    assert made.ran == [SETUP, SETUP]


def test_one_that_nobody_has_used_for_a_month_is_removed_when_another_is_made(tmp_path: Path):
    folder, setup = tmp_path / "set-ups", "mkdir -p lib && cat requirements.txt > lib/installed"
    sandbox, made = prepared(UnsandboxedRunner(), folder, setup, "lib")
    tree = worktree(tmp_path, "one", {"requirements.txt": ""})

    def use(version: str) -> None:
        (tree / "requirements.txt").write_text(version)
        assert sandbox.run("cat lib/installed", str(tree), LIMITS).output == version

    use("a==1")
    use("a==2")
    old = time.time() - UNUSED_FOR_S - 60
    for note in folder.glob("*.done"):
        os.utime(note, (old, old))
    use("a==2")
    use("a==3")
    assert {(place / "lib/installed").read_text() for place in folder.iterdir() if place.is_dir()} == {"a==2", "a==3"}
    assert len(list(folder.glob("*.done"))) == 2
    use("a==1")
    assert len(made.ran) == 4


def test_many_threads_wait_for_one_set_up(plain: Sandbox, tmp_path: Path):
    sandbox, made = prepared(plain, tmp_path / "set-ups", f"{SETUP} && sleep 0.3", "lib")
    trees = [worktree(tmp_path, f"tree-{n}", {"requirements.txt": "a\n"}) for n in range(6)]
    said: list[str] = []

    def work(tree: Path) -> None:
        said.append(sandbox.run("cat lib/installed", str(tree), LIMITS).output)

    threads = [threading.Thread(target=work, args=(tree,)) for tree in trees]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert said == ["a\n"] * 6
    assert len(made.ran) == 1


@pytest.mark.sandbox
def test_what_was_installed_cannot_be_changed_by_a_later_command(tmp_path: Path):
    sandbox, _ = prepared(_bubblewrap(), tmp_path / "set-ups", SETUP, "lib")
    tree = worktree(tmp_path, "one", {"requirements.txt": "a\n"})
    spoil = "echo x >> lib/installed; rm -rf lib; touch lib/new; mv lib away; echo done"
    assert sandbox.run(spoil, str(tree), LIMITS).output.endswith("done\n")
    place = sandbox.prepared(tree)["lib"]
    assert sandbox.run(f"echo x >> {place}/installed; ls ..", str(tree), LIMITS).exit_code == 0
    assert sandbox.run("cat lib/installed; ls lib", str(tree), LIMITS).output == "a\ninstalled\nseen\n"


def test_a_failure_says_what_the_command_said_and_holds_for_a_minute(
    plain: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    sandbox, made = prepared(plain, tmp_path / "set-ups", "echo No matching distribution; exit 3", "lib")
    tree = worktree(tmp_path, "one", {"requirements.txt": "a\n"})
    for _ in range(3):
        with pytest.raises(SetUpFailed, match="ended with 3") as caught:
            sandbox.run("true", str(tree), LIMITS)
        assert "No matching distribution" in str(caught.value)
    assert len(made.ran) == 1
    monkeypatch.setattr("storyloom.blocks.set_up.FAILED_FOR_S", 0)
    with pytest.raises(SetUpFailed):
        sandbox.run("true", str(tree), LIMITS)
    assert len(made.ran) == 2
    (tree / "requirements.txt").write_text("b\n")
    with pytest.raises(SetUpFailed):
        sandbox.run("true", str(tree), LIMITS)
    assert len(made.ran) == 3


def test_one_that_was_cut_off_is_made_again_from_the_beginning(plain: Sandbox, tmp_path: Path):
    sandbox, made = prepared(plain, tmp_path / "set-ups", "test ! -e half && touch half && mkdir lib", "lib")
    tree = worktree(tmp_path, "one", {"requirements.txt": "a\n"})
    place = Path(sandbox.prepared(tree)["lib"]).parent
    place.with_name(f"{place.name}.done").unlink()  # as a kill before the note leaves it
    again, made = prepared(plain, tmp_path / "set-ups", "test ! -e half && touch half && mkdir lib", "lib")
    assert again.prepared(tree) == {"lib": str(place / "lib")}
    assert len(made.ran) == 1


@pytest.mark.sandbox
@pytest.mark.parametrize("trick", ["ln -s /etc lib", "echo x > lib", "ln -s ../two lib", "mkdir real; ln -s real lib"])
def test_what_stands_in_the_way_is_left_as_it_is_and_nothing_is_mounted_through_it(tmp_path: Path, trick: str):
    sandbox, _ = prepared(_bubblewrap(), tmp_path / "set-ups", SETUP, "lib")
    tree = worktree(tmp_path, "one", {"requirements.txt": "a\n"})
    worktree(tmp_path, "two", {"mine": "x"})
    (tree / "trick.sh").write_text(trick)
    _bubblewrap().run("sh trick.sh", str(tree), LIMITS)
    result = sandbox.run("cat lib/installed", str(tree), LIMITS)
    assert result.exit_code
    assert [path.name for path in (tmp_path / "two").iterdir()] == ["mine"]


def test_nothing_is_read_through_a_link_and_odd_files_do_not_hang(tmp_path: Path):
    import os

    tree = worktree(tmp_path, "one", {"deps/a.txt": "a\n"})
    secret = tmp_path / "secret.txt"
    secret.write_text("hush")
    (tree / "requirements.txt").symlink_to(secret)
    (tree / "out").symlink_to(tmp_path)
    os.mkfifo(tree / "uv.lock")
    (tree / "package.json").mkdir()
    found = inputs(Commands(setup="install out/secret.txt ../secret.txt deps/a.txt out"), tree)
    assert found == {"deps/a.txt": b"a\n"}


def test_manifests_and_packages_of_a_folder_that_is_named_are_inputs(tmp_path: Path):
    files = {"web/package.json": "{}", "web/index.js": "1", "wheels/a-1-py3-none-any.whl": "w", "wheels/notes.md": "n"}
    files["node_modules/package.json"] = "made, not an input"
    tree = worktree(tmp_path, "one", {**files, "other/package.json": "{}", "pyproject.toml": "p"})
    found = inputs(Commands(setup="cd web && npm ci; pip install --find-links=wheels a; ls node_modules"), tree)
    assert sorted(found) == ["pyproject.toml", "web/package.json", "wheels/a-1-py3-none-any.whl"]


def test_too_many_inputs_are_refused(tmp_path: Path):
    tree = worktree(tmp_path, "one", {f"wheels/{n}.whl": "" for n in range(MOST_FILES + 1)})
    with pytest.raises(ConfigError, match="depends on too much"):
        inputs(Commands(setup="pip install --find-links wheels a"), tree)


def wheel() -> bytes:
    """A package `shelfmark` with one module, as an index serves it."""
    module, tag = "shelfmark.py", "shelfmark-1.0.dist-info"
    files = {
        module: "NAME = 'from the index'\n",
        f"{tag}/METADATA": "Metadata-Version: 2.1\nName: shelfmark\nVersion: 1.0\n",
        f"{tag}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = []
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        rows.append(f"{path},sha256={digest},{len(text)}")
    files[f"{tag}/RECORD"] = "\n".join([*rows, f"{tag}/RECORD,,"]) + "\n"
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return data.getvalue()


@pytest.fixture
def index() -> Iterator[tuple[str, list[str]]]:
    """A package index on loopback, and what it was asked for."""
    asked: list[str] = []

    class Index(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            name = "shelfmark-1.0-py3-none-any.whl"
            page = f'<html><body><a href="/{name}">{name}</a></body></html>'.encode()
            body = wheel() if self.path.endswith(".whl") else page
            self.send_response(200)
            self.send_header("Content-Type", "application/zip" if body is not page else "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Index)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/simple/", asked
    server.shutdown()
    server.server_close()


@pytest.mark.sandbox
@pytest.mark.slow
def test_a_set_up_alone_reaches_an_index_when_it_may_and_its_environment_works_in_every_worktree(
    tmp_path: Path, index: tuple[str, list[str]]
):
    pytest.importorskip("ensurepip")
    address, asked = index
    setup = f"python -m venv .venv && .venv/bin/pip install -q --index-url {address} -r requirements.txt"
    closed, _ = prepared(_bubblewrap(), tmp_path / "closed", setup)
    one = worktree(tmp_path, "one", {"requirements.txt": "shelfmark==1.0\n"})
    with pytest.raises(SetUpFailed, match="shelfmark"):
        closed.run("true", str(one), LIMITS)
    assert asked == []
    sandbox, made = prepared(_bubblewrap(), tmp_path / "set-ups", setup, network=_bubblewrap(network=True))
    two = worktree(tmp_path, "two", {"requirements.txt": "shelfmark==1.0\n"})
    told = ".venv/bin/python -c 'import shelfmark; print(shelfmark.NAME)'"
    for tree in (one, two):
        assert sandbox.run(told, str(tree), LIMITS).output == "from the index\n"
    assert len(made.ran) == 1
    assert asked
    count = len(asked)
    reach = f".venv/bin/pip download -q --retries 0 --index-url {address} shelfmark"
    assert sandbox.run(reach, str(two), LIMITS).exit_code
    assert len(asked) == count, "only the set-up has a network"
