"""What an edit would cost and take, from measured times: nothing is run, held or counted as a submit."""

from dataclasses import dataclass

from anyio import to_thread
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from starlette.responses import Response

from openkontext.contract import MATCH_INPUT_IMAGE, money
from openkontext.contract.sizes import aspect_of, output_size
from openkontext.media.blobs import BlobNotFound
from openkontext.media.images import inspect
from openkontext.store import Load, Timing

from .auth import authenticate, count_poll, require
from .body import read_fields
from .health import live_workers
from .openapi import ESTIMATE, answers, errors
from .requests import NO_STORE
from .services import Services, services_of
from .submission import Edit, check_edit, check_slug, file_gone

router = APIRouter(tags=["v2"])


@dataclass(frozen=True)
class _Model:
    """The checkpoint that live workers have, the one of the largest pictures if they differ."""

    checkpoint: str
    max_area: int


@router.post("/v2/{slug}/estimate", openapi_extra=ESTIMATE, responses={
    200: answers("The estimate; null is what isn't known yet", "Estimate"),
    **errors(400, 401, 403, 404, 413, 429, 500, 503),
})  # fmt: skip
async def estimate(request: Request, slug: str) -> Response:
    """Price, output size and times of an edit, or the error that submitting it would be; it counts as a poll."""
    key = await authenticate(request, poll=False)
    check_slug(slug)
    require(key, "edit")
    edit = await check_edit(request, key, *await read_fields(request))
    count_poll(request, key)
    return JSONResponse(await to_thread.run_sync(_estimate, services_of(request), edit), headers=NO_STORE)


def _estimate(services: Services, edit: Edit) -> dict[str, float | int | None]:
    aspect, model = _aspect(services, edit), _model(services)
    size = output_size(aspect, model.max_area) if aspect and model else None
    timing = _timing(services, model, size)
    steps = edit.parameters.num_inference_steps
    width, height = size or (None, None)
    return {
        "cost": money.wire(services.price),
        "width": width,
        "height": height,
        "queue_seconds": _queue_seconds(services.store.load(), timing),
        "run_seconds": round(timing.step_seconds * steps + timing.other_seconds, 3) if timing else None,
    }


def _aspect(services: Services, edit: Edit) -> float | None:
    """Width over height of the output; None where it is that of a picture which isn't fetched yet."""
    size = edit.size
    if edit.blob:
        try:
            info = inspect(services.blobs.get(edit.blob), services.image_limits)
        except BlobNotFound:
            raise file_gone() from None
        size = info.width, info.height
    ratio = edit.parameters.aspect_ratio
    if ratio != MATCH_INPUT_IMAGE:
        return aspect_of(ratio)
    return size[0] / size[1] if size else None


def _model(services: Services) -> _Model | None:
    known = [
        _Model(worker.checkpoint, worker.max_area)
        for worker in live_workers(services)
        if worker.checkpoint and worker.max_area
    ]
    return max(known, key=lambda model: model.max_area, default=None)


def _timing(services: Services, model: _Model | None, size: tuple[int, int] | None) -> Timing | None:
    """Of this size; of a square one where it isn't known, since all have about the same area."""
    if model is None:
        return None
    return services.store.timing(model.checkpoint, *(size or output_size(1.0, model.max_area)))


def _queue_seconds(load: Load, timing: Timing | None) -> float | None:
    if load.queued + load.running < load.workers:
        return 0.0
    if not load.workers or timing is None:
        return None
    return round(load.steps_ahead * timing.step_seconds / load.workers, 3)
