"""The table of hostile pictures: what each is called, how it is made, and what becomes of it."""

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

from PIL import Image

from tests.media import hostile_files as h
from tests.media.media_files import SIZE, exif, gif_of_frame, noise, png, png_chunk, saved

# 49 megapixels, just below the limit of 50. The odd side can't be halved, so that a JPEG comes whole.
SIDE, ODD = 7000, 6999
BROKEN, PARTS, SCANS = "can't be decoded", "more than 20000 parts", "may have 20"
NO_PICTURE, MEGAPIXELS, RARE, BITS = "has no picture in it", "megapixels; the limit is 50", "of a rare kind", "bits"


@dataclass(frozen=True)
class Case:
    """One file: ``refused`` has words of the gateway's refusal, ``undecoded`` of a worker's where only that refuses.

    Both are "" for what is a picture all the same. ``large`` ones, of up to 50 MP, are for the benchmark only.
    """

    name: str
    make: Callable[[], bytes]
    refused: str = ""
    undecoded: str = ""
    large: bool = False


JPEG = saved(noise(), "JPEG")
_SIZE_FIELD = struct.pack(">HH", *SIZE[::-1])
# What repeats is made once.
_BAD_TEXT = png_chunk(b"iTXt", b"k\0\1\0\0\0" + zlib.compress(b"\xff" * 1_048_000, 9))
_WIDE_TEXT = png_chunk(b"iTXt", b"k\0\1\0\0\0" + zlib.compress("😀".encode() + b"a" * 1_048_000, 9))
_TEXT = png_chunk(b"zTXt", b"k\0\0" + zlib.compress(b"a" * 1_048_000, 9))
_TABLE = h.segment(0xDB, b"\0" + bytes(range(1, 65)))
_RESOURCES = h.segment(0xED, b"Photoshop 3.0\0" + b"8BIM\4\4\0\0\0\0\0\0" * 5400)


@cache
def _flat_jpeg(mode: str = "RGB", side: int = SIDE, **options: Any) -> bytes:
    return saved(Image.new(mode, (side, side)), "JPEG", **options)


@cache
def _busy(side: int, format: str, **options: Any) -> bytes:
    tile, image = noise(size=(500, 500)), Image.new("RGB", (side, side))
    for left in range(0, side, 500):
        for top in range(0, side, 500):
            image.paste(tile, (left, top))
    return saved(image, format, **options)


def _frame(side: int, width: int = 2, height: int = 2) -> bytes:
    """An animation frame of so many pixels, which says that it has others."""
    return h.webp_frame(width, height, h.webp_image(side, side))


def _exif_jpeg(block: bytes) -> bytes:
    return saved(noise(), "JPEG", exif=b"Exif\0\0" + block)


