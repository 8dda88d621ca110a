"""Accepting an edit: read, check, store the picture, and submit, in the contract's order of checks."""

import hashlib
import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from anyio import to_thread
from fastapi import Request

from openkontext.contract import SLUG, EditParameters, InvalidParameters, Problem, parse
from openkontext.media import datauri
from openkontext.media.blobs import BlobNotFound
from openkontext.media.images import ImageLimits, inspect
from openkontext.media.urls import check_url
from openkontext.store import Idempotency, Key, StoreError, Submitted, input_key

from .addresses import base_url, is_own, own_file
from .auth import authenticate, require
from .body import read_fields
from .errors import refusal
from .services import Services, services_of
from .webhooks import check_webhook

_VISIBLE_ASCII = re.compile(r"[!-~]{1,255}")


@dataclass(frozen=True)
class Edit:
    """A checked request: parameters, and the picture as bytes, as a blob's key or as a URL to fetch later.

    ``seed_drawn``: the client left the seed to the server. ``size``: width and height of a picture that came as bytes.
    """

    parameters: EditParameters
    seed_drawn: bool
    picture: bytes | None = None
    size: tuple[int, int] | None = None
    blob: str | None = None
    url: str | None = None

    @property
    def parent_id(self) -> str | None:
        """The request whose output the picture is."""
        return self._job_of("outputs")

    @property
    def sibling_id(self) -> str | None:
        """The request whose input the picture is: what that one was made from, this one is too."""
        return self._job_of("inputs")

    def _job_of(self, kind: str) -> str | None:
        folder, _, rest = (self.blob or "").partition("/")
        return rest.partition("/")[0] if folder == kind else None


@dataclass(frozen=True)
class _Terms:
    """What a submit says beside the edit."""

    idempotency_key: str | None
    webhook: str | None
    base_url: str
    besides: str


async def accept(request: Request, slug: str, *, webhook: str | None = None) -> tuple[Key, Submitted]:
    """Take an edit in: once this returns, the job and its picture are on disk and its credits are held.

    Raises `Problem` for the first of these that is wrong: key, permission, size, parameters, idempotency, limits,
    credits, queue.
    """
    key = await authenticate(request, poll=False)
    check_slug(slug)
    require(key, "edit")
    fields, picture = await read_fields(request)
    return key, await submit_edit(
        request, key, fields, picture, idempotency_header=idempotency_header(request), webhook=webhook
    )


def idempotency_header(request: Request) -> str | None:
    """The Idempotency-Key, if one was sent; more than one make a text with a space, which is refused."""
    headers = request.headers.getlist("idempotency-key")
    return ", ".join(headers) if headers else None


async def submit_edit(
    request: Request,
    key: Key,
    fields: Mapping[str, Any],
    picture: bytes | None,
    *,
    idempotency_header: str | None,
    webhook: str | None,
    besides: str = "",
) -> Submitted:
    """Take in an edit whose body has been read: ``fields`` as JSON values, ``picture`` where it came as a file.

    ``besides`` is what else was asked for with it, and makes it another request under the same Idempotency-Key.
    The key may edit: that is checked before a body is read. Raises `Problem` as `accept` does, from the parameters on.
    """
    edit = await check_edit(request, key, fields, picture)
    services = services_of(request)
    _check_idempotency_key(idempotency_header)
    if webhook is not None:
        webhook = check_webhook(webhook, services.settings)
    terms = _Terms(idempotency_header, webhook, base_url(request), besides)
    return await to_thread.run_sync(_submit, services, key, edit, terms)


def check_slug(slug: str) -> None:
    """Raises `Problem` (404) for a model that isn't here."""
    if slug != SLUG:
        raise Problem("not_found", f"There is no model {slug!r}; this server has {SLUG!r}")


