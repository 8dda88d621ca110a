"""Procedural backgrounds: each named scene is a painter; COLOURS are the plain ones; `texture` stands for any other."""

from __future__ import annotations

import numpy as np

from training.canvas import Painter, Size, blend, curve, disc, edge, gradient, grid, noise, rgb

COLOURS = {
    "red": "d62f2f", "orange": "f08a24", "yellow": "f5d63d", "green": "3fa34d", "blue": "2f6fd6", "purple": "7d3fb5",
    "pink": "f291b8", "white": "f7f7f7", "black": "101010", "grey": "8c8c8c", "brown": "80532f", "turquoise": "35b8b0",
}  # fmt: skip


def bokeh(rng: np.random.Generator, size: Size) -> np.ndarray:
    """Large soft discs of light on a dark warm ground."""
    y, x = grid(size)
    picture = gradient(np.clip(y + 0.2 * noise(rng, size, 0.6), 0, 1), "1c1026", "35182a", "1a0d12")
    lights = ("ffc96b", "ff9d4d", "ffe3a3", "ff7a8a", "8ab6ff")
    for _ in range(18):
        mask = disc(size, rng.uniform(0, y.max()), rng.uniform(0, x.max()), rng.uniform(0.05, 0.13), 0.04)
        picture = blend(picture, rgb(lights[rng.integers(len(lights))]), mask * rng.uniform(0.35, 0.85))
    return picture


def beach(rng: np.random.Generator, size: Size) -> np.ndarray:
    """Sky, sea, a line of foam, and sand."""
    y, x = grid(size)
    horizon, shore = (share * y.max() for share in (rng.uniform(0.36, 0.46), rng.uniform(0.6, 0.7)))
    picture = gradient(y / horizon, "4aa8e8", "bfe6fa")
    sea = gradient((y - horizon) / (shore - horizon), "1672b8", "3cc4cf")
    picture = blend(picture, sea, edge(horizon - y, 0.012))
    line = y - shore - curve(rng, x, 0.018, 0.7)
    sand = rgb("efd59b") + 0.035 * noise(rng, size, 0.04)[..., None]
    picture = blend(picture, sand, edge(-line, 0.015))
    return blend(picture, rgb("ffffff"), edge(np.abs(line) - 0.014, 0.02))


def night_sky(rng: np.random.Generator, size: Size) -> np.ndarray:
    """Deep blue with a moon and large stars."""
    y, x = grid(size)
    picture = gradient(y / y.max(), "060a26", "0e1a4d", "24357a")
    for _ in range(26):
        star = disc(size, rng.uniform(0, y.max()), rng.uniform(0, x.max()), rng.uniform(0.006, 0.016), 0.02)
        picture = blend(picture, rgb("fffbe0"), star * rng.uniform(0.6, 1))
    moon = (rng.uniform(0.12, 0.25) * y.max(), rng.choice([0.14, 0.86]) * x.max())
    picture = blend(picture, rgb("8fa0d8"), 0.35 * disc(size, *moon, 0.15, 0.15))
    return blend(picture, rgb("fdf6d8"), disc(size, *moon, 0.085))


def sunset(rng: np.random.Generator, size: Size) -> np.ndarray:
    """A red and orange sky, a low sun, and its light on dark water."""
    y, x = grid(size)
    horizon = rng.uniform(0.6, 0.7) * y.max()
    sun = rng.uniform(0.25, 0.75) * x.max()
    picture = gradient(y / horizon, "4b2a6b", "c4456a", "ff8a3d", "ffd36b")
    picture = blend(picture, rgb("ffe9a8"), 0.5 * disc(size, horizon - 0.06, sun, 0.16, 0.2))
    picture = blend(picture, rgb("fff3c4"), disc(size, horizon - 0.06, sun, 0.09))
    water = gradient((y - horizon) / (y.max() - horizon), "a8483f", "3c1f45")
    ripples = 0.5 + 0.5 * np.sin(y * 90 + 2 * noise(rng, size, 0.1))
    water = blend(water, rgb("ffc36b"), edge(np.abs(x - sun) - 0.08, 0.12) * ripples)
    return blend(picture, water, edge(horizon - y, 0.012))


