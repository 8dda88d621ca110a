"""Uploads: pictures that are kept for a while, so that requests can name them instead of carrying them."""

import difflib
import hashlib
import io
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import IO, Any

from anyio import to_thread
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from starlette.datastructures import UploadFile
from starlette.responses import Response

from openkontext.contract import InvalidParameters, Problem
from openkontext.media import datauri
from openkontext.media.images import ImageLimits, inspect
from openkontext.store import Upload

from .addresses import base_url
from .auth import permitted
from .body import read_fields
from .forms import form_parts, is_form
from .limits import iso
from .openapi import KEY, errors
from .services import Services, services_of

router = APIRouter(tags=["uploads"])

MAX_PICTURES = 10
_EXTENSIONS = {"png": "png", "jpeg": "jpg", "gif": "gif", "webp": "webp"}
_FIELD = "data_urls"
_EXPECTED = f"a list of 1 to {MAX_PICTURES} pictures as data URLs"

_STRINGS = {"type": "array", "items": {"type": "string", "format": "uri"}, "minItems": 1, "maxItems": MAX_PICTURES}
_JSON_BODY = {
    "type": "object",
    "required": [_FIELD],
    "properties": {_FIELD: _STRINGS},
    "additionalProperties": False,
}
_FORM_BODY = {
    "type": "object",
    "minProperties": 1,
    "maxProperties": MAX_PICTURES,
    "additionalProperties": {"type": "string", "format": "binary"},
}
_UPLOADED = {
    "type": "object",
    "required": ["file_urls", "urls", "message"],
    "properties": {"file_urls": _STRINGS, "urls": _STRINGS, "message": {"type": "string"}},
}
_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": _JSON_BODY}, "multipart/form-data": {"schema": _FORM_BODY}},
    }
}
_DONE = {"description": "Kept", "content": {"application/json": {"schema": _UPLOADED}}}


@dataclass(frozen=True)
class _Picture:
    """A checked picture: its file, the sha256 of that in hex, its size in bytes, and the extension of its format."""

    file: IO[bytes]
    digest: str
    size: int
    extension: str


@router.post(
    "/upload-asset",
    openapi_extra=KEY | _BODY,
    responses={200: _DONE, **errors(400, 401, 403, 413, 429, 500, 503)},
)
async def upload(request: Request) -> Response:
    """Keep pictures and answer their addresses, in the order given; one bad picture refuses all."""
    key = await permitted(request, "edit")
    services = services_of(request)
    async with _files(request, services.image_limits) as files:
        checked = await to_thread.run_sync(_check, files, services.image_limits, limiter=services.looking)
        kept = await to_thread.run_sync(_keep_all, services, key.account_id, checked)
    return JSONResponse(_answer(request, kept), headers={"cache-control": "no-store"})


@asynccontextmanager
async def _files(request: Request, limits: ImageLimits) -> AsyncIterator[list[IO[bytes]]]:
    """The pictures of the body as files, open within the block."""
    if not is_form(request):
        fields, _ = await read_fields(request)
        looking = services_of(request).looking
        yield await to_thread.run_sync(_decoded, _data_urls(fields), limits, limiter=looking)
        return
    async with form_parts(request, max_files=MAX_PICTURES) as parts:
        if texts := [name for name, part in parts if not isinstance(part, UploadFile)]:
            hint = "send pictures as files of the form, or as data URLs in JSON"
            raise InvalidParameters([f"{name[:60]!r} is not a file: {hint}" for name in texts])
        if not parts:
            raise InvalidParameters([f"the form has no file: send 1 to {MAX_PICTURES} pictures"])
        yield [part.file for _, part in parts if isinstance(part, UploadFile)]


def _data_urls(fields: dict[str, Any]) -> list[str]:
    problems = [_unknown(name) for name in fields if name != _FIELD]
    urls = fields.get(_FIELD)
    if not problems and not (isinstance(urls, list) and 1 <= len(urls) <= MAX_PICTURES):
        problems = [f"{_FIELD} must be {_EXPECTED}"]
    if problems:
        raise InvalidParameters(problems)
    assert isinstance(urls, list)
    wrong = [number for number, url in enumerate(urls, 1) if not isinstance(url, str)]
    if wrong:
        raise InvalidParameters([f"{_FIELD} must be {_EXPECTED}: number {wrong[0]} is not a string"])
    return urls


def _unknown(name: str) -> str:
    close = difflib.get_close_matches(name, [_FIELD], n=1)
    hint = f"did you mean {_FIELD}, {_EXPECTED}?" if close else f"send {_FIELD}, {_EXPECTED}"
    return f"{name[:60]!r} is not a parameter: {hint}"


def _decoded(urls: list[str], limits: ImageLimits) -> list[IO[bytes]]:
    files: list[IO[bytes]] = []
    for number, url in enumerate(urls, 1):
        try:
            files.append(io.BytesIO(datauri.decode(url, limits.max_bytes)))
        except Problem as problem:
            raise _named(problem, number) from None
    return files


def _check(files: list[IO[bytes]], limits: ImageLimits) -> list[_Picture]:
    """The pictures, all of which are good; one at a time is in memory."""
    checked = []
    for number, file in enumerate(files, 1):
        data = file.read()
        try:
            info = inspect(data, limits)
        except Problem as problem:
            raise _named(problem, number) from None
        checked.append(_Picture(file, hashlib.sha256(data).hexdigest(), len(data), _EXTENSIONS[info.format]))
    return checked


def _named(problem: Problem, number: int) -> Problem:
    return Problem(problem.code, f"file {number}: {problem.message}")


def _keep_all(services: Services, account_id: int, pictures: list[_Picture]) -> list[Upload]:
    return [_keep(services, account_id, picture) for picture in pictures]


def _keep(services: Services, account_id: int, picture: _Picture) -> Upload:
    """The account's upload of this content: the one there is, its life renewed, or a new one."""
    known = services.store.upload(account_id, picture.digest)
    if known:
        if not services.blobs.exists(known.blob):
            # Lost from the storage, it would stay lost for as long as it is uploaded again.
            services.blobs.put(known.blob, picture.file)
        return known
    # Of a name never used before: the file of an earlier upload may be about to be deleted, by any process.
    blob = f"uploads/{secrets.token_hex(16)}/{picture.digest}.{picture.extension}"
    services.blobs.put(blob, picture.file)
    try:
        return services.store.add_upload(account_id, picture.digest, blob, picture.size)
    except BaseException:
        services.blobs.delete([blob])
        raise


def _answer(request: Request, kept: list[Upload]) -> dict[str, Any]:
    signer, base = services_of(request).signer, base_url(request)
    urls = [base + signer.sign(each.blob, int(each.expires_at)) for each in kept]
    until = iso(min(each.expires_at for each in kept))
    what = "1 picture" if len(urls) == 1 else f"{len(urls)} pictures"
    message = f"Uploaded {what}; until {until} the URLs can be given as input_image"
    return {"file_urls": urls, "urls": urls, "message": message}
