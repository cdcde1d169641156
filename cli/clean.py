"""What did the demo leave behind, and how is it ended?"""

from __future__ import annotations

from pathlib import Path

from storyloom.deployments.server import stop_kept


def clean_up(folder: Path) -> None:
    """End the Prefect server that a kept demo left running."""
    if stop_kept(folder.resolve() / "home"):
        print("Ended the Prefect server of the demo.")
