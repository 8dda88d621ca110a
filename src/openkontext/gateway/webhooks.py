"""Webhooks: who is told when an account's requests end, what became of each delivery, and following them live."""

import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from starlette.responses import Response

from openkontext.contract import InvalidParameters, Problem
from openkontext.media import urls
from openkontext.media.outward import Policy, Unreachable, check
from openkontext.settings import Settings
from openkontext.store import Endpoint, Event, Key, StoreUnavailable
from openkontext.store.events import TYPES
from openkontext.store.outbox import LoggedDelivery

from .auth import permitted, still_good
from .body import read_fields
from .limits import iso
from .messages import signed, text
from .openapi import KEY, answers, errors
from .requests import NO_STORE, page_of
from .services import Services, services_of
from .sse import HEARTBEAT, RECONNECT_MS, EventStream

router = APIRouter(tags=["webhooks"])

_KINDS = tuple(TYPES.values())
_ERRORS = errors(401, 403, 429, 500, 503)
_LAST_ID = 2**63 - 1

_TEXT = {"type": "string"}
_URL = {"type": "string", "format": "uri"}
_TYPES = {"type": "array", "items": {"type": "string", "enum": list(_KINDS)}, "minItems": 1, "default": list(_KINDS)}
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["url"],
                    "properties": {"url": _URL, "types": _TYPES},
                    "additionalProperties": False,
                }
            }
        },
    }
}


def check_webhook(url: str, settings: Settings) -> str:
    """The URL in its one notation, if events could be posted to it, as far as that can be told without looking it up.

    Raises `Problem` ``bad_webhook``.
    """
    try:
        address = urls.parse(url)
        check(address, policy_of(settings))
    except (ValueError, Unreachable) as error:
        raise Problem("bad_webhook", f"The webhook's URL {error}") from None
    return address.url


def policy_of(settings: Settings) -> Policy:
    """Where webhooks may be posted to, and how long that may take."""
    seconds = settings.webhook_timeout
    return Policy(allowed_hosts=settings.webhook_allow_hosts, timeout_seconds=seconds, read_seconds=seconds)


@router.get("/v2/webhooks", openapi_extra=KEY, responses={200: answers("All of them", "Webhooks"), **_ERRORS})
async def endpoints(request: Request) -> Response:
    """The account's webhooks, oldest first."""
    key = await permitted(request, "manage")
    found = await to_thread.run_sync(services_of(request).store.endpoints, key.account_id)
    return _answer({"webhooks": [_endpoint(each) for each in found]})


@router.post(
    "/v2/webhooks",
    status_code=201,
    openapi_extra=KEY | _BODY,
    responses={201: answers("Made; `secret` signs what is posted to it", "Webhook"), **_ERRORS, **errors(400, 413)},
)
async def create(request: Request) -> Response:
    """Post the account's events to a URL from now on."""
    key = await permitted(request, "manage")
    fields, _ = await read_fields(request)
    services = services_of(request)
    url, types = _wanted(fields, services.settings)
    try:
        made = await to_thread.run_sync(services.store.create_endpoint, key.account_id, url, types)
    except ValueError as error:
        raise Problem("bad_webhook", f"No webhook was made: {error}") from None
    return _answer(_endpoint(made) | {"secret": made.secret}, 201)


@router.delete(
    "/v2/webhooks/{webhook_id}",
    status_code=204,
    openapi_extra=KEY,
    responses={204: {"description": "Nothing more is posted to it"}, **_ERRORS, **errors(404)},
)
async def delete(request: Request, webhook_id: str) -> Response:
    """Remove a webhook; what was still to be posted to it is not."""
    key = await permitted(request, "manage")
    if not await to_thread.run_sync(services_of(request).store.delete_endpoint, key.account_id, webhook_id):
        raise _unknown(webhook_id)
    return Response(status_code=204)


@router.get(
    "/v2/webhooks/secret", openapi_extra=KEY, responses={200: answers("The account's secret", "Secret"), **_ERRORS}
)
async def account_secret(request: Request) -> Response:
    """What signs the events that are posted to `?webhook=` of a request, and those of `/v2/webhooks/events`."""
    key = await permitted(request, "manage")
    secret = await to_thread.run_sync(services_of(request).store.webhook_secret, key.account_id)
    return _answer({"secret": secret})


@router.get(
    "/v2/webhooks/{webhook_id}/secret",
    openapi_extra=KEY,
    responses={200: answers("The webhook's secret", "Secret"), **_ERRORS, **errors(404)},
)
async def secret(request: Request, webhook_id: str) -> Response:
    """What signs the events that are posted to a webhook."""
    key = await permitted(request, "manage")
    found = await to_thread.run_sync(services_of(request).store.endpoints, key.account_id)
    for endpoint in found:
        if endpoint.id == webhook_id:
            return _answer({"secret": endpoint.secret})
    raise _unknown(webhook_id)


@router.get(
    "/v2/webhooks/deliveries",
    openapi_extra=KEY,
    responses={200: answers("A page of the log, newest first", "Deliveries"), **_ERRORS, **errors(400)},
)
async def deliveries(
    request: Request,
    page: Annotated[int, Query(ge=1, le=1_000_000)] = 1,
    per_page: Annotated[int, Query(ge=1, le=100)] = 20,
    webhook_id: str | None = None,
) -> Response:
    """What was posted, or is to be, and what became of it."""
    key = await permitted(request, "manage")
    store = services_of(request).store
    found, total = await to_thread.run_sync(
        lambda: store.deliveries(key.account_id, page=page, per_page=per_page, endpoint_id=webhook_id)
    )
    return page_of("deliveries", [_delivery(each) for each in found], page=page, per_page=per_page, total=total)


