"""Forms with files: parts beyond a megabyte lie on the disk while a route works with them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import Request
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from openkontext.contract import Problem
from openkontext.media import durable
from openkontext.media.blobs import BlobsUnavailable

# A picture may come as a data URI in a text; the body as a whole is bounded elsewhere.
_MAX_TEXT = 128 * 1024 * 1024

Parts = list[tuple[str, str | UploadFile]]


def is_form(request: Request) -> bool:
    """Whether the body is multipart/form-data."""
    kind = request.headers.get("content-type", "").partition(";")[0]
    return kind.strip().lower() == "multipart/form-data"


@asynccontextmanager
async def form_parts(request: Request, *, max_files: int) -> AsyncIterator[Parts]:
    """The parts of a form by name, in order: texts, and files that are open within the block.

    Raises `Problem`: 400 for what is no form, 413 for one that is too large; 503 where the disk has no room for it.
    """
    try:
        async with request.form(max_files=max_files, max_fields=32, max_part_size=_MAX_TEXT) as form:
            yield form.multi_items()
    except HTTPException as error:
        raise Problem("invalid_form", f"The form can't be read: {error.detail}") from None
    except ClientDisconnect:
        raise Problem("invalid_form", "The body ended before it was whole") from None
    except OSError as error:
        raise BlobsUnavailable("form", durable.reason(error), str(error)) from error
