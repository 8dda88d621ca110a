"""Whose turn it is to write: SQLite's writers sleep and try again; threads of one process can do better."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

# A turn that takes longer than this waits for another program; so many wait with it, and the others needn't.
STUCK_SECONDS = 2.0
WAIT_WITH_IT = 8


class TurnRefused(Exception):
    """The turn did not come in time, or would not."""


class Turn:
    """A lock that is waited for only while there is hope: threads that wait in vain are missing elsewhere."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting = 0
        # When the one whose turn it is began, by the monotonic clock.
        self._began: float | None = None

    @contextmanager
    def taken(self, timeout: float) -> Iterator[float]:
        """One's turn within ``timeout`` seconds; gives the seconds that are left of them. Raises `TurnRefused`."""
        deadline = time.monotonic() + timeout
        self._take(deadline)
        try:
            yield max(0.0, deadline - time.monotonic())
        finally:
            with self._changed:
                self._began = None
                self._changed.notify()

    def _take(self, deadline: float) -> None:
        with self._changed:
            self._waiting += 1
            try:
                while self._began is not None:
                    self._wait(deadline)
                self._began = time.monotonic()
            finally:
                self._waiting -= 1

    def _wait(self, deadline: float) -> None:
        assert self._began is not None
        now = time.monotonic()
        stuck_at = self._began + STUCK_SECONDS
        if now >= deadline or (now >= stuck_at and self._waiting > WAIT_WITH_IT):
            raise TurnRefused
        self._changed.wait(min(deadline, stuck_at if now < stuck_at else deadline) - now)
