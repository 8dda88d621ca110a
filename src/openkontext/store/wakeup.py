"""Learning that something changed, without asking for it row by row."""

import threading
import time
from functools import cached_property

from sqlalchemy import PoolProxiedConnection

from .database import Database

_POLL = 0.010
# A connection serves one thread at a time; the answer takes microseconds.
_asking = threading.Lock()


class Wakeup(Database):
    """SQLite counts the commits of all processes for whoever asks; the number means something to this store alone."""

    def version(self) -> int | None:
        """A number that differs from the last one if anything was committed since; None where there is no such number.

        It takes some microseconds and no lock of the database.
        """
        if not self._embedded:
            return None
        with self._clear_errors(), _asking:
            row = self._watch.cursor().execute("PRAGMA data_version").fetchone()
            return int(row[0])

    def wait(self, seen: int | None, timeout: float) -> int | None:
        """Block until the version is not ``seen`` any more, or ``timeout`` seconds are over; returns the version."""
        deadline = time.monotonic() + timeout
        while (version := self.version()) == seen and (left := deadline - time.monotonic()) > 0:
            time.sleep(min(_POLL, left))
        return version

    def close(self) -> None:
        """Close every connection that is not in use."""
        if "_watch" in self.__dict__:
            self._watch.close()
            del self._watch
        super().close()

    @cached_property
    def _watch(self) -> PoolProxiedConnection:
        # The count leaves out what the asking connection commits itself: this one commits nothing.
        return self._engine.raw_connection()
