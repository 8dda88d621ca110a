"""Pictures in every format and mode, damaged in every way, and what is written of them."""

import io
import random
import struct
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageOps

from openkontext.contract import Problem
from openkontext.media.images import CONTENT_TYPES, ImageInfo, ImageLimits, decode, encode, inspect
from tests.media.hostile_files import frame_header
from tests.media.media_files import SIZE, exif, gif_of_frame, noise, png, png_chunk, saved

LIMITS = ImageLimits()
# Pillow warns of damage that it gets over.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")
FRAMES = [noise().rotate(90 * turn) for turn in range(4)]
JPEG = saved(noise(), "JPEG")
MPO = saved(noise(), "MPO", save_all=True, append_images=[noise("L").convert("RGB")])

FILES: dict[str, tuple[str, bytes]] = {
    "png RGB": ("png", saved(noise(), "PNG")),
    "png grey": ("png", saved(noise("L"), "PNG")),
    "png 1 bit": ("png", saved(noise("1"), "PNG")),
    "png 16 bit": ("png", saved(noise("L").convert("I;16"), "PNG")),
    "png alpha": ("png", saved(noise("RGBA"), "PNG")),
    "png grey alpha": ("png", saved(noise("LA"), "PNG")),
    "png palette": ("png", saved(noise("P"), "PNG")),
    "png palette with alpha": ("png", saved(noise("P"), "PNG", transparency=3)),
    "png animated": ("png", saved(FRAMES[0], "PNG", save_all=True, append_images=FRAMES[1:])),
    "png with bytes after its end": ("png", saved(noise(), "PNG") + b"trailer"),
    "jpeg RGB": ("jpeg", saved(noise(), "JPEG")),
    "jpeg grey": ("jpeg", saved(noise("L"), "JPEG")),
    "jpeg CMYK": ("jpeg", saved(noise("CMYK"), "JPEG")),
    "jpeg progressive": ("jpeg", saved(noise(), "JPEG", progressive=True)),
    "jpeg with restarts": ("jpeg", saved(noise(), "JPEG", restart_marker_blocks=1)),
    "jpeg of several pictures": ("jpeg", MPO),
    "jpeg with a thumbnail in its EXIF": ("jpeg", saved(noise(), "JPEG", exif=b"Exif\0\0" + saved(noise(), "JPEG"))),
    "jpeg with bytes after its end": ("jpeg", saved(noise(), "JPEG") + b"\0" * 100),
    "jpeg with junk between segments": ("jpeg", JPEG[:20] + b"\0junk" + JPEG[20:]),
    "gif": ("gif", saved(noise("P"), "GIF")),
    "gif with transparency": ("gif", saved(noise("P"), "GIF", transparency=0)),
    "gif of many frames": ("gif", saved(FRAMES[0], "GIF", save_all=True, append_images=FRAMES[1:] * 50)),
    "webp lossy": ("webp", saved(noise(), "WEBP", quality=80)),
    "webp lossless": ("webp", saved(noise(), "WEBP", lossless=True)),
    "webp alpha": ("webp", saved(noise("RGBA"), "WEBP", quality=80)),
    "webp animated": ("webp", saved(FRAMES[0], "WEBP", save_all=True, append_images=FRAMES[1:])),
}


def refusal(call: Callable[..., Any], *arguments: Any) -> str:
    """The message with which ``call`` refuses a picture."""
    with pytest.raises(Problem) as caught:
        call(*arguments)
    assert ("invalid_image", 400) == (caught.value.code, caught.value.status)
    assert caught.value.message.startswith("the image ")
    return caught.value.message.removeprefix("the image ")


@pytest.mark.parametrize("name", FILES)
def test_whole_pictures_are_taken(name: str) -> None:
    """Every format and mode is measured as Pillow measures it, and decodes to its first frame."""
    kind, data = FILES[name]
    assert ImageInfo(kind, *SIZE) == inspect(data, LIMITS)
    expected = Image.open(io.BytesIO(data))
    image = decode(data, LIMITS)
    assert (expected.mode, expected.convert("RGBA").tobytes()) == (image.mode, image.convert("RGBA").tobytes())


@pytest.mark.parametrize("name", [name for name in FILES if "after its end" not in name])
def test_cut_off_anywhere(name: str) -> None:
    """A file cut at any length is refused, never decoded as a half-grey picture."""
    _, data = FILES[name]
    first = len(data) if name != "jpeg of several pictures" else len(data) // 2
    for length in random.Random(name).sample(range(first), 60):
        assert refusal(inspect, data[:length], LIMITS)
        assert refusal(decode, data[:length], LIMITS)


