"""The keys of an account: listed, made and revoked by a key that may manage it.

A key makes none that may more than itself: neither what it may not do, nor more of what it has a limit of, nor for
longer. What a new key is not given, it has of the one that made it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse
from starlette.responses import Response

from openkontext.contract import InvalidParameters, Problem
from openkontext.store import Key, Store

from .auth import permitted
from .body import read_fields
from .openapi import KEY, answers, errors
from .requests import NO_STORE, page_of
from .schemas import BOOLEAN, TEXT, TIME
from .services import services_of
from .times import iso, iso_or_none, span

router = APIRouter(tags=["account"])

MOST_KEYS = 100
_LONGEST_LABEL = 100
_LARGEST_LIMIT = 999_999_999

PERMISSIONS = ("may_edit", "may_read_history", "may_disable_safety", "may_manage")
# What a key of no limit gives one for which none is named.
_USUAL_LIMITS = {"rpm": 60, "max_running": None, "max_queued": 100}
_NAMES = ("label", *_USUAL_LIMITS, "expires_at", "retention", *PERMISSIONS)

_ERRORS = errors(401, 403, 429, 500, 503)
_LIMIT = {"anyOf": [{"type": "integer", "minimum": 1, "maximum": _LARGEST_LIMIT}, {"type": "null"}]}
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "label": TEXT | {"maxLength": _LONGEST_LABEL},
                        **dict.fromkeys(_USUAL_LIMITS, _LIMIT),
                        "expires_at": {"anyOf": [TIME, {"type": "null"}]},
                        "retention": {"anyOf": [{"type": "number", "minimum": 0}, {"type": "null"}]},
                        **dict.fromkeys(PERMISSIONS, BOOLEAN),
                    },
                    "additionalProperties": False,
                }
            }
        },
    }
}


@router.get(
    "/v2/account/keys",
    openapi_extra=KEY,
    responses={200: answers("A page of them, good ones first", "Keys"), **_ERRORS, **errors(400)},
)
async def keys(
    request: Request,
    page: Annotated[int, Query(ge=1, le=1_000_000)] = 1,
    per_page: Annotated[int, Query(ge=1, le=100)] = 100,
) -> Response:
    """The account's keys by their last four characters, revoked and expired ones behind the others, newest first."""
    key = await permitted(request, "manage")
    store = services_of(request).store
    found, total = await to_thread.run_sync(lambda: store.key_page(key.account_id, page=page, per_page=per_page))
    return page_of("keys", [key_body(each) for each in found], page=page, per_page=per_page, total=total)


@router.post(
    "/v2/account/keys",
    status_code=201,
    openapi_extra=KEY | _BODY,
    responses={201: answers("Made; `key` is shown this once", "NewKey"), **_ERRORS, **errors(400, 413)},
)
async def create(request: Request) -> Response:
    """Make a key of the account that may as much as this one, or less."""
    key = await permitted(request, "manage")
    fields, _ = await read_fields(request)
    store = services_of(request).store
    wanted = Grant(key, store.clock(), store.settings.retention_seconds).read(fields)
    try:
        made, secret = await to_thread.run_sync(
            lambda: store.create_key(key.account_id, prompt_in_file=key.prompt_in_file, most=MOST_KEYS, **wanted)
        )
    except ValueError as error:
        raise InvalidParameters([str(error)]) from None
    return JSONResponse(key_body(made) | {"key": secret}, 201, headers=NO_STORE)


@router.delete(
    "/v2/account/keys/{key_id}",
    status_code=204,
    openapi_extra=KEY,
    responses={204: {"description": "It is good for nothing any more"}, **_ERRORS, **errors(400, 404)},
)
async def revoke(request: Request, key_id: str) -> Response:
    """Revoke a key at once, on every gateway; requests that it has submitted go on."""
    key = await permitted(request, "manage")
    await to_thread.run_sync(_revoke, services_of(request).store, key, key_id)
    return Response(status_code=204)


