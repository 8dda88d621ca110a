"""Hostile picture files, made in code: small to make, and meant to be large, slow or wrong to whoever reads them."""

import struct
import zlib
from collections.abc import Iterable

from PIL import Image

from tests.media.media_files import SIZE, exif, noise, png_chunk, saved

# What must not come out again, beside "SECRET" in the EXIF data.
MARK = b"PLANTED"
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# As many bytes as a sample has, by colour type.
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
# Where the passes start, and their steps.
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
# A frame of one pixel: its descriptor, and its LZW data.
_GIF_PIXEL = b",\0\0\0\0\1\0\1\0\0\2\2D\1\0"


def flat_png(
    width: int, height: int, depth: int = 8, colour: int = 2, *, filter: int = 0, extra: bytes = b"", after: bytes = b""
) -> bytes:
    """A black PNG of any kind, whole, with a row filter; ``extra`` stands before its pixels and ``after`` behind."""
    row = bytes([filter]) + bytes((width * _CHANNELS[colour] * depth + 7) // 8)
    packer, packed = zlib.compressobj(1), []
    for _ in range(height):
        packed.append(packer.compress(row))
    pixels = b"".join(packed) + packer.flush()
    palette = png_chunk(b"PLTE", bytes(range(6))) if colour == 3 else b""
    return raw_png(width, height, depth, colour, palette + extra + png_chunk(b"IDAT", pixels) + after)


def raw_png(width: int, height: int, depth: int, colour: int, chunks: bytes, interlace: int = 0) -> bytes:
    """A PNG of a header, ``chunks`` and an end."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace)
    return PNG_SIGNATURE + png_chunk(b"IHDR", header) + chunks + png_chunk(b"IEND", b"")


def interlaced_png(width: int, height: int, depth: int, colour: int) -> bytes:
    """A black PNG in the seven passes of Adam7."""
    packer, packed = zlib.compressobj(1), []
    for left, top, across, down in _ADAM7:
        columns, rows = -(-(width - left) // across), -(-(height - top) // down)
        if columns > 0:
            row = bytes(1 + (columns * _CHANNELS[colour] * depth + 7) // 8)
            packed += [packer.compress(row) for _ in range(rows)]
    palette = png_chunk(b"PLTE", bytes(range(6))) if colour == 3 else b""
    pixels = png_chunk(b"IDAT", b"".join(packed) + packer.flush())
    return raw_png(width, height, depth, colour, palette + pixels, interlace=1)


def zeros(size: int) -> bytes:
    """``size`` zeros, a multiple of a megabyte, deflated: a thousandth of it, and made of one piece again and again."""
    packer = zlib.compressobj(9, wbits=-15)
    piece = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    # RFC 1950: a header, the pieces, and a checksum, which for zeros is their number.
    return b"\x78\xda" + piece * (size >> 20) + packer.flush() + struct.pack(">HH", size % 65521, 1)


def apng(frames: int, claimed: int) -> bytes:
    """A PNG of one pixel with ``frames`` animation frames, where it says that it has ``claimed``."""
    control = struct.pack(">IIIIHHBB", 1, 1, 0, 0, 1, 1, 0, 0)
    data = zlib.compress(bytes(4))
    rest = (
        png_chunk(b"fcTL", struct.pack(">I", 2 * at + 1) + control)
        + png_chunk(b"fdAT", struct.pack(">I", 2 * at + 2) + data)
        for at in range(frames)
    )
    first = png_chunk(b"acTL", struct.pack(">II", claimed, 0)) + png_chunk(b"fcTL", bytes(4) + control)
    return raw_png(1, 1, 8, 2, first + png_chunk(b"IDAT", data) + b"".join(rest))


def segment(marker: int, data: bytes = b"") -> bytes:
    """A segment of a JPEG."""
    return bytes([0xFF, marker]) + struct.pack(">H", len(data) + 2) + data


def with_segments(jpeg: bytes, segments: bytes) -> bytes:
    """``jpeg`` with more after its start."""
    return jpeg[:2] + segments + jpeg[2:]


def frame_header(marker: int, width: int, height: int, bits: int = 8, layers: int = 3) -> bytes:
    """A JPEG's frame header (SOF)."""
    each = b"".join(bytes([at + 1, 0x11, 0]) for at in range(layers))
    return segment(marker, struct.pack(">BHHB", bits, height, width, layers) + each)


def reframed(jpeg: bytes, marker: int, bits: int = 8) -> bytes:
    """``jpeg`` with another kind of frame header."""
    at = next(jpeg.index(bytes([0xFF, old])) for old in (0xC0, 0xC2) if bytes([0xFF, old]) in jpeg)
    return jpeg[: at + 1] + bytes([marker]) + jpeg[at + 2 : at + 4] + bytes([bits]) + jpeg[at + 5 :]


def scans_repeated(jpeg: bytes, which: int, times: int) -> bytes:
    """A progressive JPEG whose scan number ``which`` comes ``times`` more."""
    starts = [at for at in range(len(jpeg) - 1) if jpeg[at] == 0xFF and jpeg[at + 1] == 0xDA]
    end = starts[which + 1] if which + 1 < len(starts) else len(jpeg) - 2
    # Tables that belong to the next scan stand before it.
    table = jpeg.find(b"\xff\xc4", starts[which], end)
    scan = jpeg[starts[which] : table if table > 0 else end]
    at = starts[which] + len(scan)
    return jpeg[:at] + scan * times + jpeg[at:]


def gif(width: int, height: int, blocks: Iterable[bytes]) -> bytes:
    """A GIF of a two-colour table and ``blocks``."""
    return (
        b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(3) + b"\xff" * 3 + b"".join(blocks) + b";"
    )


def gif_of_frames(count: int) -> bytes:
    """A GIF of one pixel, ``count`` times."""
    return gif(1, 1, [_GIF_PIXEL * count])


def gif_frame(left: int, top: int, width: int, height: int) -> bytes:
    """A whole frame of a GIF, black, at a place of one's own."""
    data = saved(Image.new("P", (width, height)), "GIF")
    at = data.index(b"," + struct.pack("<HHHH", 0, 0, width, height))
    return b"," + struct.pack("<HHHH", left, top, width, height) + data[at + 9 : -1]


def riff(*chunks: bytes) -> bytes:
    """A WebP of chunks."""
    body = b"WEBP" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def webp_chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk of a WebP, padded to an even size."""
    return kind + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)


def uint24(number: int) -> bytes:
    """As WebP writes sizes."""
    return struct.pack("<I", number)[:3]


def webp_header(flags: int, width: int, height: int) -> bytes:
    """A WebP's VP8X chunk."""
    return webp_chunk(b"VP8X", bytes([flags, 0, 0, 0]) + uint24(width - 1) + uint24(height - 1))


def webp_image(width: int, height: int, **options: object) -> bytes:
    """The chunks of a flat picture that stand in a WebP or in a frame of one."""
    return saved(Image.new("RGB", (width, height)), "WEBP", method=0, **options)[12:]


def webp_frame(width: int, height: int, image: bytes, left: int = 0, top: int = 0) -> bytes:
    """An animation frame (ANMF) that says it is so large, around ``image``."""
    place = uint24(left // 2) + uint24(top // 2) + uint24(width - 1) + uint24(height - 1) + uint24(10) + b"\0"
    return webp_chunk(b"ANMF", place + image)


def webp_animation(width: int, height: int, frames: Iterable[bytes]) -> bytes:
    """An animated WebP of ``frames``."""
    return riff(webp_header(0x02, width, height), webp_chunk(b"ANIM", bytes(6)), *frames)


def vp8l_claim(width: int, height: int) -> bytes:
    """A lossless WebP of a few bytes that says how large it is, and has nothing of it."""
    bits = (width - 1) | (height - 1) << 14
    return riff(webp_chunk(b"VP8L", b"\x2f" + struct.pack("<I", bits) + bytes(9)))


def tiff_claim(size: int, order: str = "<") -> bytes:
    """A TIFF whose one strip says that it is ``size`` bytes long, of a picture of 100,000 × 100,000."""
    tags = {256: 100_000, 257: 100_000, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: 100_000, 279: size & 0xFFFFFFFF}
    entries = b"".join(struct.pack(order + "HHII", tag, 4, 1, value) for tag, value in tags.items())
    start = {"<": b"II*\0", ">": b"MM\0*"}[order]
    return start + struct.pack(order + "IH", 8, len(tags)) + entries + bytes(4)


def exif_block(entries: Iterable[tuple[int, int, int, int]], following: int = 0) -> bytes:
    """A TIFF block of one IFD: (tag, type, count, value or offset) each, and the offset of the next IFD."""
    packed = [struct.pack("<HHII", *entry) for entry in entries]
    return b"II*\0" + struct.pack("<IH", 8, len(packed)) + b"".join(packed) + struct.pack("<I", following)


def _planted_png(extra: bytes) -> bytes:
    tags = exif(6, gps=True).tobytes().removeprefix(b"Exif\0\0") + MARK
    texts = (
        png_chunk(b"tEXt", b"Comment\0" + MARK)
        + png_chunk(b"zTXt", b"Z\0\0" + zlib.compress(MARK, 0))
        + png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + MARK)
        + png_chunk(b"iCCP", MARK + b"\0\0" + zlib.compress(MARK, 0))
        + png_chunk(b"prVt", MARK)
    )
    chunks = texts + png_chunk(b"eXIf", tags)
    return flat_png(*SIZE, extra=chunks, after=texts) + MARK + extra


def _planted_jpeg(extra: bytes) -> bytes:
    segments = (
        segment(0xE0, b"JFIF\0\1\2\0\0\1\0\1\0\0" + MARK)
        + segment(0xE1, exif(6, gps=True).tobytes() + MARK)
        + segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + MARK)
        + segment(0xE2, b"ICC_PROFILE\0\1\1" + MARK)
        + segment(0xED, b"Photoshop 3.0\0008BIM\4\4\0\0\0\0\0\7" + MARK)
        + segment(0xEE, b"Adobe\0\x64\0\0\0\0\1" + MARK)
        + segment(0xFE, MARK)
    )
    return with_segments(saved(noise(), "JPEG"), segments) + MARK + extra


def _planted_gif(extra: bytes) -> bytes:
    comment = b"!\xfe" + bytes([len(MARK)]) + MARK + b"\0"
    application = b"!\xff\x0bXMP DataXMP" + bytes([len(MARK)]) + MARK + b"\0"
    plain = b"!\1\x0c" + bytes(12) + bytes([len(MARK)]) + MARK + b"\0"
    return gif(*SIZE, [comment, application, plain, gif_frame(0, 0, *SIZE), comment]) + MARK + extra


def _planted_webp(extra: bytes) -> bytes:
    chunks = (
        webp_chunk(b"ICCP", MARK),
        webp_image(*SIZE),
        webp_chunk(b"EXIF", exif(6, gps=True).tobytes() + MARK),
        webp_chunk(b"XMP ", MARK),
        webp_chunk(b"PRIV", MARK),
    )
    return riff(webp_header(0x2C, *SIZE), *chunks) + MARK + extra


# Files with `MARK` in every place that their format has for something beside the pixels, and with more behind.
PLANTED = {"png": _planted_png, "jpeg": _planted_jpeg, "gif": _planted_gif, "webp": _planted_webp}