PNGS = [
    Case("png, claims 60,000²", lambda: png(60_000, 60_000), MEGAPIXELS),
    Case("png, 1 GB of pixels in 4×4", lambda: h.raw_png(4, 4, 8, 2, png_chunk(b"IDAT", h.zeros(1 << 30)))),
    Case("png, pixels missing", lambda: png(4000, 4000, b"short"), undecoded=BROKEN),
    Case("png, 63 texts of 1 MB", lambda: h.flat_png(4, 4, extra=_TEXT * 63)),
    Case("png, 1,000 texts of 1 MB and 4 bytes a letter", lambda: h.flat_png(4, 4, extra=_WIDE_TEXT * 1000)),
    Case("png, the same after its pixels", lambda: h.flat_png(4, 4, after=_WIDE_TEXT * 1000)),
    Case("png, 15,000 texts that are no UTF-8", lambda: h.flat_png(4, 4, extra=_BAD_TEXT * 15_000)),
    Case("png, profile of 1 GB", lambda: h.flat_png(4, 4, extra=png_chunk(b"iCCP", b"x\0\0" + h.zeros(1 << 30)))),
    Case("png, 190,000 chunks", lambda: h.flat_png(4, 4, extra=png_chunk(b"tEXt", b"k\0v") * 190_000), PARTS),
    Case("png, 190,000 empty IDATs", lambda: h.flat_png(4, 4, after=png_chunk(b"IDAT", b"") * 190_000), PARTS),
    Case("png, 10,000 frames", lambda: h.apng(10_000, 2**31 - 1), PARTS),
    Case("png, says that it has 2³¹ frames", lambda: h.apng(3, 2**31 - 1)),
    Case(
        "png, EXIF of 65,000 tags of 18 MB",
        lambda: h.flat_png(
            4, 4, extra=png_chunk(b"eXIf", h.exif_block((at, 7, 1 << 24, 8) for at in range(65_000)) + bytes(1 << 24))
        ),
    ),
    Case("png, 3 bits a pixel", lambda: h.raw_png(4, 4, 3, 0, png_chunk(b"IDAT", zlib.compress(bytes(12)))), BITS),
    Case("png, no pixels at all", lambda: h.raw_png(4, 4, 8, 2, b""), NO_PICTURE),
    Case("png, HTML behind it", lambda: h.flat_png(4, 4, after=png_chunk(b"tEXt", b"<script>")) + b"<html><script>"),
    *(
        Case(
            f"png, 49 MP, colour type {colour} of {depth} bits",
            partial(h.flat_png, SIDE, SIDE, depth, colour),
            large=True,
        )
        for depth, colour in ((1, 0), (8, 0), (8, 2), (8, 3), (8, 4), (8, 6), (16, 0), (16, 2), (16, 4), (16, 6))
    ),
    Case(
        "png, 49 MP, palette with alpha",
        lambda: h.flat_png(SIDE, SIDE, 8, 3, extra=png_chunk(b"tRNS", b"\0\x80")),
        large=True,
    ),
    Case(
        "png, 49 MP, a transparent colour",
        lambda: h.flat_png(SIDE, SIDE, 8, 2, extra=png_chunk(b"tRNS", bytes(6))),
        large=True,
    ),
    Case("png, 49 MP, RGBA of 16 bits, Paeth", lambda: h.flat_png(SIDE, SIDE, 16, 6, filter=4), large=True),
    Case("png, 49 MP, RGBA of 16 bits, interlaced", lambda: h.interlaced_png(SIDE, SIDE, 16, 6), large=True),
    Case(
        "png, 49 MP, RGBA of 16 bits, lying on its side",
        lambda: h.flat_png(SIDE, SIDE, 16, 6, extra=png_chunk(b"eXIf", h.exif_block([(0x0112, 3, 1, 6)]))),
        large=True,
    ),
]

