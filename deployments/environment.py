"""What does the environment say?  Read once at the edge and passed inwards as one frozen value."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import certifi
from storyloom.blocks.atomic_files import write_atomic
from storyloom.domain.errors import InputError

PROVIDER_KEYS = {
    "anthropic": "ANTHROPIC_API_KEY",
    "openai": "OPENAI_API_KEY",
    "gemini": "GEMINI_API_KEY",
    "mistral": "MISTRAL_API_KEY",
    "deepseek": "DEEPSEEK_API_KEY",
    "openrouter": "OPENROUTER_API_KEY",
    "groq": "GROQ_API_KEY",
    "xai": "XAI_API_KEY",
}
"""The environment variable in which each provider's key stands, by litellm's provider name."""

KEYLESS = ("ollama", "ollama_chat", "lm_studio", "vllm", "hosted_vllm")
"""Providers that run on the person's own machine and need no key."""

ONE_AUTHORITY = "one-authority.pem"
"""The file that clients of our own server read instead of all certificate authorities."""


@dataclass(frozen=True)
class Environment:
    """All that Storyloom takes from the environment. `keys` holds secret values by provider: never print it."""

    home: Path
    keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    base_urls: Mapping[str, str] = field(default_factory=dict)
    ledger_url: str = ""
    mode: str = "live"
    prefect_api_url: str = ""


def read_environment(environ: Mapping[str, str] | None = None) -> Environment:
    """The environment as a value."""
    env = os.environ if environ is None else environ
    return Environment(
        home=_home(env),
        keys={p: env[name] for p, name in PROVIDER_KEYS.items() if env.get(name)},
        base_urls={p: env[f"{p.upper()}_BASE_URL"] for p in PROVIDER_KEYS if env.get(f"{p.upper()}_BASE_URL")},
        ledger_url=env.get("STORYLOOM_LEDGER_URL", ""),
        mode="rehearsal" if env.get("STORYLOOM_MODE") == "rehearsal" else "live",
        prefect_api_url=env.get("PREFECT_API_URL", ""),
    )


def _home(env: Mapping[str, str]) -> Path:
    if env.get("STORYLOOM_HOME"):
        return Path(env["STORYLOOM_HOME"]).expanduser().resolve()
    if os.geteuid() == 0:
        return Path("/var/lib/storyloom")
    return Path(env.get("XDG_STATE_HOME") or "~/.local/state").expanduser() / "storyloom"


def usable_home(home: Path) -> Path:
    """The state folder, made if it is missing.

    Raises:
        InputError: it cannot be made or written.
    """
    try:
        home.mkdir(parents=True, exist_ok=True)
        why = "" if os.access(home, os.W_OK | os.X_OK) else "it may not be written to"
    except OSError as error:
        why = error.strerror or str(error)
    if why:
        raise InputError(
            f"State cannot be kept in {home}: {why}.",
            remedy="Name a folder that you may write to: export STORYLOOM_HOME=…",
        )
    return home


def project_folder(home: Path, repository: str | Path) -> Path:
    """Where a project's state is kept: a readable name and a digest of the repository's real path."""
    real = os.path.realpath(repository)
    slug = re.sub(r"[^a-z0-9]+", "-", Path(real).name.lower()).strip("-")[:40] or "project"
    return home / "projects" / f"{slug}-{hashlib.sha256(real.encode()).hexdigest()[:8]}"


def spool_folder(home: Path) -> Path:
    """Where every process appends its events."""
    return home / "spool"


def warehouse_path(home: Path) -> Path:
    """The DuckDB database that reports read."""
    return home / "warehouse.duckdb"


def results_folder(home: Path) -> Path:
    """Where Prefect keeps the results of finished steps."""
    return home / "results"


def prefect_settings(home: Path, api_url: str) -> dict[str, str]:
    """The Prefect settings that Storyloom's promises rest on, as environment variables.

    Results are persisted as JSON in one place that a resumed run finds again; nothing is sent to anybody.
    """
    return {
        "PREFECT_HOME": str(home / "prefect"),
        "PREFECT_API_URL": api_url,
        "PREFECT_LOCAL_STORAGE_PATH": str(results_folder(home)),
        "PREFECT_RESULTS_DEFAULT_SERIALIZER": "json",
        "PREFECT_RESULTS_PERSIST_BY_DEFAULT": "true",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_UI_V2_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_LOGGING_LEVEL": "INFO",
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
    }


def own_server_settings(home: Path, api_url: str) -> dict[str, str]:
    """The same for clients of a server that we started, which asks for no token and speaks no TLS."""
    settings = prefect_settings(home, api_url)
    if "PREFECT_SERVER_CSRF_PROTECTION_ENABLED" not in os.environ:
        settings["PREFECT_CLIENT_CSRF_SUPPORT_ENABLED"] = "false"
    if Path(os.environ.get("PREFECT_API_SSL_CERT_FILE", ONE_AUTHORITY)).name == ONE_AUTHORITY:
        settings["PREFECT_API_SSL_CERT_FILE"] = str(_one_authority(home))
    return settings


def _one_authority(home: Path) -> Path:
    """A file with the first of the authorities that clients trust anyway.

    Each of Prefect's clients reads its authorities whether it needs them or not, and each subflow makes a client: 20 ms
    of a core for all of them, less than one for a single one.
    """
    path = home / "prefect" / ONE_AUTHORITY
    end = "-----END CERTIFICATE-----\n"
    first, _, _ = Path(certifi.where()).read_text(encoding="utf-8").partition(end)
    write_atomic(path, first + end, durable=False)
    return path
