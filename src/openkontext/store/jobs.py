"""Jobs: what they are and how they end.

    submit ──▶ QUEUED ──claim──▶ PROCESSING ──finish──▶ COMPLETED
                 │                │  ▲   │
                 │                └──┘   └─fail, reap──▶ FAILED
                 │    claim, once the lease ran out,       ▲
                 │    or was given up: fail(retry),        │
                 │    release, abandon                     │
                 └──cancel, reap (nobody came in time)─────┘

PROCESSING never goes back to QUEUED, and nothing follows an end. The price is held at submit; it is taken in the
transaction that makes a job COMPLETED, and given back in the one that makes it FAILED. A job whose cancel was requested
ends as FAILED (`cancelled`) whatever its worker made of it, since that is what its owner was promised.
"""

import json
from collections.abc import Mapping
from dataclasses import fields
from functools import cached_property
from typing import Any

import sqlalchemy as sa

from openkontext.contract import State, money

from . import ledger as books
from .database import Database
from .lookup import Lookup
from .records import Cancellation, Job, StoreSettings
from .schema import jobs, results

COLUMNS = [jobs.c[field.name] for field in fields(Job)]
ACTIVE = jobs.c.ended_at.is_(None)
DEPTH = sa.select(sa.func.count()).where(ACTIVE, jobs.c.state == State.QUEUED)

_REASONS = {
    "cancelled": "the request was cancelled",
    "worker_lost": "the workers that had the request died and its attempts are used up; submit it again",
    "queue_timeout": "no worker took the request in time; submit it again later",
}

_OWN = (jobs.c.id == sa.bindparam("job"), jobs.c.account_id == sa.bindparam("account"), jobs.c.erased == sa.false())
# Keeps: a record past its retention can't be seen, whether or not `expire` came by yet.
_SHOWN = sa.select(*COLUMNS).where(*_OWN, sa.or_(jobs.c.expires_at.is_(None), jobs.c.expires_at > sa.bindparam("now")))
_LOCKED = _SHOWN.with_for_update()
_RESULT = sa.select(results.c.body).where(results.c.job_id == sa.bindparam("job"))
_REQUEST_CANCEL = sa.update(jobs).where(jobs.c.id == sa.bindparam("job"), ACTIVE).values(cancel_requested=True)

# Keeps: a job ends once.
_END = (
    sa.update(jobs)
    .where(jobs.c.id == sa.bindparam("job"), ACTIVE)
    .values(
        state=sa.bindparam("end"), ended_at=sa.bindparam("now"), expires_at=sa.bindparam("expiry"),
        worker=None, lease_until=None,
    )
    .returning(*COLUMNS)
)  # fmt: skip
_INSERT_RESULT = sa.insert(results)


class Jobs(Database):
    """Looking at jobs, and cancelling them."""

    def job(self, job_id: str, account_id: int) -> Job | None:
        """The account's job; None if it is unknown, another's, erased or past its retention."""
        with self._clear_errors():
            row = self._shown.first({"job": job_id, "account": account_id, "now": self.clock()})
        return Job(*row) if row else None

    def result(self, job_id: str) -> dict[str, Any] | None:
        """The body that an ended job was given by `finish`, `fail` or the store itself."""
        with self._clear_errors():
            row = self._result.first({"job": job_id})
        return json.loads(row[0]) if row else None

    def queue_depth(self) -> int:
        """How many jobs are QUEUED."""
        with self._read() as connection:
            return connection.execute(DEPTH).scalar_one()

    def cancel(self, job_id: str, account_id: int) -> Cancellation | None:
        """End a QUEUED job at once, or have a PROCESSING one's worker told at its next beat.

        Returns what became of it, "ended" if it had ended before; None if the account has no such job.
        """
        with self._transaction() as connection:
            now = self._now(connection)
            row = connection.execute(_LOCKED, {"job": job_id, "account": account_id, "now": now}).first()
            if row is None:
                return None
            job = Job(*row)
            if job.state.ended:
                return "ended"
            connection.execute(_REQUEST_CANCEL, {"job": job_id})
            if job.state is State.PROCESSING:
                return "cancelling"
            end(connection, job, State.FAILED, failure(job, "cancelled", now), now, self.settings)
            return "cancelled"

    @cached_property
    def _shown(self) -> Lookup:
        return Lookup(_SHOWN, self._reader)

    @cached_property
    def _result(self) -> Lookup:
        return Lookup(_RESULT, self._reader)


def end(
    connection: sa.Connection, job: Job, state: State, body: Mapping[str, Any], now: float, settings: StoreSettings
) -> Job:
    """Make ``job``, whose row the caller's transaction has locked, COMPLETED or FAILED: state, ledger and result."""
    if job.cancel_requested:
        state, body = State.FAILED, failure(job, "cancelled", now) | {"metrics": body["metrics"]}
    if state is State.COMPLETED:
        balance = books.post(connection, job.account_id, "take", 0, now, job_id=job.id)
        body = {**body, "metrics": {**body["metrics"], **_charges(job, balance)}}
    else:
        books.post(connection, job.account_id, "release", job.price, now, job_id=job.id)
    values = {"job": job.id, "end": state, "now": now, "expiry": now + settings.retention_seconds}
    ended = Job(*connection.execute(_END, values).one())
    connection.execute(_INSERT_RESULT, {"job_id": job.id, "body": dump(body)})
    return ended


def failure(job: Job, code: str, now: float) -> dict[str, Any]:
    """The body of a job that the store itself makes FAILED at ``now``."""
    started = now if job.started_at is None else job.started_at
    times = {"queue_time": started - job.created_at, "total_time": now - job.created_at}
    metrics = {"inference_time": 0.0} | {name: round(seconds, 3) for name, seconds in times.items()}
    return {"error": _REASONS[code], "code": code, "metrics": metrics}


def dump(value: Mapping[str, Any]) -> str:
    """Compact JSON of ASCII alone, so that any text that JSON can carry, lone surrogates too, fits every database."""
    return json.dumps(value, separators=(",", ":"))


def _charges(job: Job, balance: int) -> dict[str, Any]:
    charges = {"cost": money.wire(job.price), "remaining_credits": money.wire(balance)}
    return charges | ({"retry_count": job.tries - 1} if job.tries > 1 else {})
