"""v1: one blocking call that answers the image's bytes, on the same queue as v2."""

from collections.abc import AsyncIterator
from typing import Any

from anyio import to_thread
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from starlette.responses import Response, StreamingResponse

from openkontext.contract import Problem, State, money
from openkontext.media.blobs import BlobsUnavailable
from openkontext.store import Job, StoreUnavailable, Submitted

from .auth import authenticate
from .delivery import sent_once
from .limits import accepted_headers
from .openapi import EDIT, IMAGE, KEY, SUBMIT_ERRORS, answers, errors
from .requests import NO_STORE
from .services import Services, services_of
from .submission import accept
from .waiting import Gone, all_ended, erased, failed, unfinished, unless_gone

router = APIRouter(tags=["v1"])


@router.get(
    "/v1/get-user-credits",
    openapi_extra=KEY,
    responses={200: answers("The balance", "Credits"), **errors(401, 429, 500, 503)},
)
async def credits(request: Request) -> Response:
    """What the account can spend; what is held for running requests is taken off."""
    key = await authenticate(request)
    balance = await to_thread.run_sync(services_of(request).store.balance, key.account_id)
    return JSONResponse({"credits": money.wire(balance), "free-credits": 0.0}, headers=NO_STORE)


@router.post(
    "/v1/{slug}",
    openapi_extra=EDIT,
    response_class=Response,
    responses={200: IMAGE, **SUBMIT_ERRORS, **errors(422, 502, 504)},
)
async def run(request: Request, slug: str) -> Response:
    """Edit the picture and answer its bytes; 504 when it takes too long, and the request goes on."""
    key, accepted = await accept(request, slug)
    services, job_id = services_of(request), accepted.job.id
    try:
        [(job, result)] = await unless_gone(request, all_ended(services, key.account_id, [job_id]))
        return await _image(services, accepted, job, result)
    except Gone:
        # Nobody waits for it any more, so nothing runs on for it; but an Idempotency-Key may come back for its result.
        if "idempotency-key" not in request.headers:
            await to_thread.run_sync(services.store.cancel, job_id, key.account_id)
        return Response(status_code=499)
    except (StoreUnavailable, BlobsUnavailable) as error:
        # What is accepted is charged: a 503 would have clients send it again, and pay twice.
        raise unfinished(services, [job_id]) from error
    except Problem as problem:
        raise erased(job_id) if problem.code == "not_found" else problem from None


async def _image(services: Services, accepted: Submitted, job: Job, result: dict[str, Any]) -> Response:
    headers = accepted_headers(accepted)
    if job.state is State.FAILED:
        raise failed(job, result, headers)
    metrics, output = result["metrics"], result["output"]
    data = await to_thread.run_sync(services.blobs.get, output["key"])
    headers |= NO_STORE | {
        "x-cost": str(metrics["cost"]),
        "x-remaining-credits": str(metrics["remaining_credits"]),
        "x-generation-time": f"{metrics['inference_time']:.3f}",
        "x-seed-value": str(result["seed"]),
        "content-type": output["content_type"],
        "content-length": str(len(data)),
        "content-disposition": f'inline; filename="{output["file_name"]}"',
    }
    if job.retention == 0:
        return StreamingResponse(sent_once(services, job.id, _whole(data)), headers=headers)
    return Response(data, headers=headers)


async def _whole(data: bytes) -> AsyncIterator[bytes]:
    yield data
