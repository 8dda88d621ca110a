"""A picture as a state: what is behind, what stands in it, what was done to it. An edit changes one attribute."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image

from training.canvas import Size, blend, from_bytes, luminance, rgb, to_bytes
from training.effects import EFFECTS
from training.outlines import mask
from training.photos import PHOTOS, crop
from training.scenes import COLOURS, paint
from training.sources import Cutouts

# The largest share of the short side that a cut-out takes. Up to there it has as many pixels in each shape as in the
# square: as a share of the short side, it would have half of them in a picture of 5:3.
FITTING = 0.95


@dataclass(frozen=True)
class Sprite:
    """A cut-out in a picture: its centre as shares of height and width, its size as a share of the mean side √(H·W).

    `colour` tints it; with `texture` it shows a part of that photo, which `seed` decides, in its outline.
    """

    index: int
    y: float
    x: float
    scale: float
    flip: bool = False
    colour: str | None = None
    texture: str | None = None
    seed: int = 0


@dataclass(frozen=True)
class Figure:
    """The subject of a photo that has an outline, as it stands in the part of it that `crop` takes."""

    photo: str
    seed: int


@dataclass(frozen=True)
class State:
    """Everything that decides a picture. `effect` is one of EFFECTS, `background` what `paint` takes or a photo."""

    background: str
    seed: int
    subject: Sprite | Figure | None
    extra: Sprite | None = None
    effect: str | None = None
    mirrored: bool = False


def render(state: State, size: Size, cutouts: Cutouts) -> np.ndarray:
    """The picture of `state`, (H, W, 3) uint8, the same each time."""
    picture = draw(state, size, cutouts)
    for part in (state.subject, state.extra):
        if part is not None:
            picture = place(picture, part, cutouts)
    if state.effect is not None:
        picture = EFFECTS[state.effect](np.random.default_rng(state.seed + 1), picture)
    return to_bytes(picture[:, ::-1] if state.mirrored else picture)


def draw(state: State, size: Size, cutouts: Cutouts) -> np.ndarray:
    """What is behind, (H, W, 3) in 0–1."""
    if state.background in PHOTOS:
        return crop(find_photo(state.background, cutouts), state.seed, size)
    return paint(state.background, state.seed, size)


def find_photo(name: str, cutouts: Cutouts) -> np.ndarray:
    """A photo of PHOTOS, (H, W, 3) uint8."""
    return cutouts.photos[list(PHOTOS).index(name)]


def place(picture: np.ndarray, part: Sprite | Figure, cutouts: Cutouts) -> np.ndarray:
    """`picture` with something composited over it."""
    colour, alpha = layer(part, picture.shape[:2], cutouts)
    return blend(picture, colour, alpha)


def layer(part: Sprite | Figure, size: Size, cutouts: Cutouts) -> tuple[np.ndarray, np.ndarray]:
    """What stands in a picture, alone: its colours (H, W, 3) and its alpha (H, W), both in 0–1."""
    if isinstance(part, Sprite):
        return cut_out(part, size, cutouts)
    photo = find_photo(part.photo, cutouts)
    return crop(photo, part.seed, size), crop(mask(part.photo, photo.shape[:2]), part.seed, size)


def cut_out(sprite: Sprite, size: Size, cutouts: Cutouts) -> tuple[np.ndarray, np.ndarray]:
    """A sprite's colours (H, W, 3) and alpha (H, W)."""
    pixels = max(1, round(min(sprite.scale * math.sqrt(size[0] * size[1]), FITTING * min(size))))
    image = Image.fromarray(np.ascontiguousarray(cutouts.pixels[sprite.index]))
    image = image.resize((pixels, pixels), Image.Resampling.BICUBIC)
    if sprite.flip:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    full = Image.new("RGBA", (size[1], size[0]))
    full.paste(image, (round(sprite.x * size[1] - pixels / 2), round(sprite.y * size[0] - pixels / 2)))
    array = from_bytes(np.asarray(full))
    colour = array[..., :3] if sprite.colour is None else tint(array[..., :3], sprite.colour)
    if sprite.texture is not None:
        colour = clothe(colour, crop(find_photo(sprite.texture, cutouts), sprite.seed, size), sprite.seed)
    return colour, array[..., 3]


def clothe(shape: np.ndarray, texture: np.ndarray, seed: int) -> np.ndarray:
    """`texture` in random other colours, with more or less of the light and shade of `shape`; (H, W, 3) in 0–1 all."""
    rng = np.random.default_rng([seed, 1])
    depth, gains = rng.uniform(0, 0.8), rng.uniform(0.6, 1.3, 3)
    shade = 1 - depth + 1.6 * depth * luminance(shape)[..., None]
    return np.clip(texture * gains * shade, 0, 1).astype(np.float32)


def tint(picture: np.ndarray, colour: str) -> np.ndarray:
    """`picture` in shades of one of COLOURS: from black through the colour at middle grey to white."""
    light = luminance(picture)[..., None]
    target = rgb(COLOURS[colour])
    middle = 0.62
    dark = target * light / middle
    pale = target + (1 - target) * (light - middle) / (1 - middle)
    return np.where(light < middle, dark, pale * 0.85 + 0.15 * target).astype(np.float32)
