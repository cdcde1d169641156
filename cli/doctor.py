"""Is everything there that a delivery needs, and if not, what should be done?"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from storyloom.blocks.project_config import read_project_config
from storyloom.deployments.environment import KEYLESS, PROVIDER_KEYS, Environment, read_environment
from storyloom.deployments.personas import require_known_personas
from storyloom.domain.errors import StoryloomError
from storyloom.domain.settings import ProjectConfig

from .init import repository_root

MIN_GIT = (2, 30)
MIN_FREE = 2 << 30


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. `needed` False: a delivery can go without it."""

    name: str
    ok: bool
    detail: str
    remedy: str = ""
    needed: bool = True


def examine(folder: Path, *, as_json: bool = False) -> int:
    """Print all findings; 0 when everything that is needed is there, else 2."""
    findings = list(look(folder, read_environment()))
    bad = any(f.needed and not f.ok for f in findings)
    if as_json:
        print(json.dumps([asdict(f) for f in findings], indent=2))
        return 2 if bad else 0
    from .console import console as make_console

    console = make_console()
    for f in findings:
        sign = "[green]ok  [/]" if f.ok else "[red]FAIL[/]" if f.needed else "[yellow]note[/]"
        console.print(f"{sign} {f.name:<9} ", end="")
        told = f.detail + (f"  → {f.remedy}" if f.remedy and not f.ok else "")
        console.print(told, markup=False, soft_wrap=True)
    console.print("Something is missing." if bad else "Ready: storyloom deliver --brief brief.md")
    return 2 if bad else 0


def look(folder: Path, environment: Environment) -> Iterator[Finding]:
    """All findings, one after the other."""
    yield _python()
    yield _git()
    config, finding = _config(folder)
    yield finding
    yield _sandbox()
    yield _prefect(environment)
    yield from keys(config, environment)
    yield _disk(environment.home)


def _python() -> Finding:
    found = ".".join(map(str, sys.version_info[:3]))
    return Finding("python", sys.version_info >= (3, 11), f"Python {found}", "Use Python 3.11 or newer.")


def _git() -> Finding:
    if shutil.which("git") is None:
        return Finding("git", False, "git was not found", "Install git 2.30 or newer.")
    text = subprocess.run(["git", "--version"], capture_output=True, text=True, check=False).stdout
    numbers = tuple(int(n) for n in text.split()[2].split(".")[:2] if n.isdigit()) if len(text.split()) > 2 else ()
    return Finding("git", numbers >= MIN_GIT, text.strip(), "Install git 2.30 or newer.")


def _config(folder: Path) -> tuple[ProjectConfig, Finding]:
    try:
        root = repository_root(folder)
        config = read_project_config(root)
        require_known_personas(root, config)
    except StoryloomError as error:
        return ProjectConfig(), Finding("project", False, error.message, error.remedy or "See docs/configuration.md.")
    return config, Finding("project", True, f"{root}, settings are valid")


def _sandbox() -> Finding:
    from storyloom.blocks.sandbox import BubblewrapSandbox

    probe = BubblewrapSandbox().probe()
    remedy = probe.remedy or "Install bubblewrap, or choose --unsandboxed and know what that means."
    return Finding("sandbox", probe.ok, f"{probe.name}: {probe.detail or 'all canaries held'}", remedy)


def _prefect(environment: Environment) -> Finding:
    try:
        found = version("prefect")
        fastapi = tuple(int(part) for part in version("fastapi").split(".")[:2])
    except PackageNotFoundError as error:
        return Finding("prefect", False, f"{error.name} is not installed", "Install Storyloom again.")
    if found.startswith("3.8.") and fastapi >= (0, 151):
        return Finding(
            "prefect", False, f"Prefect {found} cannot start with FastAPI {fastapi}", "pip install 'fastapi<0.151'"
        )
    url = environment.prefect_api_url
    if not url:
        return Finding("prefect", True, f"Prefect {found}; a server is started when it is needed")
    from storyloom.deployments.server import answers

    return Finding(
        "prefect", answers(f"{url}/health"), f"Prefect {found}, server at {url}", "Start it, or unset PREFECT_API_URL."
    )


def keys(config: ProjectConfig, environment: Environment) -> Iterator[Finding]:
    """For each provider that the project's models need: whether its key is there."""
    providers = sorted({provider_of(model) for model in models_of(config)}) or ["anthropic", "openai"]
    if not models_of(config) and not any(p in environment.keys for p in providers):
        names = " nor ".join(PROVIDER_KEYS[p] for p in providers)
        yield Finding("key", False, f"neither {names} is set", f"export {PROVIDER_KEYS[providers[0]]}=…")
        return
    for provider in providers:
        if provider in KEYLESS:
            yield Finding("key", True, f"{provider} needs none")
            continue
        name = PROVIDER_KEYS.get(provider, f"{provider.upper()}_API_KEY")
        there = provider in environment.keys
        yield Finding(
            "key", there, f"{name} is {'set' if there else 'not set'}", f"export {name}=…", bool(models_of(config))
        )


def models_of(config: ProjectConfig) -> set[str]:
    """All model names that the project file mentions."""
    named: set[str] = {*config.models.light, *config.models.standard, *config.models.heavy}
    for choice in config.agents.values():
        named |= {choice} if isinstance(choice, str) else set(choice)
    return named - {"light", "standard", "heavy"}


def provider_of(model: str) -> str:
    """litellm's provider name of a model."""
    if "/" in model:
        return model.split("/", 1)[0]
    return "anthropic" if model.startswith("claude") else "openai"


def _disk(home: Path) -> Finding:
    there = next(p for p in (home, *home.parents) if p.exists())
    free = shutil.disk_usage(there).free
    return Finding(
        "disk",
        free >= MIN_FREE,
        f"{free / (1 << 30):.1f} GiB free for the state in {home}",
        "Free at least 2 GiB, or name another folder: export STORYLOOM_HOME=…",
    )
