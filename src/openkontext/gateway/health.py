"""Whether the service is alive, and ready for work."""

import time

from anyio import to_thread
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from starlette.responses import Response

from openkontext.store import WorkerRow
from openkontext.store.estimates import SEEN_SECONDS

from .openapi import answers, errors
from .services import Services, services_of

router = APIRouter(tags=["health"])

TAKING = ("ready", "busy")
# A balancer sends its requests elsewhere for so long; then one may find out whether it works again.
WARY_SECONDS = 10.0


@router.get("/healthz", responses={200: answers("Alive", "Health")})
async def healthz() -> Response:
    """200 as long as the process answers."""
    return JSONResponse({"status": "ok"})


@router.get("/readyz", responses={200: answers("Ready", "Health"), **errors(503)})
async def readyz(request: Request) -> Response:
    """200 when an edit would be taken and run; else 503 with the reason."""
    services = services_of(request)
    reason = "shutting down" if services.draining else await to_thread.run_sync(_unready, services)
    if not reason and time.monotonic() - services.failed_at < WARY_SECONDS:
        reason = "its storage failed a moment ago"
    if reason:
        return JSONResponse({"status": "unready", "error": f"Not ready: {reason}", "code": "unavailable"}, 503)
    return JSONResponse({"status": "ready"})


def live_workers(services: Services) -> list[WorkerRow]:
    """The workers that take jobs. Raises StoreUnavailable."""
    return [worker for worker in services.store.workers() if worker.state in TAKING and is_alive(services, worker)]


def is_alive(services: Services, worker: WorkerRow) -> bool:
    """Whether it was heard of lately."""
    return worker.seen_at > services.store.clock() - SEEN_SECONDS


def _unready(services: Services) -> str | None:
    workers = services.store.workers()  # raises StoreUnavailable: 503 as well
    if not services.blobs.has_room():
        return "its disk is full"
    if not services.wants_worker:
        return None
    alive = [worker for worker in workers if is_alive(services, worker)]
    if any(worker.state in TAKING for worker in alive):
        return None
    if crashed := [worker for worker in workers if worker.state == "crashed"]:
        return f"the worker keeps crashing: {crashed[0].message}"
    if any(worker.state == "loading" and not worker.drain for worker in alive):
        return "a worker is loading the model"
    if any(worker.drain for worker in alive):
        return "its workers are drained"
    return "no worker is running"
