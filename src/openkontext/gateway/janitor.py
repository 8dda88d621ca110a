"""What every gateway does on the side: take back lost leases, and delete what is past its time."""

import threading

import structlog

from openkontext.media.blobs import BlobsUnavailable
from openkontext.store import StoreUnavailable

from .services import Services

log = structlog.get_logger(__name__)

# Reaping is one indexed read when there is nothing to do.
REAP_EVERY = 0.5
EXPIRE_EVERY = 5.0


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
        elapsed = EXPIRE_EVERY
        while not self._stopping.is_set():
            try:
                self.tidy(expire=elapsed >= EXPIRE_EVERY)
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
