"""Headers about the rate limit, and the bound on a request's body."""

import math
from datetime import UTC, datetime

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from openkontext.contract import Problem
from openkontext.store import Submitted

# Bytes that all bodies together may have in memory before they are whole: slow ones would fill it. Small ones pass.
MOST_UNDER_WAY = 1_000_000_000
SMALL_BODY = 1_000_000


def iso(timestamp: float) -> str:
    """ISO 8601 in UTC, to the second: ``2026-11-22T07:00:00Z``."""
    return datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def rate_limit_headers(limit: int | None, remaining: int | None, reset_at: float) -> dict[str, str]:
    """The rate limit's headers; for an unlimited key (``limit`` None) the reset alone."""
    # Rounded up: who comes back at that second must not come too early.
    headers = {"x-rate-limit-reset-at-utc": iso(math.ceil(reset_at))}
    if limit is not None:
        headers |= {"x-rate-limit-limit": str(limit), "x-rate-limit-remaining": str(remaining)}
    return headers


def accepted_headers(accepted: Submitted) -> dict[str, str]:
    """The headers of an accepted submit: its id, the rate limit, and whether it had been accepted before."""
    headers = {"x-request-id": accepted.job.id}
    headers |= rate_limit_headers(accepted.limit, accepted.remaining, accepted.reset_at)
    return headers | ({"Idempotency-Replayed": "true"} if accepted.replayed else {})


class BodyLimit:
    """ASGI middleware: reading more than ``limit`` bytes of a body is a 413, raised where the route reads it.

    It counts while the body streams in, so a route that refuses earlier (401) answers first, and a lying
    Content-Length gains nothing. Of all bodies that are under way together, the large ones have a limit too (503).
    """

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self.app = app
        self.limit = limit
        self._under_way = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with a counting ``receive``."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        declared = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        seen = held = 0

        async def counted() -> Message:
            nonlocal seen, held
            self._check(int(declared) if declared.isdigit() else 0)
            message = await receive()
            size = len(message.get("body", b""))
            seen, held, self._under_way = seen + size, held + size, self._under_way + size
            self._check(seen)
            self._check_all(seen)
            if not message.get("more_body"):
                self._under_way -= held
                held = 0
            return message

        try:
            await self.app(scope, counted, send)
        finally:
            self._under_way -= held

    def _check(self, size: int) -> None:
        if size > self.limit:
            text = f"The body is larger than {self.limit / 1e6:g} MB; send a smaller image, or its URL"
            raise Problem("payload_too_large", text, headers={"Connection": "close"})

    def _check_all(self, size: int) -> None:
        if size > SMALL_BODY and self._under_way > MOST_UNDER_WAY:
            text = "Too many large bodies are on their way to the server; try again later, or send an image's URL"
            raise Problem("overloaded", text, headers={"Connection": "close", "Retry-After": "5"})
