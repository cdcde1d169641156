"""`storyloom report` reads what is in the spool now, and prints it for people and for programs."""

from __future__ import annotations

import csv
import io
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from storyloom.blocks.spool import Spool
from storyloom.cli.report import app
from storyloom.domain.errors import InputError
from storyloom.domain.events import CallRecorded
from typer.testing import CliRunner, Result


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STORYLOOM_HOME", str(tmp_path))
    record(tmp_path, "a", Decimal("0.100000000001"))
    return tmp_path


def record(home: Path, name: str, cost: Decimal | None, **tags: Any) -> None:
    given = {"project": "shelf", "run": "r", "phase": "planning", "agent": "john", **tags}
    status = "unpriced" if cost is None else "priced"
    values = {"event_id": name, "ts": "2026-05-04T01:00:00+00:00", "logical_call_id": name, "tags": given, "cost": cost}
    Spool(home / "spool").record(CallRecorded.model_validate({**values, "cost_status": status, "model": "m"}))


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments], catch_exceptions=False)


def test_a_report_is_a_table_for_people_with_every_digit(home: Path):
    result = run("cost-by-phase-and-agent")
    assert result.exit_code == 0
    assert result.stdout.startswith("Cost by phase and agent")
    assert "0.100000000001" in result.stdout


def test_what_was_recorded_since_is_in_the_next_report(home: Path):
    assert json.loads(run("total", "--json").stdout)[0]["calls"] == 1
    record(home, "b", Decimal(1))
    assert json.loads(run("total", "--json").stdout)[0]["cost_usd"] == "1.100000000001"


def test_programs_get_json_and_csv(home: Path):
    record(home, "b", None, project="other", story="1-1-a")
    rows = json.loads(run("cost_by_story", "--json", "--project", "other").stdout)
    assert (rows[0]["story"], rows[0]["title"], rows[0]["unpriced"]) == ("1-1-a", None, 1)
    table = list(csv.DictReader(io.StringIO(run("cost_by_story", "--csv", "-C", "shelf").stdout)))
    assert Decimal(table[0]["cost_usd"]) == Decimal("0.100000000001")


def test_bounds_and_parameters_reach_the_report(home: Path):
    assert json.loads(run("total", "--json", "--since", "2026-05-05").stdout)[0]["calls"] == 0
    assert json.loads(run("total", "--json", "--until", "2026-05-05", "--run", "r").stdout)[0]["calls"] == 1
    row = json.loads(run("budget-burn", "--json", "--param", "budget-usd=1").stdout)[0]
    assert Decimal(row["left_usd"]) == Decimal("0.899999999999")


def test_a_repository_names_its_project_and_its_budget(home: Path):
    config = home / "repo" / ".bmad" / "project-config.yaml"
    config.parent.mkdir(parents=True)
    config.write_text("project: {name: shelf}\nsettings: {llm_budget_usd: 2}\n")
    row = json.loads(run("budget-burn", "--json", "-C", str(home / "repo")).stdout)[0]
    assert (row["project"], Decimal(row["budget_usd"])) == ("shelf", 2)
    assert json.loads(run("total", "--json", "-C", str(home / "repo")).stdout)[0]["calls"] == 1


def test_the_list_names_every_report_and_what_it_answers():
    text = run("list").stdout
    assert "cost-per-accepted-story\n    What does a story that is done cost" in text
    assert {"latency", "dora"} < {one["name"] for one in json.loads(run("list", "--json").stdout)}


def test_a_query_of_ones_own_runs_read_only():
    assert json.loads(run("sql", "SELECT count(*) AS n FROM fact_call", "--json").stdout) == [{"n": 1}]
    assert "(no rows)" in run("sql", "SELECT * FROM fact_gate").stdout
    with pytest.raises(InputError, match="cannot be run"):
        run("sql", "DROP TABLE fact_call")


def test_the_bill_is_printed_for_people_and_programs():
    text = run("bill").stdout
    assert "$0.100000000001 for 1 model call" in text
    assert json.loads(run("bill", "--json", "-C", "shelf").stdout)[-1]["cost_usd"] == "0.100000000001"


def test_the_bill_of_a_span_of_time(home: Path):
    record(home, "b", Decimal(1), run="r2")
    found = [run("bill", "--json", *bounds).stdout for bounds in (("--since", "2026-05-05"), ("--until", "2026-05-05"))]
    assert [json.loads(text)[-1]["cost_usd"] for text in found] == ["0.000000000000", "1.100000000001"]
    assert "$1.0000 for 1 model call" in run("bill", "--run", "r2").stdout


def test_a_home_where_nothing_was_recorded_says_so(home: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("STORYLOOM_HOME", str(home / "other"))
    with pytest.raises(InputError, match=r"nor of any other\. Run `storyloom deliver` first, or set STORYLOOM_HOME"):
        run("total", "-C", "shelf")


def test_names_may_be_written_with_dashes_underscores_and_capitals():
    texts = {run(name).stdout for name in ("cost-by-story", "cost_by_story", "Cost-by_Story")}
    assert len(texts) == 1


def test_a_chart_is_drawn_beside_the_table(home: Path):
    result = run("cost-by-phase-and-agent", "--chart", str(home / "cost.svg"))
    assert (home / "cost.svg").read_text().startswith("<?xml")
    assert "cost.svg" in result.stderr


def test_torn_lines_are_told(home: Path):
    (home / "spool" / "torn.jsonl").write_text("{\n")
    assert "1 lines of the spool could not be read" in run("total").stderr


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["cost_by_storys"], "Did you mean cost-by-story"),
        (["total", "--since", "soon"], "is no time"),
        (["total", "--param", "x"], "has no value"),
        (["total", "--param", "x=1"], "does not take x"),
        (["total", "-C", "nowhere"], "of a project 'nowhere'. The latest: shelf. .* names all"),
        (["bill", "-C", "shelv"], "Did you mean shelf"),
        (["latency", "--run", "r9"], "of a run 'r9'. Did you mean r"),
        (["waste", "--chart", "x.png"], "has no chart"),
    ],
)
def test_a_mistake_is_told_with_its_remedy(arguments: list[str], complaint: str):
    with pytest.raises(InputError, match=complaint):
        run(*arguments)
