"""Submitting: all that makes a job accepted, in one transaction."""

import uuid
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from openkontext.contract import State

from . import ledger as books
from .bucket import Bucket
from .database import Database, Row
from .errors import InsufficientCredits, QueueFull
from .jobs import COLUMNS, DEPTH, dump
from .records import Job, Key, Submitted
from .schema import accounts, jobs, keys, payloads

RETRY_AFTER_FULL = 10.0

# Everything that decides, read and locked at once. On PostgreSQL the depth may be off by the submits of this instant.
_STANDING = (
    sa.select(
        keys.c.rpm,
        keys.c.tokens,
        keys.c.tokens_at,
        keys.c.virtual_time,
        accounts.c.balance,
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
_INSERT_JOB = sa.insert(jobs).returning(*COLUMNS)
_INSERT_PAYLOAD = sa.insert(payloads)


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
    ) -> Submitted:
        """Accept a job of ``price`` micro-credits: when this returns it is on disk, with the price held.

        ``weight`` (more than 0) is the share of the workers that it will take, in expected seconds, say: claims are
        shared equally by weight between keys (start-time fair queueing, Goyal, Vin & Cheng 1996).
        Raises RateLimited, InsufficientCredits or QueueFull, in this order; a refused submit costs nothing.
        """
        with self._transaction() as connection:
            now = self._now(connection)
            standing = connection.execute(_STANDING, {"key": key.id}).one()
            bucket = Bucket.refilled(standing.rpm, standing.tokens, standing.tokens_at, now).spend()
            self._admit(standing, price)
            tag = max(standing.virtual_time, standing.served)
            charge = {"key": key.id, "left": bucket.tokens, "now": now, "next_tag": tag + weight}
            connection.execute(_CHARGE_KEY, charge)
            row = _row(key, job_id or str(uuid.uuid4()), tag, price, steps, now)
            job = Job(*connection.execute(_INSERT_JOB, row).one())
            payload = {"job_id": job.id, "parameters": dump(parameters), "input": dump(input)}
            connection.execute(_INSERT_PAYLOAD, payload)
            balance = books.post(connection, key.account_id, "hold", -price, now, job_id=job.id)
        return Submitted(job, balance, bucket.rpm, bucket.remaining, bucket.reset_at)

    def _admit(self, standing: Row, price: int) -> None:
        if standing.balance < price:
            raise InsufficientCredits(standing.balance, price)
        if standing.depth >= self.settings.queue_limit:
            raise QueueFull(standing.depth, RETRY_AFTER_FULL)


def _row(key: Key, job_id: str, tag: float, price: int, steps: int, now: float) -> dict[str, Any]:
    progress = {"attempt": 0, "tries": 0, "step": 0, "steps": steps, "cancel_requested": False, "erased": False}
    owner = {"id": job_id, "account_id": key.account_id, "key_id": key.id}
    return owner | progress | {"state": State.QUEUED, "tag": tag, "price": price, "created_at": now}
