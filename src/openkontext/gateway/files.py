"""Pictures by signed address: the URL itself is the secret, so no key is asked for."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

from anyio import to_thread
from fastapi import APIRouter, Request
from starlette.concurrency import iterate_in_threadpool
from starlette.responses import Response, StreamingResponse

from openkontext.contract import Problem
from openkontext.media import containers
from openkontext.media.blobs import BlobNotFound
from openkontext.media.images import CONTENT_TYPES
from openkontext.store import StoreUnavailable

from .delivery import sent_once
from .services import Services, services_of

router = APIRouter()

_KINDS = CONTENT_TYPES | {"jpeg": "image/jpeg", "gif": "image/gif"}


@dataclass(frozen=True)
class _File:
    """A blob: its size in bytes, type, pieces, and the request whose output it is, if that is delivered once."""

    size: int
    content_type: str
    pieces: Iterator[bytes]
    job_id: str | None


@router.api_route("/files/{key:path}", methods=["GET", "HEAD"], include_in_schema=False)
async def file(request: Request, key: str, expires: str = "", signature: str = "") -> Response:
    """The file's bytes, while its address is valid."""
    services = services_of(request)
    now = services.store.clock()
    if not services.signer.verify(key, expires, signature, now):
        raise Problem("not_found", "There is no such file: its address has expired or was changed")
    pieces = request.method == "GET"
    try:
        found = await to_thread.run_sync(_open, services, key, pieces)
    except BlobNotFound:
        raise Problem("not_found", "This file is gone") from None
    headers = _headers(key, found)
    if found.job_id is None:
        headers["cache-control"] = f"private, max-age={int(expires) - int(now)}"
    if not pieces:
        return Response(headers=headers)
    content = iterate_in_threadpool(found.pieces)
    return StreamingResponse(sent_once(services, found.job_id, content) if found.job_id else content, headers=headers)


def _open(services: Services, key: str, pieces: bool) -> _File:
    folder, _, rest = key.partition("/")
    job_id = rest.partition("/")[0] if folder == "outputs" else None
    size = services.blobs.size(key)
    kind = _KINDS.get(key.rpartition(".")[2])
    stream = services.blobs.stream(key) if pieces or kind is None else iter(())
    if kind is None:
        # Inputs have no extension.
        first = next(stream, b"")
        kind, stream = _KINDS.get(containers.sniff(first) or ""), chain([first], stream)
    once = job_id if job_id and _is_delivered_once(services, job_id) else None
    return _File(size, kind or "application/octet-stream", stream, once)


def _is_delivered_once(services: Services, job_id: str) -> bool:
    try:
        return services.store.delivered_once(job_id)
    except StoreUnavailable:
        # It may be: then it is not to be kept, and is tried to be erased once it was sent.
        return True


def _headers(key: str, file: _File) -> dict[str, str]:
    name = "openkontext-" + key.removeprefix("outputs/").replace("/", "-")
    return {
        "content-type": file.content_type,
        "content-length": str(file.size),
        "content-disposition": f'inline; filename="{name}"',
    }
