"""For who operates the service: its workers, queue, times and failures, and draining workers.

Of the edits themselves an operator sees no more than ids, accounts and what went wrong: no prompt and no picture.
"""

from typing import Any

import structlog
from anyio import to_thread
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from starlette.responses import Response

from openkontext import __version__
from openkontext.contract import CODES, Problem
from openkontext.store import Key, WorkerRow
from openkontext.store.operations import HOURS, Failure, Held, Hour, Spread

from .auth import permitted
from .health import is_alive
from .openapi import KEY, answers, errors
from .requests import NO_STORE
from .services import Services, services_of
from .times import iso

router = APIRouter(tags=["operator"])

log = structlog.get_logger(__name__)

_ERRORS = errors(401, 403, 429, 500, 503)
_ONE = {202: answers("The worker; a busy one ends its edit first", "Worker"), **_ERRORS, **errors(404)}
_ALL = {202: answers("The workers; busy ones end their edits first", "Workers"), **_ERRORS}


@router.get(
    "/v2/operator", openapi_extra=KEY, responses={200: answers("The service at this moment", "Operator"), **_ERRORS}
)
async def overview(request: Request) -> Response:
    """Workers, queue, and what the last day came to, of all accounts."""
    await permitted(request, "operate")
    return JSONResponse(await to_thread.run_sync(_overview, services_of(request)), headers=NO_STORE)


@router.post("/v2/operator/drain", status_code=202, openapi_extra=KEY, responses=_ALL)
async def drain_all(request: Request) -> Response:
    """Have every worker there is end its edit and take no more; what is submitted waits."""
    return await _change_all(request, drain=True)


@router.post("/v2/operator/resume", status_code=202, openapi_extra=KEY, responses=_ALL)
async def resume_all(request: Request) -> Response:
    """Have every worker take edits again, at once."""
    return await _change_all(request, drain=False)


@router.post("/v2/operator/workers/{worker_id}/drain", status_code=202, openapi_extra=KEY, responses=_ONE)
async def drain(request: Request, worker_id: str) -> Response:
    """Have a worker end its edit and take no more."""
    return await _change_one(request, worker_id, drain=True)


@router.post("/v2/operator/workers/{worker_id}/resume", status_code=202, openapi_extra=KEY, responses=_ONE)
async def resume(request: Request, worker_id: str) -> Response:
    """Have a worker take edits again, at once."""
    return await _change_one(request, worker_id, drain=False)


async def _change_all(request: Request, *, drain: bool) -> Response:
    key = await permitted(request, "operate")
    return JSONResponse({"workers": await _changed(request, key, None, drain=drain)}, 202, headers=NO_STORE)


async def _change_one(request: Request, worker_id: str, *, drain: bool) -> Response:
    key = await permitted(request, "operate")
    found = await _changed(request, key, worker_id, drain=drain)
    if not found:
        raise Problem("not_found", f"There is no worker {worker_id!r}; one that was started anew has a new name")
    return JSONResponse(found[0], 202, headers=NO_STORE)


async def _changed(request: Request, key: Key, worker_id: str | None, *, drain: bool) -> list[dict[str, Any]]:
    services = services_of(request)

    def change() -> list[dict[str, Any]]:
        return _workers(services, services.store.drain(worker_id, wanted=drain))

    changed = await to_thread.run_sync(change)
    log.info("workers drained" if drain else "workers resumed", key=key.id, workers=[each["id"] for each in changed])
    return changed


def _overview(services: Services) -> dict[str, Any]:
    store = services.store
    activity, rows = store.activity(), store.workers()
    alive = [row for row in rows if is_alive(services, row)]
    queue = {"queued": activity.queue.queued, "running": activity.queue.running, "limit": store.settings.queue_limit}
    return {
        "workers": _workers(services, rows),
        "queue": queue | {"oldest_seconds": _seconds(activity.queue.oldest_seconds)},
        "times": {"hours": HOURS, "wait": _spread(activity.wait), "run": _spread(activity.run)},
        "series": [_hour(hour) for hour in activity.hours],
        "failures": [{"code": code, "count": count} for code, count in activity.failures.items()],
        "recent_failures": [_failure(failure) for failure in activity.latest_failures],
        "draining": bool(alive) and all(row.drain for row in alive),
        "version": __version__,
    }


def _workers(services: Services, rows: list[WorkerRow]) -> list[dict[str, Any]]:
    held = services.store.held()
    return [_worker(row, held.get(row.id)) | {"alive": is_alive(services, row)} for row in rows]


def _worker(row: WorkerRow, held: Held | None) -> dict[str, Any]:
    named = {name: getattr(row, name) for name in ("id", "host", "pid", "device", "checkpoint")}
    said = {name: getattr(row, name) for name in ("state", "message", "drain")}
    times = {"seen_at": iso(row.seen_at), "started_at": iso(row.started_at)}
    return named | said | {"job": held and _held(held)} | times


def _held(held: Held) -> dict[str, Any]:
    progress = {"step": held.step, "steps": held.steps}
    return {"request_id": held.job_id} | progress | {"started_at": iso(held.started_at)}


def _spread(spread: Spread) -> dict[str, float | int | None]:
    percentiles = {name: _seconds(getattr(spread, name)) for name in ("p50", "p90", "p99")}
    return percentiles | {"samples": spread.samples}


def _hour(hour: Hour) -> dict[str, Any]:
    medians = {"wait_p50": _seconds(hour.wait_p50), "run_p50": _seconds(hour.run_p50)}
    return {"at": iso(hour.at), "completed": hour.completed, "failed": hour.failed} | medians


def _failure(failure: Failure) -> dict[str, Any]:
    # Once its words were erased with the result, those of its code are left.
    words = failure.error or CODES[failure.code][1]
    named = {"request_id": failure.job_id, "account": failure.account, "code": failure.code}
    return named | {"error": words, "ended_at": iso(failure.ended_at)}


def _seconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
