"""The only durable state of the service: accounts, keys, the ledger, jobs with their leases, and workers."""

from .errors import InsufficientCredits, LeaseLost, QueueFull, RateLimited, StoreError, StoreUnavailable
from .records import (
    Account,
    Cancellation,
    Claim,
    Job,
    Key,
    LedgerEntry,
    StoreSettings,
    Submitted,
    WorkerRow,
    WorkerState,
)
from .retention import input_key, output_key
from .store import Store

__all__ = [
    "Account",
    "Cancellation",
    "Claim",
    "InsufficientCredits",
    "Job",
    "Key",
    "LeaseLost",
    "LedgerEntry",
    "QueueFull",
    "RateLimited",
    "Store",
    "StoreError",
    "StoreSettings",
    "StoreUnavailable",
    "Submitted",
    "WorkerRow",
    "WorkerState",
    "input_key",
    "output_key",
]
