"""What is kept for how long: results and pictures until retention ends, a slim row for the history, then nothing.

A result of retention 0 is erased once it was delivered; a pinned one is kept. Uploads, idempotency keys and events have
times of their own.

Files can't be deleted in the database's transaction. So their keys are noted in `doomed_blobs` by the transaction that
removes the record, handed out by every `expire` until `forget_blobs` confirms that they are gone: a crash in between
leaves no file behind.
"""

import json
from collections.abc import Iterable, Sequence

import sqlalchemy as sa

from openkontext.contract import State

from . import events as outbox
from .database import Database, Row
from .jobs import COLUMNS
from .records import Job
from .schema import deliveries, doomed_blobs, events, jobs, payloads, replays, results, uploads
from .submission import REPLAY_SECONDS

# A write holds the others up: many old rows are taken in several goes.
_BATCH = 100
_DAY = 86400.0
# For as long as anybody cares.
_PINNED = 10 * 365 * _DAY

_FILES = (
    sa.select(jobs.c.id, jobs.c.attempt, payloads.c.parameters, payloads.c.input, results.c.body)
    .select_from(jobs.join(payloads).outerjoin(results))
    .where(jobs.c.ended_at.is_not(None), jobs.c.erased == sa.false())
    .with_for_update(of=jobs, skip_locked=True)
)
_OWN = _FILES.where(
    jobs.c.id == sa.bindparam("job"),
    jobs.c.account_id == sa.bindparam("account"),
    jobs.c.expires_at > sa.bindparam("now"),
)
_DELIVERED = _FILES.where(jobs.c.id == sa.bindparam("job"), jobs.c.retention == 0, jobs.c.state == State.COMPLETED)
_EXPIRED = _FILES.where(jobs.c.expires_at <= sa.bindparam("now")).limit(_BATCH)
_OLD = (
    sa.select(jobs.c.id).where(jobs.c.erased == sa.true(), jobs.c.expires_at <= sa.bindparam("history")).limit(_BATCH)
)
_OLD_UPLOADS = (
    sa.select(uploads.c.account_id, uploads.c.digest).where(uploads.c.expires_at <= sa.bindparam("now")).limit(_BATCH)
)
_OLD_REPLAYS = (
    sa.select(replays.c.account_id, replays.c.idempotency_key)
    .where(replays.c.created_at <= sa.bindparam("replay"))
    .limit(_BATCH)
)
# Keeps: what a receiver was promised is not dropped before it was tried to the end; and the newest event of all stays,
# since SQLite would give its number out again, and whoever follows the events would miss that one.
_OLD_EVENTS = (
    sa.select(events.c.id)
    .where(events.c.created_at <= sa.bindparam("history"))
    .where(events.c.id < sa.select(sa.func.max(events.alias().c.id)).scalar_subquery())
    .where(~sa.exists().where(deliveries.c.event_id == events.c.id, deliveries.c.due_at.is_not(None)))
    .limit(_BATCH)
)
_DUE = sa.select(
    sa.or_(
        sa.exists().where(jobs.c.erased == sa.false(), jobs.c.expires_at <= sa.bindparam("now")),
        *(sa.exists(old) for old in (_OLD, _OLD_UPLOADS, _OLD_REPLAYS, _OLD_EVENTS)),
    )
)

# Keeps: what is erased has neither result nor pictures, and its files are doomed by the same transaction. The history
# counts from then, even if it was to be kept for longer.
_MARK_ERASED = (
    sa.update(jobs)
    .where(jobs.c.id == sa.bindparam("job"))
    .values(
        erased=True,
        pinned=False,
        expires_at=sa.case((jobs.c.expires_at > sa.bindparam("now"), sa.bindparam("now")), else_=jobs.c.expires_at),
    )
)
_DROP_INPUT = sa.update(payloads).where(payloads.c.job_id == sa.bindparam("job")).values(input=None)
_DROP_RESULT = sa.delete(results).where(results.c.job_id == sa.bindparam("job"))
_DOOM = sa.insert(doomed_blobs)
_DELETE_OLD = sa.delete(jobs).where(jobs.c.id.in_(_OLD))
_DELETE_OLD_REPLAYS = sa.delete(replays).where(
    sa.tuple_(replays.c.account_id, replays.c.idempotency_key).in_(_OLD_REPLAYS)
)
_DELETE_OLD_EVENTS = sa.delete(events).where(events.c.id.in_(_OLD_EVENTS))
# Keeps: one that was used again while this waited for its row stays.
_DELETE_OLD_UPLOADS = (
    sa.delete(uploads)
    .where(sa.tuple_(uploads.c.account_id, uploads.c.digest).in_(_OLD_UPLOADS))
    .where(uploads.c.expires_at <= sa.bindparam("now"))
    .returning(uploads.c.blob)
)

