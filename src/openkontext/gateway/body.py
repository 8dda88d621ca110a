"""Reading a request's body: JSON or multipart/form-data, into the fields of the contract."""

import json
from collections import Counter
from typing import Any

from fastapi import Request
from starlette.datastructures import UploadFile
from starlette.requests import ClientDisconnect

from openkontext.contract import InvalidParameters, Problem, from_form

from .forms import form_parts, is_form

# Far beyond any bound of the contract, and below where Python's integers stop being numbers.
_MAX_DIGITS = 100
# Commas within texts count too.
_MAX_VALUES = 20_000


async def read_fields(request: Request) -> tuple[dict[str, Any], bytes | None]:
    """The fields as JSON values, and the bytes of the `input_image` file where a form had one.

    Raises `Problem`: 400 for a body that is neither, 413 for one that is too large.
    """
    if is_form(request):
        return await _form(request)
    kind = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    try:
        # Read whatever it is: that it is too large comes before what is wrong with it.
        body = await _whole(request)
    except ClientDisconnect:
        raise Problem("invalid_json", "The body ended before it was whole") from None
    if kind == "application/json" or kind.endswith("+json"):
        return _json(body), None
    raise Problem("unsupported_media_type", f"Send application/json or multipart/form-data, not {kind or 'nothing'}")


async def _whole(request: Request) -> bytearray:
    # One growing buffer: of a body that comes byte by byte, the list of its pieces is forty times as large.
    body = bytearray()
    async for piece in request.stream():
        body += piece
    return body


def _json(body: bytearray) -> dict[str, Any]:
    # Before any of them is made: ten million empty lists are a body of 30 MB, and take twenty times as much.
    if sum(map(body.count, (b"[", b"{", b","))) > _MAX_VALUES:
        raise Problem("invalid_json", f"The body has more than {_MAX_VALUES} values; send the parameters alone")
    try:
        fields = json.loads(body, parse_constant=_no_constant, parse_int=_integer, object_pairs_hook=_object)
    except UnicodeDecodeError:
        raise Problem("invalid_json", "The body is not valid JSON: it is not UTF-8") from None
    except RecursionError:
        raise Problem("invalid_json", "The body is not valid JSON: it is nested too deeply") from None
    except ValueError as error:
        raise Problem("invalid_json", f"The body is not valid JSON: {error}") from None
    if not isinstance(fields, dict):
        raise Problem("invalid_json", "The body must be a JSON object with the parameters as its fields")
    return fields


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _integer(digits: str) -> int:
    if len(digits) > _MAX_DIGITS:
        raise ValueError(f"a number has {len(digits)} digits")
    return int(digits)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # Which of two is meant, nobody can know; a proxy before us may take the first where json takes the last.
    fields = dict(pairs)
    if len(fields) < len(pairs):
        counts = Counter(name for name, _ in pairs)
        twice = next(name for name, count in counts.items() if count > 1)
        raise ValueError(f"{twice!r} is given twice")
    return fields


async def _form(request: Request) -> tuple[dict[str, Any], bytes | None]:
    texts: dict[str, str] = {}
    image = None
    async with form_parts(request, max_files=1) as parts:
        for name, value in parts:
            if name in texts or (image is not None and name == "input_image"):
                raise InvalidParameters([f"{name} is given twice"])
            if not isinstance(value, UploadFile):
                texts[name] = value
            elif name == "input_image":
                image = await value.read()
            else:
                raise InvalidParameters([f"{name} can't be a file; only input_image can"])
    fields = from_form(texts)
    # The contract wants a string there; the file itself travels beside it.
    return (fields | {"input_image": "file"} if image is not None else fields), image
