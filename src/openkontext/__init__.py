"""openkontext: edit pictures by instruction, on a server of your own.

    import openkontext

    result = openkontext.run("flux-kontext-dev", input_image="photo.jpg", prompt="make it snow")
    print(result["output"])

This module is the Python client. Names are loaded when first used, so that the server's own processes, which live in
the same package, don't pay for an HTTP client. Code for the hosted service runs with ``import openkontext as segmind``.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

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

if TYPE_CHECKING:
    from .client import (
        DEFAULT_POLL_INTERVAL_S,
        DEFAULT_POLL_TIMEOUT_S,
        AsyncClient,
        AsyncClientJob,
        AsyncJob,
        AuthenticationError,
        BadGateway,
        BadRequest,
        Client,
        Conflict,
        Event,
        GatewayTimeout,
        Gone,
        InferenceFailed,
        InferenceTimeout,
        InsufficientCredits,
        Job,
        MethodNotAllowed,
        NotFound,
        OpenkontextError,
        PayloadTooLarge,
        PermissionDenied,
        RateLimited,
        SegmindClient,
        SegmindError,
        ServerError,
        ServiceUnavailable,
        Unprocessable,
        run,
        run_sync,
        submit_async,
    )
else:
    # Hidden from type checkers, which would otherwise take any name for an attribute.

    def __getattr__(name: str) -> Any:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(".client", __name__), name)
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
