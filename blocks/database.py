"""How is a small database opened that many processes write to at once?"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from storyloom.domain.errors import StorageFull, StoryloomError

NO_ROOM = (
    "database or disk is full",
    "readonly database",
    "disk I/O error",
    "unable to open",
    "No space left on device",
)
READ_ONLY: dict[str, Any] = {"storyloom_reads_only": True}  # an execution option: no write lock on SQLite


def open_database(url: str) -> sa.Engine:
    """An engine whose transactions on SQLite take the write lock at once and wait for it."""
    made = sa.engine.make_url(url)
    if not made.drivername.startswith("sqlite"):
        return sa.create_engine(made, pool_pre_ping=True)
    if made.database and made.database != ":memory:":
        Path(made.database).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    engine = sa.create_engine(made, connect_args={"timeout": 60}, pool_size=20, pool_timeout=60)

    @sa.event.listens_for(engine, "connect")
    def _on_connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # SQLAlchemy's own begin below, not the driver's
        connection.execute("PRAGMA busy_timeout=60000")
        _use_wal(connection)
        connection.execute("PRAGMA synchronous=NORMAL")

    @sa.event.listens_for(engine, "begin")
    def _on_begin(connection: sa.Connection) -> None:
        reads = connection.get_execution_options().get("storyloom_reads_only")
        connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")

    return engine


def _use_wal(connection: Any) -> None:
    """Switch to a write-ahead log. Of several processes that open a new file at once, SQLite turns all but one away."""
    for pause in (0.0, *(0.02 * n for n in range(1, 40))):
        time.sleep(pause)
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise
    raise StoryloomError("The ledger's database stays locked.", remedy="End whatever holds it open, then run again.")


@contextmanager
def writing(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A transaction that writes.

    Raises:
        StorageFull: there is no room for it.
    """
    with _room(engine), engine.begin() as db:
        yield db


@contextmanager
def reading(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A transaction that only reads, and so waits for nobody."""
    with _room(engine), engine.connect().execution_options(**READ_ONLY) as db:
        yield db


@contextmanager
def _room(engine: sa.Engine) -> Iterator[None]:
    try:
        yield
    except sa.exc.OperationalError as error:
        if not any(phrase in str(error.orig) for phrase in NO_ROOM):
            raise
        raise StorageFull(
            f"The ledger cannot be written at {engine.url.render_as_string(hide_password=True)}: {error.orig}.",
            remedy="Free some space or make it writable, then run the same command again.",
        ) from error
