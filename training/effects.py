"""What is done to a whole picture: each effect takes (rng, picture) and returns a picture, (H, W, 3) in 0–1."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image

from training.canvas import blend, edge, gaussian, grid, luminance, rgb, side

Effect = Callable[[np.random.Generator, np.ndarray], np.ndarray]


def grey(picture: np.ndarray) -> np.ndarray:
    """Luminance in three channels."""
    return np.repeat(luminance(picture)[..., None], 3, axis=-1)


def black_and_white(rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    """Without colour."""
    return grey(picture)


def sepia(rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    """Brown tones of an old photograph."""
    return np.clip(grey(picture) * np.array([1.12, 0.9, 0.66], np.float32) + [0.05, 0.02, 0], 0, 1)


def sketch(rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    """Pencil lines on paper: the picture divided by its blurred self."""
    light = grey(picture)
    paper = gaussian(light, 0.02)
    return np.clip((light + 0.03) / (paper + 0.03), 0, 1) ** 4


def negative(rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    """Inverted."""
    return 1 - picture


def blur(rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    """Out of focus."""
    return gaussian(picture, 0.028)


def darker(rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    """Less light."""
    return picture * 0.42


def brighter(rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    """More light."""
    return 1 - (1 - picture) ** 1.9


def night(rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    """Day for night: dim, blue, with little colour."""
    return (0.5 * picture + 0.5 * grey(picture)) * np.array([0.26, 0.36, 0.66], np.float32)


def fog(rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    """A pale veil."""
    return blend(picture, rgb("dfe4e8"), np.full(picture.shape[:2], 0.62, np.float32))


def pixel_art(rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    """Square blocks, a sixteenth of the side each."""
    height, width = picture.shape[:2]
    block = side((height, width)) / 16
    cells = max(1, round(width / block)), max(1, round(height / block))
    image = Image.fromarray((picture * 255).astype(np.uint8)).resize(cells, Image.Resampling.BOX)
    return np.asarray(image.resize((width, height), Image.Resampling.NEAREST), np.float32) / 255


def snow(rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    """Cold light and large flakes: one in each cell of a grid, so that small models can learn where they go."""
    cold = blend(picture, rgb("e4eefa"), np.full(picture.shape[:2], 0.3, np.float32))
    return blend(cold, rgb("ffffff"), flakes(rng, picture.shape[:2], 0.125))


def flakes(rng: np.random.Generator, size: tuple[int, int], cell: float) -> np.ndarray:
    """A mask of soft discs, one per `cell` sides square, moved at random within it."""
    y, x = grid(size)
    row, column = (y / cell).astype(int), (x / cell).astype(int)
    shape = row.max() + 1, column.max() + 1
    centre_y, centre_x = (rng.uniform(0.3, 0.7, shape)[row, column] for _ in range(2))
    radius = rng.uniform(0.014, 0.034, shape)[row, column]
    distance = np.hypot(y - (row + centre_y) * cell, x - (column + centre_x) * cell)
    return edge(distance - radius, 0.02)


def rain(rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    """Grey light and slanting streaks."""
    size = picture.shape[:2]
    dull = (0.55 * picture + 0.45 * grey(picture)) * np.array([0.62, 0.68, 0.76], np.float32)
    y, x = grid(size)
    across = x + 0.25 * y
    column = (across / 0.07).astype(int)
    phase = rng.uniform(0, 1, column.max() + 1)[column]
    streak = edge(np.abs(across % 0.07 - 0.035) - 0.006, 0.012) * ((y / 0.3 + phase) % 1 < 0.5)
    return blend(dull, rgb("dbe8f5"), 0.7 * streak)


EFFECTS: dict[str, Effect] = {
    effect.__name__: effect
    for effect in (
        black_and_white, sepia, sketch, negative, blur, darker, brighter, night, fog, pixel_art, snow, rain,
    )
}  # fmt: skip
