"""What a picture's file says of itself, read from its structure alone: format, size, and whether it is all there.

No pixel is decoded and nothing is decompressed, so the cost is a walk over the bytes whatever the file claims. The
formats: PNG (W3C PNG 3), JPEG (ITU T.81 annex B), GIF (GIF89a), WebP (RFC 9649). Bytes after the end are ignored, as
browsers do: cameras append videos there.

A walk also notes which stretches of the file its first picture needs. Only those are given to a decoder, so that no
metadata, no other frame and no junk ever reaches one: decoders read such things with little care for time and memory.
"""

import re
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

SUPPORTED: Final = ("png", "jpeg", "gif", "webp")

# Progressive JPEGs of real encoders have about ten scans; each one makes the decoder go over every pixel again.
MAX_JPEG_SCANS: Final = 100
MAX_SCANNED_PIXELS: Final = 1_000_000_000
# Chunks, segments, extensions and frames; and the blocks of at most 255 bytes that a GIF's data is cut into, of which
# a file of 50 MB has 200,000. They bound a walk's time.
MAX_PARTS: Final = 20_000
MAX_GIF_BLOCKS: Final = 200_000
_TOO_MANY: Final = f"is cut into more than {MAX_PARTS} parts"
_CUT_OFF: Final = "is cut off: part of the file is missing"

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
_MARKUP: Final = ((rb"<svg[\s>/]", "svg"), (rb"<!doctype html|<html[\s>]", "html"), (rb"^\s*<\?xml", "xml"))

_PNG_NEEDED: Final = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})
_PNG_DEPTHS: Final = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}

_JPEG_SIZES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
# Baseline, extended and progressive, all with Huffman coding.
_JPEG_TAKEN: Final = frozenset({0xC0, 0xC1, 0xC2})
# Huffman and quantization tables, restart intervals, and each frame's and scan's header.
_JPEG_NEEDED: Final = _JPEG_TAKEN | {0xC4, 0xDA, 0xDB, 0xDD}
# What the colours of a JPEG depend on, beside its frame header.
_JPEG_COLOURS: Final = {0xE0: b"JFIF\0", 0xEE: b"Adobe"}
# Not a stuffed zero, a restart, or fill: those stand in entropy-coded data and mean nothing here.
_JPEG_MARKER: Final = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)
_SEARCHED: Final = 1 << 18

_GIF_END, _GIF_EXTENSION, _GIF_FRAME, _GIF_CONTROL = 0x3B, 0x21, 0x2C, 0xF9

_WEBP_ANIMATED: Final = 0x02
_WEBP_PICTURES: Final = (b"VP8 ", b"VP8L")

_ORIENTATION: Final = 0x0112
_EXIF_SHORT: Final = 3
# Cameras write some tens into a directory.
_MAX_EXIF_TAGS: Final = 500


@dataclass(frozen=True)
class Outline:
    """A file's size in pixels as stored, its EXIF orientation (1 to 8), and what of it the first picture needs."""

    width: int
    height: int
    orientation: int
    pieces: tuple[bytes | memoryview, ...]

    def pared(self) -> bytes:
        """A file of the first picture alone: without metadata, other frames, and anything between or after."""
        return b"".join(self.pieces)


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


def outline(data: bytes, kind: str) -> Outline:
    """The outline of a file of a `SUPPORTED` kind, after walking it to its end.

    Raises `Malformed`.
    """
    try:
        return _WALKS[kind](data)
    except (struct.error, IndexError) as error:
        raise Malformed(_CUT_OFF) from error


def _walk_png(data: bytes) -> Outline:
    view = memoryview(data)
    pieces = [view[:8]]
    kinds = set()
    exif = view[:0]
    for kind, start, end in _png_chunks(data):
        kinds.add(kind)
        if kind in _PNG_NEEDED:
            pieces.append(view[start - 8 : end + 4])
        elif kind == b"eXIf":
            exif = exif or view[start:end]
    if b"IDAT" not in kinds:
        raise Malformed("is damaged: the PNG has no picture in it")
    return Outline(*_png_size(data), _orientation(exif), tuple(pieces))


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """The kind of each chunk, and where its data starts and ends."""
    view = memoryview(data)
    offset = 8
    for count in range(MAX_PARTS):
        length, kind = struct.unpack_from(">I4s", data, offset)
        start = offset + 8
        end = start + length
        (checksum,) = struct.unpack_from(">I", data, end)
        if zlib.crc32(view[start - 4 : end]) != checksum:
            raise Malformed(f"is damaged: the checksum of its part {kind.decode('latin-1')!r} is wrong")
        if (count == 0) != (kind == b"IHDR"):
            raise Malformed("is damaged: a PNG starts with one header")
        yield kind, start, end
        if kind == b"IEND":
            return
        offset = end + 4
    raise Malformed(_TOO_MANY)


