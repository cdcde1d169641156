"""Which reports are there, and what does one say?

A report is a file `reports/NAME.sql`. Its first comment line is its title, the comment below it what it answers, and
`$name` a parameter. Reports take `$project`, `$run`, `$since` and `$until` where they make sense; what is not given
leaves the bound out.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from ..domain.errors import InputError
from .columns import TABLES
from .warehouse import reading

if TYPE_CHECKING:
    import pandas as pd

PARAMETER = re.compile(r"\$([a-z_]+)")
TYPES = {"since": "TIMESTAMP", "until": "TIMESTAMP", "budget_usd": "VARCHAR", "stories_planned": "BIGINT"}


@dataclass(frozen=True)
class Report:
    """A named query. `answers` is its description in full sentences; `parameters` are names without the dollar."""

    name: str
    title: str
    answers: str
    sql: str
    parameters: tuple[str, ...]

    @property
    def typed_sql(self) -> str:
        """The query, its parameters with their types, so that one that is not given can be NULL."""
        return PARAMETER.sub(lambda found: f"CAST(${found[1]} AS {TYPES.get(found[1], 'VARCHAR')})", self.sql)


@cache
def reports() -> dict[str, Report]:
    """All reports by name, sorted."""
    folder = files(__package__) / "reports"
    found = (_read(Path(file.name).stem, file.read_text(encoding="utf-8")) for file in folder.iterdir())
    return {report.name: report for report in sorted(found, key=lambda report: report.name)}


def _read(name: str, text: str) -> Report:
    lines = text.splitlines()
    head = [line.removeprefix("--").strip() for line in lines if line.startswith("--")]
    sql = "\n".join(line for line in lines if not line.startswith("--"))
    return Report(name, head[0], " ".join(head[1:]), sql, tuple(dict.fromkeys(PARAMETER.findall(sql))))


def report(name: str) -> Report:
    """The report of a name; dashes stand for underscores.

    Raises:
        InputError: naming the nearest one.
    """
    wanted = name.strip().lower().replace("-", "_")
    if wanted in reports():
        return reports()[wanted]
    near = difflib.get_close_matches(wanted, reports(), 1, 0.5)
    raise InputError(
        f"There is no report {name!r}.",
        remedy=f"Did you mean {_shown(near[0])}?" if near else f"There are: {', '.join(map(_shown, reports()))}.",
    )


def _shown(name: str) -> str:
    """A report's name as people type it."""
    return name.replace("_", "-")


def run_report(name: str, warehouse: str | Path, params: Mapping[str, Any] | None = None) -> pd.DataFrame:
    """The report's rows. Money stays Decimal, exact to the last digit.

    Raises:
        InputError: when there is no such report, parameter or warehouse, or a parameter has a wrong value.
    """
    wanted = report(name)
    given = dict(params or {})
    unknown = sorted(set(given) - set(wanted.parameters))
    if unknown:
        takes = ", ".join(wanted.parameters) or "no parameters"
        raise InputError(
            f"The report {_shown(wanted.name)} does not take {', '.join(unknown)}.", remedy=f"It takes {takes}."
        )
    with reading(Path(warehouse)) as database:
        return fetch(database, wanted.typed_sql, {key: given.get(key) for key in wanted.parameters})


def require_known(warehouse: str | Path, *, project: str | None = None, run: str | None = None) -> None:
    """Refuse a project or a run that nothing was ever recorded of: a report of it would be empty without saying why.

    Raises:
        InputError: naming those that there are.
    """
    with reading(Path(warehouse)) as database:
        for what, wanted in (("project", project), ("run", run)):
            if not wanted:
                continue
            query = " UNION ".join(
                f"SELECT {what}, max(ts) AS last FROM {table} GROUP BY ALL" for table in TABLES.values()
            )
            found = database.execute(
                f"SELECT {what} FROM ({query}) WHERE {what} <> '' GROUP BY ALL ORDER BY max(last) DESC"
            )
            known = [str(row[0]) for row in found.fetchall()]
            if wanted in known:
                continue
            if not known:
                raise InputError(
                    f"Nothing has been recorded of {what} {wanted!r}, nor of any other.",
                    remedy="Run `storyloom deliver` first, or set STORYLOOM_HOME to the home that it ran with.",
                )
            near = difflib.get_close_matches(wanted, known, 1, 0.6)
            there = f"Did you mean {near[0]}?" if near else f"The latest: {', '.join(known[:5])}."
            raise InputError(
                f"Nothing has been recorded of a {what} {wanted!r}.",
                remedy=f'{there} `storyloom report sql "SELECT DISTINCT {what} FROM fact_run"` names all.',
            )


def run_sql(sql: str, warehouse: str | Path, params: Mapping[str, Any] | None = None) -> pd.DataFrame:
    """The rows of any query, read only.

    Raises:
        InputError: when there is no warehouse or the query is wrong, with DuckDB's own words.
    """
    with reading(Path(warehouse)) as database:
        database.execute("SET enable_external_access = false")  # no other file, whatever the query says
        try:
            return fetch(database, sql, params or {})
        except InputError as error:
            tables = ", ".join(sorted(row[0] for row in database.execute("SHOW TABLES").fetchall()))
            raise InputError(error.message, remedy=f"Tables and views: {tables}; see docs/analytics.md.") from error


def fetch(database: duckdb.DuckDBPyConnection, sql: str, params: Mapping[str, Any]) -> pd.DataFrame:
    """The rows of a query on an open warehouse.

    Raises:
        InputError: when the query is wrong, with DuckDB's own words.
    """
    import pandas as pd  # 0.3 s

    try:
        result = database.execute(sql, dict(params))
        names = [column[0] for column in result.description or ()]
        rows = result.fetchall() if names else []
    except duckdb.Error as error:
        raise InputError(f"That query cannot be run: {error}") from error
    return pd.DataFrame(rows, columns=names)
