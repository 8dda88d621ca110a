"""What the store hands out. Money is in micro-credits, times are unix seconds (UTC)."""

from dataclasses import dataclass
from typing import Any, Literal

from openkontext.contract import State

Cancellation = Literal["cancelling", "cancelled", "ended"]
WorkerState = Literal["loading", "ready", "busy", "draining", "drained", "crashed", "stopped"]
DeliveryState = Literal["pending", "delivered", "failed"]


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
    """An API key without its secret: ``hint`` is the last four characters.

    ``rpm`` (submits a minute), ``max_running`` (jobs at once) and ``max_queued`` (jobs waiting) are unlimited if None.
    ``retention`` is how many seconds results live, None for the service's setting; 0 for results that are delivered
    once and then erased, and whose prompt isn't kept. ``may_operate`` is an operator's: of the service, not of an
    account.
    """

    id: int
    account_id: int
    hint: str
    label: str
    rpm: int | None
    may_disable_safety: bool
    created_at: float
    expires_at: float | None
    revoked_at: float | None
    may_edit: bool
    may_read_history: bool
    may_manage: bool
    max_running: int | None
    max_queued: int | None
    retention: float | None
    prompt_in_file: bool
    may_operate: bool

    def good_at(self, now: float) -> bool:
        """Whether it is neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > now)


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
    """A job's state and progress. ``attempt`` counts claims, ``tries`` those of them that count towards the limit.

    ``parent_id`` is the job whose output is this one's input; ``retention`` is its key's at the submit. Of what it came
    to, ``code`` (of its failure) and ``inference_time`` (seconds) outlive the result.
    """

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
    parent_id: str | None
    retention: float | None
    pinned: bool
    code: str | None
    inference_time: float | None
    webhook: str | None
    base_url: str | None


@dataclass(frozen=True)
class Idempotency:
    """A client's ``key`` for a request of this ``fingerprint``: SHA-256, in hex, of the request in canonical form."""

    key: str
    fingerprint: str


@dataclass(frozen=True)
class Submitted:
    """An accepted job, with the balance and the key's token bucket after it.

    ``limit`` and ``remaining`` are None for an unlimited key; ``reset_at`` is when the bucket is full again.
    ``replayed``: the job was accepted before, by the same idempotency key, and nothing was spent now.
    """

    job: Job
    balance: int
    limit: int | None
    remaining: int | None
    reset_at: float
    replayed: bool = False


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
    prompt_in_file: bool = True
    parent_id: str | None = None


@dataclass(frozen=True)
class Progress:
    """A job as its listeners see it.

    ``position`` is its place in the queue, 1 for the next to be claimed, None unless it is QUEUED. ``preview`` is the
    current attempt's newest picture, a data URI, made at ``preview_step``.
    """

    job: Job
    position: int | None
    preview_step: int | None
    preview: str | None


@dataclass(frozen=True)
class HistoryEntry:
    """A job that was submitted, whatever is left of it.

    ``parameters`` have no prompt once a job of retention 0 has ended; ``input``, where its picture is, is None once it
    was erased; ``result`` is None before the end too.
    """

    job: Job
    parameters: dict[str, Any]
    input: dict[str, Any] | None
    result: dict[str, Any] | None
    key_hint: str


@dataclass(frozen=True)
class HistoryPage:
    """Some of ``total`` entries."""

    entries: list[HistoryEntry]
    total: int


@dataclass(frozen=True)
class UsageRow:
    """What a key's requests of one UTC ``day`` (YYYY-MM-DD, of the submit) came to.

    ``cost`` is of those that were COMPLETED; ``gpu_seconds`` is the inference time of all.
    """

    day: str
    account: str
    key_hint: str
    key_label: str
    requests: int
    completed: int
    failed: int
    cost: int
    gpu_seconds: float


@dataclass(frozen=True)
class Timing:
    """Measured seconds of an edit: one denoising step, and everything that is not steps."""

    step_seconds: float
    other_seconds: float
    samples: int


@dataclass(frozen=True)
class Latency(Timing):
    """The times of edits to this size, in pixels, with a checkpoint."""

    checkpoint: str
    width: int
    height: int


@dataclass(frozen=True)
class Load:
    """What there is to do: jobs ``queued`` and ``running``, the denoising steps left of both, and ``workers``."""

    queued: int
    running: int
    steps_ahead: int
    workers: int


@dataclass(frozen=True)
class Upload:
    """An account's picture of this SHA-256 ``digest`` (hex), ``size`` bytes in the blob of this name."""

    digest: str
    blob: str
    size: int
    expires_at: float


@dataclass(frozen=True)
class Endpoint:
    """A subscriber of an account: events of these ``types`` are posted to ``url``, signed with ``secret``."""

    id: str
    account_id: int
    url: str
    secret: str
    types: tuple[str, ...]
    created_at: float


@dataclass(frozen=True)
class Event:
    """What happened to a job; ``body`` is None once the job was erased."""

    id: int
    account_id: int
    job_id: str
    type: str
    body: dict[str, Any] | None
    created_at: float


@dataclass(frozen=True)
class Delivery:
    """An event on its way to one receiver: an endpoint's URL, or (``endpoint_id`` None) the one its request named.

    It is tried next at ``due_at``, None once it is over. ``last_status`` is the HTTP status of the last answer; where
    there was none, ``last_error`` says why. As long as an attempt is under way it has neither, and ``due_at`` is when
    the next would begin if nothing were heard of it.
    """

    id: str
    event_id: int
    account_id: int
    endpoint_id: str | None
    url: str
    state: DeliveryState
    attempts: int
    due_at: float | None
    created_at: float
    last_at: float | None
    last_status: int | None
    last_error: str | None


@dataclass(frozen=True)
class DueDelivery:
    """A delivery to be tried now, leased by its ``attempt``, with what is to be sent and what signs it."""

    delivery: Delivery
    event: Event
    secret: str
    attempt: int


@dataclass(frozen=True)
class WorkerRow:
    """What a worker last said of itself; ``max_area`` is the pixels of its checkpoint's largest output.

    ``drain``: it gets no more jobs, by an operator's wish. One that would take some is then "draining" as long as it
    has one, else "drained".
    """

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
    max_area: int | None = None
    drain: bool = False
