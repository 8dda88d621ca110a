"""What the store hands out. Money is in micro-credits, times are unix seconds (UTC)."""

from dataclasses import dataclass
from typing import Any, Literal

from openkontext.contract import State

Cancellation = Literal["cancelling", "cancelled", "ended"]
WorkerState = Literal["loading", "ready", "busy", "draining", "crashed", "stopped"]


@dataclass(frozen=True)
class StoreSettings:
    """The store's settings; durations in seconds but for ``history_days``."""

    lease_seconds: float = 15.0
    max_attempts: int = 3
    retention_seconds: float = 3600.0
    history_days: float = 30
    queue_timeout_seconds: float = 3600.0
    queue_limit: int = 1000
    busy_timeout_seconds: float = 10.0
    upload_seconds: float = 86400.0


@dataclass(frozen=True)
class Account:
    """Someone who pays; ``balance`` is what can be spent, holds taken off."""

    id: int
    name: str
    balance: int
    created_at: float


@dataclass(frozen=True)
class Key:
    """An API key without its secret: ``hint`` is the last four characters, ``rpm`` None is unlimited."""

    id: int
    account_id: int
    hint: str
    label: str
    rpm: int | None
    may_disable_safety: bool
    created_at: float
    expires_at: float | None
    revoked_at: float | None


@dataclass(frozen=True)
class LedgerEntry:
    """A change of a balance by ``amount``: grant (+), hold (-price), take (0) or release (+price)."""

    id: int
    account_id: int
    job_id: str | None
    kind: str
    amount: int
    created_at: float


@dataclass(frozen=True)
class Job:
    """A job's state and progress. ``attempt`` counts claims, ``tries`` those of them that count towards the limit."""

    id: str
    account_id: int
    key_id: int
    state: State
    attempt: int
    tries: int
    step: int
    steps: int
    price: int
    cancel_requested: bool
    created_at: float
    started_at: float | None
    ended_at: float | None
    expires_at: float | None


@dataclass(frozen=True)
class Submitted:
    """An accepted job, with the balance and the key's token bucket after it.

    ``limit`` and ``remaining`` are None for an unlimited key; ``reset_at`` is when the bucket is full again.
    """

    job: Job
    balance: int
    limit: int | None
    remaining: int | None
    reset_at: float


@dataclass(frozen=True)
class Claim:
    """A worker's hold on a job until ``lease_until``; (job_id, worker, attempt) fences every later write."""

    job_id: str
    attempt: int
    worker: str
    key_id: int
    account_id: int
    parameters: dict[str, Any]
    input: dict[str, Any]
    lease_until: float
    created_at: float
    started_at: float


@dataclass(frozen=True)
class WorkerRow:
    """What a worker last said of itself."""

    id: str
    host: str | None
    pid: int | None
    device: str | None
    checkpoint: str | None
    state: str
    message: str | None
    job_id: str | None
    seen_at: float
    started_at: float
