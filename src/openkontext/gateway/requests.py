"""Looking at a request: the bodies of its states, the same for v1's and v2's addresses."""

from typing import Any

from fastapi import Request
from fastapi.responses import JSONResponse
from starlette.responses import Response

from openkontext.contract import Problem, State, wire
from openkontext.store import Job

from .addresses import base_url
from .services import Services, services_of

# A poll's answer is for its caller alone, and the next poll's may differ.
NO_STORE = {"cache-control": "no-store"}


def unknown(request_id: str) -> Problem:
    """The 404 of a request that doesn't exist, has expired, or is another account's."""
    return Problem("not_found", f"There is no request {request_id!r}; results are kept for a limited time")


async def state_of(services: Services, request_id: str, account_id: int) -> tuple[Job, dict[str, Any] | None]:
    """The job, and its stored result once it ended. Raises `Problem` (404)."""

    def load() -> tuple[Job, dict[str, Any] | None] | None:
        job = services.store.job(request_id, account_id)
        if job is None:
            return None
        return job, services.store.result(request_id) if job.state.ended else None

    found = await services.watcher.cached(("job", request_id, account_id), load)
    if found is None or _is_gone(*found, services.store.clock()):
        raise unknown(request_id)
    return found


def _is_gone(job: Job, result: dict[str, Any] | None, now: float) -> bool:
    # Expired since it was cached, or erased between the two reads: an ended job always has a result.
    return job.expires_at is not None and (job.expires_at <= now or result is None)


def output_url(request: Request, job: Job, result: dict[str, Any]) -> str:
    """The signed address of a job's output, valid until the record expires."""
    assert job.expires_at is not None
    return base_url(request) + services_of(request).signer.sign(result["output"]["key"], int(job.expires_at))


def light_response(request: Request, job: Job, result: dict[str, Any] | None) -> Response:
    """The answer of the status address."""
    if job.state is State.FAILED:
        assert result is not None
        return JSONResponse(wire.failed(job.id, result), 422, headers=NO_STORE)
    metrics = result["metrics"] if result else None
    return JSONResponse(wire.status(base_url(request), job.id, job.state, metrics), headers=NO_STORE)


def full_response(request: Request, job: Job, result: dict[str, Any] | None) -> Response:
    """The answer of the response address: the result body, or the status body while there is none."""
    if job.state is State.COMPLETED:
        assert result is not None
        body = wire.completed(job.id, output_url(request, job, result), result, parent_id=job.parent_id)
        return JSONResponse(body, headers=NO_STORE)
    return light_response(request, job, result)