async def check_edit(request: Request, key: Key, fields: Mapping[str, Any], picture: bytes | None) -> Edit:
    """The edit of a body that was read. Raises `Problem`: 403 for what this key may not ask for, then 400."""
    if fields.get("disable_safety_checker") is True and not key.may_disable_safety:
        raise Problem("forbidden", "This key may not disable the safety checker")
    parameters, image = parse(fields)
    edit = Edit(parameters, seed_drawn=fields.get("seed", parameters.seed) != parameters.seed)
    services = services_of(request)
    if picture is not None or datauri.is_data_uri(image):
        # In a thread: decoding 20 MB and walking the checksums takes long enough to hold others up.
        looked = to_thread.run_sync(_checked, picture, image, services.image_limits, limiter=services.looking)
        data, size = await looked
        return replace(edit, picture=data, size=size)
    return _referred(request, edit, image)


def _checked(picture: bytes | None, uri: str, limits: ImageLimits) -> tuple[bytes, tuple[int, int]]:
    data = datauri.decode(uri, limits.max_bytes) if picture is None else picture
    info = inspect(data, limits)
    return data, (info.width, info.height)


def _referred(request: Request, edit: Edit, url: str) -> Edit:
    try:
        check_url(url)
    except Problem as problem:
        raise InvalidParameters([f"input_image {problem.message}"]) from None
    if blob := own_file(request, url):
        return replace(edit, blob=blob)
    if is_own(request, url):
        raise Problem("invalid_image", "input_image is a URL of this server that has expired or was changed")
    return replace(edit, url=url)


def _check_idempotency_key(header: str | None) -> None:
    if header is not None and not _VISIBLE_ASCII.fullmatch(header):
        raise InvalidParameters(["Idempotency-Key must be one header of 1 to 255 visible ASCII characters"])


def _submit(services: Services, key: Key, edit: Edit, terms: _Terms) -> Submitted:
    job_id = str(uuid.uuid4())
    source = _keep_picture(services, edit, job_id)
    try:
        submitted = _enter(services, key, edit, terms, job_id, source)
    except BaseException as error:
        _drop_picture(services, source)
        if isinstance(error, StoreError):
            raise refusal(error, services.store.clock()) from None
        raise
    if submitted.replayed:
        _drop_picture(services, source)
    return submitted


def _enter(
    services: Services, key: Key, edit: Edit, terms: _Terms, job_id: str, source: Mapping[str, Any]
) -> Submitted:
    used = terms.idempotency_key
    idempotency = Idempotency(used, fingerprint(edit, terms.webhook, terms.besides)) if used else None
    steps = edit.parameters.num_inference_steps
    return services.store.submit(
        key, edit.parameters.as_dict(), source, price=services.price, weight=steps, steps=steps, job_id=job_id,
        idempotency=idempotency, parent_id=edit.parent_id, sibling_id=edit.sibling_id, webhook=terms.webhook,
        base_url=terms.base_url, accepting=not services.draining,
    )  # fmt: skip


def fingerprint(edit: Edit, webhook: str | None, besides: str) -> str:
    """SHA-256, in hex, of all that a client asked for: with a seed left blank as blank, whichever was drawn."""
    asked = edit.parameters.as_dict() | ({"seed": None} if edit.seed_drawn else {})
    source = edit.blob or edit.url or hashlib.sha256(edit.picture or b"").hexdigest()
    return hashlib.sha256(json.dumps([asked, source, webhook, besides], sort_keys=True).encode()).hexdigest()


def _keep_picture(services: Services, edit: Edit, job_id: str) -> dict[str, Any]:
    """Put the picture where the worker finds it; a copy of its own, since an earlier output may be erased meanwhile."""
    if edit.url:
        return {"kind": "url", "url": edit.url}
    key = input_key(job_id)
    if edit.picture is not None:
        services.blobs.put(key, edit.picture)
        return {"kind": "blob", "key": key}
    assert edit.blob
    try:
        services.blobs.copy(edit.blob, key)
    except BlobNotFound:
        raise file_gone() from None
    return {"kind": "blob", "key": key}


def file_gone() -> Problem:
    """The 400 of an address of the server's own that leads nowhere."""
    return Problem("invalid_image", "input_image is a URL of this server whose file is gone")


def _drop_picture(services: Services, source: Mapping[str, Any]) -> None:
    if source["kind"] == "blob":
        services.blobs.delete([source["key"]])
