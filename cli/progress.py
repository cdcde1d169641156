"""What is happening now?  A live view on the terminal, fed by the events that the run appends to its spool."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text
from storyloom.domain.phases import Phase
from storyloom.domain.phases import until as phases_until

SIGNS = {
    "started": "[yellow]…[/]",
    "done": "[green]✓[/]",
    "already_done": "[dim]✓[/]",
    "waiting": "[magenta]?[/]",
    "failed": "[red]✗[/]",
}
LAST_LINES = 8


@dataclass
class View:
    """What the events have said so far."""

    phases: tuple[Phase, ...]
    state: dict[str, str] = field(default_factory=dict)
    stories: dict[str, tuple[str, str]] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    calls: int = 0
    cost: Decimal = Decimal(0)
    unpriced: int = 0
    started: float = field(default_factory=time.monotonic)
    seen: set[str] = field(default_factory=set)

    def take(self, event: dict[str, Any]) -> str:
        """Take one event in; a line worth showing, "" for none."""
        key = str(event.get("event_id", ""))
        if key in self.seen:
            return ""
        self.seen.add(key)
        line = self._line(_escaped(event))
        if line:
            self.lines = [*self.lines, line][-LAST_LINES:]
        return line

    def _line(self, event: dict[str, Any]) -> str:
        tags = event.get("tags") or {}
        story = str(tags.get("story", ""))
        match event.get("event"):
            case "model_call":
                self.calls += 1
                self.cost += Decimal(str(event.get("cost") or 0)) if event.get("status") != "cache_hit" else Decimal(0)
                self.unpriced += event.get("cost_status") == "unpriced"
                if event.get("status") == "error":
                    return f"[red]model call failed[/]: {event.get('error_class')}"
            case "run" if event.get("state") in SIGNS:
                self.state[str(event["name"])] = str(event["state"])
                return f"[bold]{event['name']}[/] {event['state'].replace('_', ' ')}"
            case "story":
                self.stories[story] = (str(event.get("title", "")), str(event["to_status"]))
                return f"story {story}: {event['to_status']}" + (f" ({event['reason']})" if event.get("reason") else "")
            case "gate" if story or event.get("verdict") != "pass":
                colour = "green" if event["verdict"] == "pass" else "yellow"
                what = f"{event['gate']} {story}".strip()
                return f"{what}: [{colour}]{event['verdict']}[/]"
            case "merge":
                return f"[green]merged[/] {story} (+{event['insertions']} −{event['deletions']})"
            case "decision":
                sure = f"{float(event['confidence']):.0%}"
                if event["source"] == "policy":
                    return (
                        f"[magenta]below the threshold ({sure}), answered by the stated policy[/]: "
                        f"{event['question']} → {event['answer']}"
                    )
                return f"decided by {event['source']} ({sure}): {event['question']} → {event['answer']}"
            case "estimate" if event.get("part") == "total":
                low, likely, high = (Decimal(str(event[name])) for name in ("low", "likely", "high"))
                return f"estimated: ${low:.2f} to ${high:.2f}, likely ${likely:.2f}"
            case "deploy":
                return f"release {event['release']}: {event['outcome']}"
        return ""


def _escaped(value: Any) -> Any:
    """A value whose texts are shown as they are, brackets and all."""
    if isinstance(value, dict):
        return {key: _escaped(inner) for key, inner in value.items()}
    return escape(value) if isinstance(value, str) else value


def render(view: View) -> RenderableType:
    """The view as something that rich can draw."""
    road = Text.from_markup("  ".join(f"{SIGNS.get(view.state.get(p, ''), '[dim]·[/]')} {p}" for p in view.phases))
    seconds = int(time.monotonic() - view.started)
    bill = f"{seconds // 60}:{seconds % 60:02d}  {view.calls} model calls  ${view.cost:.4f}"
    if view.unpriced:
        bill += f"  {view.unpriced} unpriced"
    stories = Table.grid(padding=(0, 2))
    for key, (title, status) in sorted(view.stories.items()):
        colour = {"done": "green", "in-progress": "yellow", "review": "cyan"}.get(status, "dim")
        stories.add_row(
            f"  {key.split('-')[0]}.{key.split('-')[1]}" if "-" in key else key, title, f"[{colour}]{status}[/]"
        )
    lines = [Text.from_markup(f"  {line}", overflow="ellipsis") for line in view.lines]
    return Group(road, Text(bill, style="dim"), stories, *lines)


@contextlib.contextmanager
def watching(spool: Path, until: Phase, *, quiet: bool = False) -> Iterator[View]:
    """Show what the spool says while the block runs: live on a terminal, line by line elsewhere."""
    view = View(phases_until(until))
    if quiet:
        yield view
        return
    console = Console(stderr=True, highlight=False)
    stop = threading.Event()
    sizes = {path: path.stat().st_size for path in spool.glob("*.jsonl")} if spool.is_dir() else {}
    can_draw = console.is_terminal and not console.is_dumb_terminal
    live = Live(render(view), console=console, refresh_per_second=4, transient=True) if can_draw else None

    def follow() -> None:
        while True:
            last = stop.is_set()
            for event in _news(spool, sizes):
                line = view.take(event)
                if line and (live is None or event.get("event") == "estimate"):  # it stays above what follows
                    console.print(f"{int(time.monotonic() - view.started):4d}s  {line}", soft_wrap=True)
            if live is not None:
                live.update(render(view))
            if last:
                return
            stop.wait(0.25)

    thread = threading.Thread(target=follow, name="progress", daemon=True)
    with live or contextlib.nullcontext():
        thread.start()
        try:
            yield view
        finally:
            stop.set()
            thread.join(5)


def _news(spool: Path, sizes: dict[Path, int]) -> Iterator[dict[str, Any]]:
    """Events appended since the last look, whole lines only."""
    for path in sorted(spool.glob("*.jsonl")) if spool.is_dir() else ():
        start = sizes.get(path, 0)
        try:
            with path.open("rb") as file:
                file.seek(start)
                data = file.read()
        except OSError:
            continue
        end = data.rfind(b"\n") + 1
        sizes[path] = start + end
        for line in data[:end].splitlines():
            with contextlib.suppress(ValueError):
                event = json.loads(line)
                if isinstance(event, dict):
                    yield event
