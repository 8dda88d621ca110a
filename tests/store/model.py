"""What is known of a job: how it ought to be after all that was done to it."""

from dataclasses import dataclass
from typing import Any

from openkontext.contract import State
from openkontext.store import Claim, StoreSettings

SETTINGS = StoreSettings(
    lease_seconds=10, max_attempts=3, retention_seconds=100, history_days=1, queue_timeout_seconds=60, queue_limit=6
)
DAY = 86_400
FOREVER = 3650 * DAY
# The account (0 has credits, 1 few) and the limits of each key.
KEYS: list[tuple[int, dict[str, Any]]] = [
    (0, {"rpm": None, "max_queued": 4}),
    (0, {"rpm": 3, "retention": 50}),
    (1, {"rpm": None, "max_running": 1, "retention": 0}),
]


@dataclass
class ModelJob:
    """What is known of a job."""

    id: str
    key: int
    price: int
    tag: float
    created_at: float
    state: State = State.QUEUED
    holder: Claim | None = None
    lease_until: float = 0.0
    attempt: int = 0
    tries: int = 0
    cancel: bool = False
    ended_at: float | None = None
    expires_at: float | None = None
    code: str | None = None
    erased: bool = False
    pinned: bool = False
    preview: int | None = None

    @property
    def retention(self) -> float:
        """Seconds that its result lives."""
        return KEYS[self.key][1].get("retention") or SETTINGS.retention_seconds

    def unleased(self, now: float) -> bool:
        return self.state is State.PROCESSING and self.lease_until <= now

    def claimable(self, now: float) -> bool:
        retried = self.unleased(now) and self.tries < SETTINGS.max_attempts and not self.cancel
        return self.state is State.QUEUED or retried

    def overdue(self, now: float) -> str | None:
        """The code that reaping ends it with, if it does."""
        patience = now - SETTINGS.queue_timeout_seconds
        if self.state is State.QUEUED:
            return "queue_timeout" if self.created_at <= patience else None
        if not self.unleased(now):
            return None
        late = "queue_timeout" if self.lease_until <= patience else None
        return "cancelled" if self.cancel else "worker_lost" if self.tries >= SETTINGS.max_attempts else late

    def let_go(self, now: float) -> None:
        self.holder, self.lease_until = None, now

    def end(self, state: State, now: float, code: str | None = None) -> None:
        self.state, self.code = (State.FAILED, "cancelled") if self.cancel else (state, code)
        self.ended_at, self.holder, self.expires_at, self.preview = now, None, now + self.retention, None

    def shown(self, now: float) -> bool:
        return not (self.erased or (self.expires_at is not None and self.expires_at <= now))
