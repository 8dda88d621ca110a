"""The lease protocol: at most one worker holds a job, and only its holder can write it.

A claim is a lease of some seconds that `beat` renews. When it runs out, since the worker died or hung, anyone may
claim the job again, with an ``attempt`` one higher. Every later write names (job, worker, attempt), so a zombie that
wakes up finds that it is no longer meant (LeaseLost). The transitions are drawn in `jobs`.
"""

import json
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from openkontext.contract import State

from .database import Database, Row
from .errors import LeaseLost
from .jobs import ACTIVE, COLUMNS, end, failure
from .records import Claim, Job
from .schema import jobs, keys, payloads, workers

_LEFT = sa.and_(jobs.c.state == State.PROCESSING, jobs.c.lease_until <= sa.bindparam("now"))
_TRIES_LEFT = jobs.c.tries < sa.bindparam("max_tries")
# Keys that run as many jobs as they may: found once for a claim, when it comes to a job whose key has such a limit, not
# once for each job that it passes over. On PostgreSQL, claims of the same instant don't see each other: a key may then
# run one more for each of them.
_RUNNING = jobs.alias()
_FULL = (
    sa.select(keys.c.id)
    .join_from(_RUNNING, keys, keys.c.id == _RUNNING.c.key_id)
    .where(
        _RUNNING.c.ended_at.is_(None),
        _RUNNING.c.state == State.PROCESSING,
        _RUNNING.c.lease_until > sa.bindparam("now"),
        keys.c.max_running.is_not(None),
    )
    .group_by(keys.c.id, keys.c.max_running)
    .having(sa.func.count() >= keys.c.max_running)
)
_MAX_RUNNING = sa.select(keys.c.max_running).where(keys.c.id == jobs.c.key_id).scalar_subquery()
# Looked up once for a claim, by the worker's name.
_DRAINED = sa.exists().where(workers.c.id == sa.bindparam("by"), workers.c.drain)
_CLAIMABLE = (
    sa.select(jobs.c.id)
    .where(sa.not_(_DRAINED))
    .where(ACTIVE, sa.or_(_MAX_RUNNING.is_(None), jobs.c.key_id.not_in(_FULL)))
    .where(sa.or_(jobs.c.state == State.QUEUED, sa.and_(_LEFT, _TRIES_LEFT, jobs.c.cancel_requested == sa.false())))
    .order_by(jobs.c.tag, jobs.c.created_at)
    .limit(1)
)
# Keeps: one holder. The row is locked from its choice on, and its attempt is one that no one had before.
_CLAIM = (
    sa.update(jobs)
    .where(jobs.c.id == _CLAIMABLE.with_for_update(skip_locked=True).scalar_subquery())
    .values(
        state=State.PROCESSING,
        attempt=jobs.c.attempt + 1,
        tries=jobs.c.tries + 1,
        step=0,
        worker=sa.bindparam("by"),
        lease_until=sa.bindparam("until"),
        started_at=sa.func.coalesce(jobs.c.started_at, sa.bindparam("now")),
    )
    .returning(
        jobs.c.id, jobs.c.attempt, jobs.c.worker, jobs.c.key_id, jobs.c.account_id, jobs.c.tag,
        jobs.c.lease_until, jobs.c.created_at, jobs.c.started_at, jobs.c.parent_id,
    )
)  # fmt: skip
# Keeps: the queue's place never moves back, so a key that comes now starts where the others are.
_SERVE = (
    sa.update(keys)
    .where(keys.c.id == sa.bindparam("key"), keys.c.served_time < sa.bindparam("served"))
    .values(served_time=sa.bindparam("served"))
)
_PAYLOAD = (
    sa.select(payloads.c.parameters, payloads.c.input, keys.c.prompt_in_file)
    .join_from(payloads, jobs)
    .join(keys)
    .where(payloads.c.job_id == sa.bindparam("job"))
)

# Keeps: only the holder of the current attempt writes.
_HOLDER = (
    jobs.c.id == sa.bindparam("job"),
    jobs.c.worker == sa.bindparam("holder"),
    jobs.c.attempt == sa.bindparam("held_attempt"),
    jobs.c.state == State.PROCESSING,
)
_HELD = sa.select(*COLUMNS).where(*_HOLDER).with_for_update()
_BEAT = (
    sa.update(jobs)
    .where(*_HOLDER)
    .values(
        lease_until=sa.bindparam("until"),
        step=sa.func.coalesce(sa.bindparam("at_step", type_=sa.Integer), jobs.c.step),
        steps=sa.func.coalesce(sa.bindparam("of_steps", type_=sa.Integer), jobs.c.steps),
    )
    .returning(jobs.c.cancel_requested, jobs.c.step)
)
# Keeps: one preview of a job, the newest, and only its holder's.
_SHOW = sa.text("""
    INSERT INTO previews (job_id, attempt, step, image) VALUES (:job, :attempt, :step, :image)
    ON CONFLICT (job_id) DO UPDATE SET attempt = excluded.attempt, step = excluded.step, image = excluded.image
""")
# Keeps: a job without a holder has a lease that ran out, so that it is claimed again or reaped.
_LET_GO = (
    sa.update(jobs)
    .where(jobs.c.id == sa.bindparam("job"))
    .values(worker=None, lease_until=sa.bindparam("now"), tries=jobs.c.tries - sa.bindparam("uncounted"))
    .returning(*COLUMNS)
)
_ABANDON = (
    sa.update(jobs)
    .where(ACTIVE, jobs.c.worker == sa.bindparam("dead"))
    .values(worker=None, lease_until=sa.bindparam("now"))
)

