"""Damaged pictures for fuzzing: whole files whose parts are changed and whose checksums are right again.

Every choice comes from one generator, so that a seed names an input.
"""

import random
import struct
import zlib
from collections.abc import Callable

from openkontext.media.images import ImageLimits
from tests.media import hostile_files as h
from tests.media.media_files import exif, noise, png_chunk, saved

# Small, so that what is beyond them comes up often, and what is within is quick.
LIMITS = ImageLimits(max_bytes=200_000, max_pixels=300_000)

_FRAMES = [noise().rotate(90 * turn) for turn in range(3)]
SEEDS: tuple[bytes, ...] = (
    *(saved(noise(mode), "PNG") for mode in ("RGB", "RGBA", "L", "LA", "1", "P")),
    saved(noise("P"), "PNG", transparency=3),
    saved(noise("L").convert("I;16"), "PNG", exif=exif(6, gps=True)),
    saved(_FRAMES[0], "PNG", save_all=True, append_images=_FRAMES[1:]),
    *(h.interlaced_png(31, 17, depth, colour) for depth, colour in ((8, 2), (16, 6), (4, 3), (1, 0))),
    *(saved(noise(mode), "JPEG", progressive=slow) for mode in ("RGB", "L", "CMYK") for slow in (False, True)),
    saved(noise(), "JPEG", restart_marker_blocks=1, exif=exif(6, gps=True), icc_profile=bytes(500), comment=b"c"),
    saved(noise(), "MPO", save_all=True, append_images=[noise()]),
    saved(noise("P"), "GIF", transparency=0, comment=b"c"),
    saved(_FRAMES[0], "GIF", save_all=True, append_images=_FRAMES[1:]),
    saved(noise(), "WEBP", quality=50),
    saved(noise(), "WEBP", lossless=True, exif=exif(8), xmp=b"x", icc_profile=bytes(100)),
    saved(noise("RGBA"), "WEBP", quality=50),
    saved(_FRAMES[0], "WEBP", save_all=True, append_images=_FRAMES[1:]),
)  # fmt: skip
_NUMBERS = (0, 1, 2, 3, 4, 7, 8, 16, 255, 256, 0x7FFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def mutated(generator: random.Random) -> bytes:
    """One of `SEEDS` with one to five changes."""
    data = generator.choice(SEEDS)
    for _ in range(generator.randint(1, 5)):
        changes = (*_ANY, *_STRUCTURED.get(data[:2], ()))
        data = generator.choice(changes)(data, generator)
    return data


def _overwrite(data: bytes, generator: random.Random) -> bytes:
    at = generator.randrange(len(data) + 1)
    return data[:at] + generator.randbytes(generator.randint(1, 8)) + data[at + generator.randint(0, 8) :]


def _flip(data: bytes, generator: random.Random) -> bytes:
    at = generator.randrange(max(1, len(data)))
    return data[:at] + bytes(byte ^ 1 << generator.randrange(8) for byte in data[at : at + 1]) + data[at + 1 :]


def _cut(data: bytes, generator: random.Random) -> bytes:
    return data[: generator.randrange(len(data) + 1)]


def _repeat(data: bytes, generator: random.Random) -> bytes:
    start, end = sorted(generator.choices(range(len(data) + 1), k=2))
    return data[:end] + data[start:end] * generator.randint(1, 3) + data[end:]


def _number(data: bytes, generator: random.Random) -> bytes:
    """A number that something may be the size of, somewhere: mostly near the start, where headers are."""
    at = generator.randrange(min(len(data), generator.choice((64, 256, len(data)))) + 1)
    form = generator.choice(("<H", ">H", "<I", ">I", "B"))
    number = struct.pack(form, generator.choice(_NUMBERS) & (1 << 8 * struct.calcsize(form)) - 1)
    return data[:at] + number + data[at + len(number) :]


def _png_parts(data: bytes, generator: random.Random) -> bytes:
    """Chunks dropped, doubled, moved, renamed or changed inside, with right lengths and checksums."""
    chunks = _png_chunks(data)
    if not chunks:
        return data
    at = generator.randrange(len(chunks))
    kind, body = chunks[at]
    change = generator.randrange(6)
    if change == 0:
        del chunks[at]
    elif change == 1:
        chunks.insert(generator.randrange(len(chunks) + 1), (kind, body))
    elif change == 2:
        chunks[at] = (generator.choice([other for other, _ in chunks] + [b"eXIf", b"iCCP", b"zTXt", b"acTL"]), body)
    elif change == 3 and kind == b"IDAT":
        chunks[at] = (kind, zlib.compress(_ANY[generator.randrange(2)](_inflated(body), generator)))
    elif change == 4:
        generator.shuffle(chunks)
    else:
        chunks[at] = (kind, generator.choice(_ANY)(body, generator))
    return h.PNG_SIGNATURE + b"".join(png_chunk(*chunk) for chunk in chunks)


def _png_chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    chunks, offset = [], 8
    while offset + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, offset)
        chunks.append((kind, data[offset + 8 : offset + 8 + length]))
        offset += 12 + length
    return chunks


def _inflated(data: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(data, 1 << 20)
    except zlib.error:
        return data


def _jpeg_parts(data: bytes, generator: random.Random) -> bytes:
    """A segment dropped, doubled, or changed inside with its length kept right; or another marker."""
    starts = [at for at in range(2, len(data) - 4) if data[at] == 0xFF and data[at + 1] not in (0, 0xFF, 0xD9)]
    if not starts:
        return data
    at = generator.choice(starts)
    (length,) = struct.unpack_from(">H", data, at + 2)
    end, body = at + 2 + length, data[at + 4 : at + 2 + length]
    pieces: tuple[Callable[[], bytes], ...] = (
        lambda: b"",
        lambda: data[at:end] * 2,
        lambda: bytes([0xFF, generator.randrange(0xC0, 0xFF)]) + data[at + 2 : end],
        lambda: h.segment(data[at + 1], generator.choice(_ANY)(body, generator)[:60_000]),
    )
    return data[:at] + generator.choice(pieces)() + data[end:]


def _webp_parts(data: bytes, generator: random.Random) -> bytes:
    """Chunks dropped, doubled, moved, renamed or changed inside, with right sizes."""
    chunks, offset = [], 12
    while offset + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, offset)
        chunks.append((kind, data[offset + 8 : offset + 8 + length]))
        offset += 8 + length + length % 2
    if not chunks:
        return data
    at = generator.randrange(len(chunks))
    kind, body = chunks[at]
    change = generator.randrange(5)
    if change == 0:
        del chunks[at]
    elif change == 1:
        chunks.insert(generator.randrange(len(chunks) + 1), (kind, body))
    elif change == 2:
        chunks[at] = (generator.choice((b"VP8 ", b"VP8L", b"VP8X", b"ANMF", b"ANIM", b"ALPH", b"EXIF")), body)
    elif change == 3:
        generator.shuffle(chunks)
    else:
        chunks[at] = (kind, generator.choice(_ANY)(body, generator))
    return h.riff(*(h.webp_chunk(*chunk) for chunk in chunks))


_ANY = (_flip, _overwrite, _number, _cut, _repeat)
_STRUCTURED = {b"\x89P": (_png_parts,) * 8, b"\xff\xd8": (_jpeg_parts,) * 8, b"RI": (_webp_parts,) * 8}
