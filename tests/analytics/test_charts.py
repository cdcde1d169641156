"""Charts carry the numbers, their units and a warning, in every format."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from storyloom.analytics.charts import CHARTS, COLOURS, cost_chart, draw
from storyloom.analytics.report import run_report
from storyloom.domain.errors import InputError


@pytest.mark.parametrize("name", list(CHARTS))
def test_every_chart_is_drawn_as_a_picture_and_names_its_units(warehouse: Path, tmp_path: Path, name: str):
    rows = run_report(name, warehouse)
    assert draw(name, rows, tmp_path / "deep" / "chart.png").read_bytes().startswith(b"\x89PNG")
    figure = CHARTS[name](rows)
    labels = " ".join(axes.get_xlabel() + axes.get_ylabel() for axes in figure.axes)
    assert "US dollars" in labels or "seconds" in labels


def test_the_same_rows_give_the_same_svg(warehouse: Path, tmp_path: Path):
    rows = run_report("cost_by_phase_and_agent", warehouse, {"project": "shelf"})
    one, two = (draw("cost_by_phase_and_agent", rows, tmp_path / f"{n}.svg").read_text() for n in (1, 2))
    assert one == two


def test_the_bars_are_as_long_as_the_costs_and_unpriced_calls_are_told(warehouse: Path):
    rows = run_report("cost_by_phase_and_agent", warehouse, {"project": "shelf"})
    (axes,) = cost_chart(rows).axes
    assert sum(bar.get_width() for bar in axes.patches) == pytest.approx(float(rows["cost_usd"].sum()))
    assert "1 call without a known price is not in it" in axes.get_title(loc="left")
    assert [label.get_text() for label in axes.get_yticklabels()] == ["planning", "implementation"]


def test_more_agents_than_colours_are_drawn_as_others(warehouse: Path):
    rows = pd.DataFrame(
        [("analysis", f"agent {n:02d}", n + 1.0, 0) for n in range(12)],
        columns=["phase", "agent", "cost_usd", "unpriced"],
    )
    figure = cost_chart(rows)
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert (len(names), names[-1]) == (len(COLOURS), "others")
    assert sum(bar.get_width() for bar in figure.axes[0].patches) == pytest.approx(78)


def test_what_cannot_be_drawn_is_told(warehouse: Path, tmp_path: Path):
    rows = run_report("latency", warehouse)
    with pytest.raises(InputError, match=r"There are charts of|has no chart"):
        draw("waste", rows, tmp_path / "x.png")
    with pytest.raises(InputError, match="charts are written as"):
        draw("latency", rows, tmp_path / "x.gif")
    with pytest.raises(InputError, match="no rows yet"):
        draw("latency", rows.iloc[:0], tmp_path / "x.png")
    unanswered = rows.assign(p50_s=None)
    with pytest.raises(InputError, match="No call was answered"):
        draw("latency", unanswered, tmp_path / "x.png")