def _png_size(data: bytes) -> tuple[int, int]:
    length, _, width, height, depth, colour, packing, filtering, interlace = struct.unpack_from(">I4sIIBBBBB", data, 8)
    if length != 13 or depth not in _PNG_DEPTHS.get(colour, ()) or packing or filtering or interlace > 1:
        raise Malformed(f"is damaged: there is no PNG of colour type {colour} with {depth} bits")
    return width, height


def _walk_jpeg(data: bytes) -> Outline:
    view = memoryview(data)
    pieces = [view[:2]]
    exif = view[:0]
    header: tuple[int, int] | None = None
    scans = 0
    for marker, start, end, following in _jpeg_segments(data):
        if marker in _JPEG_SIZES:
            header = _jpeg_size(data, marker, start, header)
        elif marker == 0xE1 and data.startswith(b"Exif\0\0", start):
            exif = exif or view[start:end]
        scans += marker == 0xDA
        if marker in _JPEG_NEEDED or (marker in _JPEG_COLOURS and data.startswith(_JPEG_COLOURS[marker], start)):
            pieces.append(view[start - 4 : following if marker == 0xDA else end])
    if header is None or not scans:
        raise Malformed("is damaged: the JPEG has no picture in it")
    most = min(MAX_JPEG_SCANS, MAX_SCANNED_PIXELS // max(1, header[0] * header[1]))
    if scans > max(1, most):
        raise Malformed(f"has {scans} scans; a JPEG of its size may have {most}")
    return Outline(*header, _orientation(exif), (*pieces, b"\xff\xd9"))


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, int, int, int]]:
    """The marker of each segment, where its data starts and ends, and where the next one is.

    As libjpeg does: whatever is between two segments is skipped, and so is a scan's entropy-coded data.
    """
    found = _next_marker(data, 2)
    for _ in range(MAX_PARTS):
        marker, start = data[found + 1], found + 2
        if marker == 0xD9:
            return
        end = start
        if marker != 0x01:
            (length,) = struct.unpack_from(">H", data, start)
            start, end = start + 2, start + max(2, length)
        found = _next_marker(data, end)
        yield marker, start, end, found
    raise Malformed(_TOO_MANY)


def _next_marker(data: bytes, offset: int) -> int:
    """Where it stands, from ``offset`` on."""
    while offset < len(data):
        # Piece by piece: one search is one call, for the length of which no other thread gets its turn.
        match = _JPEG_MARKER.search(data, offset, offset + _SEARCHED)
        if match:
            return match.start()
        # One byte again, should a marker begin with the last.
        offset += _SEARCHED - 1
    raise Malformed("is cut off: the JPEG has no end marker")


def _jpeg_size(data: bytes, marker: int, start: int, before: tuple[int, int] | None) -> tuple[int, int]:
    bits, height, width, layers = struct.unpack_from(">BHHB", data, start)
    if before:
        raise Malformed("is damaged: the JPEG has two headers")
    if marker not in _JPEG_TAKEN:
        raise Malformed("is a JPEG of a rare kind (lossless, hierarchical or arithmetic): save it as an ordinary one")
    if bits != 8 or layers not in (1, 3, 4):
        raise Malformed(f"has {layers} channels of {bits} bits; a JPEG may have 1, 3 or 4 of 8")
    return width, height


def _walk_gif(data: bytes) -> Outline:
    view = memoryview(data)
    width, height = struct.unpack_from("<HH", data, 6)
    start = 13 + _colour_table(data[10])
    control = view[:0]
    first: tuple[memoryview, ...] = ()
    for kind, begin, end in _gif_parts(data, start):
        if first:
            continue
        if kind == _GIF_CONTROL:
            control = view[begin:end]
        elif kind == _GIF_FRAME:
            first = (control, view[begin:end])
            left, top, frame_width, frame_height = struct.unpack_from("<HHHH", data, begin + 1)
            # As decoders do, a frame that is larger makes the picture larger.
            width, height = max(width, left + frame_width), max(height, top + frame_height)
    if not first:
        raise Malformed("is damaged: the GIF has no picture in it")
    return Outline(width, height, 1, (view[:start], *first, b";"))