@pytest.mark.parametrize(
    ("name", "words"),
    [("png RGB", "cut off"), ("jpeg RGB", "no end marker"), ("gif", "cut off"), ("webp lossy", "cut off: it has")],
)
def test_what_is_said_of_a_file_cut_off(name: str, words: str) -> None:
    """The client learns that part of the file is missing, not that it is no picture."""
    _, data = FILES[name]
    assert words in refusal(inspect, data[: len(data) * 2 // 3], LIMITS)


SVG = b'<?xml version="1.0"?>\n<!-- x -->\n<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'
REFUSED = {
    "nothing": (b"", "is empty"),
    "text": (b"hello, world", "is not a picture"),
    "zeros": (bytes(100), "is not a picture"),
    "one byte": (b"\x89", "is not a picture"),
    "bmp": (saved(noise(), "BMP"), "is BMP: send a jpeg, png, gif or webp"),
    "tiff": (saved(noise(), "TIFF"), "is TIFF"),
    "big-endian tiff": (b"MM\0*" + bytes(99), "is TIFF"),
    "ico": (saved(noise(), "ICO"), "is ICO"),
    "jpeg 2000": (saved(noise(), "JPEG2000"), "is JPEG 2000"),
    "avif": (saved(noise(), "AVIF"), "is AVIF"),
    "heic": (b"\0\0\0\x18ftypheic" + bytes(99), "is HEIC"),
    "mp4": (b"\0\0\0\x18ftypisom" + bytes(99), "is MP4"),
    "jpeg xl": (b"\xff\x0a" + bytes(99), "is JPEG XL"),
    "svg": (SVG, "is SVG"),
    "bare svg with a byte order mark": (b"\xef\xbb\xbf  <SVG>", "is SVG"),
    "html": (b"<!DOCTYPE html><title>404</title>", "is HTML"),
    "html with an svg in it": (b"<html><body>no</body></html>", "is HTML"),
    "xml": (b"<?xml version='1.0'?><Error>AccessDenied</Error>", "is XML"),
    "pdf": (b"%PDF-1.7", "is PDF"),
    "gzip": (b"\x1f\x8b\x08", "is GZIP"),
    "only a png's signature": (b"\x89PNG\r\n\x1a\n", "is cut off"),
    "only a jpeg's ends": (b"\xff\xd8\xff\xd9", "has no picture in it"),
    "only a gif's ends": (b"GIF89a\1\0\1\0\0\0\0;", "has no picture in it"),
    "webp without a picture": (b"RIFF\x18\0\0\0WEBPJUNK\x0c\0\0\0" + bytes(12), "has no picture in it"),
    "webp without frames": (
        b"RIFF\x1e\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\x2f\0\0\x1f\0\0" + bytes(8),
        "has no picture in it",
    ),
    "a png without a header": (b"\x89PNG\r\n\x1a\n" + png_chunk(b"IEND", b""), "starts with one header"),
    "a png with a damaged byte": (
        saved(noise(), "PNG")[:60] + b"!" + saved(noise(), "PNG")[61:],
        "checksum of its part",
    ),
    "a gif out of step": (b"GIF89a\1\0\1\0\0\0\0\0", "out of step"),
    "a jpeg of many scans": (
        b"\xff\xd8" + frame_header(0xC0, 1, 1) + b"\xff\xda\0\2" * 101 + b"\xff\xd9",
        "has 101 scans",
    ),
    "a png of many parts": (png(4, 4, extra=png_chunk(b"tEXt", b"") * 20_000), "more than 20000 parts"),
    "huge": (png(60_000, 60_000), "has 60000×60000 = 3600.0 megapixels; the limit is 50"),
    "most there can be": (png(2**32 - 1, 2**32 - 1), "megapixels"),
    "too wide": (png(4001, 1000), "has a shape that can't be edited: sides are up to 4:1"),
    "too tall": (png(10, 41), "sides are up to 4:1"),
    "no width": (png(0, 10), "sides are above zero"),
    "no height": (png(10, 0), "sides are above zero"),
    "a jpeg of no height": (saved(noise(), "JPEG").replace(struct.pack(">HH", 32, 48), b"\0\0\0\x30"), "above zero"),
    "a gif whose frame is larger than itself": (gif_of_frame(8000), "has 8000×8000 = 64.0 megapixels"),
    "a gif whose frame is far larger than itself": (gif_of_frame(65535), "has 65535×65535 = 4294.8 megapixels"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    """What is no picture of ours is refused before any pixel is decoded, by its right name."""
    data, words = REFUSED[name]
    assert words in refusal(inspect, data, LIMITS)
    assert words in refusal(decode, data, LIMITS)


def test_shapes_up_to_the_limits() -> None:
    """Four to one is allowed, and so is the last pixel and the last byte."""
    data = png(400, 100)
    exact = ImageLimits(max_bytes=len(data), max_pixels=40_000)
    assert ImageInfo("png", 400, 100) == inspect(data, exact)
    assert "has 0.0 MB; the limit is" in refusal(inspect, data, ImageLimits(max_bytes=len(data) - 1))
    assert "megapixels" in refusal(inspect, data, ImageLimits(max_pixels=39_999))


def test_limits_stay_below_those_of_the_decoder() -> None:
    """A setting that Pillow would not honour is an error when it is set."""
    with pytest.raises(ValueError, match="max_pixels is at most 89478485"):
        ImageLimits(max_pixels=90_000_000)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation(format: str, orientation: int) -> None:
    """Sides are reported as shown, while the decoded picture keeps its own way and says which."""
    data = saved(noise(), format, exif=exif(orientation))
    shown = SIZE if orientation < 5 else SIZE[::-1]
    assert ImageInfo(format.lower(), *shown) == inspect(data, LIMITS)
    image = decode(data, LIMITS)
    assert (SIZE, orientation) == (image.size, image.getexif().get(0x0112, 1))
    assert shown == ImageOps.exif_transpose(image).size


@pytest.mark.parametrize(
    "blob", [b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + b"\1" * 40]
)
def test_broken_exif_is_no_reason_to_refuse(blob: bytes) -> None:
    """Pictures with damaged EXIF data are common, and upright."""
    assert ImageInfo("jpeg", *SIZE) == inspect(saved(noise(), "JPEG", exif=blob), LIMITS)


@pytest.mark.parametrize(
    "data",
    [
        png(2000, 2000, b"short"),
        png(2000, 2000, extra=png_chunk(b"IDAT", b"not deflated")),
        saved(noise(), "JPEG").replace(b"\xff\xdb", b"\xff\xfe"),
    ],
    ids=["pixels missing", "pixels not deflated", "jpeg without tables"],
)
def test_whole_outside_and_broken_within(data: bytes) -> None:
    """What only decoding finds is refused in the same words and with the same code."""
    assert "can't be decoded: it is damaged or cut off" in refusal(decode, data, LIMITS)


LOOK = """
import re, sys
from pathlib import Path
from openkontext.media.images import ImageLimits, inspect
small, large = sys.argv[1:]
def peak():
    return int(re.search("VmHWM:[^0-9]*([0-9]+)", Path("/proc/self/status").read_text())[1])
inspect(Path(small).read_bytes(), ImageLimits())
before = peak()
info = inspect(Path(large).read_bytes(), ImageLimits())
print(info.width, info.height, peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc for the peak of memory")
@pytest.mark.parametrize("format", ["PNG", "JPEG", "GIF", "WEBP"])
def test_the_look_decodes_nothing(format: str, tmp_path: Path) -> None:
    """A picture of 16 MP, 48 MB of pixels, is looked at within 8 MB."""
    for name, size in (("small", SIZE), ("large", (4000, 4000))):
        # Without EXIF data: Pillow would decode a whole PNG in search of some.
        (tmp_path / name).write_bytes(saved(Image.new("RGB", size), format, method=0))
    command = [sys.executable, "-c", LOOK, str(tmp_path / "small"), str(tmp_path / "large")]
    width, height, kilobytes = map(int, subprocess.run(command, capture_output=True, check=True).stdout.split())
    assert (4000, 4000) == (width, height)
    assert kilobytes < 8_000


def test_a_huge_jpeg_comes_smaller_in_the_same_shape() -> None:
    """Only by what divides both sides, so that the aspect, and with it the output's size, stays exact."""
    sizes = {(6000, 4000): (3000, 2000), (6001, 4000): (6001, 4000), (2000, 1500): (2000, 1500)}
    for size, expected in sizes.items():
        data = saved(Image.new("RGB", size), "JPEG")
        assert expected == decode(data, LIMITS).size
        assert size == (inspect(data, LIMITS).width, inspect(data, LIMITS).height)


@settings(max_examples=300, deadline=None)
@given(name=st.sampled_from(sorted(FILES)), where=st.floats(0, 1), junk=st.binary(max_size=8), cut=st.booleans())
def test_damage_is_refused_or_harmless(name: str, where: float, junk: bytes, cut: bool) -> None:
    """Whatever bytes are written over a picture's, the outcome is a picture or a `Problem`, and nothing else."""
    _, data = FILES[name]
    at = int(where * len(data))
    damaged = data[:at] + junk + (b"" if cut else data[at + len(junk) :])
    for look in (inspect, decode):
        with suppress(Problem):
            look(damaged, LIMITS)


@settings(max_examples=200, deadline=None)
@given(where=st.integers(0, 60), junk=st.binary(min_size=1, max_size=12))
def test_damaged_exif_never_harms(where: int, junk: bytes) -> None:
    """Whatever stands in the EXIF data, the picture decodes and can be turned."""
    blob = b"Exif\0\0" + exif(6, gps=True).tobytes().removeprefix(b"Exif\0\0")
    blob = blob[: 6 + where] + junk + blob[6 + where + len(junk) :]
    data = saved(noise(), "JPEG", exif=blob)
    info = inspect(data, LIMITS)
    assert (info.width, info.height) == ImageOps.exif_transpose(decode(data, LIMITS)).size


@pytest.mark.parametrize("format", CONTENT_TYPES)
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P", "CMYK"])
def test_encode(format: str, mode: str) -> None:
    """Every mode is written as RGB in the format asked for; png is exact."""
    data = encode(noise(mode), format, 90)
    image = Image.open(io.BytesIO(data))
    assert (CONTENT_TYPES[format], "RGB", SIZE) == (image.get_format_mimetype(), image.mode, image.size)
    if format == "png":
        assert noise(mode).convert("RGB").tobytes() == image.tobytes()


@pytest.mark.parametrize("format", ["jpg", "webp"])
def test_quality(format: str) -> None:
    """More quality is a larger file, over the whole range with its ends; and the same input gives the same bytes."""
    sizes = [len(encode(noise(), format, quality)) for quality in (0, 10, 50, 90, 100)]
    assert sorted(set(sizes)) == sizes
    assert encode(noise(), format, 90) == encode(noise(), format, 90)


def test_quality_means_nothing_to_png() -> None:
    """A png is without loss."""
    assert encode(noise(), "png", 0) == encode(noise(), "png", 100)


LEAKY: dict[str, dict[str, Any]] = {
    "JPEG": {"comment": b"SECRET-COMMENT", "xmp": b"SECRET-XMP"},
    "WEBP": {"xmp": b"SECRET-XMP"},
    "PNG": {"pnginfo": None},
}


@pytest.mark.parametrize("source", LEAKY)
@pytest.mark.parametrize("format", CONTENT_TYPES)
def test_metadata_does_not_leak(source: str, format: str) -> None:
    """Place, camera, comments and profiles of the picture sent in are not in the picture given out."""
    data = saved(noise(), source, exif=exif(6, gps=True), icc_profile=b"SECRET-PROFILE", **LEAKY[source])
    assert b"SECRET-PLACE" in data
    assert {"exif"} == set(decode(data, LIMITS).info)
    # The file's own image, with all of it: the encoder must not rely on the decoder.
    written = encode(Image.open(io.BytesIO(data)), format, 90)
    assert b"SECRET" not in written
    image = Image.open(io.BytesIO(written))
    image.load()
    assert {} == dict(image.getexif())
    assert set() == {"exif", "xmp", "icc_profile", "comment", "dpi"} & set(image.info)


@pytest.mark.parametrize("source", LEAKY)
@pytest.mark.parametrize("format", CONTENT_TYPES)
def test_metadata_does_not_leak_beside_a_receipt(source: str, format: str) -> None:
    """The receipt is all there is, not an addition to what the picture brought along."""
    data = saved(noise(), source, exif=exif(6, gps=True), icc_profile=b"SECRET-PROFILE", **LEAKY[source])
    written = encode(Image.open(io.BytesIO(data)), format, 90, {"openkontext": "1.2.3", "prompt": "make it snow"})
    assert b"SECRET" not in written
    assert b"make it snow" in written
    image = Image.open(io.BytesIO(written))
    image.load()
    tags = {ExifTags.Base.Software: "openkontext 1.2.3"} if format != "png" else {}
    assert tags == {tag: text for tag, text in image.getexif().items() if tag != ExifTags.IFD.Exif}
    # Its XMP is of our own: that the picture is made by a model.
    assert {"icc_profile", "comment"}.isdisjoint(image.info)


def test_text_does_not_leak() -> None:
    """Nor are a png's texts, where tools keep prompts."""
    text = png_chunk(b"tEXt", b"parameters\0SECRET")
    data = png(*SIZE, pixels=(b"\0" + bytes(3 * SIZE[0])) * SIZE[1], extra=text)
    assert "SECRET" == Image.open(io.BytesIO(data)).info["parameters"]
    assert {} == decode(data, LIMITS).info
    assert not any(b"SECRET" in encode(Image.open(io.BytesIO(data)), format, 90) for format in CONTENT_TYPES)
