"""Whether the service is alive, and ready for work."""

from anyio import to_thread
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from starlette.responses import Response

from .openapi import answers, errors
from .services import Services, services_of

router = APIRouter(tags=["health"])

# A worker reports at least every few seconds; one that has been silent for this long is gone.
SILENT_AFTER = 15.0


@router.get("/healthz", responses={200: answers("Alive", "Health")})
async def healthz() -> Response:
    """200 as long as the process answers."""
    return JSONResponse({"status": "ok"})


@router.get("/readyz", responses={200: answers("Ready", "Health"), **errors(503)})
async def readyz(request: Request) -> Response:
    """200 when an edit would be taken and run; else 503 with the reason."""
    services = services_of(request)
    reason = "shutting down" if services.draining else await to_thread.run_sync(_unready, services)
    if reason:
        return JSONResponse({"status": "unready", "error": f"Not ready: {reason}", "code": "unavailable"}, 503)
    return JSONResponse({"status": "ready"})


def _unready(services: Services) -> str | None:
    workers = services.store.workers()  # raises StoreUnavailable: 503 as well
    if not services.wants_worker:
        return None
    alive = [worker for worker in workers if worker.seen_at > services.store.clock() - SILENT_AFTER]
    if any(worker.state in ("ready", "busy") for worker in alive):
        return None
    if crashed := [worker for worker in workers if worker.state == "crashed"]:
        return f"the worker keeps crashing: {crashed[0].message}"
    if any(worker.state == "loading" for worker in alive):
        return "a worker is loading the model"
    return "no worker is running"
