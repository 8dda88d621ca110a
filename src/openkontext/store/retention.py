"""What is kept for how long: results and pictures until retention ends, a slim row for the history, then nothing.

Files can't be deleted in the database's transaction. So their keys are noted in `doomed_blobs` by the transaction that
removes the record, handed out by every `expire` until `forget_blobs` confirms that they are gone: a crash in between
leaves no file behind.
"""

import json
from collections.abc import Iterable

import sqlalchemy as sa

from .database import Database, Row
from .schema import doomed_blobs, jobs, payloads, results

# A write holds the others up: many old rows are taken in several goes.
_BATCH = 100
_DAY = 86400.0

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
_EXPIRED = _FILES.where(jobs.c.expires_at <= sa.bindparam("now")).limit(_BATCH)
_OLD = (
    sa.select(jobs.c.id).where(jobs.c.erased == sa.true(), jobs.c.expires_at <= sa.bindparam("history")).limit(_BATCH)
)
_DUE = sa.select(
    sa.exists().where(jobs.c.erased == sa.false(), jobs.c.expires_at <= sa.bindparam("now"))
    | sa.exists().where(jobs.c.erased == sa.true(), jobs.c.expires_at <= sa.bindparam("history"))
)

# Keeps: what is erased has neither result nor pictures, and its files are doomed by the same transaction.
_MARK_ERASED = sa.update(jobs).where(jobs.c.id == sa.bindparam("job")).values(erased=True)
_DROP_INPUT = sa.update(payloads).where(payloads.c.job_id == sa.bindparam("job")).values(input=None)
_DROP_RESULT = sa.delete(results).where(results.c.job_id == sa.bindparam("job"))
_DOOM = sa.insert(doomed_blobs)
_DELETE_OLD = sa.delete(jobs).where(jobs.c.id.in_(_OLD))

_DOOMED = sa.select(doomed_blobs.c.key).order_by(doomed_blobs.c.key).limit(10 * _BATCH)
_FORGET = sa.delete(doomed_blobs).where(doomed_blobs.c.key == sa.bindparam("blob"))


class Retention(Database):
    """Letting go of what is not to be kept."""

    def erase(self, job_id: str, account_id: int) -> list[str] | None:
        """Erase an ended job's result and pictures, as its owner asks; returns the blobs to delete, then to forget.

        None if the account has no such job, or it has not ended.
        """
        with self._transaction() as connection:
            values = {"job": job_id, "account": account_id, "now": self._now(connection)}
            row = connection.execute(_OWN, values).first()
            return None if row is None else _erase(connection, row)

    def expire(self) -> list[str]:
        """Erase what is past its retention, and delete rows older than the history; returns the blobs to delete.

        At most a hundred rows of each at a time, a thousand blobs. Confirm deleted ones with `forget_blobs`.
        """
        with self._read() as connection:
            due = connection.execute(_DUE, self._horizons(self.clock())).scalar_one()
        if due:
            self._expire()
        with self._read() as connection:
            return list(connection.execute(_DOOMED).scalars())

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
                _erase(connection, row)
            connection.execute(_DELETE_OLD, horizons)

    def _horizons(self, now: float) -> dict[str, float]:
        return {"now": now, "history": now - self.settings.history_days * _DAY}


def input_key(job_id: str) -> str:
    """Where a job's own input picture lies among the blobs."""
    return f"inputs/{job_id}"


def output_key(job_id: str, attempt: int, extension: str) -> str:
    """Where an attempt's output lies among the blobs: two attempts never write the same one."""
    return f"outputs/{job_id}/{attempt}.{extension}"


def _erase(connection: sa.Connection, row: Row) -> list[str]:
    blobs = sorted(_blobs(row))
    connection.execute(_MARK_ERASED, {"job": row.id})
    connection.execute(_DROP_INPUT, {"job": row.id})
    connection.execute(_DROP_RESULT, {"job": row.id})
    if blobs:
        connection.execute(_DOOM, [{"key": key} for key in blobs])
    return blobs


def _blobs(row: Row) -> set[str]:
    """The files that are the job's own: not a picture that it shares with another job."""
    source, extension = json.loads(row.input), json.loads(row.parameters).get("output_format", "png")
    # An attempt that died between writing its output and finishing left one that no result names.
    outputs = {output_key(row.id, attempt, extension) for attempt in range(1, row.attempt + 1)}
    own = {input_key(row.id)} & {source.get("key")}
    named = {json.loads(row.body).get("output", {}).get("key")} if row.body else set()
    return outputs | own | (named - {None})
