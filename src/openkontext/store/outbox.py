"""The outbox: what is on its way to receivers, and what became of it.

A delivery is ``pending`` until a receiver took it (``delivered``) or none will (``failed``). Whoever tries one leases
it first, by moving its time, as jobs are leased: if nothing is heard of the attempt, it is due again. So each event
arrives at least once, and no two try at the same time.
"""

import json
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import sqlalchemy as sa

from .events import settle
from .lookup import Lookup
from .receivers import Receivers, account_secret
from .records import Delivery, DeliveryState, DueDelivery, Event
from .schema import deliveries, endpoints, events

# Deliveries that may be under way at once, so that one whose receivers hang holds nobody else up.
PER_HOST = 4
PER_ACCOUNT = 8
_CANDIDATES = 200

Columns = sa.Select[*tuple[Any, ...]]

_COLUMNS = [deliveries.c[field.name] for field in fields(Delivery)]
_PENDING = deliveries.c.state == "pending"
# Of what is over it is null.
_DUE = deliveries.c.due_at <= sa.bindparam("now")
_PLACE = sa.func.row_number().over(partition_by=deliveries.c.account_id, order_by=deliveries.c.due_at).label("place")
_NEXT_DUE = sa.select(sa.func.min(deliveries.c.due_at)).where(deliveries.c.due_at.is_not(None))
_FREE = (
    sa.select(deliveries.c.id)
    .where(_DUE, deliveries.c.id.in_(sa.bindparam("ids", expanding=True)))
    .with_for_update(skip_locked=True)
)
# Keeps: one attempt at a time, which has no answer yet.
_LEASE = (
    sa.update(deliveries)
    .where(deliveries.c.id.in_(_FREE))
    .values(
        due_at=sa.bindparam("until"), attempts=deliveries.c.attempts + 1, last_at=sa.bindparam("now"),
        last_status=None, last_error=None,
    )
    .returning(*_COLUMNS)
)  # fmt: skip
_EVENT = [events.c[field.name] for field in fields(Event)]
_BODY = _EVENT.index(events.c.body)
_TO_SEND = (
    sa.select(*_EVENT, endpoints.c.secret)
    .select_from(deliveries.join(events).outerjoin(endpoints, endpoints.c.id == deliveries.c.endpoint_id))
    .where(deliveries.c.id == sa.bindparam("delivery"))
)
# Keeps: only the newest attempt writes, and only while there is something to decide.
_END_ATTEMPT = (
    sa.update(deliveries)
    .where(deliveries.c.id == sa.bindparam("delivery"), deliveries.c.attempts == sa.bindparam("attempt"), _PENDING)
    .values(
        state=sa.bindparam("outcome"), due_at=sa.bindparam("retry_at"),
        last_status=sa.bindparam("status"), last_error=sa.bindparam("error"),
    )
    .returning(deliveries.c.event_id)
)  # fmt: skip

_OWN = (deliveries.c.account_id == sa.bindparam("account"),)
_OWN_ONE = (*_OWN, deliveries.c.id == sa.bindparam("delivery"))
_LOGGED: Columns = sa.select(*_COLUMNS, events.c.job_id, events.c.type).select_from(deliveries.join(events))
_ONE = _LOGGED.where(*_OWN_ONE)
# Keeps: a delivery is repeated only where there is still something to send, and somebody to send it to.
_REPEATABLE = (
    sa.select(deliveries.c.event_id, deliveries.c.account_id, deliveries.c.endpoint_id, deliveries.c.url)
    .select_from(deliveries.join(events).outerjoin(endpoints, endpoints.c.id == deliveries.c.endpoint_id))
    .where(
        *_OWN_ONE, events.c.body.is_not(None), sa.or_(deliveries.c.endpoint_id.is_(None), endpoints.c.id.is_not(None))
    )
)
_INSERT = sa.insert(deliveries).returning(*_COLUMNS)

_EVENTS_AFTER = (
    sa.select(*_EVENT)
    .where(events.c.account_id == sa.bindparam("account"), events.c.id > sa.bindparam("after"))
    .order_by(events.c.id)
    .limit(sa.bindparam("most"))
)
_LAST_EVENT = sa.select(sa.func.coalesce(sa.func.max(events.c.id), 0)).where(
    events.c.account_id == sa.bindparam("account")
)


@dataclass(frozen=True)
class LoggedDelivery(Delivery):
    """A delivery with the job and the type of its event."""

    job_id: str
    type: str