# Keeps: what is pinned is there and stays, and nothing that is to be delivered but once is.
_KEEPABLE = (
    jobs.c.id == sa.bindparam("job"),
    jobs.c.account_id == sa.bindparam("account"),
    jobs.c.state == State.COMPLETED,
    jobs.c.erased == sa.false(),
    jobs.c.expires_at > sa.bindparam("now"),
)
_PIN = (
    sa.update(jobs)
    .where(*_KEEPABLE, sa.or_(jobs.c.retention.is_(None), jobs.c.retention > 0))
    .values(pinned=True, expires_at=sa.bindparam("until"))
    .returning(*COLUMNS)
)
_UNPIN = (
    sa.update(jobs)
    .where(*_KEEPABLE)
    .values(
        pinned=False,
        expires_at=sa.case(
            (jobs.c.pinned, sa.bindparam("now") + sa.func.coalesce(jobs.c.retention, sa.bindparam("usual"))),
            else_=jobs.c.expires_at,
        ),
    )
    .returning(*COLUMNS)
)

_LAST_EXPIRY = sa.union_all(
    sa.select(sa.func.max(jobs.c.expires_at).label("at")).where(jobs.c.erased == sa.false()),
    sa.select(sa.func.max(uploads.c.expires_at)),
).subquery()

_JOBS = sa.select(jobs.c.id).where(jobs.c.id.in_(sa.bindparam("ids", expanding=True)))
_UPLOADS = sa.select(uploads.c.blob).where(uploads.c.blob.in_(sa.bindparam("blobs", expanding=True)))
_DOOMED = sa.select(doomed_blobs.c.key).order_by(doomed_blobs.c.key).limit(10 * _BATCH)
_FORGET = sa.delete(doomed_blobs).where(doomed_blobs.c.key == sa.bindparam("blob"))


