"""Pictures in and out of tensors: what a person sees, as RGB, at the size the model makes."""

import numpy as np
import torch
from PIL import ExifTags, Image
from torch import Tensor

_WHITE = (255, 255, 255, 255)
# Rows that are put on white at a time: a picture of 50 megapixels would otherwise be in memory five times over.
_ROWS = 128
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def as_seen(image: Image.Image) -> Image.Image:
    """The picture a viewer would show: its first frame, turned by EXIF, on white, in 8-bit RGB.

    That is ``image`` itself where it is so already.
    """
    if getattr(image, "is_animated", False):
        image.seek(0)
    turn = _TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    # By this name, so that the original is let go where the caller has no more use for it.
    image = _flattened(image)
    if turn is None:
        return image
    upright = image.transpose(turn)
    # What says how it was turned came along: another call must not turn it again.
    upright.info = {}
    return upright


def _flattened(image: Image.Image) -> Image.Image:
    if image.mode == "RGB" and not image.has_transparency_data:
        return image
    flat = Image.new("RGB", image.size)
    for top in range(0, image.height, _ROWS):
        box = (0, top, image.width, min(top + _ROWS, image.height))
        flat.paste(_on_white(_eight_bit(image.crop(box))), box)
    return flat


def _on_white(image: Image.Image) -> Image.Image:
    if not image.has_transparency_data:
        return image.convert("RGB")
    layer = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layer.size, _WHITE), layer).convert("RGB")


def _eight_bit(image: Image.Image) -> Image.Image:
    """A 16-bit grey picture by its high bytes; Pillow would cut everything above 255 to white."""
    if not image.mode.startswith("I"):
        return image
    return Image.fromarray((np.asarray(image).clip(0, 65535) // 257).astype(np.uint8))


def to_tensor(image: Image.Image, width: int, height: int) -> Tensor:
    """An RGB picture, resized, as [1, 3, height, width] float32 in -1 to 1 on the CPU."""
    resized = image if image.size == (width, height) else image.resize((width, height), Image.Resampling.LANCZOS)
    pixels = torch.from_numpy(np.array(resized, dtype=np.float32) / 255)
    return pixels.permute(2, 0, 1)[None] * 2 - 1


def to_image(picture: Tensor) -> Image.Image:
    """[1, 3, height, width] in -1 to 1, anything beyond cut off, as an RGB picture."""
    pixels = (picture[0] * 0.5 + 0.5).clamp(0, 1).float().cpu().permute(1, 2, 0).numpy()
    return Image.fromarray((pixels * 255).round().astype(np.uint8))