@router.post(
    "/v2/webhooks/deliveries/{delivery_id}/redeliver",
    status_code=202,
    openapi_extra=KEY,
    responses={202: answers("The new delivery, due now", "Delivery"), **_ERRORS, **errors(404, 410)},
)
async def redeliver(request: Request, delivery_id: str) -> Response:
    """Post an event to a receiver once more."""
    key = await permitted(request, "manage")
    return _answer(await to_thread.run_sync(_redeliver, services_of(request), key.account_id, delivery_id), 202)


@router.get(
    "/v2/webhooks/events",
    openapi_extra=KEY,
    response_class=Response,
    responses={
        200: {"description": "The events", "content": {"text/event-stream": {"schema": _TEXT}}},
        **_ERRORS,
        **errors(400),
    },
)
async def events(request: Request, after: Annotated[int | None, Query(ge=0, le=_LAST_ID)] = None) -> Response:
    """Follow the account's events, each signed with the account's secret: from now on, or after one that is known."""
    key = await permitted(request, "manage")
    store = services_of(request).store
    after = _last_seen(request, after)
    if after is None:
        after = await to_thread.run_sync(store.last_event, key.account_id)
    signer = await to_thread.run_sync(store.webhook_secret, key.account_id)
    return EventStream(follow(services_of(request), key, signer, after))


async def follow(
    services: Services, key: Key, secret: str, after: int, *, heartbeat: float = HEARTBEAT
) -> AsyncGenerator[bytes]:
    """The events of the key's account after one id, until the server drains or the key ends."""

    async def read() -> Sequence[Event] | None:
        """None for nothing new; nothing at all for the end."""
        try:
            if services.draining or not await still_good(services, key):
                return ()
            load = ("webhook events", key.account_id, after)
            found = await services.watcher.cached(load, lambda: services.store.events(key.account_id, after=after))
        except StoreUnavailable:
            return None
        return found or None

    # With an id, so that a listener that loses its connection before the first event misses nothing.
    yield format_sse_event(retry=RECONNECT_MS, id=str(after))
    while (found := await services.watcher.until(read, heartbeat)) != ():
        for event in found or ():
            after = event.id
            if event.body is not None:
                yield _message(services, event, secret)
        if found is None:
            yield KEEPALIVE_COMMENT


def _message(services: Services, event: Event, secret: str) -> bytes:
    body = text(services, event)
    data = {"headers": signed(event, body, secret, services.store.clock()), "body": body}
    return format_sse_event(event=event.type, data_str=json.dumps(data), id=str(event.id))


def _wanted(fields: Mapping[str, Any], settings: Settings) -> tuple[str, list[str]]:
    """URL and types of a webhook to be made."""
    url, types = fields.get("url"), fields.get("types", list(_KINDS))
    problems = [
        f"{name[:60]!r} is not a parameter; known are url, types" for name in fields if name not in ("url", "types")
    ]
    if not isinstance(url, str):
        problems.append("url is required, a string: where to post the events")
    if not (isinstance(types, list) and types and all(each in _KINDS for each in types)):
        problems.append(f"types must be a list of {', '.join(_KINDS)}")
    if problems:
        raise InvalidParameters(problems)
    return check_webhook(str(url), settings), list(dict.fromkeys(types))


def _redeliver(services: Services, account_id: int, delivery_id: str) -> dict[str, Any]:
    again = services.store.redeliver(account_id, delivery_id)
    logged = services.store.delivery(account_id, again.id if again else delivery_id)
    if logged is None:
        raise Problem("not_found", f"There is no delivery {delivery_id!r}; the log is at /v2/webhooks/deliveries")
    if again is None:
        text = (
            f"Delivery {delivery_id} can't be repeated: the result is erased or has expired, or the webhook was removed"
        )
        raise Problem("result_expired", text, extra={"request_id": logged.job_id})
    return _delivery(logged)


def _last_seen(request: Request, after: int | None) -> int | None:
    """The id behind which to go on. A client that comes back sends the header, whatever it began with."""
    last = request.headers.get("last-event-id")
    if not last:
        return after
    if not (last.isascii() and last.isdecimal() and len(last) < len(str(_LAST_ID))):
        raise InvalidParameters(["Last-Event-ID must be the id of an event, a number"])
    return int(last)


def _endpoint(endpoint: Endpoint) -> dict[str, Any]:
    named = {"id": endpoint.id, "url": endpoint.url, "types": list(endpoint.types)}
    return named | {"created_at": iso(endpoint.created_at)}


def _delivery(delivery: LoggedDelivery) -> dict[str, Any]:
    return {
        "id": delivery.id,
        "webhook_id": delivery.endpoint_id,
        "event_id": delivery.event_id,
        "request_id": delivery.job_id,
        "type": delivery.type,
        "url": delivery.url,
        "state": delivery.state,
        "attempts": delivery.attempts,
        "created_at": iso(delivery.created_at),
        "last_at": _iso(delivery.last_at),
        "last_status": delivery.last_status,
        "last_error": delivery.last_error,
        "next_at": _iso(delivery.due_at),
    }


def _iso(timestamp: float | None) -> str | None:
    return None if timestamp is None else iso(timestamp)


def _answer(body: dict[str, Any], status: int = 200) -> Response:
    return JSONResponse(body, status, headers=NO_STORE)


def _unknown(webhook_id: str) -> Problem:
    return Problem("not_found", f"There is no webhook {webhook_id!r}; yours are at /v2/webhooks")
