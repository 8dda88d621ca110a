"""What was asked for, by whom, and what it came to: from the slim rows that outlive results."""

import json
from collections.abc import Collection
from datetime import UTC, datetime

import sqlalchemy as sa

from openkontext.contract import State

from .database import Database, Row
from .jobs import COLUMNS
from .records import HistoryEntry, HistoryPage, Job, UsageRow
from .schema import accounts, jobs, keys, payloads, results

_DAY = 86400

# Keeps: a result past its retention can't be seen, whether or not `expire` came by yet.
_RESULT = sa.case((sa.or_(jobs.c.expires_at.is_(None), jobs.c.expires_at > sa.bindparam("now")), results.c.body))
_ENTRIES = (
    sa.select(*COLUMNS, payloads.c.parameters, _RESULT.label("body"))
    .join_from(jobs, payloads)
    .outerjoin(results)
    .order_by(jobs.c.created_at.desc(), jobs.c.id.desc())
)
_TOTAL = sa.select(sa.func.count()).select_from(jobs)

_COMPLETED = jobs.c.state == State.COMPLETED
# Unix time has no leap seconds: its days are all of one length, and begin at midnight, UTC.
_ON = (jobs.c.created_at // sa.literal_column(str(_DAY))).label("day")
_USAGE = (
    sa.select(
        _ON,
        accounts.c.name,
        keys.c.hint,
        keys.c.label,
        sa.func.count().label("requests"),
        sa.func.count().filter(_COMPLETED).label("completed"),
        sa.func.count().filter(jobs.c.state == State.FAILED).label("failed"),
        sa.cast(sa.func.coalesce(sa.func.sum(jobs.c.price).filter(_COMPLETED), 0), sa.BigInteger).label("cost"),
        sa.func.coalesce(sa.func.sum(jobs.c.inference_time), 0.0).label("gpu_seconds"),
    )
    .join_from(jobs, accounts)
    .join(keys, keys.c.id == jobs.c.key_id)
    .group_by(_ON, accounts.c.name, keys.c.id, keys.c.hint, keys.c.label)
    .order_by(_ON, accounts.c.name, keys.c.id)
)


class History(Database):
    """Looking back."""

    def history(
        self,
        account_id: int,
        *,
        page: int = 1,
        per_page: int = 20,
        states: Collection[State] = (),
        since: float | None = None,
        until: float | None = None,
    ) -> HistoryPage:
        """A page (from 1) of the account's jobs, newest first, those expired and erased too.

        Only those in one of ``states``, if any is given, and submitted from ``since`` on and before ``until``.
        """
        chosen = [jobs.c.account_id == account_id, *_between(since, until)]
        chosen += [jobs.c.state.in_(states)] if states else []
        with self._snapshot() as connection:
            total = connection.execute(_TOTAL.where(*chosen)).scalar_one()
            selected = _ENTRIES.where(*chosen).limit(per_page).offset((page - 1) * per_page)
            rows = connection.execute(selected, {"now": self.clock()}).all()
        return HistoryPage([_entry(row) for row in rows], total)

    def usage(
        self, *, account_id: int | None = None, since: float | None = None, until: float | None = None
    ) -> list[UsageRow]:
        """What each key's requests came to on each UTC day of their submit, of one account or of all; oldest first.

        It goes back as far as the history does.
        """
        chosen = _between(since, until) + ([] if account_id is None else [jobs.c.account_id == account_id])
        with self._read() as connection:
            rows = connection.execute(_USAGE.where(*chosen)).all()
        return [UsageRow(_date(row.day), *row[1:]) for row in rows]


def _between(since: float | None, until: float | None) -> list[sa.ColumnElement[bool]]:
    after = [] if since is None else [jobs.c.created_at >= since]
    return after + ([] if until is None else [jobs.c.created_at < until])


def _entry(row: Row) -> HistoryEntry:
    *job, parameters, body = row
    return HistoryEntry(Job(*job), json.loads(parameters), json.loads(body) if body else None)


def _date(day: float) -> str:
    return datetime.fromtimestamp(day * _DAY, UTC).date().isoformat()