def forest(rng: np.random.Generator, size: Size) -> np.ndarray:
    """Rows of conifers, paler with distance, on dark grass."""
    y, x = grid(size)
    picture = gradient(y / y.max(), "dff0d0", "b5d6a0", "6d9b5c")
    for tone, base, height in (("86b078", 0.62, 0.45), ("4a8048", 0.76, 0.58), ("23572c", 0.92, 0.7)):
        picture = blend(picture, rgb(tone), conifers(rng, y / y.max(), x, base, height))
    return blend(picture, rgb("2d5a27"), edge(0.92 * y.max() - y, 0.03))


def conifers(rng: np.random.Generator, y: np.ndarray, x: np.ndarray, base: float, height: float) -> np.ndarray:
    """A mask of a row of triangular trees standing at `base`, with the ground below them."""
    mask = edge(base - y, 0.03)
    step = height * 0.36
    for centre in np.arange(rng.uniform(-step, 0), x.max() + step, step):
        top = base - height * rng.uniform(0.75, 1.05)
        width = (y - top) * 0.3 * (0.75 + 0.25 * ((y - top) * 11 % 1))
        mask = np.maximum(mask, edge(np.abs(x - centre) - width, 0.02) * (y > top) * (y < base))
    return mask


def mountains(rng: np.random.Generator, size: Size) -> np.ndarray:
    """Two snow-capped ridges under a clear sky, and a green foot."""
    y, x = grid(size)
    picture = gradient(y / y.max(), "5aa5e6", "cfe6f5", "e8f2f7")
    for tone, base, height in (("8fa3bd", 0.42, 0.16), ("5b6b85", 0.58, 0.2)):
        ridge = base * y.max() + height * zigzag(rng, x)
        picture = blend(picture, rgb(tone), edge(ridge - y, 0.015))
        cap = ridge + 0.075 + 0.03 * np.sin(x * 45)
        picture = blend(picture, rgb("fbfdff"), edge(ridge - y, 0.015) * edge(y - cap, 0.02) * (ridge < base * y.max()))
    foot = 0.82 * y.max() + curve(rng, x, 0.02, 0.6)
    return blend(picture, rgb("4d8a4a"), edge(foot - y, 0.02))


def zigzag(rng: np.random.Generator, x: np.ndarray) -> np.ndarray:
    """Alternating peaks and valleys over `x`, about −1..1."""
    knots = np.arange(-0.3, x.max() + 0.4, 0.22)
    heights = np.where(np.arange(len(knots)) % 2 == 0, 1.0, -1.0) * rng.uniform(0.4, 1, len(knots))
    return np.interp(x, knots + rng.uniform(-0.05, 0.05, len(knots)), heights)


def city(rng: np.random.Generator, size: Size) -> np.ndarray:
    """Towers with lit windows against a night sky."""
    y, x = grid(size)
    picture = gradient(y / y.max(), "0d1030", "2b2558", "5b3a6e")
    left = rng.uniform(-0.15, 0)
    while left < x.max():
        width, top = rng.uniform(0.16, 0.26), rng.uniform(0.18, 0.6) * y.max()
        inside = (x >= left) & (x < left + width) & (y >= top)
        picture = np.where(inside[..., None], rgb(str(rng.choice(["14162b", "1d1f3a", "10121f"]))), picture)
        picture = np.where((inside & windows(rng, y - top, x - left))[..., None], rgb("ffd66b"), picture)
        left += width
    return picture.astype(np.float32)


