"""Who asks, by header or the pages' cookie, and what the key may do."""

import hashlib
from typing import Literal

from fastapi import Request

from openkontext.contract import Problem
from openkontext.store import Key, RateLimited

from .errors import refusal
from .services import Services, services_of
from .session import session_key

Permission = Literal["edit", "history", "manage", "operate"]


async def authenticate(request: Request, *, poll: bool = True) -> Key:
    """The key of the x-api-key header, or without one of the pages' cookie.

    It counts as a ``poll``, but for what is limited later, in a submit's order.

    Raises `Problem`: 401 when there is none, or it is wrong, expired or revoked; 429 for too many polls.
    """
    key = await _header_key(request) if "x-api-key" in request.headers else await session_key(request)
    if key is None:
        raise Problem("missing_key", "Missing x-api-key in header")
    if poll:
        count_poll(request, key)
    return key


async def permitted(request: Request, permission: Permission, *, poll: bool = True) -> Key:
    """The key of the request (`authenticate`), if it has the permission (`require`). Raises `Problem`."""
    key = await authenticate(request, poll=poll)
    require(key, permission)
    return key


async def bearer(request: Request) -> Key:
    """The key of ``Authorization: Bearer …``, for the one route where clients send it so. Raises `Problem` (401)."""
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not secret.strip():
        raise Problem("missing_key", "Missing bearer token in the Authorization header")
    return await _known(request, secret.strip(), "The bearer token is wrong, expired or revoked")


def require(key: Key, permission: Permission) -> None:
    """Raises `Problem` (403) for a key without the permission."""
    allowed, what = {
        "edit": (key.may_edit, "make or change requests"),
        "history": (key.may_read_history, "read the history"),
        "manage": (key.may_manage, "manage the account"),
        "operate": (key.may_operate, "operate the service: that takes a key made with --operator"),
    }[permission]
    if not allowed:
        raise Problem("forbidden", f"This key may not {what}")


async def still_good(services: Services, key: Key) -> bool:
    """Whether a key that was good when a stream began still is. Raises StoreUnavailable."""
    known = await services.watcher.cached(("key", key.id), lambda: services.store.key(key.id))
    return known is not None and known.good_at(services.store.clock())


def count_poll(request: Request, key: Key) -> None:
    """Take a poll off what this gateway answers to the key. Raises `Problem` (429)."""
    services = services_of(request)
    now = services.store.clock()
    try:
        services.polls.spend(key.id, now)
    except RateLimited as error:
        raise refusal(error, now) from None


async def _header_key(request: Request) -> Key | None:
    secret = request.headers["x-api-key"]
    return await _known(request, secret, "The x-api-key is wrong, expired or revoked") if secret else None


async def _known(request: Request, secret: str, otherwise: str) -> Key:
    # Found by its SHA-256, and that is compared in constant time. How long the look-up takes could tell how much of a
    # hash was right, never of a key: who tries can't choose hashes. A key has 128 random bits, so that tries need no
    # limit of their own; and wrong, expired and revoked ones are told alike.
    services = services_of(request)
    # Keyed by a hash, so that no secret lies about in memory longer than its request.
    digest = hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()
    key = await services.watcher.cached(("key", digest), lambda: services.store.authenticate(secret))
    # Asked again, for the cache knows of every change, but nothing changes when a key expires.
    if key is None or not key.good_at(services.store.clock()):
        raise Problem("invalid_key", otherwise)
    return key
