"""Pictures in and out of tensors: what a person sees, as RGB, at the size the model makes."""

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

_WHITE = (255, 255, 255, 255)


def as_seen(image: Image.Image) -> Image.Image:
    """The picture a viewer would show: its first frame, turned by EXIF, on white, in 8-bit RGB."""
    if getattr(image, "is_animated", False):
        image.seek(0)
    upright = _eight_bit(ImageOps.exif_transpose(image))
    if not upright.has_transparency_data:
        return upright.convert("RGB")
    layer = upright.convert("RGBA")
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
