"""``input_image`` in the forms that are handy in Python, made into the one that the wire carries: a string."""

import base64
import io
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

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


@dataclass(frozen=True)
class Picture:
    """A picture that is here and not at a URL: a file, or bytes in memory. ``size`` is in bytes."""

    content: Path | bytes
    name: str
    size: int

    def open(self) -> BinaryIO:
        """Its bytes as a file, which is the caller's to close."""
        return io.BytesIO(self.content) if isinstance(self.content, bytes) else self.content.open("rb")

    def data_uri(self) -> str:
        """All of it as a data: URI."""
        data = self.content if isinstance(self.content, bytes) else self.content.read_bytes()
        return f"data:{_content_type(data)};base64,{base64.b64encode(data).decode()}"


def local_picture(image: Any) -> Picture | None:
    """What ``input_image`` may be as a `Picture`; None for a URL or data: URI, which goes on the wire as it is.

    Raises:
        FileNotFoundError: a path, or a string that is no URL, that names no file.
        OSError: the file can't be read.
        TypeError: none of the accepted forms.
        ValueError: there are no bytes in it.
    """
    if isinstance(image, str) and _REMOTE.match(image):
        return None
    if isinstance(image, str | os.PathLike):
        picture = _file(Path(image))
    else:
        data = _read(image)
        picture = Picture(data, "picture", len(data))
    if not picture.size:
        raise ValueError("input_image is empty: is the file at its end already?")
    return picture


def _file(path: Path) -> Picture:
    try:
        # Opened and not only looked at: what can't be read is said before anything is sent.
        with path.open("rb") as file:
            info = os.fstat(file.fileno())
            if stat.S_ISREG(info.st_mode):
                return Picture(path, path.name, info.st_size)
            # A pipe: it can be read once, and its size is known then.
            data = file.read()
            return Picture(data, path.name, len(data))
    except FileNotFoundError as error:
        raise FileNotFoundError(error.errno, f"input_image must be {_ACCEPTED}; no such file", str(path)) from None


def _read(image: Any) -> bytes:
    if isinstance(image, bytes | bytearray | memoryview):
        return bytes(image)
    if hasattr(image, "save") and hasattr(image, "getexif"):
        return _png(image)
    data = image.read() if hasattr(image, "read") else None
    if not isinstance(data, bytes):
        raise TypeError(f"input_image must be {_ACCEPTED}; got {type(image).__name__}")
    return data


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
