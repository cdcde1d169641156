"""Where do a notification channel's address and the key of signed links stand?  Never in the project's files."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from storyloom.blocks.notifier import block_name, variable


def notify_address(channel: str) -> str:
    """The channel's address from the environment, else from its Prefect Secret block; "" when there is neither."""
    if address := os.environ.get(variable(channel), ""):
        return address
    if not os.environ.get("PREFECT_API_URL"):
        return ""
    from prefect.blocks.system import Secret

    try:
        block = Secret.load(block_name(channel))
    except Exception:  # noqa: BLE001 - no such block, or the server is away: then there is no address
        return ""
    value = block.get() if isinstance(block, Secret) else ""
    return str(value)


def link_key(home: Path) -> bytes:
    """The key that signs links of this installation; made on first use, readable by its owner only."""
    path = home / "link.key"
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(secrets.token_bytes(32))
    except FileExistsError:
        pass
    return path.read_bytes()
