"""Pictures: looked at without decoding (the gateway), decoded within bounds (the worker), encoded clean."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from PIL import ExifTags, Image

from openkontext.contract import Problem
from openkontext.contract.sizes import check_aspect

from . import containers, receipts

CONTENT_TYPES: Final = {"png": "image/png", "jpg": "image/jpeg", "webp": "image/webp"}

_PILLOW_FORMATS: Final = {"png": "PNG", "jpeg": "JPEG", "gif": "GIF", "webp": "WEBP"}
_SIDEWAYS: Final = frozenset({5, 6, 7, 8})
# Four times the pixels that the model sees at most: more would not show in the reference.
_ENOUGH_PIXELS: Final = 4_000_000
# Of a 1 MP photo: level 6 makes a file 12 % smaller and takes twice as long, level 2 one 14 % larger in the same time.
_PNG_LEVEL: Final = 4


@dataclass(frozen=True)
class ImageLimits:
    """What a picture may be at most: bytes of its file, and pixels (width × height)."""

    max_bytes: int = 20_000_000
    max_pixels: int = 50_000_000

    def __post_init__(self) -> None:
        # Pillow warns above this and refuses above twice it, in words that say nothing to a client.
        if Image.MAX_IMAGE_PIXELS is not None and self.max_pixels > Image.MAX_IMAGE_PIXELS:
            raise ValueError(f"max_pixels is at most {Image.MAX_IMAGE_PIXELS}")


@dataclass(frozen=True)
class ImageInfo:
    """A picture's ``format`` (png, jpeg, gif, webp) and its size in pixels as shown, EXIF orientation applied."""

    format: str
    width: int
    height: int


def inspect(data: bytes, limits: ImageLimits) -> ImageInfo:
    """Check from its header and structure that ``data`` is a whole picture that the service takes; decodes no pixel.

    Raises `Problem` ``invalid_image``, saying what is wrong.
    """
    kind, outline = _outline(data, limits)
    width, height = outline.width, outline.height
    if outline.orientation in _SIDEWAYS:
        width, height = height, width
    return ImageInfo(kind, width, height)


def decode(data: bytes, limits: ImageLimits) -> Image.Image:
    """The pixels of ``data``'s first frame, in the file's own mode and orientation.

    Of the metadata only the EXIF orientation (through `getexif`) and transparency come along: colour profiles are not
    interpreted, nor is anything else that a picture can do without.
    A JPEG of 16 MP and more may come at a half, a quarter or an eighth of its size, where its sides divide by that.
    Raises `Problem` ``invalid_image`` as `inspect` does, and for pixels that can't be decoded.
    """
    kind, outline = _outline(data, limits)
    try:
        image = Image.open(io.BytesIO(outline.pared()), formats=(_PILLOW_FORMATS[kind],))
        if image.size != (outline.width, outline.height):
            raise Image.DecompressionBombError
        _draft(image)
        image.load()
    except MemoryError:
        raise
    except Exception as error:
        raise _unreadable(error) from error
    _label(image, outline.orientation)
    return image


def encode(image: Image.Image, format: str, quality: int, receipt: Mapping[str, Any] | None = None) -> bytes:
    """The file of ``image`` as RGB in ``format`` (png, jpg, webp), without any metadata but ``receipt`` (`receipts`).

    ``quality`` is 0 to 100 for jpg and webp, and means nothing to png. Alpha is dropped, not blended.
    """
    # What a file brought along (EXIF, GPS, comments, profiles) is in `info`, from where savers may write it again.
    clean = image.convert("RGB")
    clean.info = {}
    file = io.BytesIO()
    metadata = receipts.embedding(receipt, format) if receipt else {}
    if format == "png":
        clean.save(file, "PNG", compress_level=_PNG_LEVEL, **metadata)
    else:
        clean.save(file, {"jpg": "JPEG", "webp": "WEBP"}[format], quality=quality, **metadata)
    return file.getvalue()


def _outline(data: bytes, limits: ImageLimits) -> tuple[str, containers.Outline]:
    """The format and outline of ``data``, after every check that can be made without pixels."""
    kind = _kind(data)
    if len(data) > limits.max_bytes:
        raise _invalid(f"has {len(data) / 1e6:.1f} MB; the limit is {limits.max_bytes / 1e6:g} MB")
    try:
        outline = containers.outline(data, kind)
    except containers.Malformed as error:
        raise _invalid(str(error)) from error
    _check_size(outline.width, outline.height, limits)
    return kind, outline


def _kind(data: bytes) -> str:
    if not data:
        raise _invalid("is empty")
    kind = containers.sniff(data)
    if kind in containers.SUPPORTED:
        return kind
    found = f"is {kind.upper()}" if kind else "is not a picture"
    raise _invalid(f"{found}: send a jpeg, png, gif or webp")


def _check_size(width: int, height: int, limits: ImageLimits) -> None:
    if width * height > limits.max_pixels:
        raise _invalid(
            f"has {width}×{height} = {width * height / 1e6:.1f} megapixels; "
            f"the limit is {limits.max_pixels / 1e6:g}: send it smaller"
        )
    try:
        check_aspect(width, height)
    except ValueError as error:
        raise _invalid(f"has a shape that can't be edited: {error}") from error


def _draft(image: Image.Image) -> None:
    """Have a huge JPEG decoded smaller, which takes a fraction of the time and memory.

    Only where both sides divide: the aspect stays exact, and with it the size of the output.
    """
    width, height = image.size
    for scale in (8, 4, 2):
        if width % scale == height % scale == 0 and width * height >= _ENOUGH_PIXELS * scale * scale:
            image.draft(None, (width // scale, height // scale))
            return


def _label(image: Image.Image, orientation: int) -> None:
    """Leave nothing in ``image.info`` but what says how the pixels are meant."""
    image.info = {"transparency": image.info["transparency"]} if "transparency" in image.info else {}
    if orientation != 1:
        tags = Image.Exif()
        tags[ExifTags.Base.Orientation] = orientation
        image.info["exif"] = tags.tobytes()


def _unreadable(error: Exception) -> Problem:
    if isinstance(error, Image.DecompressionBombError):
        return _invalid("has more pixels inside than its header says: it is damaged, or made to do harm")
    # Pillow's decoders raise nearly any exception on damaged data: OSError, SyntaxError, struct.error, IndexError, …
    return _invalid(f"can't be decoded: it is damaged or cut off ({type(error).__name__})")


def _invalid(what: str) -> Problem:
    return Problem("invalid_image", f"the image {what}")
