"""What does a project's set-up depend on, and by which name is it kept?

A set-up sees copies of the files that say what to install, and nothing else of the project: so what it makes follows
from them, and is made once for all worktrees in which they are the same.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

from .errors import SetUpFailed
from .ports import CommandResult
from .protected_paths import clean_path
from .settings import Commands

VERSION = "1"
MANIFESTS = (
    *("requirements.txt", "requirements-dev.txt", "constraints.txt", "pyproject.toml", "setup.cfg", "setup.py"),
    *("uv.lock", "poetry.lock", "pdm.lock", "pylock.toml", "Pipfile", "Pipfile.lock", "environment.yml"),
    *("package.json", "package-lock.json", "npm-shrinkwrap.json", "yarn.lock", "pnpm-lock.yaml", "bun.lock"),
    *("Cargo.toml", "Cargo.lock", "go.mod", "go.sum", "Gemfile", "Gemfile.lock", "composer.json", "composer.lock"),
)
"""Files that say what to install, by convention: looked for at the root and in folders that the command names."""

ARCHIVES = (".whl", ".tar.gz", ".tgz", ".zip", ".crate", ".gem")
"""Packages that may lie in a folder that the command names."""

_WORD = re.compile(r"[^\s;&|<>()$`'\"=]+")
MOST_WORDS = 100
SAID_SIGNS = 4_000
NETWORK_REMEDY = (
    "Mend commands.setup, or the files that it reads. It has no network: settings.setup_network: true gives it one."
)
REMEDY = "Mend commands.setup, or the files that it reads; then run again."


def named_paths(command: str) -> tuple[str, ...]:
    """The words of a command that may be paths inside the project, cleaned; the root itself is none."""
    words = (clean_path(word) for word in _WORD.findall(command)[:MOST_WORDS])
    return tuple(dict.fromkeys(word for word in words if word and word != "."))


def is_input(name: str) -> bool:
    """Whether a file in a folder that the command names is a part of what it depends on."""
    return name in MANIFESTS or name.endswith(ARCHIVES)


def set_up_key(commands: Commands, files: Mapping[str, bytes], made_by: str) -> str:
    """The name of what a set-up makes from these files, by path; `made_by` tells machines and interpreters apart."""
    digest = hashlib.sha256()
    for part in (VERSION, made_by, commands.setup.strip(), *commands.setup_folders):
        digest.update(hashlib.sha256(part.encode(errors="surrogatepass")).digest())
    for path, data in sorted(files.items()):
        digest.update(hashlib.sha256(path.encode(errors="surrogatepass")).digest() + hashlib.sha256(data).digest())
    return digest.hexdigest()[:20]


def failure(command: str, result: CommandResult, *, network: bool) -> SetUpFailed:
    """What is said of a set-up that did not succeed, with the end of its output."""
    why = f"was stopped by its limit on {result.limit_hit}" if result.limit_hit else f"ended with {result.exit_code}"
    said = result.output.strip()[-SAID_SIGNS:]
    return SetUpFailed(
        f"The set-up `{command}` {why}:\n{said or '(no output)'}\n", remedy=REMEDY if network else NETWORK_REMEDY
    )
