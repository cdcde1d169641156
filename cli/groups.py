"""Which groups of commands are there?  Their modules import nothing heavy at import time."""

from __future__ import annotations

import typer

from . import config, decisions, escalations, facts, notify, rehearse, report, workflow

GROUPS: dict[str, typer.Typer] = {
    "config": config.app,
    "rehearse": rehearse.app,
    "report": report.app,
    "workflow": workflow.app,
    "escalations": escalations.app,
    "decisions": decisions.app,
    "facts": facts.app,
    "notify": notify.app,
}
