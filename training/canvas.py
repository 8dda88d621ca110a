"""Drawing with arrays: pictures are (H, W, 3) float32 in 0–1; lengths are shares of the picture's side."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from PIL import Image, ImageFilter

Colour = tuple[float, float, float]
Size = tuple[int, int]


def side(size: Size) -> float:
    """The side of the square of the same area, in pixels: the unit of every length."""
    return float(np.sqrt(size[0] * size[1]))


@lru_cache(maxsize=32)
def grid(size: Size) -> tuple[np.ndarray, np.ndarray]:
    """Pixel centres as (y, x), each (H, W), in sides from the top left."""
    unit = side(size)
    rows, columns = np.arange(size[0]) + 0.5, np.arange(size[1]) + 0.5
    y, x = np.meshgrid(rows / unit, columns / unit, indexing="ij")
    return y.astype(np.float32), x.astype(np.float32)


def rgb(code: str) -> np.ndarray:
    """A colour from six hexadecimal digits."""
    return np.array([int(code[i : i + 2], 16) / 255 for i in (0, 2, 4)], np.float32)


def same(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Which pixels of two uint8 pictures are equal but for rounding, (H, W)."""
    return np.abs(first.astype(int) - second).max(-1) <= 2


def gradient(along: np.ndarray, *codes: str) -> np.ndarray:
    """Colours evenly spaced over `along` in 0–1."""
    stops = np.linspace(0, 1, len(codes))
    colours = np.stack([rgb(code) for code in codes])
    return np.stack([np.interp(along, stops, colours[:, i]) for i in range(3)], -1).astype(np.float32)


def blend(picture: np.ndarray, colour: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """`colour` (a colour or a picture) over `picture` where `mask` (H, W) is 1."""
    return picture + (colour - picture) * mask[..., None]


def edge(distance: np.ndarray, softness: float) -> np.ndarray:
    """A mask that is 1 where `distance` is negative, falling to 0 over `softness`."""
    return np.clip(0.5 - distance / softness, 0, 1).astype(np.float32)


def disc(size: Size, y: float, x: float, radius: float, softness: float = 0.015) -> np.ndarray:
    """A filled circle as a mask."""
    rows, columns = grid(size)
    return edge(np.hypot(rows - y, columns - x) - radius, softness)


def noise(rng: np.random.Generator, size: Size, cell: float) -> np.ndarray:
    """Smooth random values in about −1..1, (H, W), varying over `cell` sides."""
    unit = side(size) * cell
    coarse = rng.uniform(-1, 1, (int(size[0] / unit) + 2, int(size[1] / unit) + 2)).astype(np.float32)
    return np.asarray(Image.fromarray(coarse).resize((size[1], size[0]), Image.Resampling.BICUBIC))


def curve(rng: np.random.Generator, x: np.ndarray, height: float, cycles: float) -> np.ndarray:
    """A rolling line over `x`: three sines of falling size."""
    phases = rng.uniform(0, 2 * np.pi, 3)
    waves = [np.sin(2 * np.pi * cycles * k * x + phase) / k for k, phase in zip((1, 2, 3.7), phases, strict=True)]
    return height * np.sum(waves, axis=0)


def gaussian(picture: np.ndarray, sigma: float) -> np.ndarray:
    """`picture` blurred by `sigma` sides."""
    blur = ImageFilter.GaussianBlur(sigma * side(picture.shape[:2]))
    return from_bytes(np.asarray(Image.fromarray(to_bytes(picture)).filter(blur)))


def luminance(picture: np.ndarray) -> np.ndarray:
    """Rec. 601 luma, (H, W)."""
    return picture @ np.array([0.299, 0.587, 0.114], np.float32)


def to_bytes(picture: np.ndarray) -> np.ndarray:
    """0–1 floats as uint8."""
    return (np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)


def from_bytes(picture: np.ndarray) -> np.ndarray:
    """uint8 as 0–1 floats."""
    return picture.astype(np.float32) / 255


Painter = Callable[[np.random.Generator, Size], np.ndarray]
