"""``input_image`` in the forms that are handy in Python, made into the one that the wire carries: a string."""

import base64
import io
import os
import re
from pathlib import Path
from typing import Any

_REMOTE = re.compile(r"(https?://|data:)", re.IGNORECASE)
_PNG_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")
_ORIENTATION = 0x0112
_SIGNATURES = (
    (re.compile(rb"\xff\xd8\xff"), "image/jpeg"),
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "image/png"),
    (re.compile(rb"GIF8[79]a"), "image/gif"),
    (re.compile(rb"RIFF.{4}WEBP", re.DOTALL), "image/webp"),
)
_ACCEPTED = "a path, bytes, a binary file, a PIL image, an http(s) URL or a data: URI"


def encode_parameters(params: dict[str, Any]) -> dict[str, Any]:
    """The parameters as they go on the wire: all verbatim, but for ``input_image``."""
    if "input_image" not in params:
        return params
    return params | {"input_image": encode_image(params["input_image"])}


def encode_image(image: Any) -> str:
    """A URL or data: URI as it is; anything else as a data: URI of its bytes.

    Raises:
        FileNotFoundError: a path, or a string that is no URL, that names no file.
        OSError: the file can't be read.
        TypeError: none of the accepted forms.
        ValueError: there are no bytes in it.
    """
    if isinstance(image, str) and _REMOTE.match(image):
        return image
    data = _read(image)
    if not data:
        raise ValueError("input_image is empty: is the file at its end already?")
    return f"data:{_content_type(data)};base64,{base64.b64encode(data).decode()}"


def _read(image: Any) -> bytes:
    if isinstance(image, str | os.PathLike):
        return _read_file(Path(image))
    if isinstance(image, bytes | bytearray | memoryview):
        return bytes(image)
    if hasattr(image, "save") and hasattr(image, "getexif"):
        return _png(image)
    data = image.read() if hasattr(image, "read") else None
    if not isinstance(data, bytes):
        raise TypeError(f"input_image must be {_ACCEPTED}; got {type(image).__name__}")
    return data


def _read_file(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise FileNotFoundError(error.errno, f"input_image must be {_ACCEPTED}; no such file", str(path)) from None


def _png(picture: Any) -> bytes:
    """A PIL image's PNG, with the orientation that its file had and nothing else of its EXIF (place, time, camera)."""
    exif = picture.getexif()
    turn = type(exif)()
    if _ORIENTATION in exif:
        turn[_ORIENTATION] = exif[_ORIENTATION]
    buffer = io.BytesIO()
    (picture if picture.mode in _PNG_MODES else picture.convert("RGB")).save(buffer, "PNG", exif=turn)
    return buffer.getvalue()


def _content_type(data: bytes) -> str:
    # The server is the judge of what it can read, so an unknown type goes there too.
    return next((kind for signature, kind in _SIGNATURES if signature.match(data)), "application/octet-stream")
