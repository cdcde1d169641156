"""What does an agent offer?  Its menu, in each of the shapes in which upstream writes menus."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from .agent_schema import COMMANDS, split_trigger
from .personas import MenuItem


def menu_items(entry: Mapping[str, object]) -> Iterable[MenuItem]:
    """The items of one menu entry of an agent file; an entry with several triggers gives one for each."""
    if "multi" in entry:
        listed = entry.get("triggers")
        for below in listed if isinstance(listed, list) else []:
            if "trigger" in below:
                word, parts = str(below["trigger"]), [below]
            else:
                word, value = next(iter(below.items()))
                parts = value if isinstance(value, list) else [value]
            merged = {key: part[key] for part in parts if isinstance(part, dict) for key in part}
            route = str(merged.get("route") or merged.get("action") or "")
            kind = "workflow" if route.endswith((".yaml", ".yml")) else "exec" if merged.get("route") else "action"
            yield MenuItem(word, str(merged.get("input") or ""), kind, route)
        return
    code, trigger = split_trigger(str(entry.get("trigger", "")))
    kind = next((key for key in COMMANDS if entry.get(key)), "")
    yield MenuItem(trigger, str(entry.get("description") or ""), kind, str(entry.get(kind) or ""), code)


def skill_menu(value: object) -> tuple[MenuItem, ...]:
    """The items of a skill's `[[agent.menu]]` tables."""
    items = []
    for entry in value if isinstance(value, list) else []:
        if isinstance(entry, dict):
            kind = next((key for key in ("skill", "prompt") if entry.get(key)), "")
            code = str(entry.get("code") or "")
            target = str(entry.get(kind) or "")
            items.append(
                MenuItem(target if kind == "skill" else code, str(entry.get("description") or ""), kind, target, code)
            )
    return tuple(items)


def table_menu(section: str) -> tuple[MenuItem, ...]:
    """Menu items from a table "Code | Description | Skill"."""
    rows = [
        [cell.strip() for cell in line.strip().strip("|").split("|")] for line in section.splitlines() if "|" in line
    ]
    items = []
    for row in rows[1:]:
        if len(row) >= 3 and not set("".join(row)) <= set("-: "):
            kind = "skill" if re.fullmatch(r"[a-z0-9-]+", row[2]) else "prompt"
            items.append(MenuItem(row[2] if kind == "skill" else row[0], row[1], kind, row[2], row[0]))
    return tuple(items)
