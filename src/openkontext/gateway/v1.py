"""v1: one blocking call that answers the image's bytes, on the same queue as v2."""

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

from anyio import to_thread
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from starlette.responses import Response

from openkontext.contract import CODES, Problem, State, money
from openkontext.media.blobs import BlobsUnavailable
from openkontext.store import Job, Key, StoreUnavailable, Submitted

from .auth import authenticate
from .limits import rate_limit_headers
from .openapi import EDIT, IMAGE, KEY, SUBMIT_ERRORS, answers, errors
from .requests import state_of
from .services import Services, services_of
from .submission import accept

router = APIRouter(tags=["v1"])
Value = TypeVar("Value")


@router.get(
    "/v1/get-user-credits",
    openapi_extra=KEY,
    responses={200: answers("The balance", "Credits"), **errors(401, 500, 503)},
)
async def credits(request: Request) -> Response:
    """What the account can spend; what is held for running requests is taken off."""
    key = await authenticate(request)
    balance = await to_thread.run_sync(services_of(request).store.balance, key.account_id)
    return JSONResponse({"credits": money.wire(balance), "free-credits": 0.0}, headers={"cache-control": "no-store"})


@router.post(
    "/v1/{slug}",
    openapi_extra=EDIT,
    response_class=Response,
    responses={200: IMAGE, **SUBMIT_ERRORS, **errors(422, 502, 504)},
)
async def run(request: Request, slug: str) -> Response:
    """Edit the picture and answer its bytes; 504 when it takes too long, and the request goes on."""
    key, accepted = await accept(request, slug)
    services = services_of(request)
    try:
        ended = await _unless_gone(request, _wait(services, key, accepted.job.id))
        if ended is None:
            raise _unfinished(services, accepted.job.id)
        return await _image(services, accepted, *ended)
    except _Gone:
        # Nobody waits for it any more, so nothing runs on for it.
        await to_thread.run_sync(services.store.cancel, accepted.job.id, key.account_id)
        return Response(status_code=499)
    except (StoreUnavailable, BlobsUnavailable) as error:
        # What is accepted is charged: a 503 would have clients send it again, and pay twice.
        raise _unfinished(services, accepted.job.id) from error


async def _wait(services: Services, key: Key, job_id: str) -> tuple[Job, dict[str, Any]] | None:
    """The ended job and its result, or None when it isn't in time, or never will be since the server drains."""
    waiting_in_vain = object()

    async def read() -> tuple[Job, dict[str, Any]] | object | None:
        job, result = await state_of(services, job_id, key.account_id)
        if result is not None:
            return job, result
        return waiting_in_vain if services.draining and job.state is State.QUEUED else None

    found = await services.watcher.until(read, services.settings.sync_timeout)
    return found if isinstance(found, tuple) else None


def _unfinished(services: Services, job_id: str) -> Problem:
    reason = "The server is shutting down" if services.draining else "The request is not finished in time"
    text = f"{reason}; it goes on, don't send it again: poll /v2/requests/{job_id}"
    return Problem("timeout", text, headers={"x-request-id": job_id}, extra={"request_id": job_id})


async def _image(services: Services, accepted: Submitted, job: Job, result: dict[str, Any]) -> Response:
    headers = {"x-request-id": job.id} | rate_limit_headers(accepted.limit, accepted.remaining, accepted.reset_at)
    if job.state is State.FAILED:
        code = result["code"] if result["code"] in CODES else "inference_failed"
        extra = {"request_id": job.id} | {name: result[name] for name in ("moderation",) if name in result}
        raise Problem(code, result["error"], headers=headers, extra=extra)
    metrics, output = result["metrics"], result["output"]
    data = await to_thread.run_sync(services.blobs.get, output["key"])
    headers |= {
        "x-cost": str(metrics["cost"]),
        "x-remaining-credits": str(metrics["remaining_credits"]),
        "x-generation-time": f"{metrics['inference_time']:.3f}",
        "x-seed-value": str(result["seed"]),
        "cache-control": "no-store",
    }
    return Response(data, media_type=output["content_type"], headers=headers)


class _Gone(Exception):
    """The client hung up."""


async def _unless_gone(request: Request, work: Awaitable[Value]) -> Value:
    """The outcome of ``work``, or `_Gone` when the client hangs up first."""
    working = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_hung_up(request))
    try:
        await asyncio.wait({working, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise _Gone
        return working.result()
    finally:
        working.cancel()
        gone.cancel()


async def _hung_up(request: Request) -> None:
    # The body has been read, so all that can still arrive is the disconnect.
    while (await request.receive())["type"] != "http.disconnect":
        pass
