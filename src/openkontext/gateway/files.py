"""Pictures by signed address: the URL itself is the secret, so no key is asked for."""

from collections.abc import Iterator

from anyio import to_thread
from fastapi import APIRouter, Request
from starlette.concurrency import iterate_in_threadpool
from starlette.responses import Response, StreamingResponse

from openkontext.contract import Problem
from openkontext.media.blobs import BlobNotFound, Blobs
from openkontext.media.images import CONTENT_TYPES

from .delivery import sent_once
from .services import services_of

router = APIRouter()


@router.api_route("/files/{key:path}", methods=["GET", "HEAD"], include_in_schema=False)
async def file(request: Request, key: str, expires: str = "", signature: str = "") -> Response:
    """The file's bytes, while its address is valid."""
    services = services_of(request)
    now = services.store.clock()
    if not services.signer.verify(key, expires, signature, now):
        raise Problem("not_found", "There is no such file: its address has expired or was changed")
    try:
        if request.method == "HEAD":
            size, pieces = await to_thread.run_sync(services.blobs.size, key), None
        else:
            size, pieces = await to_thread.run_sync(_open, services.blobs, key)
    except BlobNotFound:
        raise Problem("not_found", "This file is gone") from None
    headers = _headers(key, size, int(expires) - int(now))
    if pieces is None:
        return Response(headers=headers)
    content = iterate_in_threadpool(pieces)
    folder, _, rest = key.partition("/")
    if folder == "outputs":
        content = sent_once(services, rest.partition("/")[0], content)
    return StreamingResponse(content, headers=headers)


def _open(blobs: Blobs, key: str) -> tuple[int, Iterator[bytes]]:
    return blobs.size(key), blobs.stream(key)


def _headers(key: str, size: int, lifetime: int) -> dict[str, str]:
    name = "openkontext-" + key.removeprefix("outputs/").replace("/", "-")
    return {
        "content-type": (CONTENT_TYPES | {"gif": "image/gif"}).get(key.rpartition(".")[2], "application/octet-stream"),
        "content-length": str(size),
        "content-disposition": f'inline; filename="{name}"',
        "cache-control": f"private, max-age={lifetime}",
        "x-content-type-options": "nosniff",
        "content-security-policy": "default-src 'none'; sandbox",
    }
