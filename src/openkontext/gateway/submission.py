"""Accepting an edit: read, check, store the picture, and submit, in the contract's order of checks."""

import uuid
from dataclasses import dataclass
from typing import Any

from anyio import to_thread
from fastapi import Request

from openkontext.contract import SLUG, EditParameters, InvalidParameters, Problem, parse
from openkontext.media import datauri
from openkontext.media.blobs import BlobNotFound
from openkontext.media.images import ImageLimits, inspect
from openkontext.media.urls import check_url
from openkontext.store import InsufficientCredits, Key, QueueFull, RateLimited, Submitted, input_key

from .addresses import is_own, own_file
from .auth import authenticate
from .body import read_fields
from .errors import refused_submit
from .services import Services, services_of


@dataclass(frozen=True)
class Edit:
    """A checked request: parameters, and the picture as bytes, as a blob's key or as a URL to fetch later."""

    parameters: EditParameters
    picture: bytes | None = None
    blob: str | None = None
    url: str | None = None


async def accept(request: Request, slug: str) -> tuple[Key, Submitted]:
    """Take an edit in: once this returns, the job and its picture are on disk and its credits are held.

    Raises `Problem` for the first of these that is wrong: key, permission, size, parameters, limits, credits, queue.
    """
    key = await authenticate(request)
    if slug != SLUG:
        raise Problem("not_found", f"There is no model {slug!r}; this server has {SLUG!r}")
    edit = await read_edit(request, key)
    services = services_of(request)
    if services.draining:
        raise Problem("draining", "The server is shutting down; try again later", headers={"Retry-After": "10"})
    return key, await to_thread.run_sync(_submit, services, key, edit)


async def read_edit(request: Request, key: Key) -> Edit:
    """The checked edit of a request's body."""
    fields, picture = await read_fields(request)
    if fields.get("disable_safety_checker") is True and not key.may_disable_safety:
        raise Problem("forbidden", "This key may not disable the safety checker")
    parameters, image = parse(fields)
    services = services_of(request)
    if picture is not None or datauri.is_data_uri(image):
        # In a thread: decoding 20 MB and walking the checksums takes long enough to hold others up.
        picture = await to_thread.run_sync(_checked, picture, image, services.image_limits)
        return Edit(parameters, picture=picture)
    return _referred(request, parameters, image)


def _checked(picture: bytes | None, uri: str, limits: ImageLimits) -> bytes:
    data = datauri.decode(uri, limits.max_bytes) if picture is None else picture
    inspect(data, limits)
    return data


def _referred(request: Request, parameters: EditParameters, url: str) -> Edit:
    try:
        check_url(url)
    except Problem as problem:
        raise InvalidParameters([f"input_image {problem.message}"]) from None
    if blob := own_file(request, url):
        return Edit(parameters, blob=blob)
    if is_own(request, url):
        raise Problem("invalid_image", "input_image is a URL of this server that has expired or was changed")
    return Edit(parameters, url=url)


def _submit(services: Services, key: Key, edit: Edit) -> Submitted:
    job_id = str(uuid.uuid4())
    source = _keep_picture(services, edit, job_id)
    steps = edit.parameters.num_inference_steps
    try:
        return services.store.submit(
            key, edit.parameters.as_dict(), source, price=services.price, weight=steps, steps=steps, job_id=job_id
        )
    except BaseException as error:
        if source["kind"] == "blob":
            services.blobs.delete([source["key"]])
        if isinstance(error, RateLimited | InsufficientCredits | QueueFull):
            raise refused_submit(error, services.store.clock()) from None
        raise


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
        raise Problem("invalid_image", "input_image is a URL of this server whose file is gone") from None
    return {"kind": "blob", "key": key}
