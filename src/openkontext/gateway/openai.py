"""`POST /v1/images/edits`: OpenAI's shape of an edit, for its clients; the same requests underneath."""

import base64
import hashlib
import json
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import Any

from anyio import to_thread
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from openkontext.contract import Problem, State, money, openai
from openkontext.media.blobs import BlobsUnavailable
from openkontext.media.images import ImageLimits, inspect
from openkontext.store import Job, Key, StoreUnavailable, Submitted

from .auth import bearer, require
from .body import read_fields
from .delivery import sent_once
from .forms import Parts, form_parts, is_form
from .limits import accepted_headers
from .openapi import IDEMPOTENCY_KEY, json_schema
from .requests import output_url
from .services import Services, services_of
from .submission import idempotency_header, submit_edit
from .waiting import Ended, Gone, all_ended, erased, failed, unfinished, unless_gone

# As many as OpenAI takes and then some, so that one too many is told by name.
_MAX_FILES = 20
# Refused before anything was accepted, or with all that was accepted cancelled: the client may try again by itself.
_SAFE_TO_RETRY = frozenset({"rate_limited", "too_many_waiting", "queue_full", "draining", "unavailable"})

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class OpenAIRoute(APIRoute):
    """A route whose failures, whatever they are, have OpenAI's shape."""

    def get_route_handler(self) -> Handler:
        """The handler, with what it raises answered here."""
        handler = super().get_route_handler()

        async def shaped(request: Request) -> Response:
            try:
                return await handler(request)
            except Exception as error:
                return await _error_response(request, error)

        return shaped

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As any route; the wrong method is answered here too."""
        try:
            await super().handle(scope, receive, send)
        except HTTPException as error:
            response = await _error_response(Request(scope), error)
            await response(scope, receive, send)


router = APIRouter(tags=["openai"], route_class=OpenAIRoute)


def _schema(required: Sequence[str], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(required), "properties": properties}


def _body(**image: Any) -> dict[str, Any]:
    properties = {parameter.name: json_schema(parameter) for parameter in openai.PARAMETERS}
    return {"schema": _schema(["image", "prompt"], image=image, **properties)}


def _answers(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


_TEXT = {"type": "string"}
_PICTURES = {"type": "array", "items": _schema([], b64_json=_TEXT, url=_TEXT, seed=_TEXT, request_id=_TEXT)}
_DONE = _schema(["created", "data"], created={"type": "integer"}, data=_PICTURES, output_format=_TEXT, size=_TEXT)
_ERROR = _answers(
    "An error in OpenAI's shape",
    _schema(["error"], error=_schema(["message", "type", "code"], message=_TEXT, type=_TEXT, code=_TEXT)),
)
_STATUSES = (400, 401, 403, 404, 406, 409, 410, 413, 422, 429, 500, 502, 503, 504)
_EXTRA = {
    "security": [{"bearer": []}],
    "parameters": [IDEMPOTENCY_KEY],
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": _body(type="string", format="binary"),
            "application/json": _body(type="string", format="uri"),
        },
    },
}


@router.post(
    "/v1/images/edits",
    openapi_extra=_EXTRA,
    responses={200: _answers("The pictures", _DONE), **dict.fromkeys(_STATUSES, _ERROR), "default": _ERROR},
)
async def edit(request: Request) -> Response:
    """Edit the picture as OpenAI's clients ask for it; 504 when it takes too long, and the request goes on."""
    key = await bearer(request)
    require(key, "edit")
    fields, picture = await _read(request)
    asked = openai.parse(fields)
    services = services_of(request)
    accepted = await _submit_all(request, key, asked, picture)
    ids = _ids(accepted)
    try:
        ended = await unless_gone(request, all_ended(services, key.account_id, ids))
        await _check(services, key, accepted, ended)
        return await _answer(request, asked, accepted, ended)
    except Gone:
        # As v1 does: nobody waits any more, unless an Idempotency-Key comes back for it.
        if "idempotency-key" not in request.headers:
            await _cancel(services, key, ids)
        return Response(status_code=499)
    except (StoreUnavailable, BlobsUnavailable) as error:
        # What is accepted is charged: a 503 would have clients send it again, and pay twice.
        raise unfinished(services, ids) from error
    except Problem as problem:
        raise erased(ids[0]) if problem.code == "not_found" else problem from None


async def _read(request: Request) -> tuple[dict[str, Any], bytes | None]:
    """The fields as JSON values, and the picture where it came as a file."""
    if not is_form(request):
        return await read_fields(request)
    async with form_parts(request, max_files=_MAX_FILES) as parts:
        texts, files = _by_name(parts)
        picture = await files[0].read() if files else None
    return openai.from_form(texts), picture


def _by_name(parts: Parts) -> tuple[dict[str, str], list[UploadFile]]:
    """The texts of a form, with a word in the place of each file, and the files that are pictures to edit."""
    texts: dict[str, str] = {}
    files = []
    for part_name, part in parts:
        # Clients write a list's parts as `image[]`, an object's as `svg[model]`.
        name = part_name.partition("[")[0]
        is_picture = isinstance(part, UploadFile) and name in openai.IMAGES
        if name in texts:
            raise _fault(name, "is given more than once" + (": this model edits one picture" if is_picture else ""))
        if isinstance(part, str):
            texts[name] = part
            continue
        if not is_picture and name not in openai.REFUSED:
            raise _fault(name, "can't be a file; only image can")
        texts[name] = "file"
        files += [part] if is_picture else []
    return texts, files


def _fault(name: str, what: str) -> Problem:
    return Problem("invalid_parameter", f"{name[:60]} {what}", extra={"param": name[:60]})


