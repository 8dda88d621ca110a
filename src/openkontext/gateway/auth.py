"""Who asks: the x-api-key header."""

import hashlib

from fastapi import Request

from openkontext.contract import Problem
from openkontext.store import Key

from .services import services_of


async def authenticate(request: Request) -> Key:
    """The key of the request. Raises `Problem` (401) when there is none, or it is wrong, expired or revoked."""
    secret = request.headers.get("x-api-key", "")
    if not secret:
        raise Problem("missing_key", "Missing x-api-key in header")
    services = services_of(request)
    # Keyed by a hash, so that no secret lies about in memory longer than its request.
    digest = hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()
    key = await services.watcher.cached(("key", digest), lambda: services.store.authenticate(secret))
    if key is None or (key.expires_at is not None and key.expires_at <= services.store.clock()):
        # The cache knows of every change, but nothing changes when a key expires.
        raise Problem("invalid_key", "The x-api-key is wrong, expired or revoked")
    return key