JPEGS = [
    Case("jpeg, claims 65,500²", lambda: JPEG.replace(_SIZE_FIELD, struct.pack(">HH", 65_500, 65_500)), MEGAPIXELS),
    Case("jpeg, 190,000 EXIF segments", lambda: h.with_segments(JPEG, h.segment(0xE1, b"Exif\0\0") * 190_000), PARTS),
    Case(
        "jpeg, 300 EXIF segments of 64 KB",
        lambda: h.with_segments(JPEG, h.segment(0xE1, b"Exif\0\0" + bytes(65_000)) * 300),
    ),
    Case("jpeg, 290 Photoshop segments", lambda: h.with_segments(JPEG, _RESOURCES * 290)),
    Case("jpeg, 190,000 tables", lambda: h.with_segments(JPEG, _TABLE * 190_000), PARTS),
    Case("jpeg, 19 MB of zeros between segments", lambda: JPEG[:20] + bytes(19_000_000) + JPEG[20:]),
    Case("jpeg, 19 MB of fill between segments", lambda: JPEG[:20] + b"\xff" * 19_000_000 + JPEG[20:]),
    Case("jpeg, 9 million restarts", lambda: JPEG[:-2] + b"\xff\xd0" * 9_000_000 + JPEG[-2:]),
    Case("jpeg, 12 bits", lambda: h.reframed(JPEG, 0xC1, 12), "3 channels of 12 bits"),
    Case("jpeg, lossless", lambda: h.reframed(JPEG, 0xC3), RARE),
    Case("jpeg, arithmetic coding", lambda: h.reframed(JPEG, 0xC9), RARE),
    Case("jpeg, two headers", lambda: h.with_segments(JPEG, h.frame_header(0xC0, 9, 9)), "two headers"),
    Case("jpeg, EXIF that loops", lambda: _exif_jpeg(h.exif_block([(0x0112, 3, 1, 6)], 8))),
    Case("jpeg, EXIF of 2³² numbers", lambda: _exif_jpeg(h.exif_block([(0x0112, 3, 0xFFFFFFFF, 6)]))),
    Case("jpeg, EXIF of 5,000 tags", lambda: _exif_jpeg(h.exif_block((at, 7, 60_000, 8) for at in range(5000)))),
    Case("jpeg, a ZIP behind it", lambda: JPEG + b"PK\3\4" + bytes(100)),
    Case("pdf, a JPEG in it", lambda: b"%PDF-1.7\n" + JPEG, "is PDF"),
    Case(
        "jpeg, claims 49 MP and has none", lambda: JPEG.replace(_SIZE_FIELD, struct.pack(">HH", SIDE, SIDE)), large=True
    ),
    *(
        Case(
            f"jpeg, 49 MP, progressive, its scan {which} {times} more times",
            lambda which=which, times=times: h.scans_repeated(_flat_jpeg(progressive=True), which, times),
            SCANS if times > 20 else "",
            large=True,
        )
        for which, times in ((0, 10), (1, 10), (1, 90))
    ),
    Case("jpeg, 49 MP of noise", lambda: _busy(SIDE, "JPEG", quality=10), large=True),
    Case(
        "jpeg, 49 MP of noise, progressive, not halved",
        lambda: _busy(ODD, "JPEG", quality=10, progressive=True),
        large=True,
    ),
    Case("jpeg, 49 MP, CMYK, progressive, not halved", lambda: _flat_jpeg("CMYK", ODD, progressive=True), large=True),
    Case(
        "jpeg, 49 MP, 4:4:4, progressive, not halved, on its side",
        lambda: saved(Image.new("RGB", (ODD, ODD)), "JPEG", progressive=True, subsampling=0, exif=exif(6)),
        large=True,
    ),
]

GIFS = [
    Case("gif, 100,000 frames", lambda: h.gif_of_frames(100_000), PARTS),
    Case("gif, 19,000 frames", lambda: h.gif_of_frames(19_000)),
    Case("gif, a frame of 65,535²", lambda: gif_of_frame(65_535), MEGAPIXELS),
    Case("gif, a frame far outside", lambda: h.gif(4, 4, [h.gif_frame(60_000, 0, 4, 4)]), "shape that can't be edited"),
    Case("gif, a frame outside", lambda: h.gif(4, 4, [h.gif_frame(4, 4, 4, 4)])),
    Case(
        "gif, a comment of 19 MB",
        lambda: h.gif(1, 1, [b"!\xfe" + (b"\xff" + bytes(255)) * 74_000 + b"\0", h.gif_frame(0, 0, 1, 1)]),
    ),
    Case("gif, 300,000 blocks of a byte", lambda: h.gif(1, 1, [b"!\xfe" + b"\1c" * 300_000 + b"\0"]), "200000 blocks"),
    Case("gif, 60,000 comments", lambda: h.gif(1, 1, [b"!\xfe\1c\0" * 60_000, h.gif_frame(0, 0, 1, 1)]), PARTS),
    Case("gif, LZW that ends early", lambda: gif_of_frame(600), undecoded=BROKEN),
    Case("gif, a JAR behind it", lambda: h.gif_of_frames(1) + b"PK\3\4" + bytes(100)),
    Case("gif, 49 MP around one of 1×1", lambda: h.gif(1, 1, [h.gif_frame(0, 0, SIDE, SIDE)]), large=True),
    Case("gif, 49 MP, three frames", lambda: h.gif(SIDE, SIDE, [h.gif_frame(0, 0, SIDE, SIDE)] * 3), large=True),
    Case("gif, 49 MP, transparent", lambda: saved(Image.new("P", (SIDE, SIDE)), "GIF", transparency=0), large=True),
]

