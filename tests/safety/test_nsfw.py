"""The NSFW classifier on harmless pictures."""

import random
import subprocess
import sys

import pytest
from PIL import Image

from openkontext.safety import ImageClassifier
from openkontext.safety.nsfw import NSFWClassifier

NOISE = Image.frombytes("RGB", (256, 192), random.Random(1).randbytes(3 * 256 * 192))


@pytest.fixture(scope="module")
def classifier() -> ImageClassifier:
    """The real one, with its weights."""
    return NSFWClassifier.load()


def score(classifier: ImageClassifier, image: Image.Image) -> float:
    found = classifier.judge(image)
    assert "nsfw" == found.category
    return found.score


HARMLESS = {
    "noise": NOISE,
    "red": Image.new("RGB", (512, 512), "red"),
    "black and small": Image.new("RGB", (1, 1)),
    "tall": Image.new("RGB", (100, 400), "blue"),
}


@pytest.mark.parametrize("name", HARMLESS)
def test_harmless_pictures_score_low(classifier: ImageClassifier, name: str) -> None:
    """Far below any threshold in use, at every size."""
    assert 0 <= score(classifier, HARMLESS[name]) < 0.1


@pytest.mark.parametrize("mode", ["L", "P", "CMYK", "RGBA"])
def test_every_mode_is_scored(classifier: ImageClassifier, mode: str) -> None:
    """What the engine may hand over besides RGB scores as its RGB does."""
    image = NOISE.convert(mode)
    assert score(classifier, image.convert("RGB")) == score(classifier, image)


def test_scores_are_of_the_picture(classifier: ImageClassifier) -> None:
    """The same picture scores the same, another one otherwise: a soft skin-coloured shape far higher than noise."""
    shape = Image.merge(
        "RGB", [Image.radial_gradient("L").point(lambda v, low=low: v * low // 255) for low in (230, 180, 150)]
    )
    assert score(classifier, NOISE) == score(classifier, NOISE.copy())
    assert score(classifier, shape) > score(classifier, NOISE) + 0.05


@pytest.mark.skipif(sys.platform != "linux", reason="counts threads in /proc")
def test_the_other_cores_are_left_alone() -> None:
    """Loading and scoring use no thread but the caller's; seen in a process where nothing else starts or ends any."""
    code = (
        "import os; from PIL import Image; from openkontext.safety.nsfw import NSFWClassifier\n"
        "before = len(os.listdir('/proc/self/task'))\n"
        "NSFWClassifier.load().judge(Image.new('RGB', (64, 64)))\n"
        "print(len(os.listdir('/proc/self/task')) - before)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "0" == done.stdout.strip()


@pytest.mark.parametrize("size", [(1024, 1024), (1600, 1027), (4000, 600), (2999, 3001)])
def test_large_pictures_score_as_small_ones(classifier: ImageClassifier, size: tuple[int, int]) -> None:
    """They are made smaller in two steps, the first a rough one, which changes next to nothing."""
    shape = Image.radial_gradient("L").resize(size)
    large = Image.merge("RGB", [shape, shape.rotate(90), shape.transpose(Image.Transpose.FLIP_LEFT_RIGHT)])
    at_once = large.resize((256, 256), Image.Resampling.BILINEAR)
    assert pytest.approx(score(classifier, at_once), abs=0.005) == score(classifier, large)