def windows(rng: np.random.Generator, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """A mask of small lit rectangles on a regular grid, some left dark."""
    lit = rng.random((24, 8)) < 0.6
    row, column = (y / 0.0625).astype(int).clip(0, 23), (x / 0.0625).astype(int).clip(0, 7)
    frame = (y % 0.0625 > 0.022) & (x % 0.0625 > 0.026)
    return frame & lit[row, column]


def desert(rng: np.random.Generator, size: Size) -> np.ndarray:
    """Three dunes under a hot sky."""
    y, x = grid(size)
    picture = gradient(y / y.max(), "6fb7e0", "f3dfb4", "f7d9a0")
    for tone, base in (("e8b566", 0.5), ("d99a45", 0.64), ("c07f30", 0.8)):
        dune = base * y.max() + curve(rng, x, 0.05, 0.55)
        picture = blend(picture, rgb(tone), edge(dune - y, 0.015))
    return picture


def underwater(rng: np.random.Generator, size: Size) -> np.ndarray:
    """Blue-green depth with slanting light and bubbles."""
    y, x = grid(size)
    picture = gradient(y / y.max(), "5fdbe0", "1a8fc0", "0a3f78")
    rays = np.clip(np.sin((x + 0.35 * y) * rng.uniform(14, 20) + rng.uniform(0, 6)), 0, 1)
    picture = blend(picture, rgb("c8fbff"), 0.35 * rays * np.clip(1 - y / y.max(), 0, 1))
    for _ in range(9):
        where, radius = (rng.uniform(0, y.max()), rng.uniform(0, x.max())), rng.uniform(0.018, 0.04)
        ring = disc(size, *where, radius) - 0.75 * disc(size, *where, radius * 0.6)
        picture = blend(picture, rgb("e6ffff"), 0.8 * ring)
    return picture


def meadow(rng: np.random.Generator, size: Size) -> np.ndarray:
    """A green hill with flowers under a blue sky."""
    y, x = grid(size)
    picture = gradient(y / y.max(), "63b6f0", "c5e9fb")
    hill = 0.52 * y.max() + curve(rng, x, 0.04, 0.5)
    picture = blend(picture, gradient((y - hill) / 0.5, "8ed058", "3f9636"), edge(hill - y, 0.015))
    for _ in range(16):
        petal = disc(size, rng.uniform(0.64, 1) * y.max(), rng.uniform(0, x.max()), rng.uniform(0.016, 0.028))
        picture = blend(picture, rgb(str(rng.choice(["ffffff", "ff6f91", "ffe14d"]))), petal)
    return picture


def clouds(rng: np.random.Generator, size: Size) -> np.ndarray:
    """White clouds in a blue sky."""
    y, _ = grid(size)
    picture = gradient(y / y.max(), "3f8fe0", "a9d6f7")
    cover = noise(rng, size, 0.32) + 0.5 * noise(rng, size, 0.15)
    return blend(picture, rgb("ffffff"), np.clip(cover * 1.6, 0, 0.95))


def texture(rng: np.random.Generator, size: Size) -> np.ndarray:
    """An unnamed background: a tinted gradient, with blotches, stripes, checks or grain."""
    y, x = grid(size)
    first, second = rng.uniform(0, 1, 3), rng.uniform(0, 1, 3)
    angle = rng.uniform(0, 2 * np.pi)
    along = x * np.cos(angle) + y * np.sin(angle)
    pattern = rng.integers(5)
    if pattern == 0:
        share = 0.5 + 0.5 * np.sin(along * rng.uniform(8, 40))
    elif pattern == 1:
        cells = rng.uniform(3, 9)
        share = ((x * cells).astype(int) + (y * cells).astype(int)) % 2
    else:
        share = 0.5 + 0.5 * noise(rng, size, rng.uniform(0.1, 0.6)) + 0.4 * (along - along.mean())
    picture = first + (second - first) * np.clip(share, 0, 1)[..., None]
    return (picture + rng.choice([0, 0, 0.03]) * rng.normal(size=(*size, 1))).astype(np.float32)


SCENES: dict[str, Painter] = {
    painter.__name__: painter
    for painter in (
        bokeh, beach, night_sky, sunset, forest, mountains, city, desert, underwater, meadow, clouds,
    )
}  # fmt: skip


def paint(background: str, seed: int, size: Size) -> np.ndarray:
    """The background of that name (a scene, a plain colour, or `texture`), the same for the same seed."""
    if background in COLOURS:
        return np.broadcast_to(rgb(COLOURS[background]), (*size, 3)).copy()
    painter = SCENES.get(background, texture)
    return np.clip(painter(np.random.default_rng(seed), size), 0, 1)
