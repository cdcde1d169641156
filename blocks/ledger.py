"""How much is spent and reserved, and may the next call still be paid?

A reservation of a call's worst case is made before the call, over all its scopes at once or not at all, and replaced
by the real cost after it. SQLite by default (WAL, BEGIN IMMEDIATE), Postgres by URL (row locks in one order). Money is
kept in whole picodollars. The scopes of a reservation are fixed when it is made, so that no clock can move it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import ROUND_CEILING, Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from storyloom.domain.budget import Alert, Cap, Kind, Scope, Spending, alerts, check, scopes_of
from storyloom.domain.model_calls import CallTags

from .database import open_database, reading, writing
from .owners import alive, this_process

PICO = Decimal(10) ** 12
GRACE_S = 3600.0  # how long after its deadline a reservation of another host is taken for lost

_meta = sa.MetaData()
_scopes = sa.Table(
    "ledger_scope",
    _meta,
    sa.Column("name", sa.String(600), primary_key=True),  # "kind|id"
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


_AMOUNTS = ("usd", "usd_reserved", "tokens", "tokens_reserved")

# Made once: building a statement takes longer than running it.
_HELD = (
    sa.select(_scopes)
    .where(_scopes.c.name.in_(sa.bindparam("names", expanding=True)))
    .order_by(_scopes.c.name)
    .with_for_update()
)
_SCOPE = sa.select(_scopes).where(_scopes.c.name == sa.bindparam("scope"))
_MOVE = (
    _scopes.update()
    .where(_scopes.c.name.in_(sa.bindparam("names", expanding=True)))
    .values(
        {
            name: _scopes.c[name] + sa.bindparam(f"more_{name}")
            for name in ("usd", "usd_reserved", "tokens", "tokens_reserved")
        }
    )
)
_TOLD = sa.select(_scopes).where(_scopes.c.told > 0).order_by(_scopes.c.name)
_TELL = _scopes.update().where(_scopes.c.name == sa.bindparam("scope")).values(told=sa.bindparam("level"))
_RESERVATION = sa.select(_reservations).where(_reservations.c.id == sa.bindparam("reservation")).with_for_update()
_CLOSE = (
    _reservations.update()
    .where(_reservations.c.id == sa.bindparam("reservation"))
    .values(status=sa.bindparam("to"), usd=sa.bindparam("paid"), tokens=sa.bindparam("used"))
)
_OPEN = sa.select(_reservations.c.id, _reservations.c.owner, _reservations.c.lost_after).where(
    _reservations.c.status == "open"
)
_IN_FLIGHT = (
    sa.select(_reservations.c.provider, sa.func.count().label("n"))
    .where(_reservations.c.status == "open")
    .group_by(_reservations.c.provider)
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
        picos = _picos(usd or Decimal(0))
        with writing(self._engine) as db:
            held = self._locked(db, scopes)
            row = self._row(reservation, scopes, "open", picos, tokens, provider, self._wall() + deadline_s + GRACE_S)
            if db.execute(self._new(_reservations).returning(_reservations.c.id), row).first() is None:
                return
            for spending, _ in held:
                if refusal := check(spending, usd, tokens):
                    raise refusal
            _move(db, scopes, usd_reserved=picos, tokens_reserved=tokens)

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

    def expire(self, tell: Callable[[Alert], None] | None = None) -> list[str]:
        """Count the reservations of dead owners as spent; returns their ids. `tell` gets the alerts due."""
        with reading(self._engine) as db:
            rows = db.execute(_OPEN).all()
        dead = [row.id for row in rows if not alive(row.owner, lost=row.lost_after < self._wall())]
        for reservation in dead:
            for alert in self.count_as_spent(reservation):
                if tell is not None:
                    tell(alert)
        return dead

    def told(self) -> list[Alert]:
        """The highest alert given so far of each scope and unit that is still at its level, with what is spent now.

        Whoever got one may have been killed before anybody heard of it: so it can be passed on again.
        """
        with reading(self._engine) as db:
            rows = db.execute(_TOLD).mappings().all()
        found = [(self._spending(_scope(row["name"]), row), row["told"]) for row in rows]
        return [alert for spending, told in found for alert in alerts(spending, 0) if alert.level == told]

    def restore(self, reservation: str, tags: CallTags, *, at: float, usd: Decimal | None, tokens: int) -> bool:
        """Enter an attempt from the journal unless the ledger knows it (False): how a lost ledger is rebuilt."""
        scopes = scopes_of(tags, datetime.fromtimestamp(at, UTC))
        picos = _picos(usd or Decimal(0))
        with writing(self._engine) as db:
            self._locked(db, scopes)
            row = self._row(reservation, scopes, "settled", picos, tokens, "", at)
            if db.execute(self._new(_reservations).returning(_reservations.c.id), row).first() is None:
                return False
            _move(db, scopes, usd=picos, tokens=tokens)
        return True

    def spent(self, scope: Scope) -> Spending:
        """What a scope has spent and holds reserved."""
        with reading(self._engine) as db:
            row = db.execute(_SCOPE, {"scope": _name(scope)}).mappings().first()
        return self._spending(scope, row)

    def set_cap(self, scope: Scope, cap: Cap) -> None:
        """Give one scope a cap of its own, as when a person raises it; holds in all processes at once."""
        with writing(self._engine) as db:
            self._locked(db, (scope,))
            db.execute(
                _scopes.update()
                .where(_scopes.c.name == _name(scope))
                .values(
                    capped=True,
                    cap_usd=None if cap.usd is None else _picos(cap.usd),
                    cap_tokens=cap.tokens,
                    told=0,
                )
            )

    def drop_cap(self, scope: Scope) -> None:
        """Take the scope's own cap away: what holds for its kind holds again."""
        with writing(self._engine) as db:
            self._locked(db, (scope,))
            db.execute(_scopes.update().where(_scopes.c.name == _name(scope)).values(capped=False, told=0))

    def token_capped(self, tags: CallTags) -> bool:
        """Whether some scope of these tags has a cap in tokens."""
        scopes = scopes_of(tags, datetime.fromtimestamp(self._wall(), UTC))
        return any(self.spent(scope).cap.tokens is not None for scope in scopes)

    def in_flight(self) -> dict[str, int]:
        """Open reservations by provider, over all processes."""
        with reading(self._engine) as db:
            return {row.provider: row.n for row in db.execute(_IN_FLIGHT)}

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    def _new(self, table: sa.Table) -> Any:
        """An insert that leaves what is there alone."""
        return (postgresql.insert if self._engine.dialect.name == "postgresql" else sqlite.insert)(
            table
        ).on_conflict_do_nothing()

    def _row(
        self, id_: str, scopes: Iterable[Scope], status: str, usd: int, tokens: int, provider: str, lost_after: float
    ) -> dict[str, Any]:
        return {
            "id": id_,
            "status": status,
            "usd": usd,
            "tokens": tokens,
            "scopes": [[scope.kind, scope.id] for scope in scopes],
            "provider": provider,
            "owner": self._owner,
            "lost_after": lost_after,
        }

    def _locked(self, db: sa.Connection, scopes: Sequence[Scope]) -> list[tuple[Spending, int]]:
        """The scopes' sums and how much was told of them; their rows are locked, in one order for all."""
        names = {"names": [_name(scope) for scope in scopes]}
        rows = db.execute(_HELD, names).mappings().all()
        if len(rows) < len(scopes):
            db.execute(self._new(_scopes), [{"name": name} for name in sorted(names["names"])])
            rows = db.execute(_HELD, names).mappings().all()
        found = {row["name"]: row for row in rows}
        return [(self._spending(scope, found[_name(scope)]), found[_name(scope)]["told"]) for scope in scopes]

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
        with writing(self._engine) as db:
            row = db.execute(_RESERVATION, {"reservation": reservation}).mappings().first()
            if row is None or row["status"] in ("settled", "released") or (row["status"] == status == "lost"):
                return []
            scopes = [Scope(kind=kind, id=id_) for kind, id_ in row["scopes"]]
            held = self._locked(db, scopes)
            was_open = row["status"] == "open"
            usd, tokens = row["usd"] if usd is None else usd, row["tokens"] if tokens is None else tokens
            more = (usd, tokens) if was_open else (usd - row["usd"], tokens - row["tokens"])
            _move(
                db,
                scopes,
                usd=more[0],
                tokens=more[1],
                usd_reserved=-row["usd"] if was_open else 0,
                tokens_reserved=-row["tokens"] if was_open else 0,
            )
            db.execute(_CLOSE, {"reservation": reservation, "to": status, "paid": usd, "used": tokens})
            due: list[Alert] = []
            for before, told in held:
                then = {"usd": before.usd + _dollars(more[0]), "tokens": before.tokens + more[1]}
                if new := alerts(before.model_copy(update=then), told):
                    level = max(alert.level for alert in new)
                    db.execute(_TELL, {"scope": _name(before.scope), "level": level})
                    due += new
            return due


def _move(
    db: sa.Connection,
    scopes: Iterable[Scope],
    *,
    usd: int = 0,
    usd_reserved: int = 0,
    tokens: int = 0,
    tokens_reserved: int = 0,
) -> None:
    db.execute(
        _MOVE,
        {
            "names": [_name(scope) for scope in scopes],
            "more_usd": usd,
            "more_usd_reserved": usd_reserved,
            "more_tokens": tokens,
            "more_tokens_reserved": tokens_reserved,
        },
    )


def _name(scope: Scope) -> str:
    return f"{scope.kind}|{scope.id}"


def _scope(name: str) -> Scope:
    kind, _, id_ = name.partition("|")
    return Scope.model_validate({"kind": kind, "id": id_})


def _picos(usd: Decimal) -> int:
    return int((usd * PICO).to_integral_value(ROUND_CEILING))


def _dollars(picos: int) -> Decimal:
    return Decimal(picos).scaleb(-12)
