"""How do a report's rows look as a picture?  PNG or SVG, readable without colour vision, with units on each axis."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..domain.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

Axes = Any
Figure = Any

# Okabe and Ito's colours, which people with any colour vision can tell apart; hatches say the same again.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000")
HATCHES = ("", "///", "...", "xx", "\\\\\\", "++", "oo", "**")
INK, FAINT = "#222222", "#DDDDDD"
SUFFIXES = (".png", ".svg", ".pdf")
MOST_AGENTS = len(COLOURS) - 1


def draw(name: str, rows: pd.DataFrame, path: str | Path) -> Path:
    """The picture of a report's rows, written to `path`; its suffix says in which format.

    Raises:
        InputError: when the report has no picture, no rows, or the suffix is none of .png, .svg, .pdf.
    """
    path = Path(path)
    if name not in CHARTS:
        raise InputError(f"The report {name} has no chart.", remedy=f"There are charts of {', '.join(CHARTS)}.")
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"{path.name}: charts are written as {', '.join(SUFFIXES)}.")
    if rows.empty:
        raise InputError(f"The report {name} has no rows yet, so there is nothing to draw.")
    import matplotlib as mpl

    style = {"svg.hashsalt": "storyloom", "font.size": 10, "hatch.linewidth": 0.6, "text.color": INK}
    with mpl.rc_context(style):
        figure = CHARTS[name](rows)
        path.parent.mkdir(parents=True, exist_ok=True)
        dated = {"Date": None} if path.suffix.lower() == ".svg" else {}
        figure.savefig(path, dpi=150, facecolor="white", metadata=dated)
    return path


def cost_chart(rows: pd.DataFrame) -> Figure:
    """One bar a phase, one stripe an agent, in dollars; the sum stands at its end."""
    phases = list(dict.fromkeys(rows["phase"]))
    by_agent = rows.groupby("agent")["cost_usd"].sum().sort_values(ascending=False)
    agents = list(by_agent.index)
    if len(agents) > len(COLOURS):
        agents = [*agents[:MOST_AGENTS], "others"]
    figure, axes = _figure(max(2.4, 0.55 * len(phases) + 1.6))
    sums = dict.fromkeys(phases, 0.0)
    for number, agent in enumerate(agents):
        mine = rows[rows["agent"] == agent] if agent in by_agent.index else rows[~rows["agent"].isin(agents)]
        cost = {phase: float(mine[mine["phase"] == phase]["cost_usd"].sum()) for phase in phases}
        look = {"color": COLOURS[number], "hatch": HATCHES[number], "edgecolor": "white", "label": agent or "(nobody)"}
        axes.barh(phases, [cost[p] for p in phases], left=[sums[p] for p in phases], height=0.62, **look)
        sums = {phase: sums[phase] + cost[phase] for phase in phases}
    most = max(sums.values()) or 1.0
    for phase in phases:
        axes.text(sums[phase] + most * 0.012, phase, _dollars(sums[phase]), va="center", fontsize=9)
    axes.set_yticks(range(len(phases)), [phase or "(no phase)" for phase in phases])
    axes.invert_yaxis()
    axes.set_xlim(0, most * 1.14)
    axes.set_xlabel("US dollars")
    _title(axes, f"Cost by phase and agent: {_dollars(sum(sums.values()))}", rows)
    _legend(axes, figure)
    return figure


def burn_up_chart(rows: pd.DataFrame) -> Figure:
    """Dollars spent and stories done over time, one above the other on one time axis."""
    import matplotlib.dates as mdates

    figure, axes = _figure(4.6, panels=2)
    times, money = rows["ts"].tolist(), [float(value) for value in rows["cost_usd"]]
    stories = [int(value) for value in rows["stories_done"]]
    upper, lower = axes
    upper.step(times, money, where="post", color=COLOURS[0], linewidth=2)
    upper.fill_between(times, money, step="post", color=COLOURS[0], alpha=0.12)
    upper.set_ylabel("US dollars spent")
    upper.annotate(_dollars(money[-1]), (times[-1], money[-1]), (-4, 4), textcoords="offset points", ha="right")
    lower.step(times, stories, where="post", color=COLOURS[5], linewidth=2, linestyle="-")
    lower.set_ylabel("stories done")
    lower.annotate(str(stories[-1]), (times[-1], stories[-1]), (-4, 4), textcoords="offset points", ha="right")
    lower.yaxis.get_major_locator().set_params(integer=True)
    lower.set_xlabel("time (UTC)")
    locator = mdates.AutoDateLocator(minticks=3, maxticks=8)
    lower.xaxis.set_major_locator(locator)
    lower.xaxis.set_major_formatter(mdates.ConciseDateFormatter(locator))
    for panel, top in ((upper, max(money)), (lower, max(stories))):
        panel.set_ylim(0, (top or 1) * 1.18)
        panel.grid(axis="y", color=FAINT, linewidth=0.8)
    _title(upper, "Burn-up: cost and stories done", rows)
    return figure


def latency_chart(rows: pd.DataFrame) -> Figure:
    """For each model a line from the median to the 95th percentile of its answers, in seconds."""
    kept = rows[rows["p50_s"].notna()].head(20)
    if kept.empty:
        raise InputError("No call was answered yet, so there is no latency to draw.")
    names = [f"{row.model}  ({row.calls:,} calls)" for row in kept.itertuples()]
    middle, slow = [float(v) for v in kept["p50_s"]], [float(v) for v in kept["p95_s"]]
    figure, axes = _figure(max(2.2, 0.42 * len(names) + 1.5))
    places = range(len(names))
    axes.hlines(places, middle, slow, color=FAINT, linewidth=4, zorder=1)
    axes.scatter(middle, places, color=COLOURS[0], marker="o", s=48, zorder=2, label="median")
    axes.scatter(slow, places, color=COLOURS[5], marker="D", s=40, zorder=2, label="95th percentile")
    axes.set_yticks(places, names)
    axes.invert_yaxis()
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlim(0, max(slow) * 1.08 or 1)
    axes.set_xlabel("seconds until the whole answer was there")
    axes.grid(axis="x", color=FAINT, linewidth=0.8)
    axes.set_title("Latency by model", loc="left", fontweight="bold")
    _legend(axes, figure)
    return figure


CHARTS: dict[str, Callable[[Any], Figure]] = {
    "burn_up": burn_up_chart,
    "cost_by_phase_and_agent": cost_chart,
    "latency": latency_chart,
}


def _figure(height: float, panels: int = 1) -> tuple[Figure, Axes]:
    """A figure 8 inches wide, made without any window or global state."""
    from matplotlib.figure import Figure as Canvas

    figure = Canvas(figsize=(8, height), layout="constrained")
    axes = figure.subplots(panels, 1, sharex=True)
    for panel in axes if panels > 1 else [axes]:
        panel.set_axisbelow(True)
        for side in ("top", "right"):
            panel.spines[side].set_visible(False)
        panel.tick_params(colors=INK)
    return figure, axes


def _title(axes: Axes, text: str, rows: pd.DataFrame) -> None:
    """The title, and below it a warning when the sum is too small."""
    unpriced = int(rows["unpriced"].max() if "ts" in rows else rows["unpriced"].sum())
    note = f"\n{unpriced:,} calls without a known price are not in it" if unpriced else ""
    note = "\n1 call without a known price is not in it" if unpriced == 1 else note
    axes.set_title(text + note, loc="left", fontweight="bold")


def _legend(axes: Axes, figure: Figure) -> None:
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)


def _dollars(amount: float | Decimal) -> str:
    """Two digits for large sums, four for small ones."""
    return f"${amount:,.2f}" if amount >= 10 else f"${amount:.4f}"
