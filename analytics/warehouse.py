"""How is the DuckDB database opened: by one writer, or by many readers?

While one process holds the file for writing no other can open it, and while one reads none can write. Both are short
here, so whoever comes second waits a little.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

import duckdb

from ..domain.errors import InputError, StorageFull

SCHEMA_VERSION = 2
PATIENCE_S = 30.0


class Unusable(Exception):
    """The file is no warehouse of this version: it must be built again."""


@contextmanager
def reading(path: Path, *, patience_s: float = PATIENCE_S) -> Iterator[duckdb.DuckDBPyConnection]:
    """The database, for reading.

    Raises:
        InputError: when there is none, it is of another version, or it stays locked.
    """
    if not path.exists():
        raise InputError(f"There is no warehouse at {path} yet.", remedy="Run something first, or `storyloom report`.")
    try:
        connection = _connect(path, True, patience_s)
    except Unusable as error:
        raise InputError(
            f"{path} cannot be read: {error}.", remedy="Run `storyloom report list`: it is built again from the spool."
        ) from error
    try:
        yield connection
    finally:
        connection.close()


@contextmanager
def writing(path: Path, *, patience_s: float = PATIENCE_S) -> Iterator[duckdb.DuckDBPyConnection]:
    """The database, for writing, with its tables; made if there is none.

    Raises:
        Unusable: when the file is of another version or no database.
        InputError: when it stays locked.
        StorageFull: when its folder cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    new = not path.exists()
    connection = _connect(path, False, patience_s)
    try:
        if new:
            path.chmod(0o600)
        _ensure_schema(connection)
        yield connection
    finally:
        connection.close()


def _connect(path: Path, read_only: bool, patience_s: float) -> duckdb.DuckDBPyConnection:
    deadline = time.monotonic() + patience_s
    while True:
        try:
            return duckdb.connect(str(path), read_only=read_only)
        except duckdb.Error as error:
            text = str(error)
            busy = "lock" in text.lower() or "different configuration" in text
            if not busy and ("No space left" in text or "Permission denied" in text or "Read-only file" in text):
                raise StorageFull(f"{path} cannot be opened: {text.splitlines()[0]}") from error
            if not busy:
                raise Unusable(text.splitlines()[0]) from error
            if time.monotonic() > deadline:
                raise InputError(f"{path} is in use by another process.", remedy="Close it and try again.") from error
            time.sleep(0.05)


def _ensure_schema(connection: duckdb.DuckDBPyConnection) -> None:
    tables = {row[0] for row in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
    if "meta" in tables:
        row = connection.execute("SELECT max(schema_version) FROM meta").fetchone()
        if row and row[0] == SCHEMA_VERSION:
            return
        raise Unusable(f"its tables are of version {row[0] if row else None}, not {SCHEMA_VERSION}")
    if tables:
        raise Unusable("it holds other tables")
    connection.execute("BEGIN")
    connection.execute((files(__package__) / "schema.sql").read_text(encoding="utf-8"))
    connection.execute("INSERT INTO meta VALUES (?)", [SCHEMA_VERSION])
    connection.execute("COMMIT")
