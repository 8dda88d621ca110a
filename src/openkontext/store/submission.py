"""Submitting: all that makes a job accepted, in one transaction."""

import uuid
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from openkontext.contract import State

from . import ledger as books
from .bucket import Bucket
from .database import Database, Row
from .errors import Draining, IdempotencyConflict, InsufficientCredits, QueueFull, ResultExpired, TooManyWaiting
from .jobs import COLUMNS, DEPTH, SHOWN, dump
from .records import Idempotency, Job, Key, Submitted
from .schema import accounts, jobs, keys, payloads, replays

RETRY_AFTER_FULL = 10.0
# Seconds that an idempotency key is remembered.
REPLAY_SECONDS = 86400.0

# Everything that decides, read and locked at once. On PostgreSQL the depths may be off by the submits of this instant.
_STANDING = (
    sa.select(
        keys.c.rpm,
        keys.c.tokens,
        keys.c.tokens_at,
        keys.c.virtual_time,
        keys.c.max_queued,
        accounts.c.balance,
        DEPTH.where(jobs.c.key_id == sa.bindparam("key")).scalar_subquery().label("waiting"),
        DEPTH.scalar_subquery().label("depth"),
        sa.select(sa.func.max(keys.alias().c.served_time)).scalar_subquery().label("served"),
    )
    .join_from(keys, accounts)
    .where(keys.c.id == sa.bindparam("key"))
    .with_for_update(of=[keys, accounts])
)
# Keeps: no token is spent twice, and each job's tag lies its weight after the key's last.
_CHARGE_KEY = (
    sa.update(keys)
    .where(keys.c.id == sa.bindparam("key"))
    .values(tokens=sa.bindparam("left"), tokens_at=sa.bindparam("now"), virtual_time=sa.bindparam("next_tag"))
)
# Keeps: nobody's job descends from another account's.
_OWN = jobs.c.account_id == sa.bindparam("account")
_PARENT = sa.select(jobs.c.id).where(jobs.c.id == sa.bindparam("parent"), _OWN)
_SHARED_PARENT = sa.select(jobs.c.parent_id).where(jobs.c.id == sa.bindparam("sibling"), _OWN)
_DESCENT = sa.func.coalesce(_PARENT.scalar_subquery(), _SHARED_PARENT.scalar_subquery())
_INSERT_JOB = sa.insert(jobs).values(parent_id=_DESCENT).returning(*COLUMNS)
_INSERT_PAYLOAD = sa.insert(payloads)

# Keeps: an account's idempotency key stands for one job a day. The account's row is locked by whoever looks.
_USED = (replays.c.account_id == sa.bindparam("account"), replays.c.idempotency_key == sa.bindparam("used"))
_REPLAY = sa.select(replays.c.fingerprint, replays.c.job_id).where(*_USED, replays.c.created_at > sa.bindparam("since"))
_FORGET_REPLAY = sa.delete(replays).where(*_USED)
_INSERT_REPLAY = sa.insert(replays)


