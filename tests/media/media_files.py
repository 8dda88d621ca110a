"""Picture files for tests, made by Pillow or by hand."""

import io
import random
import struct
import zlib
from typing import Any

from PIL import Image

SIZE = (48, 32)


def noise(mode: str = "RGB", size: tuple[int, int] = SIZE) -> Image.Image:
    """A picture that no encoder makes small, the same each time."""
    return Image.frombytes("RGB", size, random.Random(1).randbytes(3 * size[0] * size[1])).convert(mode)


def saved(image: Image.Image, format: str, **options: Any) -> bytes:
    """The file of ``image`` as Pillow writes it."""
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def png_chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk of a PNG with its checksum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, pixels: bytes = b"", extra: bytes = b"") -> bytes:
    """A PNG that claims any size, whatever its pixels are."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = png_chunk(b"IHDR", header) + extra + png_chunk(b"IDAT", zlib.compress(pixels)) + png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def gif_of_frame(side: int) -> bytes:
    """A GIF that says it is of one pixel, around a frame of ``side`` by ``side``."""
    return b"GIF89a\1\0\1\0\0\0\0," + struct.pack("<HHHH", 0, 0, side, side) + b"\0\2\0;"


def exif(orientation: int, gps: bool = False) -> Image.Exif:
    """EXIF data with an orientation, and a place if wanted."""
    tags = Image.Exif()
    tags[0x0112] = orientation
    if gps:
        tags[0x010F] = "SECRET-CAMERA"
        tags.get_ifd(0x8825)[29] = "SECRET-PLACE"
    return tags
