"""What do all workers know together about providers: who is failing, and how much may still be sent this minute?"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from storyloom.domain.rate_limit import Bucket, RateLimit, full, take
from storyloom.domain.routing import Health

from .database import open_database, reading, writing

_meta = sa.MetaData()
_health = sa.Table(
    "provider_health",
    _meta,
    sa.Column("provider", sa.String(64), primary_key=True),
    sa.Column("state", sa.JSON, nullable=False),
)
_buckets = sa.Table(
    "provider_bucket",
    _meta,
    sa.Column("provider", sa.String(64), primary_key=True),
    sa.Column("state", sa.JSON, nullable=False),
)


class ProviderTraffic:
    """Providers' health and rate limits in a database that all workers share: the ledger's, by its URL."""

    def __init__(
        self, url: str, limits: Mapping[str, RateLimit] | None = None, *, wall: Callable[[], float] = time.time
    ) -> None:
        self._engine, self._limits, self._wall = open_database(url), dict(limits or {}), wall
        _meta.create_all(self._engine)

    def health(self) -> Mapping[str, Health]:
        """Health by provider; one that is not named is well."""
        with reading(self._engine) as db:
            return {row.provider: Health.model_validate(row.state) for row in db.execute(sa.select(_health))}

    def update(self, provider: str, change: Callable[[Health], Health]) -> None:
        """Replace a provider's health by what `change` makes of it, as one step."""
        with writing(self._engine) as db:
            now = Health.model_validate(_locked(db, _health, provider, Health().model_dump()))
            then = change(now)
            if then == Health():
                db.execute(_health.delete().where(_health.c.provider == provider))
            elif then != now:
                _put(db, _health, provider, then.model_dump())

    def admit(self, provider: str, tokens: int, *, most_wait_s: float) -> float:
        """Seconds until a request of this many tokens may go; its place is taken unless that is over `most_wait_s`."""
        limit = self._limits.get(provider)
        if limit is None:
            return 0.0
        now = self._wall()
        with writing(self._engine) as db:
            bucket = Bucket.model_validate(_locked(db, _buckets, provider, full(limit, now).model_dump()))
            bucket, wait = take(bucket, limit, tokens, now, most_wait_s)
            _put(db, _buckets, provider, bucket.model_dump())
        return wait

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()


def _locked(db: sa.Connection, table: sa.Table, provider: str, fresh: dict[str, object]) -> object:
    """The provider's row, locked; made with `fresh` where there is none."""
    insert = postgresql.insert if db.dialect.name == "postgresql" else sqlite.insert
    db.execute(insert(table).values(provider=provider, state=fresh).on_conflict_do_nothing())
    return db.execute(sa.select(table.c.state).where(table.c.provider == provider).with_for_update()).scalar_one()


def _put(db: sa.Connection, table: sa.Table, provider: str, state: dict[str, object]) -> None:
    db.execute(table.update().where(table.c.provider == provider).values(state=state))
