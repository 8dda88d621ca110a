"""v2: submit, poll, fetch, cancel."""

from anyio import to_thread
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from starlette.responses import Response

from openkontext.contract import State, wire

from .addresses import base_url
from .auth import authenticate, permitted
from .limits import accepted_headers
from .openapi import EDIT, FAILED, KEY, POLL_ERRORS, SUBMIT_ERRORS, WEBHOOK, Responses, answers, errors
from .requests import full_response, light_response, state_of, unknown
from .services import services_of
from .submission import accept

router = APIRouter()

_RESULT: Responses = {
    200: answers("The result, or the status until there is one", "Result", "Status"),
    **FAILED,
    **POLL_ERRORS,
}


@router.post(
    "/v2/{slug}",
    tags=["v2"],
    openapi_extra=EDIT | {"parameters": [*EDIT["parameters"], WEBHOOK]},
    responses={200: answers("Accepted", "Submitted"), **SUBMIT_ERRORS},
)
async def submit(request: Request, slug: str) -> Response:
    """Accept an edit and answer at once, with the addresses to poll."""
    _, accepted = await accept(request, slug, webhook=request.query_params.get("webhook"))
    return JSONResponse(wire.submitted(base_url(request), accepted.job.id), headers=accepted_headers(accepted))


@router.get(
    "/v2/requests/{request_id}/status",
    tags=["v2"],
    openapi_extra=KEY,
    responses={200: answers("Not failed", "Status"), **FAILED, **POLL_ERRORS},
)
async def status(request: Request, request_id: str) -> Response:
    """The state, without the output."""
    key = await authenticate(request)
    return light_response(request, *await state_of(services_of(request), request_id, key.account_id))


@router.get("/v1/requests/{request_id}", tags=["v1"], openapi_extra=KEY, responses=_RESULT)
@router.get("/v2/requests/{request_id}", tags=["v2"], openapi_extra=KEY, responses=_RESULT)
async def result(request: Request, request_id: str) -> Response:
    """The full body; while the request runs, its state."""
    key = await authenticate(request)
    return full_response(request, *await state_of(services_of(request), request_id, key.account_id))


@router.delete(
    "/v2/requests/{request_id}",
    tags=["v2"],
    status_code=204,
    openapi_extra=KEY,
    responses={
        202: answers("To be cancelled, or cancelled", "Cancelled"),
        204: {"description": "Erased"},
        **errors(403),
        **POLL_ERRORS,
    },
)
async def cancel_or_erase(request: Request, request_id: str) -> Response:
    """Cancel a request that waits or runs (202), or erase an ended one with its files (204)."""
    key = await permitted(request, "edit")
    services = services_of(request)
    outcome = await to_thread.run_sync(services.store.cancel, request_id, key.account_id)
    if outcome is None:
        raise unknown(request_id)
    if outcome != "ended":
        job, _ = await state_of(services, request_id, key.account_id)
        state = State.FAILED if outcome == "cancelled" else job.state
        return JSONResponse({"request_id": request_id, "status": state.value}, 202)
    blobs = await to_thread.run_sync(services.store.erase, request_id, key.account_id)
    if blobs is None:
        raise unknown(request_id)
    await to_thread.run_sync(services.delete_blobs, blobs)
    return Response(status_code=204)