class Outbox(Receivers):
    """Deliveries on their way, their log, and the events themselves for who follows them."""

    def due_deliveries(
        self, limit: int, lease_seconds: float, *, under_way: Collection[Delivery] = ()
    ) -> list[DueDelivery]:
        """Take up to ``limit`` deliveries that are due, each for so many seconds: then it is due again.

        Accounts take turns, and those ``under_way`` count towards the shares of hosts and accounts. A delivery of what
        was erased meanwhile ends as failed.
        """
        chosen = self._choose(limit, under_way) if self._any_due() else []
        if not chosen:
            return []
        with self._transaction() as connection:
            now = self._now(connection)
            leased = connection.execute(_LEASE, {"ids": chosen, "now": now, "until": now + lease_seconds}).all()
            return [due for row in leased if (due := _to_send(connection, Delivery(*row)))]

    def delivered_to(self, delivery_id: str, attempt: int, status: int) -> None:
        """The receiver took it; nothing happens if the attempt is not the newest any more."""
        with self._transaction() as connection:
            _end_attempt(connection, delivery_id, attempt, "delivered", status=status)

    def failed_to(self, delivery_id: str, attempt: int, status: int | None, error: str, retry_at: float | None) -> None:
        """The attempt came to nothing; the next is due at ``retry_at``, None for no other.

        Nothing happens if the attempt is not the newest any more.
        """
        outcome: DeliveryState = "failed" if retry_at is None else "pending"
        with self._transaction() as connection:
            _end_attempt(connection, delivery_id, attempt, outcome, status=status, error=error, retry_at=retry_at)

    def deliveries(
        self, account_id: int, *, page: int = 1, per_page: int = 20, endpoint_id: str | None = None
    ) -> tuple[list[LoggedDelivery], int]:
        """A page (from 1) of the account's deliveries, newest first, and how many there are in all."""
        filters = _OWN if endpoint_id is None else (*_OWN, deliveries.c.endpoint_id == endpoint_id)
        rows = (
            _LOGGED.where(*filters)
            .order_by(deliveries.c.created_at.desc(), deliveries.c.id)
            .limit(per_page)
            .offset((page - 1) * per_page)
        )
        with self._read() as connection:
            total = connection.execute(sa.select(sa.func.count()).where(*filters), {"account": account_id}).scalar_one()
            return [LoggedDelivery(*row) for row in connection.execute(rows, {"account": account_id})], total

    def delivery(self, account_id: int, delivery_id: str) -> LoggedDelivery | None:
        """One of the account's deliveries."""
        with self._read() as connection:
            row = connection.execute(_ONE, {"account": account_id, "delivery": delivery_id}).first()
        return LoggedDelivery(*row) if row else None

    def redeliver(self, account_id: int, delivery_id: str) -> Delivery | None:
        """A pending copy, due now; None if there is no such delivery, or nothing to send or nobody to send it to."""
        with self._transaction() as connection:
            row = connection.execute(_REPEATABLE, {"account": account_id, "delivery": delivery_id}).first()
            if row is None:
                return None
            now = self._now(connection)
            values = dict(row._mapping) | {"id": str(uuid4()), "state": "pending", "attempts": 0}
            values |= {"created_at": now, "due_at": now}
            return Delivery(*connection.execute(_INSERT, values).one())

    def events(self, account_id: int, *, after: int, limit: int = 100) -> list[Event]:
        """The account's events that came after the one of this id, oldest first."""
        values = {"account": account_id, "after": after, "most": limit}
        with self._read() as connection:
            return [_event(row) for row in connection.execute(_EVENTS_AFTER, values)]

    def last_event(self, account_id: int) -> int:
        """The id of the account's newest event, 0 if there is none."""
        with self._read() as connection:
            last: int = connection.execute(_LAST_EVENT, {"account": account_id}).scalar_one()
            return last

    def _choose(self, limit: int, under_way: Collection[Delivery]) -> list[str]:
        hosts = Counter(_host(each.url) for each in under_way)
        owners = Counter(each.account_id for each in under_way)
        with self._read() as connection:
            rows = connection.execute(_candidates(hosts), {"now": self.clock()}).all()
        chosen: list[str] = []
        for row in sorted(rows, key=lambda row: owners[row.account_id] + row.place):
            host = _host(row.url)
            if len(chosen) < limit and hosts[host] < PER_HOST and owners[row.account_id] < PER_ACCOUNT:
                hosts[host] += 1
                owners[row.account_id] += 1
                chosen.append(row.id)
        return chosen

    def _any_due(self) -> bool:
        # Asked after every change of the store, and seldom answered with yes.
        with self._clear_errors():
            row = self._next_due.first({})
        return row is not None and row[0] is not None and row[0] <= self.clock()

    @cached_property
    def _next_due(self) -> Lookup:
        return Lookup(_NEXT_DUE, self._reader)


def _candidates(hosts: Counter[str]) -> sa.Select[Any]:
    """What is due first for each account, but for hosts that have their share: others are found behind any number."""
    full = [host for host, count in hosts.items() if count >= PER_HOST]
    starts = [f"{scheme}://{host}/" for host in full for scheme in ("http", "https")]
    # URLs are kept in one notation. Not by LIKE, which takes several times as long over a long queue.
    others = [sa.func.substr(deliveries.c.url, 1, len(start)) != start for start in starts]
    due = (
        sa.select(deliveries.c.id, deliveries.c.account_id, deliveries.c.url, deliveries.c.due_at, _PLACE)
        .where(_DUE, *others)
        .subquery()
    )
    return sa.select(due).where(due.c.place <= PER_ACCOUNT).order_by(due.c.place, due.c.due_at).limit(_CANDIDATES)


def _to_send(connection: sa.Connection, delivery: Delivery) -> DueDelivery | None:
    *columns, secret = connection.execute(_TO_SEND, {"delivery": delivery.id}).one()
    event = _event(columns)
    if delivery.endpoint_id is None:
        secret = account_secret(connection, delivery.account_id)
    if event.body is None or secret is None:
        error = "the request was erased, or the webhook removed, before it could be delivered"
        _end_attempt(connection, delivery.id, delivery.attempts, "failed", error=error)
        return None
    return DueDelivery(delivery, event, secret, delivery.attempts)


def _end_attempt(
    connection: sa.Connection,
    delivery_id: str,
    attempt: int,
    outcome: DeliveryState,
    *,
    status: int | None = None,
    error: str | None = None,
    retry_at: float | None = None,
) -> None:
    values = {"delivery": delivery_id, "attempt": attempt, "outcome": outcome, "retry_at": retry_at}
    row = connection.execute(_END_ATTEMPT, values | {"status": status, "error": error}).first()
    if row is not None and outcome != "pending":
        settle(connection, row.event_id)


def _event(columns: Sequence[Any]) -> Event:
    event = Event(*columns)
    return replace(event, body=json.loads(columns[_BODY])) if columns[_BODY] else event


def _host(url: str) -> str:
    return urlsplit(url).netloc