@dataclass(frozen=True)
class Grant:
    """What the key ``by`` may give, at ``now``, to one that it makes; ``retention`` is the service's, in seconds."""

    by: Key
    now: float
    retention: float

    def read(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments of the store's `create_key`. Raises `InvalidParameters` for all that is wrong."""
        chosen, problems = self._inherited(), []
        for name, value in fields.items():
            try:
                chosen[name] = self._value(name, value)
            except ValueError as error:
                problems.append(str(error))
        if problems:
            raise InvalidParameters(problems)
        return chosen

    def _inherited(self) -> dict[str, Any]:
        same = {name: getattr(self.by, name) for name in ("expires_at", "retention", *PERMISSIONS)}
        return {name: _least(usual, getattr(self.by, name)) for name, usual in _USUAL_LIMITS.items()} | same

    def _value(self, name: str, value: Any) -> Any:
        if name in _USUAL_LIMITS:
            return self._limit(name, value)
        if name in PERMISSIONS:
            return self._permission(name, value)
        match name:
            case "label":
                return _label(value)
            case "expires_at":
                return self._expiry(value)
            case "retention":
                return self._retention(value)
        raise ValueError(f"{name[:60]!r} is not a parameter; known are {', '.join(_NAMES)}")

    def _limit(self, name: str, value: Any) -> int | None:
        own: int | None = getattr(self.by, name)
        most = own or _LARGEST_LIMIT
        if value is None and own is None:
            return None
        if type(value) is not int or not 1 <= value <= most:
            allowed = f"{most:,}, or null for no limit" if own is None else f"{most:,}, this key's own limit"
            raise ValueError(f"{name} must be an integer from 1 to {allowed}")
        return value

    def _permission(self, name: str, value: Any) -> bool:
        if not isinstance(value, bool):
            raise ValueError(f"{name} must be true or false")
        if value and not getattr(self.by, name):
            raise ValueError(f"{name} can't be given by a key that doesn't have it")
        return value

    def _expiry(self, value: Any) -> float | None:
        if value is None and self.by.expires_at is None:
            return None
        if not isinstance(value, str):
            raise ValueError("expires_at must be a time (2026-11-22T07:00:00Z)")
        moment, _ = span("expires_at", value)
        if moment <= self.now:
            raise ValueError("expires_at must be in the future")
        if self.by.expires_at is not None and moment > self.by.expires_at:
            raise ValueError(f"expires_at must not be after {iso(self.by.expires_at)}, when this key expires")
        return moment

    def _retention(self, value: Any) -> float | None:
        longest = self.retention if self.by.retention is None else self.by.retention
        seconds = self.retention if value is None else value
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= longest:
            raise ValueError(
                f"retention must be a number of seconds from 0 (delivered once, then erased) to {longest:g}, "
                "as long as this key's results live"
            )
        return None if value is None else float(value)


def key_body(key: Key) -> dict[str, Any]:
    """A key as JSON; its secret is nowhere to be had."""
    limits = {name: getattr(key, name) for name in (*_USUAL_LIMITS, "retention")}
    allowed = {name: getattr(key, name) for name in (*PERMISSIONS, "may_operate")}
    times = {name: iso_or_none(getattr(key, name)) for name in ("created_at", "expires_at", "revoked_at")}
    return {"id": key.id, "hint": key.hint, "label": key.label} | limits | allowed | times


def _revoke(store: Store, key: Key, key_id: str) -> None:
    other = store.key(int(key_id)) if re.fullmatch(r"[0-9]{1,18}", key_id) else None
    if other is None or other.account_id != key.account_id or other.revoked_at is not None:
        raise Problem("not_found", "The account has no such key, or it is revoked already")
    if other.id == key.id:
        raise InvalidParameters(["a key can't revoke itself; use another key of the account"])
    if other.may_operate and not key.may_operate:
        raise Problem("forbidden", "This key may not revoke an operator's key")
    store.revoke_key(other.id)


def _least(usual: int | None, own: int | None) -> int | None:
    return min((limit for limit in (usual, own) if limit is not None), default=None)


def _label(value: Any) -> str:
    if not isinstance(value, str) or not value.isprintable() or len(value) > _LONGEST_LABEL:
        raise ValueError(f"label must be a string of at most {_LONGEST_LABEL} printable characters")
    return value