class Retention(Database):
    """Letting go of what is not to be kept."""

    def erase(self, job_id: str, account_id: int) -> list[str] | None:
        """Erase an ended job's result and pictures, as its owner asks; returns the blobs to delete, then to forget.

        None if the account has no such job, or it has not ended.
        """
        with self._transaction() as connection:
            now = self._now(connection)
            row = connection.execute(_OWN, {"job": job_id, "account": account_id, "now": now}).first()
            if row is None:
                return None
            outbox.erase(connection, job_id)
            return _erase(connection, row, now)

    def delivered_once(self, job_id: str) -> bool:
        """Whether the job has a result that is erased when it was delivered."""
        with self._read() as connection:
            return connection.execute(_DELIVERED, {"job": job_id}).first() is not None

    def delivered(self, job_id: str) -> list[str]:
        """The job's result has reached its client: if it is of retention 0 and COMPLETED it is erased now.

        Returns the blobs to delete, then to forget: none for any other job.
        """
        with self._transaction() as connection:
            row = connection.execute(_DELIVERED, {"job": job_id}).first()
            return [] if row is None else _erase(connection, row, self._now(connection))

    def pin(self, job_id: str, account_id: int) -> Job | None:
        """Keep a COMPLETED job past its retention; None if the account has none of this id, or it is of retention 0."""
        with self._transaction() as connection:
            now = self._now(connection)
            values = {"job": job_id, "account": account_id, "now": now, "until": now + _PINNED}
            row = connection.execute(_PIN, values).first()
        return Job(*row) if row else None

    def unpin(self, job_id: str, account_id: int) -> Job | None:
        """Let a pinned job go, its retention counted from now; one that isn't pinned stays as it is.

        None if the account has no COMPLETED job of this id.
        """
        with self._transaction() as connection:
            values = {"job": job_id, "account": account_id, "now": self._now(connection)}
            row = connection.execute(_UNPIN, values | {"usual": self.settings.retention_seconds}).first()
        return Job(*row) if row else None

    def expire(self) -> list[str]:
        """Erase what is past its retention, and delete rows past their time; returns the blobs to delete.

        At most a hundred rows of each at a time, a thousand blobs. Confirm deleted ones with `forget_blobs`.
        """
        with self._read() as connection:
            due = connection.execute(_DUE, self._horizons(self.clock())).scalar_one()
        if due:
            self._expire()
        with self._read() as connection:
            return list(connection.execute(_DOOMED).scalars())

    def last_expiry(self) -> float | None:
        """When the last of the results and uploads that there are expires; None if there is none."""
        with self._read() as connection:
            last: float | None = connection.execute(sa.select(sa.func.max(_LAST_EXPIRY.c.at))).scalar_one()
            return last

    def unknown_blobs(self, keys: Sequence[str]) -> list[str]:
        """Those of inputs' and uploads' ``keys`` that belong to no job and no upload that was ever committed."""
        ids = [key.removeprefix("inputs/") for key in keys]
        with self._read() as connection:
            known = {input_key(job_id) for job_id in connection.execute(_JOBS, {"ids": ids}).scalars()}
            known.update(connection.execute(_UPLOADS, {"blobs": list(keys)}).scalars())
        return [key for key in keys if key not in known]

    def forget_blobs(self, keys: Iterable[str]) -> None:
        """These blobs are deleted: don't hand them out any more."""
        rows = [{"blob": key} for key in keys]
        if rows:
            with self._transaction() as connection:
                connection.execute(_FORGET, rows)

    def _expire(self) -> None:
        with self._transaction() as connection:
            horizons = self._horizons(self._now(connection))
            for row in connection.execute(_EXPIRED, horizons).all():
                outbox.expire(connection, row.id)
                _erase(connection, row, horizons["now"])
            _doom(connection, connection.execute(_DELETE_OLD_UPLOADS, horizons).scalars().all())
            for delete in (_DELETE_OLD, _DELETE_OLD_REPLAYS, _DELETE_OLD_EVENTS):
                connection.execute(delete, horizons)

    def _horizons(self, now: float) -> dict[str, float]:
        return {"now": now, "history": now - self.settings.history_days * _DAY, "replay": now - REPLAY_SECONDS}


def input_key(job_id: str) -> str:
    """Where a job's own input picture lies among the blobs."""
    return f"inputs/{job_id}"


def output_key(job_id: str, attempt: int, extension: str) -> str:
    """Where an attempt's output lies among the blobs: two attempts never write the same one."""
    return f"outputs/{job_id}/{attempt}.{extension}"


def _erase(connection: sa.Connection, row: Row, now: float) -> list[str]:
    blobs = sorted(_blobs(row))
    connection.execute(_MARK_ERASED, {"job": row.id, "now": now})
    connection.execute(_DROP_INPUT, {"job": row.id})
    connection.execute(_DROP_RESULT, {"job": row.id})
    _doom(connection, blobs)
    return blobs


def _doom(connection: sa.Connection, blobs: Sequence[str]) -> None:
    if blobs:
        connection.execute(_DOOM, [{"key": key} for key in blobs])


def _blobs(row: Row) -> set[str]:
    """The files that are the job's own: not a picture that it shares with another job."""
    source, extension = json.loads(row.input), json.loads(row.parameters).get("output_format", "png")
    # An attempt that died between writing its output and finishing left one that no result names.
    outputs = {output_key(row.id, attempt, extension) for attempt in range(1, row.attempt + 1)}
    own = {input_key(row.id)} & {source.get("key")}
    named = {json.loads(row.body).get("output", {}).get("key")} if row.body else set()
    return outputs | own | (named - {None})
