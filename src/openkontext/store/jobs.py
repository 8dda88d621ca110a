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

from . import events
from . import ledger as books
from .database import Database
from .lookup import Lookup
from .records import Cancellation, Job, Progress, StoreSettings
from .schema import jobs, payloads, previews, results

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
SHOWN = sa.select(*COLUMNS).where(*_OWN, sa.or_(jobs.c.expires_at.is_(None), jobs.c.expires_at > sa.bindparam("now")))
_LOCKED = SHOWN.with_for_update()
_RESULT = sa.select(results.c.body).where(results.c.job_id == sa.bindparam("job"))
_REQUEST_CANCEL = sa.update(jobs).where(jobs.c.id == sa.bindparam("job"), ACTIVE).values(cancel_requested=True)

# Keeps: a job ends once.
_END = (
    sa.update(jobs)
    .where(jobs.c.id == sa.bindparam("job"), ACTIVE)
    .values(
        state=sa.bindparam("end"), ended_at=sa.bindparam("now"), expires_at=sa.bindparam("expiry"),
        code=sa.bindparam("why"), inference_time=sa.bindparam("seconds"), worker=None, lease_until=None,
    )
    .returning(*COLUMNS)
)  # fmt: skip
_INSERT_RESULT = sa.insert(results)
_DROP_PREVIEW = sa.delete(previews).where(previews.c.job_id == sa.bindparam("job"))
_PARAMETERS = sa.select(payloads.c.parameters).where(payloads.c.job_id == sa.bindparam("job"))
_SET_PARAMETERS = (
    sa.update(payloads).where(payloads.c.job_id == sa.bindparam("job")).values(parameters=sa.bindparam("text"))
)

# Keeps: first in this list is whom the next claim takes, if it may. A preview of an attempt that was lost isn't shown.
_WAITING = jobs.alias()
_AHEAD = sa.select(sa.func.count()).where(
    _WAITING.c.ended_at.is_(None),
    _WAITING.c.state == sa.bindparam("queued"),
    sa.tuple_(_WAITING.c.tag, _WAITING.c.created_at) < sa.tuple_(jobs.c.tag, jobs.c.created_at),
)
_POSITION = sa.case((jobs.c.state == sa.bindparam("queued"), _AHEAD.scalar_subquery() + sa.literal_column("1")))
_PROGRESS = SHOWN.add_columns(_POSITION.label("position"), previews.c.step, previews.c.image).select_from(
    jobs.outerjoin(previews, sa.and_(previews.c.job_id == jobs.c.id, previews.c.attempt == jobs.c.attempt))
)


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

    def progress(self, job_id: str, account_id: int) -> Progress | None:
        """The account's job with its place in the queue and its newest preview; None where `job` is None."""
        values = {"job": job_id, "account": account_id, "now": self.clock(), "queued": State.QUEUED.value}
        with self._clear_errors():
            row = self._progress.first(values)
        return Progress(Job(*row[:-3]), *row[-3:]) if row else None

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
        return Lookup(SHOWN, self._reader)

    @cached_property
    def _progress(self) -> Lookup:
        return Lookup(_PROGRESS, self._reader)

    @cached_property
    def _result(self) -> Lookup:
        return Lookup(_RESULT, self._reader)


def end(
    connection: sa.Connection, job: Job, state: State, body: Mapping[str, Any], now: float, settings: StoreSettings
) -> Job:
    """Make ``job``, whose row the caller's transaction has locked, COMPLETED or FAILED, with all that follows."""
    if job.cancel_requested:
        state, body = State.FAILED, failure(job, "cancelled", now) | {"metrics": body["metrics"]}
    if state is State.COMPLETED:
        balance = books.post(connection, job.account_id, "take", 0, now, job_id=job.id)
        body = {**body, "metrics": {**body["metrics"], **_charges(job, balance)}}
    else:
        books.post(connection, job.account_id, "release", job.price, now, job_id=job.id)
    # One of retention 0 waits for its delivery no longer than any other.
    lifetime = job.retention or settings.retention_seconds
    values = {"job": job.id, "end": state, "now": now, "expiry": now + lifetime}
    outcome = {"why": body.get("code"), "seconds": body["metrics"].get("inference_time")}
    ended = Job(*connection.execute(_END, values | outcome).one())
    connection.execute(_INSERT_RESULT, {"job_id": job.id, "body": dump(body)})
    connection.execute(_DROP_PREVIEW, {"job": job.id})
    if job.retention == 0:
        _forget_prompt(connection, job.id)
    events.record(connection, ended, body, now)
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


def _forget_prompt(connection: sa.Connection, job_id: str) -> None:
    parameters = json.loads(connection.execute(_PARAMETERS, {"job": job_id}).scalar_one())
    parameters.pop("prompt", None)
    connection.execute(_SET_PARAMETERS, {"job": job_id, "text": dump(parameters)})


def _charges(job: Job, balance: int) -> dict[str, Any]:
    charges = {"cost": money.wire(job.price), "remaining_credits": money.wire(balance)}
    return charges | ({"retry_count": job.tries - 1} if job.tries > 1 else {})
