"""What every gateway does on the side: take back lost leases, and delete what is past its time."""

import threading
import time

import structlog

from openkontext.media.blobs import BlobsUnavailable
from openkontext.store import StoreUnavailable

from .services import Services

log = structlog.get_logger(__name__)

# Reaping is one indexed read when there is nothing to do.
REAP_EVERY = 0.5
EXPIRE_EVERY = 5.0
SWEEP_EVERY = 600.0
# A picture is written before what it is for is committed, which takes seconds.
ORPHANED_AFTER = 3600.0


class Janitor:
    """A thread that reaps and expires until stopped."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="janitor", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, after what is under way."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        elapsed, swept = EXPIRE_EVERY, float("-inf")
        while not self._stopping.is_set():
            try:
                self.tidy(expire=elapsed >= EXPIRE_EVERY)
                if time.monotonic() - swept >= SWEEP_EVERY:
                    swept = time.monotonic()
                    self.sweep(older_than=time.time() - ORPHANED_AFTER)
            except (StoreUnavailable, BlobsUnavailable) as error:
                log.warning("janitor", error=str(error))
            except Exception as error:
                # A defect that ends one round must not end them all: lost jobs would wait for ever.
                log.error("janitor", exc_info=error)
            elapsed = 0.0 if elapsed >= EXPIRE_EVERY else elapsed + REAP_EVERY
            self._stopping.wait(REAP_EVERY)

    def tidy(self, *, expire: bool) -> None:
        """One round. Raises StoreUnavailable and `BlobsUnavailable`."""
        for job_id in self._services.store.reap():
            log.warning("reaped", request_id=job_id)
        if expire and (keys := self._services.store.expire()):
            self._services.delete_blobs(keys)

    def sweep(self, *, older_than: float) -> None:
        """Delete pictures that a process wrote and died before it could commit what they were for.

        Raises StoreUnavailable and `BlobsUnavailable`.
        """
        store, blobs = self._services.store, self._services.blobs
        for folder in ("inputs", "uploads"):
            for keys in blobs.keys(folder, older_than=older_than):
                if orphans := store.unknown_blobs(keys):
                    log.warning("orphaned pictures deleted", folder=folder, count=len(orphans))
                    blobs.delete(orphans)
