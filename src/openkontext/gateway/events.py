"""Following a request: server-sent events, from which any gateway goes on where another left off.

    status*  ──▶  progress*, preview*, status*  ──▶  done | error

Nothing is remembered for a listener. An event's id says what has been shown up to it, and what is due is the
difference between that and how the request stands: so a slow client skips what is out of date, and one that comes
back with its last id sees nothing twice.
"""

import json
import re
from collections.abc import AsyncGenerator, Iterator
from typing import NamedTuple, Self

from fastapi import APIRouter, Request
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from starlette.responses import Response

from openkontext.contract import Problem, State
from openkontext.store import Key, StoreUnavailable

from .auth import authenticate, still_good
from .board import Board, Topic
from .openapi import KEY, POLL_ERRORS
from .requests import full_response, state_of
from .services import services_of
from .sse import HEARTBEAT, RECONNECT_MS, EventStream
from .watch import set_within

router = APIRouter(tags=["v2"])

_STREAM = {
    "description": "The events `status`, `progress`, `preview` and `done`, or `error`",
    "content": {"text/event-stream": {"schema": {"type": "string"}}},
}
_LAST_EVENT_ID = {
    "name": "Last-Event-ID",
    "in": "header",
    "description": "The id of the last event that was received: the stream goes on behind it",
    "schema": {"type": "string"},
}
_ID = re.compile(r"(.+?)((?:/-?\d{1,9}){6})", re.ASCII)


class Shown(NamedTuple):
    """What a listener has been shown. A place is one in the queue, 0 while PROCESSING; -1 stands for nothing."""

    status: int = -1
    place: int = -1
    attempt: int = -1
    step: int = -1
    preview_attempt: int = -1
    preview_step: int = -1

    @classmethod
    def until(cls, event_id: str, request_id: str) -> Self:
        """What has been shown up to an event; nothing, where that isn't one of this request."""
        found = _ID.fullmatch(event_id)
        if not found or found[1] != request_id:
            return cls()
        return cls(*map(int, found[2].split("/")[1:]))

    def event(self, kind: str, data: str, request_id: str) -> bytes:
        """An event up to which this has been shown."""
        return format_sse_event(event=kind, data_str=data, id="/".join((request_id, *map(str, self))))


@router.get(
    "/v2/requests/{request_id}/events",
    openapi_extra=KEY | {"parameters": [_LAST_EVENT_ID]},
    response_class=Response,
    responses={200: _STREAM, **POLL_ERRORS},
)
async def events(request: Request, request_id: str) -> Response:
    """Follow a request to its end; `Last-Event-ID` goes on behind an event that was received."""
    key = await authenticate(request)
    await state_of(services_of(request), request_id, key.account_id)
    shown = Shown.until(request.headers.get("last-event-id", ""), request_id)
    return EventStream(stream(request, request_id, key, shown))


async def stream(
    request: Request, request_id: str, key: Key, shown: Shown, *, heartbeat: float = HEARTBEAT
) -> AsyncGenerator[bytes]:
    """The events behind what was ``shown``, and a comment after ``heartbeat`` seconds without one."""
    services = services_of(request)
    yield format_sse_event(retry=RECONNECT_MS)
    board: Board = request.app.state.board
    with board.follow(request_id, key.account_id) as topic:
        while not services.draining:
            changed = topic.changed
            if last := await _last(request, request_id, key, topic):
                yield last
                return
            due = list(_due(topic, shown))
            if due:
                shown = due[-1][-1]
                yield b"".join(then.event(kind, data, request_id) for kind, data, then in due)
            if not await set_within(changed, heartbeat):
                yield KEEPALIVE_COMMENT


def _due(topic: Topic, shown: Shown) -> Iterator[tuple[str, str, Shown]]:
    """The kind and data of every event that is due, and what has been shown with it."""
    now, preview = topic.standing, topic.preview
    if now is None:
        return
    if now.position != shown.status:
        shown = shown._replace(status=now.position)
        state = State.QUEUED if now.position else State.PROCESSING
        yield "status", json.dumps({"status": state, "queue_position": now.position or None}), shown
    if (now.position, now.attempt, now.step) != shown[1:4]:
        shown = shown._replace(place=now.position, attempt=now.attempt, step=now.step)
        yield "progress", topic.progress, shown
    if preview and preview.attempt == now.attempt and (preview.attempt, preview.step) != shown[4:]:
        shown = shown._replace(preview_attempt=preview.attempt, preview_step=preview.step)
        yield "preview", preview.data, shown


async def _last(request: Request, request_id: str, key: Key, topic: Topic) -> bytes | None:
    """The event after which none follows, once it is time for it."""
    try:
        if not await still_good(services_of(request), key):
            raise Problem("invalid_key", "The x-api-key was revoked, or has expired")
        if topic.standing is not None:
            return None
        job, result = await state_of(services_of(request), request_id, key.account_id)
    except StoreUnavailable:
        # For now it can't be known; the next heartbeat asks again.
        return None
    except Problem as problem:
        return format_sse_event(event="error", data_str=json.dumps(problem.body()))
    if result is None:
        return None
    body = bytes(full_response(request, job, result).body).decode()
    return format_sse_event(event="done", data_str=body, id=f"{request_id}/done")
