"""Posting events to their receivers, beside everything else that a gateway does.

A delivery is leased before it is posted and its outcome written after, so any number of gateways may run this, and what
one that dies had under way is posted again by another. At-least-once: a receiver may see an event twice, never not at
all, unless it took nothing for a day.
"""

import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import structlog

from openkontext import __version__
from openkontext.media.outward import Unreachable
from openkontext.media.post import post
from openkontext.store import Delivery, DueDelivery, StoreUnavailable

from .messages import signed, text
from .services import Services
from .webhooks import policy_of

log = structlog.get_logger(__name__)

AT_ONCE = 32
# How long a delivery that is due by its time, or by another gateway's doing, may go unnoticed.
POLL = 0.1
# Looking for what is due may take one part in so many of a core.
REST = 10
# Beyond the receiver's time: for a thread to begin and an outcome to be written.
LEASE_MARGIN = 30.0

# Before the second attempt, the third and so on, at most; the last stands for all that follow.
BACKOFF = (5.0, 300.0, 1800.0, 7200.0, 18000.0, 36000.0)
PATIENCE = 86400.0
_LONGEST_RETRY_AFTER = 3600.0


@dataclass(frozen=True)
class Outcome:
    """What came of an attempt: a status if there was an answer, an ``error`` unless the receiver took it."""

    status: int | None
    error: str | None
    # Seconds for which the receiver asked to be left alone.
    retry_after: float = 0.0


class Deliverer:
    """A thread that takes what is due, and others that post it, until stopped; ``jitter`` draws from 0 to 1."""

    def __init__(self, services: Services, *, jitter: Callable[[], float] = random.random) -> None:
        self._services = services
        self._jitter = jitter
        self._policy = policy_of(services.settings)
        self._under_way: dict[str, Delivery] = {}
        self._stopping = threading.Event()
        self._posting = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="deliverer")
        self._thread = threading.Thread(target=self._run, name="deliverer", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, after what is under way: at most the time that a receiver gets."""
        self._stopping.set()
        self._thread.join()
        self._posting.shutdown(cancel_futures=True)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                # Taken before the look: what is written meanwhile must end the wait.
                seen, began = self._services.store.version(), time.monotonic()
                self._begin()
                # Behind a receiver that hangs thousands may wait, and each look goes past them all.
                self._stopping.wait(min(REST * (time.monotonic() - began), 1.0))
                self._services.store.wait(seen, POLL)
            except StoreUnavailable as error:
                log.warning("deliverer", error=str(error))
                self._stopping.wait(1.0)
            except Exception as error:
                # A defect that ends one round must not end them all.
                log.error("deliverer", exc_info=error)
                self._stopping.wait(1.0)

    def _begin(self) -> None:
        """Have everything posted that is due and may begin now."""
        lease = self._policy.timeout_seconds + LEASE_MARGIN
        while not self._stopping.is_set() and (free := AT_ONCE - len(self._under_way)) > 0:
            under_way = list(self._under_way.copy().values())
            leased = self._services.store.due_deliveries(free, lease, under_way=under_way)
            if not leased:
                return
            for due in leased:
                self._under_way[due.delivery.id] = due.delivery
                self._posting.submit(self._attempt, due)

    def _attempt(self, due: DueDelivery) -> None:
        try:
            self._note(due, self._outcome(due))
        except StoreUnavailable as error:
            # Its lease will end, and it is posted again.
            log.warning("deliverer", error=str(error))
        except Exception as error:
            log.error("deliverer", exc_info=error)

    def _outcome(self, due: DueDelivery) -> Outcome:
        try:
            return self._post(due)
        except Unreachable as error:
            return Outcome(None, f"the webhook's URL {error}")
        except Exception as error:
            log.error("deliverer", exc_info=error)
            return Outcome(None, "the server made a mistake; it has been logged")
        finally:
            # Before the outcome is written, for that is what has the next one begun.
            self._under_way.pop(due.delivery.id, None)

    def _post(self, due: DueDelivery) -> Outcome:
        body = text(self._services, due.event)
        headers = signed(due.event, body, due.secret, self._services.store.clock())
        headers |= {"content-type": "application/json", "user-agent": f"openkontext/{__version__}"}
        answer = post(due.delivery.url, body.encode(), headers, self._policy)
        if 200 <= answer.status < 300:
            return Outcome(answer.status, None)
        wait = answer.retry_after if answer.status in (429, 503) else 0.0
        return Outcome(answer.status, _refusal(answer.status), wait)

    def _note(self, due: DueDelivery, outcome: Outcome) -> None:
        store, delivery = self._services.store, due.delivery
        if outcome.status is not None and outcome.error is None:
            store.delivered_to(delivery.id, due.attempt, outcome.status)
            return
        about = {"delivery": delivery.id, "request_id": due.event.job_id, "attempt": due.attempt}
        log.info("webhook failed", **about, status=outcome.status, error=outcome.error)
        gone = outcome.status == 410
        retry_at = None if gone else next_attempt(due, store.clock(), outcome.retry_after, self._jitter())
        store.failed_to(delivery.id, due.attempt, outcome.status, str(outcome.error), retry_at)
        if gone and delivery.endpoint_id and store.delete_endpoint(delivery.account_id, delivery.endpoint_id):
            log.warning("webhook removed, since its receiver is gone", webhook=delivery.endpoint_id)


def next_attempt(due: DueDelivery, now: float, retry_after: float, jitter: float) -> float | None:
    """When to try again what failed at ``now``, None for never: full jitter (0 to 1) under an exponential backoff.

    The last attempt is a day after the delivery was made, whatever the backoff.
    """
    last = due.delivery.created_at + PATIENCE
    if now >= last:
        return None
    pause = BACKOFF[min(due.attempt, len(BACKOFF)) - 1] * jitter
    return min(now + max(pause, min(retry_after, _LONGEST_RETRY_AFTER)), last)


def _refusal(status: int) -> str:
    if 300 <= status < 400:
        return f"was answered with status {status}, a redirect, which is not followed: use the address it leads to"
    if status == 410:
        return "was answered with status 410: the receiver wants no more"
    return f"was answered with status {status}"
