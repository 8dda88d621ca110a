"""The size of a picture: sides that the model can make, of a wanted shape and about a wanted area."""

from functools import lru_cache
from math import isqrt

MULTIPLE = 16  # the VAE's factor of 8 times the transformer's patch of 2
LONGEST_ASPECT = 4.0
LEAST_AREA, MOST_AREA = 0.80, 1.06  # as shares of `max_area`
GOOD_ENOUGH = 0.005  # aspect errors this close to the least count as equal, and the larger area wins


def aspect_of(ratio: str) -> float:
    """The width over the height of `"16:9"`.

    Raises:
        ValueError: not two whole numbers above zero, joined by a colon.
    """
    width, colon, height = ratio.partition(":")
    if not (colon and width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise ValueError(f"an aspect ratio is written as 16:9, not {ratio!r}")
    return int(width) / int(height)


def aspect_error(width: float, height: float, aspect: float) -> float:
    """How far a size is from an aspect: 0.01 is one percent, the same for `w:h` and `h:w`."""
    stretch = width / height / aspect
    return max(stretch, 1 / stretch) - 1


def check_aspect(width: float, height: float) -> None:
    """Refuse a shape that the model was not made for.

    Raises:
        ValueError: one side is more than four times the other, or is not above zero.
    """
    if width <= 0 or height <= 0:
        raise ValueError(f"sides are above zero, not {width:g}x{height:g}")
    if max(width / height, height / width) > LONGEST_ASPECT + 1e-9:
        raise ValueError(f"sides are up to 4:1, not {width:g}x{height:g}")


# It tries thousands of sizes, and the same few shapes are asked for again and again.
@lru_cache(maxsize=1024)
def output_size(aspect: float, max_area: int) -> tuple[int, int]:
    """The (width, height) in pixels nearest to `aspect`, a width over a height, at about `max_area` pixels.

    Sides are multiples of 16 and the area is 0.80 to 1.06 of `max_area`. The least aspect error wins, and among those
    within 0.5 % of it the largest area. At 1024² the error is under 1.5 % for every aspect up to 4:1.

    Raises:
        ValueError: an aspect beyond 4:1, or an area too small to be cut into multiples of 16.
    """
    check_aspect(aspect, 1)
    sizes = _candidates(max_area)
    if not sizes:
        raise ValueError(f"no sides in multiples of {MULTIPLE} have about {max_area} pixels")
    ranked = [(aspect_error(width, height, aspect), width, height) for width, height in sizes]
    least = min(error for error, _, _ in ranked)
    good = [(width * height, -error, width, height) for error, width, height in ranked if error <= least + GOOD_ENOUGH]
    return max(good)[2:]


def _candidates(max_area: int) -> list[tuple[int, int]]:
    """Every size of the right area whose sides are not much beyond 4:1."""
    longest = isqrt(5 * max_area) + MULTIPLE
    sides = range(MULTIPLE, longest, MULTIPLE)
    least, most = LEAST_AREA * max_area, MOST_AREA * max_area
    return [
        (width, height)
        for width in sides
        for height in range(_ceil(least / width), min(longest, int(most / width) + 1), MULTIPLE)
    ]


def _ceil(pixels: float) -> int:
    """The first multiple of 16 that is no smaller."""
    return -int(-pixels // MULTIPLE) * MULTIPLE
