"""What happened to jobs, for those who want to be told: an event, and a delivery to each receiver, in the outbox.

They are written by the transaction that ends the job, so that there is none of a job that didn't end, and no job ends
without one. `outbox` has what becomes of them.
"""

import json
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import sqlalchemy as sa

from openkontext.contract import State

from .records import Job
from .schema import deliveries, endpoints, events, jobs

TYPES = {State.COMPLETED: "request.completed", State.FAILED: "request.failed"}

_INSERT_EVENT = sa.insert(events).returning(events.c.id)
_ENDPOINTS = (
    sa.select(endpoints.c.id, endpoints.c.url, endpoints.c.types)
    .where(endpoints.c.account_id == sa.bindparam("account"))
    .order_by(endpoints.c.created_at, endpoints.c.id)
)
_INSERT_DELIVERY = sa.insert(deliveries)
_PENDING = sa.exists().where(deliveries.c.event_id == events.c.id, deliveries.c.state == "pending")

# Keeps: what its owner had erased is not delivered any more.
_ERASE = sa.update(events).where(events.c.job_id == sa.bindparam("job")).values(body=None)
_STOP = (
    sa.update(deliveries)
    .where(
        deliveries.c.state == "pending",
        deliveries.c.event_id.in_(sa.select(events.c.id).where(events.c.job_id == sa.bindparam("job"))),
    )
    .values(state="failed", due_at=None, last_error="the request was erased before it could be delivered")
)
# Keeps: what has expired is still told to receivers that were promised it, and to nobody after them.
_EXPIRE = _ERASE.where(~_PENDING)
_KEPT = sa.exists().where(
    jobs.c.id == events.c.job_id,
    jobs.c.erased == sa.false(),
    sa.or_(jobs.c.retention.is_(None), jobs.c.retention != 0),
)
_SETTLE = sa.update(events).where(events.c.id == sa.bindparam("event"), ~_PENDING, ~_KEPT).values(body=None)


def record(connection: sa.Connection, job: Job, body: Mapping[str, Any], now: float) -> None:
    """Note that ``job`` has ended with the result ``body``, in the caller's transaction; its deliveries are due now.

    The job's account has to be locked by that transaction, as booking its price does: so an account's events are
    numbered in the order in which they can be seen, and who follows them misses none.
    """
    type = TYPES[job.state]
    found = connection.execute(_ENDPOINTS, {"account": job.account_id}).all()
    receivers = [(row.id, row.url) for row in found if type in row.types.split(",")]
    receivers += [(None, job.webhook)] if job.webhook else []
    # A result that is delivered once has no business here when there is nobody to deliver it to.
    kept = bool(receivers) or job.retention != 0
    event = {"account_id": job.account_id, "job_id": job.id, "type": type, "created_at": now}
    id = connection.execute(_INSERT_EVENT, event | {"body": _body(job, body) if kept else None}).scalar_one()
    if receivers:
        about = {"event_id": id, "account_id": job.account_id, "state": "pending", "attempts": 0}
        about |= {"due_at": now, "created_at": now}
        rows = [about | {"id": str(uuid4()), "endpoint_id": endpoint, "url": url} for endpoint, url in receivers]
        connection.execute(_INSERT_DELIVERY, rows)


def erase(connection: sa.Connection, job_id: str) -> None:
    """The job is erased because its owner asks: nobody is told its result any more."""
    connection.execute(_ERASE, {"job": job_id})
    connection.execute(_STOP, {"job": job_id})


def expire(connection: sa.Connection, job_id: str) -> None:
    """The job is erased since its time is over, or was delivered once: receivers that wait are told, then it goes."""
    connection.execute(_EXPIRE, {"job": job_id})


def settle(connection: sa.Connection, event_id: int) -> None:
    """A delivery of the event is over: when all are, what is not to be kept goes."""
    connection.execute(_SETTLE, {"event": event_id})


def _body(job: Job, body: Mapping[str, Any]) -> str:
    beside = {"base_url": job.base_url, "expires_at": job.expires_at, "parent_id": job.parent_id}
    return json.dumps({"result": dict(body), **beside}, separators=(",", ":"))
