"""Hostile pictures at the gateway and in the worker: what they may cost, and what of them may come out again."""

import base64
import io
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from openkontext.contract import Problem
from openkontext.engine.pictures import as_seen
from openkontext.media import datauri
from openkontext.media.images import CONTENT_TYPES, ImageLimits, decode, encode, inspect
from tests.media import hostile_files as h
from tests.media.hostile_cases import CASES, URIS, Case
from tests.media.hostile_files import MARK, PLANTED
from tests.media.media_files import SIZE, exif, noise, png_chunk, saved

LIMITS = ImageLimits()
SMALL = [case for case in CASES if not case.large]
# Of the CPU: some ten times what the slowest takes, and a tenth of what such files took decoders that are not bounded.
SECONDS = 3.0


def said(call: Callable[[], object]) -> str:
    """The refusal of a picture, or "" for none; anything else is raised. It comes in time."""
    started = time.thread_time()
    try:
        call()
        code, words = "invalid_image", ""
    except Problem as problem:
        code, words = problem.code, problem.message
    assert time.thread_time() - started < SECONDS
    assert "invalid_image" == code
    return words


def agrees(expected: str, actual: str) -> bool:
    """Whether a refusal has the words that it should have, or isn't there where there should be none."""
    return expected in actual if expected else not actual


@pytest.mark.parametrize("case", SMALL, ids=lambda case: case.name)
def test_hostile(case: Case) -> None:
    """The gateway refuses it with a reason or takes it for the picture that it is, and so does a worker."""
    data = case.make()
    look = said(lambda: inspect(data, LIMITS))
    assert agrees(case.refused, look), look
    work = said(lambda: as_seen(decode(data, LIMITS)))
    assert agrees(case.refused or case.undecoded, work), work


MEASURE = """
import re
from pathlib import Path
from openkontext.contract import Problem
from openkontext.media.images import ImageLimits, decode, inspect
from tests.media.hostile_cases import CASES

PROCESS = Path("/proc/self")

def peak():
    return int(re.search(r"VmHWM:\\s*(\\d+)", (PROCESS / "status").read_text())[1])

worst = {inspect: 0, decode: 0}
for case in CASES:
    if not case.large:
        data = case.make()
        for call in worst:
            (PROCESS / "clear_refs").write_text("5")
            before = peak()
            try:
                call(data, ImageLimits())
            except Problem:
                pass
            worst[call] = max(worst[call], peak() - before)
print(*worst.values())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc for the peak of memory")
def test_memory() -> None:
    """None of those files costs the gateway more than 8 MB, or a worker more than the file's size, 20 MB, and that."""
    answer = subprocess.run([sys.executable, "-c", MEASURE], capture_output=True, check=True, text=True)
    look, work = map(int, answer.stdout.split())
    assert look < 8_000
    assert work < 28_000


URI_COSTS = """
import re, sys
from pathlib import Path
from openkontext.contract import Problem
from openkontext.media import datauri
from tests.media.hostile_cases import URIS

PROCESS = Path("/proc/self")

def peak():
    return int(re.search(r"VmHWM:\\s*(\\d+)", (PROCESS / "status").read_text())[1])

worst = 0
for make in URIS.values():
    uri = make()
    (PROCESS / "clear_refs").write_text("5")
    before = peak()
    try:
        datauri.decode(uri, 20_000_000)
    except Problem:
        pass
    worst = max(worst, peak() - before)
print(worst)
"""


@pytest.mark.parametrize("name", URIS)
def test_hostile_data_uris(name: str) -> None:
    """Long ones are read or refused in time."""
    uri = URIS[name]()
    words = said(lambda: datauri.decode(uri, 20_000_000))
    assert ("letters" not in name) == bool(words)


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc for the peak of memory")
def test_memory_of_data_uris() -> None:
    """Reading one of 27 MB costs a few times that, whatever is in it."""
    answer = subprocess.run([sys.executable, "-c", URI_COSTS], capture_output=True, check=True, text=True)
    assert int(answer.stdout) < 120_000


POLYGLOTS = {
    "": b"",
    "zip": b"PK\3\4" + MARK,
    "html": b"<html><script>" + MARK,
    "picture": saved(noise(), "JPEG") + MARK,
}


@pytest.mark.parametrize("tail", POLYGLOTS)
@pytest.mark.parametrize("source", PLANTED)
@pytest.mark.parametrize("format", CONTENT_TYPES)
def test_nothing_but_pixels_gets_through(format: str, source: str, tail: str) -> None:
    """What is planted in every place of a file, GPS among it, and another file behind it, is in no output."""
    data = PLANTED[source](POLYGLOTS[tail])
    assert data.count(MARK) >= 4
    assert source == "gif" or b"SECRET-PLACE" in data
    picture = decode(data, LIMITS)
    assert not any(mark in repr(picture.info).encode() for mark in (MARK, b"SECRET"))
    seen = as_seen(picture)
    assert (SIZE if source == "gif" else SIZE[::-1]) == seen.size
    written = encode(seen, format, 90)
    assert not any(
        mark in written for mark in (MARK, b"SECRET", b"PK\3\4", b"<script", b"Exif", b"ICC", b"XMP", b"xmp")
    )


