"""How is a small database opened that many processes write to at once?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import sqlalchemy as sa

READ_ONLY: dict[str, Any] = {"storyloom_reads_only": True}  # an execution option: no write lock on SQLite


def open_database(url: str) -> sa.Engine:
    """An engine whose transactions on SQLite take the write lock at once and wait for it."""
    made = sa.engine.make_url(url)
    if not made.drivername.startswith("sqlite"):
        return sa.create_engine(made, pool_pre_ping=True)
    if made.database and made.database != ":memory:":
        Path(made.database).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    engine = sa.create_engine(made, connect_args={"timeout": 60})

    @sa.event.listens_for(engine, "connect")
    def _on_connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # SQLAlchemy's own begin below, not the driver's
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("PRAGMA busy_timeout=60000")

    @sa.event.listens_for(engine, "begin")
    def _on_begin(connection: sa.Connection) -> None:
        reads = connection.get_execution_options().get("storyloom_reads_only")
        connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")

    return engine
