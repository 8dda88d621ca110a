"""``data:`` URIs (RFC 2397) that hold a picture."""

import base64
import re
from collections.abc import Iterator
from urllib.parse import unquote_to_bytes

from openkontext.contract import Problem

_MEDIA_TYPE = re.compile(r"(image/[a-z0-9.+-]+|application/octet-stream)?(;[a-z0-9.+-]+=[^;,]*)*", re.IGNORECASE)
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_WHITESPACE = b" \t\n\f\r"
_SHAPE = "write it as data:image/png;base64,…"
_MAX_HEAD = 1000
# Of 20 MB as base64, one in 32 characters is + or /; each escape costs a hundred times what a plain character does.
_MAX_ESCAPES = 1_000_000
# Characters that are unescaped at a time: the library makes an object of each escape.
_AT_ONCE = 1 << 16


def is_data_uri(text: str) -> bool:
    """Whether ``text`` means to be a data URI."""
    return text[:5].lower() == "data:"


def decode(uri: str, max_bytes: int) -> bytes:
    """The bytes that ``uri`` holds; what they are is not looked at.

    Base64 is read as browsers read it (https://infra.spec.whatwg.org/#forgiving-base64): white space and missing
    padding are fine, any other character is not. Sizes are checked before anything is decoded.

    Raises `Problem` ``invalid_image``.
    """
    if not is_data_uri(uri):
        raise _problem(f"is not a data URI: {_SHAPE}")
    head, comma, payload = uri[5:].partition(",")
    if not comma:
        raise _problem(f"has no comma between its type and its data: {_SHAPE}")
    if len(head) > _MAX_HEAD:
        raise _problem(f"has {len(head)} characters before its data: {_SHAPE}")
    is_base64 = head.lower().endswith(";base64")
    media_type = head[: -len(";base64")] if is_base64 else head
    if not _MEDIA_TYPE.fullmatch(media_type):
        raise _problem(f"has the type {media_type[:60]!r}, which is no image: {_SHAPE}")
    data = _from_base64(payload, max_bytes) if is_base64 else _from_percent(payload, max_bytes)
    if not data:
        raise _problem(f"is empty: {_SHAPE}")
    return data


def _from_base64(payload: str, max_bytes: int) -> bytes:
    if "%" in payload:
        # Three times: each of the characters may be written as an escape.
        payload = _from_percent(payload, 3 * max_bytes).decode("ascii", "replace")
    try:
        text = payload.encode("ascii").translate(None, _WHITESPACE)
        bare = text.rstrip(b"=")
        _check_size(len(bare) * 3 // 4, max_bytes)
        if len(text) - len(bare) not in (0, -len(bare) % 4):
            raise _problem("has base64 data with wrong padding: is it cut off?")
        return base64.b64decode(bare + b"=" * (-len(bare) % 4), validate=True)
    except ValueError as error:
        raise _problem("has data that is not base64: is it cut off, or encoded for URLs with - and _?") from error


def _from_percent(payload: str, max_bytes: int) -> bytes:
    if _BAD_ESCAPE.search(payload):
        raise _problem("has a % that no two hex digits follow")
    if not payload.isascii():
        raise _problem("has characters beyond ASCII in its data, which must be written as %XX")
    escapes = payload.count("%")
    _check_size(len(payload) - 2 * escapes, max_bytes)
    if escapes > _MAX_ESCAPES:
        raise _problem(f"has more than {_MAX_ESCAPES} characters written as %XX: {_SHAPE}")
    return b"".join(map(unquote_to_bytes, _pieces(payload)))


def _pieces(payload: str) -> Iterator[str]:
    """``payload`` in parts, each escape whole."""
    start = 0
    while start < len(payload):
        end = start + _AT_ONCE
        escape = payload.rfind("%", end - 2, end)
        end = end if escape < 0 else escape
        yield payload[start:end]
        start = end


def _check_size(size: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise _problem(f"holds {size / 1e6:.1f} MB; the limit is {max_bytes / 1e6:g} MB")


def _problem(what: str) -> Problem:
    return Problem("invalid_image", f"the image's data URI {what}")