WEBPS = [
    Case("webp, 34 bytes claim 16,383²", lambda: h.vp8l_claim(16_383, 16_383), MEGAPIXELS),
    Case("webp, a canvas of 16,384²", lambda: h.webp_animation(16_384, 16_384, [_frame(2)]), MEGAPIXELS),
    Case("webp, 100,000 frames", lambda: h.webp_animation(2, 2, [_frame(2) * 100_000]), PARTS),
    Case("webp, a frame beyond its canvas", lambda: h.webp_animation(2, 2, [_frame(600, 600, 600)]), undecoded=BROKEN),
    Case("webp, a frame with more in it than it says", lambda: h.webp_animation(2, 2, [_frame(600)]), undecoded=BROKEN),
    Case(
        "webp, frames and no picture",
        lambda: h.riff(h.webp_header(2, 9, 9), h.webp_chunk(b"ANIM", bytes(6))),
        NO_PICTURE,
    ),
    Case("webp, 34 bytes claim 49 MP", lambda: h.vp8l_claim(SIDE, SIDE), undecoded=BROKEN, large=True),
    Case("webp, 49 MP in 34 bytes", lambda: _flat_webp("RGB", lossless=True), large=True),
    Case("webp, 49 MP of noise, lossless", lambda: _busy(SIDE, "WEBP", lossless=True, method=0, quality=0), large=True),
    Case("webp, 49 MP, lossy", lambda: _flat_webp("RGB"), large=True),
    Case("webp, 49 MP, lossy, with alpha", lambda: _flat_webp("RGBA"), large=True),
    Case("webp, 49 MP around frames of 2×2", lambda: h.webp_animation(SIDE, SIDE, [_frame(2)] * 2), large=True),
    Case("webp, 20 frames of 49 MP", lambda: h.webp_animation(SIDE, SIDE, [_frame(SIDE, SIDE, SIDE)] * 20), large=True),
]

OTHERS = [
    Case("tiff, claims 10 GB", lambda: h.tiff_claim(10_000_000_000), "is TIFF: send a jpeg, png, gif or webp"),
    Case("tiff, claims 10 GB, big-endian", lambda: h.tiff_claim(10_000_000_000, ">"), "is TIFF"),
    Case("bmp, claims 30,000²", lambda: b"BM" + struct.pack("<IIIIii", 54, 0, 54, 40, 30_000, 30_000), "is BMP"),
    Case("psd, claims 300,000²", lambda: b"8BPS\0\1" + bytes(6) + struct.pack(">HII", 3, 300_000, 300_000), "is PSD"),
    Case("svg, with a script", lambda: b"<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>", "is SVG"),
    Case("svg, entities of entities", lambda: b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b 'b'>]><svg/>", "is SVG"),
    Case("html", lambda: b"<!doctype html><img src=x>", "is HTML"),
    Case("nothing", lambda: b"", "is empty"),
    Case("one byte", lambda: b"\xff", "is not a picture"),
    Case("20 MB of noise", lambda: noise(size=(2600, 2560)).tobytes(), "is not a picture"),
]


def _flat_webp(mode: str, **options: Any) -> bytes:
    return saved(Image.new(mode, (SIDE, SIDE)), "WEBP", method=0, **options)


CASES = [*PNGS, *JPEGS, *GIFS, *WEBPS, *OTHERS]

# Data URIs, by what is in them.
URIS: dict[str, Callable[[], str]] = {
    "a head of 9 MB": lambda: "data:image/png" + ";a=" * 3_000_000 + ";base64,AAAA",
    "9 million escapes": lambda: "data:image/png," + "%41" * 9_000_000,
    "9 million escapes in base64": lambda: "data:image/png;base64," + "%41" * 9_000_000,
    "a space after each of 13 million letters": lambda: "data:image/png;base64," + "A " * 13_000_000,
    "27 MB of padding": lambda: "data:image/png;base64," + "=" * 27_000_000,
    "27 MB of commas": lambda: "data:," + "," * 27_000_000,
}
