"""Looking at a request: the bodies of its states, the same for v1's and v2's addresses."""

from collections.abc import Mapping
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
    """The job, and its stored result once it ended, with ``source``: where its picture is. Raises `Problem` (404)."""

    def load() -> tuple[Job, dict[str, Any] | None] | None:
        job = services.store.job(request_id, account_id)
        if job is None:
            return None
        result = services.store.result(request_id) if job.state.ended else None
        return job, result and result | {"source": services.store.source(request_id)}

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


def input_url(request: Request, job: Job, source: Mapping[str, Any] | None) -> str | None:
    """The signed address of a job's input, where that is ours to show; valid for as long as the output's.

    None if it is gone, lies elsewhere, or is of a job whose result is delivered once: a reader's cache would keep it.
    """
    if source is None or source["kind"] != "blob" or job.retention == 0:
        return None
    return picture_url(request, job, source)


def picture_url(request: Request, job: Job, source: Mapping[str, Any]) -> str:
    """Where a job's input can be read: the URL that it came by, or the signed address of our copy."""
    if source["kind"] == "url":
        return str(source["url"])
    services = services_of(request)
    limits = services.store.settings
    # Before the end: the last moment to which it can live.
    last = job.created_at + limits.queue_timeout_seconds + (job.retention or limits.retention_seconds)
    return base_url(request) + services.signer.sign(source["key"], int(job.expires_at or last))


def page_of(name: str, items: list[dict[str, Any]], *, page: int, per_page: int, total: int) -> Response:
    """The answer of a list that is read by pages: one of them, and how long all of it is."""
    return JSONResponse({name: items, "page": page, "per_page": per_page, "total": total}, headers=NO_STORE)


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
        source = input_url(request, job, result["source"])
        url = output_url(request, job, result)
        body = wire.completed(job.id, url, result, parent_id=job.parent_id, input_url=source)
        return JSONResponse(body, headers=NO_STORE)
    return light_response(request, job, result)