async def _submit_all(request: Request, key: Key, asked: openai.ImagesEdit, picture: bytes | None) -> list[Submitted]:
    """Take in a request for each of the pictures, or none: if one is refused, those before it are cancelled."""
    services = services_of(request)
    accepted: list[Submitted] = []
    try:
        again = 0
        for index, fields in enumerate(asked.edits()):
            each = await _submit(request, key, fields, picture, asked.n, (index, again))
            while index == 0 and asked.n > 1 and each.replayed and each.job.cancel_requested:
                # Cancelled when a later one was refused: refusals aren't remembered, so it all begins anew.
                again += 1
                each = await _submit(request, key, fields, picture, asked.n, (index, again))
            accepted.append(each)
    except (Problem, StoreUnavailable) as error:
        if not accepted:
            raise
        try:
            await _cancel(services, key, _ids(accepted))
        except StoreUnavailable:
            raise unfinished(services, _ids(accepted)) from error
        raise _all_refused(error, len(accepted), asked.n) from error
    return accepted


async def _submit(
    request: Request, key: Key, fields: dict[str, Any], picture: bytes | None, n: int, place: tuple[int, int]
) -> Submitted:
    header = idempotency_header(request)
    if header and place != (0, 0):
        header = hashlib.sha256(f"{header} {place}".encode()).hexdigest()
    # So that another number of pictures is another request.
    besides = f"n={n}"
    return await submit_edit(request, key, fields, picture, idempotency_header=header, webhook=None, besides=besides)


def _all_refused(error: Problem | StoreUnavailable, before: int, n: int) -> Exception:
    if isinstance(error, StoreUnavailable):
        return error
    text = f"{error.message}; that was picture {before + 1} of {n}, and those before it are cancelled"
    return Problem(error.code, text, headers=error.headers, extra=error.extra)


async def _cancel(services: Services, key: Key, ids: Sequence[str]) -> None:
    for job_id in ids:
        await to_thread.run_sync(services.store.cancel, job_id, key.account_id)


async def _check(services: Services, key: Key, accepted: Sequence[Submitted], ended: Sequence[Ended]) -> None:
    """Raises the `Problem` of the first that FAILED, with the others cancelled."""
    failures = [each for each in ended if each[0].state is State.FAILED]
    if failures:
        await _cancel(services, key, _ids(accepted))
        # Of a replay, what was cancelled had been so for the other's sake.
        job, result = min(failures, key=lambda each: each[1]["code"] == "cancelled")
        raise failed(job, result, accepted_headers(accepted[-1]) | {"x-request-id": job.id})


async def _answer(
    request: Request, asked: openai.ImagesEdit, accepted: Sequence[Submitted], ended: Sequence[Ended]
) -> Response:
    body = await to_thread.run_sync(_images, request, asked, ended)
    jobs = [job for job, _ in ended]
    _, last = max(ended, key=lambda each: each[0].ended_at or 0)
    headers = accepted_headers(accepted[-1]) | {
        "x-request-id": jobs[0].id,
        "x-cost": str(money.wire(sum(job.price for job in jobs))),
        "x-remaining-credits": str(last["metrics"]["remaining_credits"]),
        "cache-control": "no-store",
        "content-type": "application/json",
        "content-length": str(len(body)),
    }
    once = [job for job in jobs if job.retention == 0 and asked.response_format == "b64_json"]
    return StreamingResponse(_sent(services_of(request), body, once), headers=headers)


async def _sent(services: Services, body: bytes, once: Sequence[Job]) -> AsyncIterator[bytes]:
    """``body``; after it, what is kept for one delivery is erased."""

    async def whole() -> AsyncIterator[bytes]:
        yield body

    pieces = whole()
    for job in once:
        pieces = sent_once(services, job.id, pieces)
    async for piece in pieces:
        yield piece


def _images(request: Request, asked: openai.ImagesEdit, ended: Sequence[Ended]) -> bytes:
    """The answer's JSON. Raises BlobNotFound and `BlobsUnavailable`."""
    blobs = services_of(request).blobs
    pictures = [blobs.get(result["output"]["key"]) for _, result in ended]
    # The size is the checkpoint's, not the one asked for.
    info = inspect(pictures[0], ImageLimits())
    data = [_image(request, asked, *each, picture) for each, picture in zip(ended, pictures, strict=True)]
    body = {"created": int(ended[0][0].created_at), "data": data}
    return json.dumps(body | {"output_format": asked.output_format, "size": f"{info.width}x{info.height}"}).encode()


def _image(
    request: Request, asked: openai.ImagesEdit, job: Job, result: dict[str, Any], picture: bytes
) -> dict[str, Any]:
    if asked.response_format == "url":
        shown = {"url": output_url(request, job, result)}
    else:
        shown = {"b64_json": base64.b64encode(picture).decode()}
    warnings = {"warnings": result["warnings"]} if result.get("warnings") else {}
    return shown | {"seed": str(result["seed"]), "request_id": job.id} | warnings


async def _error_response(request: Request, error: Exception) -> Response:
    """What the app answers to ``error`` everywhere else, in OpenAI's shape."""
    handlers = request.app.exception_handlers
    handler = next(handlers[kind] for kind in type(error).__mro__ if kind in handlers)
    answer: Response = await handler(request, error)
    body = json.loads(bytes(answer.body))
    headers = {name: value for name, value in answer.headers.items() if not name.startswith("content-")}
    # OpenAI's clients try 409 and 5xx again by themselves: of what may be running, that would be a second charge.
    safe = body["code"] in _SAFE_TO_RETRY or (body["code"] == "timeout" and "idempotency-key" in request.headers)
    headers["x-should-retry"] = "true" if safe else "false"
    return JSONResponse(openai.error(answer.status_code, body), answer.status_code, headers=headers)


def _ids(accepted: Sequence[Submitted]) -> list[str]:
    return [each.job.id for each in accepted]
