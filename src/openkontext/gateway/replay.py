"""Replay: the same picture and parameters, seed included, as a new request."""

from typing import Any

from anyio import to_thread
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from starlette.responses import Response

from openkontext.contract import Problem, wire
from openkontext.store import HistoryEntry

from .addresses import base_url
from .auth import permitted
from .limits import accepted_headers
from .openapi import IDEMPOTENCY_KEY, KEY, SUBMIT_ERRORS, answers
from .requests import picture_url, unknown
from .services import services_of
from .submission import idempotency_header, submit_edit

router = APIRouter(tags=["v2"])


@router.post(
    "/v2/requests/{request_id}/replay",
    openapi_extra=KEY | {"parameters": [IDEMPOTENCY_KEY]},
    responses={200: answers("Accepted", "Submitted"), **SUBMIT_ERRORS},
)
async def replay(request: Request, request_id: str) -> Response:
    """Submit a request of the account once more, as long as its picture and its prompt are there."""
    key = await permitted(request, "edit", poll=False)
    entry = await to_thread.run_sync(services_of(request).store.entry, request_id, key.account_id)
    if entry is None:
        raise unknown(request_id)
    header = idempotency_header(request)
    try:
        accepted = await submit_edit(
            request, key, _fields(request, entry), None, idempotency_header=header, webhook=None
        )
    except Problem as problem:
        # The address was made just now: that it leads nowhere means that the picture went meanwhile.
        raise _gone(request_id) if problem.code == "invalid_image" else problem from None
    return JSONResponse(wire.submitted(base_url(request), accepted.job.id), headers=accepted_headers(accepted))


def _fields(request: Request, entry: HistoryEntry) -> dict[str, Any]:
    """What a client would have to send for the same edit. Raises `Problem` (410)."""
    # What is delivered once is kept for that alone: not for a copy that another key's retention would keep.
    if entry.input is None or "prompt" not in entry.parameters or entry.job.retention == 0:
        raise _gone(entry.job.id)
    return entry.parameters | {"input_image": picture_url(request, entry.job, entry.input)}


def _gone(request_id: str) -> Problem:
    text = f"Request {request_id} can't be replayed: its picture is gone; submit it with the picture again"
    return Problem("result_expired", text, extra={"request_id": request_id})
