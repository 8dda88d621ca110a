"""What a picture's file says of itself, read from its structure alone: format, size, and whether it is all there.

No pixel is decoded and nothing is decompressed, so the cost is a walk over the bytes whatever the file claims. The
formats: PNG (W3C PNG 3), JPEG (ITU T.81 annex B), GIF (GIF89a), WebP (RFC 9649). Bytes after the end are ignored, as
browsers do: cameras append videos there.
"""

import re
import struct
import zlib
from collections.abc import Callable
from typing import Final

SUPPORTED: Final = ("png", "jpeg", "gif", "webp")

# Progressive JPEGs of real encoders have about ten scans; each one makes the decoder go over every pixel again.
MAX_JPEG_SCANS: Final = 100
# Chunks, segments or blocks: a GIF of 50 MB has 200,000. It bounds a walk's time.
MAX_PARTS: Final = 200_000
_TOO_MANY: Final = f"is cut into more than {MAX_PARTS} parts"

_SIGNATURES: Final = (
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"BM", "bmp"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"II+\0", "tiff"),
    (b"MM\0+", "tiff"),
    (b"8BPS", "psd"),
    (b"\0\0\1\0", "ico"),
    (b"\0\0\0\x0cjP  ", "jpeg 2000"),
    (b"\xff\x4f\xff\x51", "jpeg 2000"),
    (b"\0\0\0\x0cJXL ", "jpeg xl"),
    (b"\xff\x0a", "jpeg xl"),
    (b"%PDF", "pdf"),
    (b"\x1f\x8b", "gzip"),
    (b"PK\3\4", "zip"),
)
_BRANDS: Final = {b"avif": "avif", b"avis": "avif", b"heic": "heic", b"heix": "heic", b"hevc": "heic", b"mif1": "heif"}
_MARKUP: Final = ((rb"<svg[\s>]", "svg"), (rb"<!doctype html|<html[\s>]", "html"), (rb"^\s*<\?xml", "xml"))

_JPEG_SIZES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
# Not a stuffed zero, a restart, or fill: those stand in entropy-coded data and mean nothing here.
_JPEG_MARKER: Final = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)


class Malformed(Exception):
    """The structure is wrong; the message ends the sentence "the image …"."""


def sniff(data: bytes) -> str | None:
    """What kind of file starts like ``data``: one of `SUPPORTED`, the name of another known kind, or None."""
    for signature, name in _SIGNATURES:
        if data.startswith(signature):
            return name
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    if data[4:8] == b"ftyp":
        return _BRANDS.get(data[8:12], "mp4")
    head = data[:1024].removeprefix(b"\xef\xbb\xbf")
    if head.lstrip()[:1] != b"<":
        return None
    return next((name for pattern, name in _MARKUP if re.search(pattern, head, re.IGNORECASE)), None)


def measure(data: bytes, kind: str) -> tuple[int, int]:
    """The (width, height) in pixels as stored, of a file of a `SUPPORTED` kind, after walking it to its end.

    Raises `Malformed`.
    """
    try:
        return _WALKS[kind](data)
    except (struct.error, IndexError) as error:
        raise Malformed("is cut off: part of the file is missing") from error


def _walk_png(data: bytes) -> tuple[int, int]:
    view = memoryview(data)
    size = (0, 0)
    offset = 8
    for count in range(MAX_PARTS):
        length, kind = struct.unpack_from(">I4s", data, offset)
        end = offset + 8 + length
        (checksum,) = struct.unpack_from(">I", data, end)
        if zlib.crc32(view[offset + 4 : end]) != checksum:
            raise Malformed(f"is damaged: the checksum of its part {kind.decode('latin-1')!r} is wrong")
        if (count == 0) != (kind == b"IHDR"):
            raise Malformed("is damaged: a PNG starts with one header")
        if kind == b"IHDR":
            size = struct.unpack_from(">II", data, offset + 8)
        if kind == b"IEND":
            return size
        offset = end + 4
    raise Malformed(_TOO_MANY)


def _walk_jpeg(data: bytes) -> tuple[int, int]:
    size: tuple[int, int] | None = None
    scans = 0
    offset = 2
    for _ in range(MAX_PARTS):
        # As libjpeg does: whatever is between two segments is skipped, and so is a scan's entropy-coded data.
        match = _JPEG_MARKER.search(data, offset)
        if match is None:
            raise Malformed("is cut off: the JPEG has no end marker")
        marker, offset = match[0][1], match.end()
        if marker == 0xD9:
            return _checked_jpeg(size, scans)
        if marker != 0x01:
            (length,) = struct.unpack_from(">H", data, offset)
            if marker in _JPEG_SIZES and size is None:
                height, width = struct.unpack_from(">HH", data, offset + 3)
                size = width, height
            scans += marker == 0xDA
            offset += length
    raise Malformed(_TOO_MANY)


def _checked_jpeg(size: tuple[int, int] | None, scans: int) -> tuple[int, int]:
    if size is None or not scans:
        raise Malformed("is damaged: the JPEG has no picture in it")
    if scans > MAX_JPEG_SCANS:
        raise Malformed(f"has {scans} scans; a JPEG may have {MAX_JPEG_SCANS}")
    return size


def _walk_gif(data: bytes) -> tuple[int, int]:
    size: tuple[int, int] = struct.unpack_from("<HH", data, 6)
    offset = 13 + _colour_table(data[10])
    frames = 0
    in_blocks = False
    for _ in range(MAX_PARTS):
        kind = data[offset]
        if in_blocks:
            # Not a kind here but the length of a sub-block; the empty one is the last.
            in_blocks = kind != 0
            offset += 1 + kind
        elif kind == 0x3B:
            return _checked_gif(size, frames)
        elif kind in (0x21, 0x2C):
            frames += kind == 0x2C
            offset += 2 if kind == 0x21 else 11 + _colour_table(data[offset + 9])
            in_blocks = True
        else:
            raise Malformed("is damaged: its GIF blocks are out of step")
    raise Malformed(_TOO_MANY)


def _checked_gif(size: tuple[int, int], frames: int) -> tuple[int, int]:
    if not frames:
        raise Malformed("is damaged: the GIF has no picture in it")
    return size


def _colour_table(flags: int) -> int:
    """Bytes of the colour table that ``flags`` announce."""
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _walk_webp(data: bytes) -> tuple[int, int]:
    (length,) = struct.unpack_from("<I", data, 4)
    if len(data) < 8 + length:
        raise Malformed(f"is cut off: it has {len(data)} of {8 + length} bytes")
    kind, _, flags = struct.unpack_from("<4sIB", data, 12)
    if kind == b"VP8X":
        return _uint24(data, 24) + 1, _uint24(data, 27) + 1
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 " and not flags & 1:
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    raise Malformed("is damaged: the WebP has no picture in it")


def _uint24(data: bytes, offset: int) -> int:
    return data[offset] | data[offset + 1] << 8 | data[offset + 2] << 16


_WALKS: Final[dict[str, Callable[[bytes], tuple[int, int]]]] = {
    "png": _walk_png,
    "jpeg": _walk_jpeg,
    "gif": _walk_gif,
    "webp": _walk_webp,
}
