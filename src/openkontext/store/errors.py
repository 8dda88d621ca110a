"""What the store refuses, and why.

StoreError
 ├── RateLimited          the key's token bucket is empty
 ├── TooManyWaiting       the key has as many jobs waiting as it may
 ├── InsufficientCredits  the account's balance is below the price
 ├── Draining             no new jobs are taken in, since the service is shutting down
 ├── QueueFull            too many jobs are waiting
 ├── IdempotencyConflict  the idempotency key was used for another request
 ├── ResultExpired        the request that the idempotency key was used for is gone
 ├── LeaseLost            the caller no longer holds the job: stop working on it
 └── StoreUnavailable     the database is locked, full, unwritable, unreachable or damaged
"""


class StoreError(Exception):
    """The store refused or could not do what was asked; nothing was changed."""


class RateLimited(StoreError):
    """The key has made ``limit`` submits within a minute; the next is accepted at ``reset_at`` (unix seconds)."""

    def __init__(self, limit: int, remaining: int, reset_at: float) -> None:
        super().__init__(f"the key's limit of {limit} requests a minute is used up")
        self.limit = limit
        self.remaining = remaining
        self.reset_at = reset_at


class TooManyWaiting(StoreError):
    """``limit`` of the key's jobs are waiting, which is all it may; worth trying again in ``retry_after`` seconds."""

    def __init__(self, limit: int, retry_after: float) -> None:
        super().__init__(f"{limit} requests of the key are waiting already")
        self.limit = limit
        self.retry_after = retry_after


class InsufficientCredits(StoreError):
    """The account's ``balance`` is below the ``price`` (both micro-credits)."""

    def __init__(self, balance: int, price: int) -> None:
        super().__init__(f"the balance of {balance} micro-credits is below the price of {price}")
        self.balance = balance
        self.price = price


class QueueFull(StoreError):
    """``depth`` jobs are waiting, which is the limit; worth trying again in ``retry_after`` seconds."""

    def __init__(self, depth: int, retry_after: float) -> None:
        super().__init__(f"{depth} jobs are waiting already")
        self.depth = depth
        self.retry_after = retry_after


class IdempotencyConflict(StoreError):
    """Within a day, the account used this idempotency key for a request that was not the same."""

    def __init__(self) -> None:
        super().__init__("the idempotency key was used for another request")


class ResultExpired(StoreError):
    """The idempotency key was used for ``job_id``, of which nothing is left to show."""

    def __init__(self, job_id: str) -> None:
        super().__init__(f"job {job_id}, which the idempotency key was used for, is expired or erased")
        self.job_id = job_id


class Draining(StoreError):
    """The service is shutting down; worth trying again in ``retry_after`` seconds."""

    def __init__(self, retry_after: float) -> None:
        super().__init__("no new jobs are taken in: the service is shutting down")
        self.retry_after = retry_after


class LeaseLost(StoreError):
    """``worker`` does not hold ``job_id`` by this ``attempt`` (any more): another does, or the job has ended."""

    def __init__(self, job_id: str, worker: str, attempt: int) -> None:
        super().__init__(f"{worker} no longer holds job {job_id} by attempt {attempt}")
        self.job_id = job_id
        self.worker = worker
        self.attempt = attempt


class StoreUnavailable(StoreError):
    """The database at ``url`` can't be used now, for the ``reason`` that it gave."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(f"the database {url} can't be used: {reason}")
        self.url = url
        self.reason = reason