_OVERDUE = sa.or_(
    sa.and_(jobs.c.state == State.QUEUED, jobs.c.created_at <= sa.bindparam("patience")),
    sa.and_(
        _LEFT,
        sa.or_(sa.not_(_TRIES_LEFT), jobs.c.cancel_requested, jobs.c.lease_until <= sa.bindparam("patience")),
    ),
)
_REAPABLE = sa.select(*COLUMNS).where(ACTIVE, _OVERDUE)
_REAP = _REAPABLE.with_for_update(skip_locked=True)


class Leases(Database):
    """What workers do with jobs, and what is done for workers that are gone."""

    def claim(self, worker: str) -> Claim | None:
        """Take the next job, by fair share, for ``worker`` (a name of its own); None if there is none.

        Jobs of a key that runs ``max_running`` already are passed over. For a drained worker there is none.
        """
        with self._read() as connection:
            if connection.execute(_CLAIMABLE, {"by": worker} | self._limits(self.clock())).first() is None:
                return None
        with self._transaction() as connection:
            now = self._now(connection)
            values = {"by": worker, "until": now + self.settings.lease_seconds}
            row = connection.execute(_CLAIM, values | self._limits(now)).first()
            if row is None:
                return None
            connection.execute(_SERVE, {"key": row.key_id, "served": row.tag})
            payload = connection.execute(_PAYLOAD, {"job": row.id}).one()
        return _claim(row, payload)

    def beat(
        self, claim: Claim, *, step: int | None = None, steps: int | None = None, preview: str | None = None
    ) -> bool:
        """Renew the lease, note the progress, and show a ``preview`` of it (a data URI).

        True: the job is to be cancelled. Raises LeaseLost.
        """
        with self._transaction() as connection:
            values = {"until": self._now(connection) + self.settings.lease_seconds, "at_step": step, "of_steps": steps}
            row = connection.execute(_BEAT, values | _holder(claim)).first()
            if row is None:
                raise LeaseLost(claim.job_id, claim.worker, claim.attempt)
            if preview is not None:
                shown = {"job": claim.job_id, "attempt": claim.attempt, "step": row.step, "image": preview}
                connection.execute(_SHOW, shown)
            return bool(row.cancel_requested)

    def finish(self, claim: Claim, body: Mapping[str, Any]) -> Job:
        """COMPLETED with this result, to whose ``metrics`` cost, credits and retries are added. Raises LeaseLost.

        The job returned is FAILED if its cancel was requested before: then the output is nobody's and may be deleted.
        """
        with self._transaction() as connection:
            job = _held(connection, claim)
            return end(connection, job, State.COMPLETED, body, self._now(connection), self.settings)

    def fail(
        self,
        claim: Claim,
        *,
        code: str,
        error: str,
        metrics: Mapping[str, Any],
        moderation: Mapping[str, Any] | None = None,
        retry: bool = False,
    ) -> Job:
        """FAILED, or with ``retry`` and attempts left to be claimed again at once. Raises LeaseLost."""
        body = {"error": error, "code": code, "metrics": dict(metrics)}
        body |= {} if moderation is None else {"moderation": dict(moderation)}
        with self._transaction() as connection:
            job, now = _held(connection, claim), self._now(connection)
            if retry and job.tries < self.settings.max_attempts and not job.cancel_requested:
                return _let_go(connection, job, now, uncounted=0)
            return end(connection, job, State.FAILED, body, now, self.settings)

    def release(self, claim: Claim) -> None:
        """Give the job back, as a draining worker does: free at once, this try not counted. Raises LeaseLost."""
        with self._transaction() as connection:
            _let_go(connection, _held(connection, claim), self._now(connection), uncounted=1)

    def abandon(self, worker: str) -> None:
        """``worker`` is known to be dead: its leases end now."""
        with self._transaction() as connection:
            connection.execute(_ABANDON, {"dead": worker, "now": self._now(connection)})

    def reap(self) -> list[str]:
        """End what no worker will: attempts used up, cancelled and unheld, waited too long. Returns the ids."""
        with self._read() as connection:
            if connection.execute(_REAPABLE, self._limits(self.clock())).first() is None:
                return []
        with self._transaction() as connection:
            now = self._now(connection)
            overdue = [Job(*row) for row in connection.execute(_REAP, self._limits(now))]
            for job in overdue:
                end(connection, job, State.FAILED, failure(job, self._reason(job), now), now, self.settings)
        return [job.id for job in overdue]

    def _reason(self, job: Job) -> str:
        return "worker_lost" if job.tries >= self.settings.max_attempts else "queue_timeout"

    def _limits(self, now: float) -> dict[str, Any]:
        patience = now - self.settings.queue_timeout_seconds
        return {"now": now, "max_tries": self.settings.max_attempts, "patience": patience}


def _held(connection: sa.Connection, claim: Claim) -> Job:
    row = connection.execute(_HELD, _holder(claim)).first()
    if row is None:
        raise LeaseLost(claim.job_id, claim.worker, claim.attempt)
    return Job(*row)


def _holder(claim: Claim) -> dict[str, Any]:
    return {"job": claim.job_id, "holder": claim.worker, "held_attempt": claim.attempt}


def _let_go(connection: sa.Connection, job: Job, now: float, *, uncounted: int) -> Job:
    return Job(*connection.execute(_LET_GO, {"job": job.id, "now": now, "uncounted": uncounted}).one())


def _claim(row: Row, payload: Row) -> Claim:
    return Claim(
        job_id=row.id,
        attempt=row.attempt,
        worker=row.worker,
        key_id=row.key_id,
        account_id=row.account_id,
        parameters=json.loads(payload.parameters),
        input=json.loads(payload.input),
        lease_until=row.lease_until,
        created_at=row.created_at,
        started_at=row.started_at,
        prompt_in_file=payload.prompt_in_file,
        parent_id=row.parent_id,
    )
