"""The states of a request, and which of them may follow which.

QUEUED ──▶ PROCESSING ──▶ COMPLETED
   │            │  ▲ │
   │            └──┘ │   a lost worker's job is taken up again without going back to QUEUED
   └──────▶ FAILED ◀─┘
"""

from enum import StrEnum


class State(StrEnum):
    """Where a request is in its life."""

    QUEUED = "QUEUED"
    PROCESSING = "PROCESSING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"

    @property
    def ended(self) -> bool:
        """Whether nothing follows this state."""
        return self in (State.COMPLETED, State.FAILED)

    @property
    def phrase(self) -> str:
        """What the state means, in a phrase for people."""
        return _PHRASES[self]


_PHRASES = {
    State.QUEUED: "accepted, waiting for a worker",
    State.PROCESSING: "a worker has it",
    State.COMPLETED: "the result body is ready",
    State.FAILED: "it errored, was blocked by the safety checker, or was cancelled",
}
