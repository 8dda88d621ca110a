"""Pictures by signed address: the URL itself is the secret, so no key is asked for."""

import time

from anyio import to_thread
from fastapi import APIRouter, Request
from starlette.responses import Response, StreamingResponse

from openkontext.contract import Problem
from openkontext.media.blobs import BlobNotFound
from openkontext.media.images import CONTENT_TYPES

from .services import services_of

router = APIRouter()


@router.get("/files/{key:path}", include_in_schema=False)
async def file(request: Request, key: str, expires: str = "", signature: str = "") -> Response:
    """The file's bytes, while its address is valid."""
    services = services_of(request)
    if not services.signer.verify(key, expires, signature, time.time()):
        raise Problem("forbidden", "This address has expired or was changed")
    try:
        size = await to_thread.run_sync(services.blobs.size, key)
    except BlobNotFound:
        raise Problem("not_found", "This file is gone") from None
    name = "openkontext-" + key.removeprefix("outputs/").replace("/", "-")
    headers = {
        "content-length": str(size),
        "content-disposition": f'inline; filename="{name}"',
        "cache-control": "private, max-age=3600",
        "x-content-type-options": "nosniff",
        "content-security-policy": "default-src 'none'; sandbox",
    }
    kind = CONTENT_TYPES.get(key.rpartition(".")[2], "application/octet-stream")
    return StreamingResponse(services.blobs.stream(key), media_type=kind, headers=headers)
