"""Receipts: how a picture came about, kept in its own file.

In a PNG it is the text chunk ``openkontext``, in JPEG and WebP the EXIF tag UserComment: compact JSON either way, and
beside it the tag Software and the XMP that says "edited with AI". Nobody vouches for a receipt by itself: it may be
forged, and saving the picture again may lose it.
"""

import io
import json
from collections.abc import Mapping
from typing import Any, Final

from PIL import ExifTags, Image, PngImagePlugin, TiffImagePlugin, TiffTags

from . import containers, xmp

Receipt = dict[str, Any]

# What a receipt says, and as what: always, and where it applies. docs/receipts.md tells what each one means.
REQUIRED: Final[dict[str, type]] = {
    "openkontext": str,
    "aspect_ratio": str,
    "guidance": float,
    "num_inference_steps": int,
    "seed": int,
    "output_format": str,
    "output_quality": int,
    "width": int,
    "height": int,
    "checkpoint": str,
    "fingerprint": str,
    "device": str,
    "dtype": str,
    "torch": str,
    "diffusers": str,
    "transformers": str,
    "pillow": str,
    "input_sha256": str,
    "created_at": str,
}
OPTIONAL: Final[dict[str, type]] = {
    "request_id": str,
    "parent_request_id": str,
    "prompt": str,
    "prompt_cut": bool,
    "threads": int,
    "disable_safety_checker": bool,
}

_CHUNK: Final = "openkontext"
# A segment of a JPEG holds no more, whatever is in it.
_MAX_EXIF: Final = 65_533
# As many characters fit at the most that JSON and UTF-16 make of one: 12 bytes.
_PROMPT_THAT_FITS: Final = 4_000
# The character codes that EXIF 2.32 puts before a UserComment (table 9).
_ASCII, _UNICODE = b"ASCII\0\0\0", b"UNICODE\0"
_BIG_ENDIAN: Final = b"MM\0*\0\0\0\x08"
# Of what is read: far more than any of ours, and nothing for a hostile file to gain.
_MAX_TEXT, _MAX_WORD, _MAX_PIXELS = 262_144, 300, 50_000_000


def embedding(receipt: Mapping[str, Any], format: str) -> dict[str, Any]:
    """Pillow's options that save a picture as ``format`` (png, jpg, webp) with ``receipt`` in it.

    JPEG has room for 64 KB: a prompt for which that isn't enough is cut, and ``prompt_cut`` says so.
    """
    software = f"openkontext {receipt['openkontext']}"
    if format == "png":
        chunks = PngImagePlugin.PngInfo()
        chunks.add_text("Software", software)
        chunks.add_text(_CHUNK, _compact(receipt))
        chunks.add_itxt("XML:com.adobe.xmp", xmp.packet(software).decode())
        return {"pnginfo": chunks}
    exif = _exif(software, _compact(receipt))
    if len(exif) > _MAX_EXIF:
        shorter = {**receipt, "prompt": receipt["prompt"][:_PROMPT_THAT_FITS], "prompt_cut": True}
        exif = _exif(software, _compact(shorter))
    return {"exif": exif, "xmp": xmp.packet(software)}


def read(data: bytes) -> Receipt | None:
    """The receipt in a picture's file, its `REQUIRED` and `OPTIONAL` fields; None if there is none, or no sound one.

    No pixel is decoded. The file may be anybody's: whatever is wrong with it, the answer is None.
    """
    try:
        text = _text(data)
        said = json.loads(text) if len(text) <= _MAX_TEXT else None
    except MemoryError:
        raise
    except Exception:
        # Pillow raises nearly any exception on damaged data, and json several.
        return None
    return checked(said)


def source_type(data: bytes) -> str | None:
    """The digital source type in the XMP of a picture's file; None if there is none. As safe as `read`."""
    try:
        with _opened(data) as image:
            return xmp.source_type(image.info["xmp"])
    except MemoryError:
        raise
    except Exception:
        return None


def checked(said: object) -> Receipt | None:
    """``said``, if it is a sound receipt, without fields of others."""
    if not isinstance(said, dict) or not said.keys() >= REQUIRED.keys():
        return None
    fields = REQUIRED | OPTIONAL
    receipt = {name: said[name] for name in fields if name in said}
    return receipt if all(_is(value, name, fields[name]) for name, value in receipt.items()) else None


def _compact(receipt: Mapping[str, Any]) -> str:
    return json.dumps(receipt, ensure_ascii=False, separators=(",", ":"))


def _exif(software: str, text: str) -> bytes:
    """EXIF data of both, big-endian. `Image.Exif` would write a UserComment of the wrong type, which readers refuse."""
    outer, inner = (TiffImagePlugin.ImageFileDirectory_v2(_BIG_ENDIAN) for _ in range(2))
    inner.tagtype[ExifTags.Base.UserComment] = TiffTags.UNDEFINED
    # Readers disagree on the order of the text's bytes: some take the rest's, some the big-endian.
    comment = _ASCII + text.encode() if text.isascii() else _UNICODE + text.encode("utf-16-be")
    inner[ExifTags.Base.UserComment] = comment
    outer[ExifTags.Base.Software] = software
    outer[ExifTags.IFD.Exif] = 0
    after = len(_BIG_ENDIAN) + len(outer.tobytes(len(_BIG_ENDIAN)))
    outer[ExifTags.IFD.Exif] = after
    return b"Exif\0\0" + _BIG_ENDIAN + outer.tobytes(len(_BIG_ENDIAN)) + inner.tobytes(after)


def _text(data: bytes) -> str:
    """The JSON in the file of a picture. Raises whatever is wrong with it."""
    with _opened(data) as image:
        if image.format == "PNG":
            return str(image.info[_CHUNK])
        return _decoded(image.getexif().get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.UserComment])


def _opened(data: bytes) -> Image.Image:
    """Pillow's image of a file, not loaded. Raises whatever is wrong with it."""
    kind = containers.sniff(data)
    if kind not in ("png", "jpeg", "webp"):
        raise ValueError(kind)
    # Before Pillow sees it: some of its openers allocate for the size that the header claims.
    outline = containers.outline(data, kind)
    if outline.width * outline.height > _MAX_PIXELS:
        raise ValueError(outline.width, outline.height)
    return Image.open(io.BytesIO(data), formats=(kind,))


def _decoded(comment: bytes) -> str:
    code, text = comment[:8], comment[8:]
    if code != _UNICODE:
        return text.decode("ascii")
    # EXIF doesn't say which order: tools that write tags anew may use the other.
    return text.decode("utf-16-le" if text[1:2] == b"\0" else "utf-16-be")


def _is(value: object, name: str, kind: type) -> bool:
    if isinstance(value, str) and name != "prompt":
        # They are shown in terminals, where control characters are commands.
        return kind is str and len(value) <= _MAX_WORD and value.isprintable()
    # A bool is an int to Python, and a whole number is as good a float as any.
    return type(value) is kind or (kind is float and type(value) is int)
