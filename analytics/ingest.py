"""How do events get from the spool into the warehouse, each exactly once?

One process ingests at a time, under a lock file. A spool file is read from where it was left, up to its last whole
line, and how far is written in the same transaction as the events; so a crash anywhere repeats nothing and loses
nothing. Of events with one event_id the earliest counts; a call's known outcome goes before an unknown one. A warehouse
that is missing, damaged or of another version is built anew beside the old one and then put in its place.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb
from filelock import FileLock, Timeout

from ..domain.errors import InputError
from .columns import TABLES, flat_columns, json_columns
from .warehouse import PATIENCE_S, Unusable, writing

BATCH_BYTES = 64 << 20  # what one transaction reads at most


@dataclass(frozen=True)
class Ingested:
    """What one ingest did. `waiting_bytes` are lines not yet whole; `bad_lines` will never be."""

    files: int = 0
    events: int = 0
    repeated: int = 0
    bad_lines: int = 0
    waiting_bytes: int = 0
    rebuilt: bool = False

    def __add__(self, other: Ingested) -> Ingested:
        return Ingested(
            self.files + other.files,
            self.events + other.events,
            self.repeated + other.repeated,
            self.bad_lines + other.bad_lines,
            self.waiting_bytes + other.waiting_bytes,
            self.rebuilt or other.rebuilt,
        )


def ingest(spool: str | Path, warehouse: str | Path, *, patience_s: float = PATIENCE_S) -> Ingested:
    """Bring the warehouse up to date with the spool; may be called at any time, by anybody, again and again.

    Raises:
        InputError: when another process ingests, or holds the database, for longer than `patience_s` seconds.
    """
    folder, path = Path(spool), Path(warehouse)
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path.with_name(path.name + ".lock"), timeout=patience_s)
    try:
        with lock:
            try:
                return _ingest(folder, path, patience_s)
            except Unusable:
                return _rebuild(folder, path, patience_s)
            except duckdb.Error as error:
                if not any(word in str(error).lower() for word in ("corrupt", "checksum", "invalidated")):
                    raise
                return _rebuild(folder, path, patience_s)
    except Timeout as error:
        raise InputError(f"Another process is filling {path}.", remedy="Wait for it and try again.") from error


def _rebuild(folder: Path, path: Path, patience_s: float) -> Ingested:
    fresh = path.with_name(path.name + ".new")
    for left in (fresh, fresh.with_name(fresh.name + ".wal")):
        left.unlink(missing_ok=True)
    done = _ingest(folder, fresh, patience_s)
    path.with_name(path.name + ".wal").unlink(missing_ok=True)
    fresh.replace(path)
    return replace(done, rebuilt=True)


def _ingest(folder: Path, path: Path, patience_s: float) -> Ingested:
    total = Ingested()
    with writing(path, patience_s=patience_s) as database:
        read = dict(database.execute("SELECT name, bytes FROM ingest_file").fetchall())
        for file in sorted(folder.glob("*.jsonl")):
            start = int(read.get(file.name, 0))
            size = file.stat().st_size
            if size < start:  # somebody wrote another file under this name: its events are told apart by their ids
                start = 0
            if size > start:
                total += _ingest_file(database, file, start)
    return total


def _ingest_file(database: duckdb.DuckDBPyConnection, file: Path, start: int) -> Ingested:
    total = Ingested(files=1)
    with file.open("rb") as source:
        source.seek(start)
        held = b""
        while data := source.read(BATCH_BYTES):
            whole, end, held = (held + data).rpartition(b"\n")
            if end:
                start += len(whole) + 1
                total += _ingest_lines(database, file.name, whole + end, start)
    return total + Ingested(waiting_bytes=len(held))


def _ingest_lines(database: duckdb.DuckDBPyConnection, name: str, lines: bytes, end: int) -> Ingested:
    """Take whole lines in, and note that the file has been read up to byte `end`."""
    kinds = ", ".join(f"'{field}': '{kind}'" for field, kind in json_columns().items())
    with tempfile.NamedTemporaryFile(suffix=".jsonl", buffering=0) as copy:
        copy.write(lines)
        database.execute("BEGIN")
        try:
            database.execute(
                f"CREATE OR REPLACE TEMP TABLE staged AS SELECT * FROM read_json(?, format='newline_delimited', "
                f"ignore_errors=true, columns={{{kinds}}})",
                [copy.name],
            )
            all_lines, known = _counts(database)
            events = repeated = 0
            for event, table in TABLES.items():
                added, again = _insert(database, event, table)
                events, repeated = events + added, repeated + again
            database.execute(
                "INSERT INTO ingest_file SELECT $name, 0, 0, 0, NULL "
                "WHERE NOT EXISTS (SELECT 1 FROM ingest_file WHERE name = $name)",
                {"name": name},
            )
            database.execute(
                "UPDATE ingest_file SET bytes = $end, lines = lines + $lines, bad_lines = bad_lines + $bad, "
                "read_at = now()::TIMESTAMPTZ AT TIME ZONE 'UTC' WHERE name = $name",
                {"name": name, "end": end, "lines": all_lines, "bad": all_lines - known},
            )
            database.execute("DROP TABLE staged")
            database.execute("COMMIT")
        except BaseException:
            database.execute("ROLLBACK")
            raise
    return Ingested(events=events, repeated=repeated, bad_lines=all_lines - known)


def _counts(database: duckdb.DuckDBPyConnection) -> tuple[int, int]:
    kinds = ", ".join(f"'{event}'" for event in TABLES)
    row = database.execute(
        f"SELECT count(*), count(*) FILTER (event IN ({kinds}) AND event_id IS NOT NULL AND ts IS NOT NULL) FROM staged"
    ).fetchone()
    assert row is not None
    return int(row[0]), int(row[1])


def _insert(database: duckdb.DuckDBPyConnection, event: str, table: str) -> tuple[int, int]:
    """Insert the staged events of one kind; how many were new, and how many were there before."""
    columns = flat_columns(event)
    database.execute(
        "CREATE OR REPLACE TEMP TABLE fresh AS SELECT "
        + ", ".join(f'{expression} AS "{name}"' for name, expression in columns.items())
        + f" FROM staged WHERE event = '{event}' AND event_id IS NOT NULL AND staged.ts IS NOT NULL "
        f"QUALIFY row_number() OVER (PARTITION BY event_id ORDER BY {_rank(event, 'staged')}) = 1"
    )
    staged = _count(database, "fresh")
    database.execute(f"CREATE OR REPLACE TEMP TABLE seen AS SELECT * FROM {table} SEMI JOIN fresh USING (event_id)")
    again = _count(database, "seen")
    if again:  # the better of the two stays
        better = f"{_rank(event, 'seen')} <= {_rank(event, 'fresh')}"
        database.execute(f"DELETE FROM fresh USING seen WHERE fresh.event_id = seen.event_id AND {better}")
        database.execute(f"DELETE FROM {table} WHERE event_id IN (SELECT event_id FROM fresh)")
    names = ", ".join(f'"{name}"' for name in columns)
    database.execute(f"INSERT INTO {table} ({names}) SELECT {names} FROM fresh")
    database.execute("DROP TABLE fresh; DROP TABLE seen")
    return staged - again, again


def _count(database: duckdb.DuckDBPyConnection, table: str) -> int:
    row = database.execute(f"SELECT count(*) FROM {table}").fetchone()
    return int(row[0]) if row else 0


def _rank(event: str, table: str) -> str:
    """The SQL value that is smaller for the better of two events with one id."""
    return f"({table}.status = 'unknown', {table}.ts)" if event == "model_call" else f"{table}.ts"
