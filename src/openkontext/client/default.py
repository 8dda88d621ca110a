"""The module's own functions, on a client made from the environment when the first of them is called."""

from functools import cache
from typing import Any

import httpx

from .blocking import Client, Job
from .stream import OnProgress


@cache
def _client() -> Client:
    return Client()


def run(
    slug: str, *, idempotency_key: str | None = None, on_progress: OnProgress | None = None, **params: Any
) -> dict[str, Any]:
    """Edit a picture: submit, wait, and return the result body. See `Client.run`."""
    return _client().run(slug, idempotency_key=idempotency_key, on_progress=on_progress, **params)


def run_sync(slug: str, *, idempotency_key: str | None = None, **params: Any) -> httpx.Response:
    """Edit a picture in one blocking call, answered with its bytes. See `Client.run_sync`."""
    return _client().run_sync(slug, idempotency_key=idempotency_key, **params)


def submit_async(slug: str, *, idempotency_key: str | None = None, **params: Any) -> Job:
    """Submit an edit and return at once with its `Job`. See `Client.submit_async`."""
    return _client().submit_async(slug, idempotency_key=idempotency_key, **params)
