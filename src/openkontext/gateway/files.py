"""Pictures by signed address: the URL itself is the secret, so no key is asked for."""

from collections.abc import Iterator

from anyio import to_thread
from fastapi import APIRouter, Request
from starlette.responses import Response, StreamingResponse

from openkontext.contract import Problem
from openkontext.media.blobs import BlobNotFound, Blobs
from openkontext.media.images import CONTENT_TYPES

from .services import services_of

router = APIRouter()


@router.get("/files/{key:path}", include_in_schema=False)
async def file(request: Request, key: str, expires: str = "", signature: str = "") -> Response:
    """The file's bytes, while its address is valid."""
    services = services_of(request)
    now = services.store.clock()
    if not services.signer.verify(key, expires, signature, now):
        raise Problem("not_found", "There is no such file: its address has expired or was changed")
    try:
        size, pieces = await to_thread.run_sync(_open, services.blobs, key)
    except BlobNotFound:
        raise Problem("not_found", "This file is gone") from None
    name = "openkontext-" + key.removeprefix("outputs/").replace("/", "-")
    headers = {
        "content-length": str(size),
        "content-disposition": f'inline; filename="{name}"',
        "cache-control": f"private, max-age={int(expires) - int(now)}",
        "x-content-type-options": "nosniff",
        "content-security-policy": "default-src 'none'; sandbox",
    }
    kind = CONTENT_TYPES.get(key.rpartition(".")[2], "application/octet-stream")
    return StreamingResponse(pieces, media_type=kind, headers=headers)


def _open(blobs: Blobs, key: str) -> tuple[int, Iterator[bytes]]:
    return blobs.size(key), blobs.stream(key)
