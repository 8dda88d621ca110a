"""Pictures for the engine's tests."""

import numpy as np
from PIL import Image


def colourful(width: int, height: int) -> Image.Image:
    """Smooth random colours, always the same."""
    blocks = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(blocks).resize((width, height), Image.Resampling.BICUBIC)
