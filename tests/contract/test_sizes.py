"""The size rule: multiples of 16, about the wanted area, nearest to the wanted aspect."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openkontext.contract.sizes import aspect_error, aspect_of, output_size

ONE_MEGAPIXEL, NANO = 1024**2, 128**2
ASPECTS = st.floats(min_value=0.25, max_value=4)
AREAS = st.sampled_from([NANO, 256**2, 512**2, ONE_MEGAPIXEL, 2048**2])
REPRODUCIBLE = settings(deadline=None, derandomize=True)  # a busy machine is no failure, and each run is the same

SIZES = [
    # aspect, at 1024², at 256², at 128²
    ("1:1", (1040, 1040), (256, 256), (128, 128)),
    ("16:9", (1392, 784), (336, 192), (176, 96)),
    ("21:9", (1600, 688), (368, 160), (192, 80)),
    ("3:2", (1248, 832), (288, 192), (144, 96)),
    ("2:3", (832, 1248), (192, 288), (96, 144)),
    ("4:5", (912, 1136), (208, 256), (112, 144)),
    ("5:4", (1136, 912), (256, 208), (144, 112)),
    ("3:4", (912, 1216), (224, 304), (112, 144)),
    ("4:3", (1216, 912), (304, 224), (144, 112)),
    ("9:16", (784, 1392), (192, 336), (96, 176)),
    ("9:21", (688, 1600), (160, 368), (80, 192)),
    ("4:1", (2048, 512), (512, 128), (256, 64)),
]


@pytest.mark.parametrize(("ratio", "large", "medium", "small"), SIZES)
def test_table(ratio: str, large: tuple[int, int], medium: tuple[int, int], small: tuple[int, int]) -> None:
    """Every named ratio has these sizes."""
    aspect = aspect_of(ratio)
    assert [large, medium, small] == [output_size(aspect, area) for area in (ONE_MEGAPIXEL, 256**2, NANO)]


@pytest.mark.parametrize("ratio", [row[0] for row in SIZES])
def test_named_ratios_are_close_even_when_small(ratio: str) -> None:
    """Every named ratio is met within 4 % at 128² and 2 % at 256²."""
    aspect = aspect_of(ratio)
    errors = [aspect_error(*output_size(aspect, area), aspect) for area in (NANO, 256**2)]
    assert [True, True] == [errors[0] < 0.04, errors[1] < 0.02]


def test_every_aspect_is_close_at_a_megapixel() -> None:
    """From 1:4 to 4:1 the error stays under 1.5 % at 1024²."""
    aspects = [4 ** (step / 100) for step in range(-100, 101)]
    errors = [aspect_error(*output_size(aspect, ONE_MEGAPIXEL), aspect) for aspect in aspects]
    assert [] == [(aspect, error) for aspect, error in zip(aspects, errors, strict=True) if error >= 0.015]


@REPRODUCIBLE
@given(aspect=ASPECTS, area=AREAS)
def test_sides_and_area(aspect: float, area: int) -> None:
    """Sides are multiples of 16 and the area is 0.80 to 1.06 of the wanted one."""
    width, height = output_size(aspect, area)
    assert (0, 0) == (width % 16, height % 16)
    assert 0.80 <= width * height / area <= 1.06


@REPRODUCIBLE
@given(aspect=ASPECTS, area=AREAS)
def test_turned_picture_has_a_turned_size(aspect: float, area: int) -> None:
    """Width and height swap with the aspect, up to rounding of the aspect itself."""
    width, height = output_size(aspect, area)
    turned = output_size(1 / aspect, area)
    assert width * height == turned[0] * turned[1]


@REPRODUCIBLE
@given(aspect=ASPECTS, area=st.sampled_from([NANO, 256**2]))
def test_nothing_allowed_is_better(aspect: float, area: int) -> None:
    """No other allowed size is nearer by over 0.5 %, and none within 0.5 % of the nearest is larger."""
    width, height = output_size(aspect, area)
    sides = range(16, 1024, 16)
    allowed = [(w, h) for w in sides for h in sides if 0.80 * area <= w * h <= 1.06 * area]
    least = min(aspect_error(w, h, aspect) for w, h in allowed)
    good = [w * h for w, h in allowed if aspect_error(w, h, aspect) <= least + 0.005]
    assert max(good) == width * height
    assert aspect_error(width, height, aspect) <= least + 0.005


@pytest.mark.parametrize("aspect", [4.01, 1 / 4.01, 0, -1])
def test_aspects_beyond_four_to_one_are_refused(aspect: float) -> None:
    """4:1 is the limit; so is a picture without area."""
    with pytest.raises(ValueError, match="sides are"):
        output_size(aspect, ONE_MEGAPIXEL)


def test_areas_too_small_are_refused() -> None:
    """Below one patch there is nothing to make."""
    with pytest.raises(ValueError, match="multiples of 16"):
        output_size(1, 100)


@pytest.mark.parametrize("text", ["", "16", "16:", ":9", "16/9", "0:1", "1:0", "-1:1", "1.5:1", "a:b", "1:2:3"])
def test_what_is_no_ratio_is_refused(text: str) -> None:
    """Only two whole numbers above zero make a ratio."""
    with pytest.raises(ValueError, match="16:9"):
        aspect_of(text)