@pytest.mark.parametrize("format", ["PNG", "JPEG", "GIF", "WEBP"])
def test_cut_off_at_every_byte(format: str) -> None:
    """No beginning of a file is taken for all of it."""
    data = saved(noise(), format)
    taken = [length for length in range(len(data)) if not said(lambda length=length: inspect(data[:length], LIMITS))]
    assert [] == taken


@pytest.mark.parametrize("source", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("order", ["<", ">"])
def test_orientation_is_pillows(source: str, orientation: int, order: str) -> None:
    """All eight, in either byte order, turn the picture as Pillow itself would have."""
    tags = exif(orientation)
    tags.endian = order
    data = saved(noise(), source, exif=tags)
    seen = as_seen(decode(data, LIMITS))
    assert as_seen(Image.open(io.BytesIO(data))).tobytes() == seen.tobytes()
    info = inspect(data, LIMITS)
    assert seen.size == (info.width, info.height)


PROFILES = {
    "wrong": b"not a profile",
    "empty": b"",
    "huge": bytes(1_500_000),
    "random": noise(size=(300, 300)).tobytes(),
}


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP"])
def test_profiles_are_not_read(format: str, profile: str) -> None:
    """A colour profile, whatever is in it, changes neither the pixels nor the verdict."""
    plain, profiled = saved(noise(), format), saved(noise(), format, icc_profile=PROFILES[profile])
    assert decode(plain, LIMITS).tobytes() == decode(profiled, LIMITS).tobytes()


@pytest.mark.parametrize(("depth", "colour"), [(16, 0), (16, 2), (16, 4), (16, 6), (8, 3), (4, 3), (2, 0), (1, 0)])
def test_interlaced_is_the_same(depth: int, colour: int) -> None:
    """Pictures of every depth and colour type decode alike, line by line and in passes."""
    line, passes = h.flat_png(31, 17, depth, colour), h.interlaced_png(31, 17, depth, colour)
    assert as_seen(decode(line, LIMITS)).tobytes() == as_seen(decode(passes, LIMITS)).tobytes()


def test_sixteen_bits_and_cmyk_keep_their_colours() -> None:
    """Rare modes are seen as what they are: half grey, half transparent grey, and print's red."""
    half = struct.pack(">H", 0x8080)
    grey = h.raw_png(2, 1, 16, 0, png_chunk(b"IDAT", zlib.compress(b"\0" + half * 2)))
    clear = h.raw_png(2, 1, 16, 4, png_chunk(b"IDAT", zlib.compress(b"\0" + (bytes(2) + half) * 2)))
    assert [(128, 128, 128)] * 2 == list(as_seen(decode(grey, LIMITS)).get_flattened_data())
    assert [(127, 127, 127)] * 2 == list(as_seen(decode(clear, LIMITS)).get_flattened_data())
    red = as_seen(decode(saved(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG", quality=100), LIMITS))
    assert all(abs(a - b) <= 2 for a, b in zip((255, 0, 0), red.getpixel((8, 8)), strict=True))


@pytest.mark.parametrize("size", [(20, 300), (129, 128), (300, 257)])
@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "L", "CMYK", "I;16"])
def test_flattened_in_bands(mode: str, size: tuple[int, int]) -> None:
    """A picture is put on white in bands, and no seam shows."""
    image = noise("L", size).convert("I;16") if mode == "I;16" else noise("RGBA", size).convert(mode)
    if mode in ("RGBA", "LA"):
        image.putalpha(noise("L", size))
    seen = as_seen(image)
    rows = [as_seen(image.crop((0, top, size[0], top + 1))).tobytes() for top in range(size[1])]
    assert b"".join(rows) == seen.tobytes()


def test_the_same_by_data_uri() -> None:
    """A hostile file is no less refused for coming in a data URI, whatever type that gives it."""
    uri = "data:image/png;base64," + base64.b64encode(h.tiff_claim(10_000_000_000)).decode()
    assert "is TIFF" in said(lambda: inspect(datauri.decode(uri, LIMITS.max_bytes), LIMITS))


def test_names_mean_nothing(tmp_path: Path) -> None:
    """Renamed to .png or .jpg, a TIFF is a TIFF."""
    for name in ("a.png", "a.jpg"):
        (tmp_path / name).write_bytes(h.tiff_claim(10_000_000_000))
        assert "is TIFF" in said(lambda name=name: decode((tmp_path / name).read_bytes(), LIMITS))
