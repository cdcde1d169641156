"""How much is spent and reserved, and may the next call still be paid?

A reservation of a call's worst case is made before the call, over all its scopes at once or not at all, and replaced
by the real cost after it. SQLite by default (WAL, BEGIN IMMEDIATE), Postgres by URL (row locks in one order). Money is
kept in whole picodollars. The scopes of a reservation are fixed when it is made, so that no clock can move it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import ROUND_CEILING, Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from storyloom.domain.budget import Alert, Cap, Kind, Scope, Spending, alerts, check, scopes_of
from storyloom.domain.model_calls import CallTags

from .database import READ_ONLY, open_database
from .owners import alive, this_process

PICO = Decimal(10) ** 12
GRACE_S = 3600.0  # how long after its deadline a reservation of another host is taken for lost

_meta = sa.MetaData()
_scopes = sa.Table(
    "ledger_scope",
    _meta,
    sa.Column("kind", sa.String(16), primary_key=True),
    sa.Column("id", sa.String(512), primary_key=True),
    sa.Column("usd", sa.BigInteger, nullable=False, default=0),
    sa.Column("usd_reserved", sa.BigInteger, nullable=False, default=0),
    sa.Column("tokens", sa.BigInteger, nullable=False, default=0),
    sa.Column("tokens_reserved", sa.BigInteger, nullable=False, default=0),
    sa.Column("told", sa.Integer, nullable=False, default=0),
    sa.Column("cap_usd", sa.BigInteger),
    sa.Column("cap_tokens", sa.BigInteger),
    sa.Column("capped", sa.Boolean, nullable=False, default=False),
)
_reservations = sa.Table(
    "ledger_reservation",
    _meta,
    sa.Column("id", sa.String(128), primary_key=True),
    sa.Column("status", sa.String(16), nullable=False, index=True),  # open, settled, released, lost
    sa.Column("usd", sa.BigInteger, nullable=False),
    sa.Column("tokens", sa.BigInteger, nullable=False),
    sa.Column("scopes", sa.JSON, nullable=False),
    sa.Column("provider", sa.String(64), nullable=False, default=""),
    sa.Column("owner", sa.String(256), nullable=False),
    sa.Column("lost_after", sa.Float, nullable=False),
)


class Ledger:
    """The sums of all calls. `caps` hold for every scope of their kind, unless `set_cap` gave one its own."""

    def __init__(
        self,
        url: str,
        caps: Mapping[Kind, Cap] | None = None,
        *,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._caps = dict(caps or {})
        self._engine = open_database(url)
        self._wall = wall
        self._owner = this_process()
        _meta.create_all(self._engine)

    def reserve(
        self,
        reservation: str,
        tags: CallTags,
        *,
        usd: Decimal | None,
        tokens: int,
        provider: str = "",
        deadline_s: float = 600.0,
    ) -> None:
        """Hold the worst case of one attempt in all its scopes; asked again under the same id, nothing changes.

        Raises:
            BudgetExceeded: one scope's cap would be passed; nothing is held.
        """
        scopes = scopes_of(tags, datetime.fromtimestamp(self._wall(), UTC))
        with self._begin() as db:
            held = self._locked(db, scopes)
            if db.execute(sa.select(_reservations.c.id).where(_reservations.c.id == reservation)).first():
                return
            for spending, _ in held:
                if refusal := check(spending, usd, tokens):
                    raise refusal
            picos = _picos(usd or Decimal(0))
            db.execute(
                _reservations.insert().values(
                    id=reservation,
                    status="open",
                    usd=picos,
                    tokens=tokens,
                    scopes=[[scope.kind, scope.id] for scope in scopes],
                    provider=provider,
                    owner=self._owner,
                    lost_after=self._wall() + deadline_s + GRACE_S,
                )
            )
            _add(db, scopes, usd_reserved=picos, tokens_reserved=tokens)

    def settle(self, reservation: str, *, usd: Decimal | None, tokens: int) -> list[Alert]:
        """Replace a reservation by what the attempt really cost; returns the alerts that are now due.

        A reservation that was taken for lost is put right; one that is settled or unknown stays as it is.
        """
        return self._close(reservation, "settled", _picos(usd or Decimal(0)), tokens)

    def release(self, reservation: str) -> None:
        """Give back a reservation whose attempt was never sent."""
        self._close(reservation, "released", 0, 0)

    def count_as_spent(self, reservation: str) -> list[Alert]:
        """Count an attempt whose outcome nobody knows at its worst case."""
        return self._close(reservation, "lost", None, None)

    def expire(self) -> list[str]:
        """Count the reservations of dead owners as spent; returns their ids."""
        open_ = sa.select(_reservations.c.id, _reservations.c.owner, _reservations.c.lost_after)
        with self._read() as db:
            rows = db.execute(open_.where(_reservations.c.status == "open")).all()
        dead = [row.id for row in rows if not alive(row.owner, lost=row.lost_after < self._wall())]
        for reservation in dead:
            self.count_as_spent(reservation)
        return dead

    def restore(self, reservation: str, tags: CallTags, *, at: float, usd: Decimal | None, tokens: int) -> bool:
        """Enter an attempt from the journal unless the ledger knows it (False): how a lost ledger is rebuilt."""
        scopes = scopes_of(tags, datetime.fromtimestamp(at, UTC))
        picos = _picos(usd or Decimal(0))
        with self._begin() as db:
            self._locked(db, scopes)
            if db.execute(sa.select(_reservations.c.id).where(_reservations.c.id == reservation)).first():
                return False
            db.execute(
                _reservations.insert().values(
                    id=reservation,
                    status="settled",
                    usd=picos,
                    tokens=tokens,
                    scopes=[[scope.kind, scope.id] for scope in scopes],
                    provider="",
                    owner=self._owner,
                    lost_after=at,
                )
            )
            _add(db, scopes, usd=picos, tokens=tokens)
        return True

    def spent(self, scope: Scope) -> Spending:
        """What a scope has spent and holds reserved."""
        with self._read() as db:
            row = db.execute(sa.select(_scopes).where(_is(scope))).mappings().first()
        return self._spending(scope, row)

    def set_cap(self, scope: Scope, cap: Cap) -> None:
        """Give one scope a cap of its own, as when a person raises it; holds in all processes at once."""
        with self._begin() as db:
            self._locked(db, (scope,))
            db.execute(
                _scopes.update()
                .where(_is(scope))
                .values(
                    capped=True,
                    cap_usd=None if cap.usd is None else _picos(cap.usd),
                    cap_tokens=cap.tokens,
                    told=0,
                )
            )

    def token_capped(self, tags: CallTags) -> bool:
        """Whether some scope of these tags has a cap in tokens."""
        scopes = scopes_of(tags, datetime.fromtimestamp(self._wall(), UTC))
        return any(self.spent(scope).cap.tokens is not None for scope in scopes)

    def in_flight(self) -> dict[str, int]:
        """Open reservations by provider, over all processes."""
        count = sa.func.count().label("n")
        query = sa.select(_reservations.c.provider, count).where(_reservations.c.status == "open")
        with self._read() as db:
            return {row.provider: row.n for row in db.execute(query.group_by(_reservations.c.provider))}

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    @contextmanager
    def _begin(self) -> Iterator[sa.Connection]:
        with self._engine.begin() as db:
            yield db

    @contextmanager
    def _read(self) -> Iterator[sa.Connection]:
        with self._engine.connect().execution_options(**READ_ONLY) as db:
            yield db

    def _locked(self, db: sa.Connection, scopes: Iterable[Scope]) -> list[tuple[Spending, int]]:
        """The scopes' sums, their rows locked in one order for all, made where missing."""
        ordered = sorted(scopes, key=lambda scope: (scope.kind, scope.id))
        keys = [{"kind": scope.kind, "id": scope.id} for scope in ordered]
        insert = postgresql.insert if db.dialect.name == "postgresql" else sqlite.insert
        db.execute(insert(_scopes).on_conflict_do_nothing(), keys)
        query = sa.select(_scopes).where(sa.or_(*map(_is, ordered))).order_by(_scopes.c.kind, _scopes.c.id)
        rows = db.execute(query.with_for_update()).mappings().all()
        found = {(row["kind"], row["id"]): row for row in rows}
        return [
            (self._spending(scope, found[scope.kind, scope.id]), found[scope.kind, scope.id]["told"])
            for scope in ordered
        ]

    def _spending(self, scope: Scope, row: Any) -> Spending:
        cap = self._caps.get(scope.kind, Cap())
        if row is None:
            return Spending(scope=scope, cap=cap)
        if row["capped"]:
            cap = Cap(usd=None if row["cap_usd"] is None else _dollars(row["cap_usd"]), tokens=row["cap_tokens"])
        return Spending(
            scope=scope,
            usd=_dollars(row["usd"]),
            usd_reserved=_dollars(row["usd_reserved"]),
            tokens=row["tokens"],
            tokens_reserved=row["tokens_reserved"],
            cap=cap,
        )

    def _close(self, reservation: str, status: str, usd: int | None, tokens: int | None) -> list[Alert]:
        """End a reservation; `usd` None counts it at what was held."""
        with self._begin() as db:
            query = sa.select(_reservations).where(_reservations.c.id == reservation).with_for_update()
            row = db.execute(query).mappings().first()
            if row is None or row["status"] in ("settled", "released") or (row["status"] == status == "lost"):
                return []
            scopes = [Scope(kind=kind, id=id_) for kind, id_ in row["scopes"]]
            self._locked(db, scopes)
            was_open = row["status"] == "open"
            usd, tokens = row["usd"] if usd is None else usd, row["tokens"] if tokens is None else tokens
            _add(
                db,
                scopes,
                usd=usd if was_open else usd - row["usd"],
                tokens=tokens if was_open else tokens - row["tokens"],
                usd_reserved=-row["usd"] if was_open else 0,
                tokens_reserved=-row["tokens"] if was_open else 0,
            )
            db.execute(
                _reservations.update()
                .where(_reservations.c.id == reservation)
                .values(status=status, usd=usd, tokens=tokens)
            )
            due: list[Alert] = []
            for spending, told in self._locked(db, scopes):
                if new := alerts(spending, told):
                    level = max(alert.level for alert in new)
                    db.execute(_scopes.update().where(_is(spending.scope)).values(told=level))
                    due += new
            return due


def _add(db: sa.Connection, scopes: Iterable[Scope], **amounts: int) -> None:
    changes = {name: _scopes.c[name] + amount for name, amount in amounts.items() if amount}
    if changes:
        db.execute(_scopes.update().where(sa.or_(*map(_is, scopes))).values(**changes))


def _is(scope: Scope) -> sa.ColumnElement[bool]:
    return sa.and_(_scopes.c.kind == scope.kind, _scopes.c.id == scope.id)


def _picos(usd: Decimal) -> int:
    return int((usd * PICO).to_integral_value(ROUND_CEILING))


def _dollars(picos: int) -> Decimal:
    return Decimal(picos).scaleb(-12)