class Submission(Database):
    """The way into the queue."""

    def submit(
        self,
        key: Key,
        parameters: Mapping[str, Any],
        input: Mapping[str, Any],
        *,
        price: int,
        weight: float,
        steps: int,
        job_id: str | None = None,
        idempotency: Idempotency | None = None,
        parent_id: str | None = None,
        sibling_id: str | None = None,
        webhook: str | None = None,
        base_url: str | None = None,
        accepting: bool = True,
    ) -> Submitted:
        """Accept a job of ``price`` micro-credits: when this returns it is on disk, with the price held.

        ``weight`` (more than 0) is the share of the workers that it will take, in expected seconds, say: claims are
        shared equally by weight between keys (start-time fair queueing, Goyal, Vin & Cheng 1996).
        ``parent_id``, or else the parent of ``sibling_id``, is dropped if it isn't a job of the same account.
        ``webhook`` is told of the end; ``base_url`` is how the client addressed the service.

        Within a day the same ``idempotency`` answers the job that it was accepted for, as it is now, and costs nothing.
        Raises IdempotencyConflict if that was another request, ResultExpired if nothing is left of the job; then
        RateLimited, TooManyWaiting, InsufficientCredits, QueueFull, or Draining unless ``accepting``, in this order.
        A refused submit costs nothing, and is not remembered.
        """
        with self._transaction() as connection:
            now = self._now(connection)
            standing = connection.execute(_STANDING, {"key": key.id}).one()
            bucket = Bucket.refilled(standing.rpm, standing.tokens, standing.tokens_at, now)
            first = _replayed(connection, key, idempotency, now)
            if first is not None:
                return _answer(first, standing.balance, bucket, replayed=True)
            bucket = bucket.spend()
            self._admit(standing, price)
            if not accepting:
                raise Draining(RETRY_AFTER_FULL)
            tag = max(standing.virtual_time, standing.served)
            charge = {"key": key.id, "left": bucket.tokens, "now": now, "next_tag": tag + weight}
            connection.execute(_CHARGE_KEY, charge)
            row = _row(key, job_id or str(uuid.uuid4()), tag, price, steps, now)
            lasting = {"account": key.account_id, "webhook": webhook, "base_url": base_url}
            descent = {"parent": parent_id, "sibling": sibling_id}
            job = Job(*connection.execute(_INSERT_JOB, row | lasting | descent).one())
            payload = {"job_id": job.id, "parameters": dump(parameters), "input": dump(input)}
            connection.execute(_INSERT_PAYLOAD, payload)
            balance = books.post(connection, key.account_id, "hold", -price, now, job_id=job.id)
            _remember(connection, job, idempotency)
        return _answer(job, balance, bucket, replayed=False)

    def _admit(self, standing: Row, price: int) -> None:
        if standing.max_queued is not None and standing.waiting >= standing.max_queued:
            raise TooManyWaiting(standing.max_queued, RETRY_AFTER_FULL)
        if standing.balance < price:
            raise InsufficientCredits(standing.balance, price)
        if standing.depth >= self.settings.queue_limit:
            raise QueueFull(standing.depth, RETRY_AFTER_FULL)


def _row(key: Key, job_id: str, tag: float, price: int, steps: int, now: float) -> dict[str, Any]:
    progress = {"attempt": 0, "tries": 0, "step": 0, "steps": steps, "cancel_requested": False, "erased": False}
    owner = {"id": job_id, "account_id": key.account_id, "key_id": key.id, "retention": key.retention}
    return owner | progress | {"state": State.QUEUED, "tag": tag, "price": price, "created_at": now}


def _answer(job: Job, balance: int, bucket: Bucket, *, replayed: bool) -> Submitted:
    return Submitted(job, balance, bucket.rpm, bucket.remaining, bucket.reset_at, replayed)


def _replayed(connection: sa.Connection, key: Key, idempotency: Idempotency | None, now: float) -> Job | None:
    if idempotency is None:
        return None
    used = {"account": key.account_id, "used": idempotency.key, "since": now - REPLAY_SECONDS}
    row = connection.execute(_REPLAY, used).first()
    if row is None:
        return None
    if row.fingerprint != idempotency.fingerprint:
        raise IdempotencyConflict
    first = connection.execute(SHOWN, {"job": row.job_id, "account": key.account_id, "now": now}).first()
    if first is None:
        raise ResultExpired(row.job_id)
    return Job(*first)


def _remember(connection: sa.Connection, job: Job, idempotency: Idempotency | None) -> None:
    if idempotency is None:
        return
    # One of a day ago may still be there.
    connection.execute(_FORGET_REPLAY, {"account": job.account_id, "used": idempotency.key})
    row = {"account_id": job.account_id, "idempotency_key": idempotency.key, "fingerprint": idempotency.fingerprint}
    connection.execute(_INSERT_REPLAY, row | {"job_id": job.id, "created_at": job.created_at})
