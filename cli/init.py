"""How does a repository become a project that Storyloom can work on?"""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

from storyloom.blocks.project_config import config_path, read_project_config
from storyloom.deployments.environment import read_environment
from storyloom.domain.errors import InputError, RepositoryError
from storyloom.domain.routing import DEFAULT_CLASSES

PROVIDERS = ("anthropic", "openai")
PERSONAS = ("mary", "john", "winston", "amelia", "quinn", "murat", "paige")
HEAVY = ("winston", "quinn")  # quinn reviews what amelia writes: another model sees other mistakes
LIGHT = ("paige",)
DEFAULT_TEST = "python -m unittest discover"
NODE_TOOLS = {"pnpm-lock.yaml": "pnpm", "yarn.lock": "yarn", "bun.lock": "bun", "bun.lockb": "bun"}
TEST_HINTS = {
    "go.mod": "go test ./...",
    "Cargo.toml": "cargo test",
    "pom.xml": "mvn -q test",
    "gradlew": "./gradlew test",
    "mix.exs": "mix test",
    "pytest.ini": "python -m pytest -q",
    "tox.ini": "python -m pytest -q",
    "pyproject.toml": "python -m pytest -q",
}

CONFIG = """\
# How Storyloom works on this project. Every key is optional; `storyloom config explain` shows where a value comes from.
project:
  name: {name}
  level: 2                        # 0 one change, 1 small, 2 medium, 3 complex, 4 enterprise

agents:                           # persona: model, as litellm names it; a list is tried in its order
{agents}
onboarding: []                    # documents that answer questions before anybody is asked

commands:                         # run in the sandbox, in the repository's root
  setup: ""                       # installs what the code needs (npm ci, …), once for the same lock files
  test: {test}
  health: ""                      # run in a release's folder; exit code 0 means healthy

settings:
  max_concurrent_agents: 3
  llm_budget_usd: 50
  setup_network: false            # true: commands.setup, and nothing else, may reach a package index
  auto_merge_prs: false           # true: your branch follows the main line of Storyloom by fast-forward
  escalation_threshold: 0.75      # below it a person is asked
  questions: unsure               # questions of workflows, too; simulate: never you, their answers become assumptions
"""


def init_project(folder: Path, *, name: str = "", model: str = "", test: str = "") -> Path:
    """Write the project's settings file, and return its path. An existing one is never replaced.

    Raises:
        RepositoryError: the folder is not in a git repository with a commit.
        InputError: there is a settings file already.
    """
    root = repository_root(folder)
    path = config_path(root)
    if path.exists():
        read_project_config(root)
        raise InputError(f"{path} is there already and valid.", remedy="Edit it, or go on with: storyloom deliver")
    agents = "".join(f"  {persona}: {model or _model(persona)}\n" for persona in PERSONAS)
    command, why = (test, "") if test else guess_test(root)
    text = CONFIG.format(name=_quoted(name or root.name), agents=agents, test=_quoted(command))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise InputError(
            f"{path} cannot be written ({error.strerror}).",
            remedy=f"Make {path.parent} a folder that you may write to.",
        ) from error
    read_project_config(root)
    print(f"Wrote {path}.")
    if why:
        print(f"Tests are run by: {command}  ({why}; change commands.test if that is wrong)")
    print(f"State is kept in: {read_environment().home}  (STORYLOOM_HOME names another folder)")
    print("Next: look the file over, commit it, and write half a page about what you want into brief.md. Then:")
    print("  storyloom doctor\n  storyloom deliver --brief brief.md")
    return path


def guess_test(root: Path) -> tuple[str, str]:
    """The command that probably runs the tests of this repository, and what says so."""
    if "test" in _scripts(root / "package.json"):
        tool = next((tool for lock, tool in NODE_TOOLS.items() if (root / lock).exists()), "npm")
        return f"{tool} test", "package.json has a script for it"
    for name, command in TEST_HINTS.items():
        if (root / name).exists():
            return command, f"because of {name}"
    for name in ("Makefile", "makefile", "GNUmakefile"):
        if re.search(r"^test\s*:(?!=)", _text(root / name), re.MULTILINE):
            return "make test", f"{name} has a target for it"
    return DEFAULT_TEST, "a guess, nothing at the repository's root says how"


def _scripts(path: Path) -> dict[str, object]:
    try:
        scripts = json.loads(_text(path))["scripts"]
    except (ValueError, KeyError, TypeError):
        return {}
    return scripts if isinstance(scripts, dict) else {}


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig") if path.is_file() else ""
    except (OSError, UnicodeDecodeError):
        return ""


def repository_root(folder: Path) -> Path:
    """The top folder of the git repository around `folder`.

    Raises:
        RepositoryError: there is none, it has no commit, or git is missing.
    """
    try:
        found = _git(folder, "rev-parse", "--show-toplevel")
    except FileNotFoundError as error:
        raise RepositoryError("git was not found.", remedy="Install git 2.30 or newer.") from error
    except NotADirectoryError as error:
        raise RepositoryError(f"{folder} is not a folder.", remedy="Name the repository's folder with -C.") from error
    if found.returncode:
        if "dubious ownership" in found.stderr:
            raise RepositoryError(
                f"git does not trust {folder.resolve()}: it belongs to somebody else.",
                remedy=f"If you do: git config --global --add safe.directory {folder.resolve()}",
            )
        if _git(folder, "rev-parse", "--is-bare-repository").stdout.strip() == "true":
            raise RepositoryError(
                f"{folder.resolve()} is a bare git repository.", remedy="Clone it, and work in the clone."
            )
        raise RepositoryError(
            f"{folder.resolve()} is not in a git repository.", remedy="Run `git init` and commit something first."
        )
    root = Path(found.stdout.strip())
    if _git(root, "rev-parse", "--verify", "-q", "HEAD").returncode:
        raise RepositoryError(
            f"{root} has no commit yet.",
            remedy='Commit something first, say: git commit --allow-empty -m "Start"',
        )
    return root


def require_clean(root: Path) -> None:
    """Refuse a repository whose tracked files have uncommitted changes.

    Raises:
        RepositoryError: with the first changed files.
    """
    if changed := uncommitted(root):
        raise RepositoryError(
            f"{root} has uncommitted changes ({first_of(changed)}).", remedy="Commit or stash them first."
        )


def uncommitted(root: Path) -> list[str]:
    """The tracked files that differ from the last commit."""
    said = _git(root, "-c", "core.quotePath=false", "status", "--porcelain", "--untracked-files=no").stdout
    return [line[3:] for line in said.splitlines()]


def first_of(names: list[str], most: int = 3) -> str:
    """The first few names, in one line."""
    return ", ".join(names[:most]) + (" …" if len(names) > most else "")


def _git(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    if not folder.is_dir():
        raise NotADirectoryError(folder)
    env = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}
    command = ["git", "-c", "core.fsmonitor=false", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env=env, check=False)


def _model(persona: str) -> str:
    provider = next((p for p in PROVIDERS if p in read_environment().keys), PROVIDERS[0])
    kind = "heavy" if persona in HEAVY else "light" if persona in LIGHT else "standard"
    return next(model for model in DEFAULT_CLASSES[kind] if model.startswith(f"{provider}/"))


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
