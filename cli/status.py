"""What needs me?  Everything that waits for a person, on the terminal."""

from __future__ import annotations

import json
from dataclasses import asdict


def show_status(*, as_json: bool) -> int:
    """Print what needs a person; 0 when nothing does, 3 when something waits."""
    from storyloom.deployments.environment import read_environment
    from storyloom.deployments.needs import needs
    from storyloom.domain.escalations import plain

    found = needs(read_environment())
    if as_json:
        print(json.dumps([asdict(need) for need in found], indent=2, ensure_ascii=False))
    for need in () if as_json else found:
        print(f"{need.severity:<9} {need.since[:16]:<16} {need.project}: {plain(need.what, 110)}")
        for line in (need.how, need.link):
            if line:
                print(f"{'':<27}{line}")
    if not found and not as_json:
        print("Nothing needs you.")
    return 3 if found else 0
