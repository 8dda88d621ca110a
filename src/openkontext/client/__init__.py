"""The Python SDK: httpx and the standard library only. Users import its names from `openkontext`."""

from .aio import AsyncClient, AsyncClientJob
from .blocking import Client, Job
from .default import run, run_sync, submit_async
from .errors import (
    AuthenticationError,
    BadGateway,
    BadRequest,
    Conflict,
    GatewayTimeout,
    Gone,
    InferenceFailed,
    InferenceTimeout,
    InsufficientCredits,
    MethodNotAllowed,
    NotFound,
    OpenkontextError,
    PayloadTooLarge,
    PermissionDenied,
    RateLimited,
    ServerError,
    ServiceUnavailable,
    Unprocessable,
)
from .events import Event
from .submission import DEFAULT_POLL_INTERVAL_S, DEFAULT_POLL_TIMEOUT_S

# The hosted client's names. Its "async" job is one that is queued; waiting for it blocks, so it is our `Job`.
SegmindClient = Client
SegmindError = OpenkontextError
AsyncJob = Job

__all__ = [
    "DEFAULT_POLL_INTERVAL_S",
    "DEFAULT_POLL_TIMEOUT_S",
    "AsyncClient",
    "AsyncClientJob",
    "AsyncJob",
    "AuthenticationError",
    "BadGateway",
    "BadRequest",
    "Client",
    "Conflict",
    "Event",
    "GatewayTimeout",
    "Gone",
    "InferenceFailed",
    "InferenceTimeout",
    "InsufficientCredits",
    "Job",
    "MethodNotAllowed",
    "NotFound",
    "OpenkontextError",
    "PayloadTooLarge",
    "PermissionDenied",
    "RateLimited",
    "SegmindClient",
    "SegmindError",
    "ServerError",
    "ServiceUnavailable",
    "Unprocessable",
    "run",
    "run_sync",
    "submit_async",
]