def _gif_parts(data: bytes, offset: int) -> Iterator[tuple[int, int, int]]:
    """The kind of each part, an extension's label or a frame's, and where it begins and ends."""
    blocks = 0
    for _ in range(MAX_PARTS):
        begin, kind = offset, data[offset]
        if kind == _GIF_END:
            return
        if kind == _GIF_EXTENSION:
            kind, offset = data[begin + 1], begin + 2
        elif kind == _GIF_FRAME:
            offset = begin + 11 + _colour_table(data[begin + 9])
        else:
            raise Malformed("is damaged: its GIF blocks are out of step")
        while size := data[offset]:
            offset += 1 + size
            blocks += 1
            if blocks > MAX_GIF_BLOCKS:
                raise Malformed(f"is cut into more than {MAX_GIF_BLOCKS} blocks")
        offset += 1
        yield kind, begin, offset
    raise Malformed(_TOO_MANY)


def _colour_table(flags: int) -> int:
    """Bytes of the colour table that ``flags`` announce."""
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _walk_webp(data: bytes) -> Outline:
    view = memoryview(data)
    (length,) = struct.unpack_from("<I", data, 4)
    if len(data) < 8 + length:
        raise Malformed(f"is cut off: it has {len(data)} of {8 + length} bytes")
    found: dict[bytes, tuple[int, int]] = {}
    for kind, start, end in _webp_chunks(data, 8 + length):
        # Of frames and all else, the first counts.
        found.setdefault(kind, (start, end))
    kinds = _webp_needed(data, found)
    pieces = [view[start - 8 : end + (end - start) % 2] for start, end in (found[kind] for kind in kinds)]
    header = b"RIFF" + struct.pack("<I", 4 + sum(map(len, pieces))) + b"WEBP"
    exif = view[slice(*found.get(b"EXIF", (0, 0)))]
    return Outline(*_webp_size(data), _orientation(exif), (header, *pieces))


def _webp_chunks(data: bytes, whole: int) -> Iterator[tuple[bytes, int, int]]:
    """The kind of each chunk, and where its data starts and ends."""
    offset = 12
    for _ in range(MAX_PARTS):
        if offset + 8 > whole:
            return
        kind, length = struct.unpack_from("<4sI", data, offset)
        start, end = offset + 8, offset + 8 + length
        if end > whole:
            raise Malformed(_CUT_OFF)
        yield kind, start, end
        offset = end + length % 2
    raise Malformed(_TOO_MANY)


def _webp_needed(data: bytes, found: Mapping[bytes, tuple[int, int]]) -> list[bytes]:
    """The kinds of chunks that the first picture is made of, in their order."""
    kinds = data[12:16], b""
    if kinds[0] == b"VP8X":
        kinds = (b"ANIM", b"ANMF") if data[20] & _WEBP_ANIMATED else (b"ALPH", b"VP8 " if b"VP8 " in found else b"VP8L")
    if kinds[0] not in _WEBP_PICTURES and kinds[1] not in found:
        raise Malformed("is damaged: the WebP has no picture in it")
    return [kind for kind in (b"VP8X", *kinds) if kind in found]


def _webp_size(data: bytes) -> tuple[int, int]:
    if data[12:16] == b"VP8X":
        return _uint24(data, 24) + 1, _uint24(data, 27) + 1
    if data[12:16] == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    width, height = struct.unpack_from("<HH", data, 26)
    return width & 0x3FFF, height & 0x3FFF


def _uint24(data: bytes, offset: int) -> int:
    return data[offset] | data[offset + 1] << 8 | data[offset + 2] << 16


def _orientation(exif: memoryview) -> int:
    """The orientation that a block of EXIF data says, a TIFF whose first directory has it; 1 where it is broken.

    That is common, and no reason to refuse a good picture.
    """
    block = exif[6:] if bytes(exif[:6]) == b"Exif\0\0" else exif
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(bytes(block[:4]))
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(order + "I", block, 4)
        (count,) = struct.unpack_from(order + "H", block, start)
        for entry in range(start + 2, start + 2 + 12 * min(count, _MAX_EXIF_TAGS), 12):
            tag, kind, _, value = struct.unpack_from(order + "HHIH", block, entry)
            if (tag, kind) == (_ORIENTATION, _EXIF_SHORT):
                return value if value in range(1, 9) else 1
    except struct.error:
        pass
    return 1


_WALKS: Final[dict[str, Callable[[bytes], Outline]]] = {
    "png": _walk_png,
    "jpeg": _walk_jpeg,
    "gif": _walk_gif,
    "webp": _walk_webp,
}
