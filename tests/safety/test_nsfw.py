"""The NSFW classifier on harmless pictures, and what becomes of one that fails."""

import math
import random
import subprocess
import sys

import pytest
from PIL import Image

from openkontext.safety import ImageClassifier, SafetyUnavailable, Verdict, check
from openkontext.safety.nsfw import NSFWClassifier

NOISE = Image.frombytes("RGB", (256, 192), random.Random(1).randbytes(3 * 256 * 192))


@pytest.fixture(scope="module")
def classifier() -> ImageClassifier:
    """The real one, with its weights."""
    return NSFWClassifier.load()


HARMLESS = {
    "noise": NOISE,
    "red": Image.new("RGB", (512, 512), "red"),
    "black and small": Image.new("RGB", (1, 1)),
    "tall": Image.new("RGB", (100, 400), "blue"),
}


@pytest.mark.parametrize("name", HARMLESS)
def test_harmless_pictures_score_low(classifier: ImageClassifier, name: str) -> None:
    """Far below any threshold in use, at every size."""
    assert 0 <= classifier.score(HARMLESS[name]) < 0.1


@pytest.mark.parametrize("mode", ["L", "P", "CMYK", "RGBA"])
def test_every_mode_is_scored(classifier: ImageClassifier, mode: str) -> None:
    """What the engine may hand over besides RGB scores as its RGB does."""
    image = NOISE.convert(mode)
    assert classifier.score(image.convert("RGB")) == classifier.score(image)


def test_scores_are_of_the_picture(classifier: ImageClassifier) -> None:
    """The same picture scores the same, another one otherwise: a soft skin-coloured shape far higher than noise."""
    shape = Image.merge(
        "RGB", [Image.radial_gradient("L").point(lambda v, low=low: v * low // 255) for low in (230, 180, 150)]
    )
    assert classifier.score(NOISE) == classifier.score(NOISE.copy())
    assert classifier.score(shape) > classifier.score(NOISE) + 0.05


@pytest.mark.skipif(sys.platform != "linux", reason="counts threads in /proc")
def test_the_other_cores_are_left_alone() -> None:
    """Loading and scoring use no thread but the caller's; seen in a process where nothing else starts or ends any."""
    code = (
        "import os; from PIL import Image; from openkontext.safety.nsfw import NSFWClassifier\n"
        "before = len(os.listdir('/proc/self/task'))\n"
        "NSFWClassifier.load().score(Image.new('RGB', (64, 64)))\n"
        "print(len(os.listdir('/proc/self/task')) - before)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "0" == done.stdout.strip()


class Fixed:
    """A classifier that answers as told."""

    category = "nsfw"

    def __init__(self, answer: float | Exception) -> None:
        self._answer = answer

    def score(self, image: Image.Image) -> float:
        """The answer, or the exception."""
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


@pytest.mark.parametrize(("score", "allowed"), [(0.0, True), (0.79, True), (0.8, False), (1.0, False)])
def test_the_threshold_decides(score: float, allowed: bool) -> None:
    """A score at the threshold is blocked; the verdict has all that a result needs to say why."""
    assert Verdict(allowed, "output", "nsfw", score, 0.8) == check(NOISE, Fixed(score), 0.8, "output")


@pytest.mark.parametrize("answer", [RuntimeError("onnx"), MemoryError(), math.nan, math.inf, -0.1, 1.1])
def test_a_classifier_that_fails_blocks(answer: float | Exception) -> None:
    """Without a score nothing is given out, even with a threshold that would allow everything."""
    with pytest.raises(SafetyUnavailable) as caught:
        check(NOISE, Fixed(answer), 2.0, "input")
    assert ("safety_unavailable", 422, "input") == (caught.value.code, caught.value.status, caught.value.stage)


def test_the_real_classifier_in_a_verdict(classifier: ImageClassifier) -> None:
    """Together they allow a harmless picture."""
    verdict = check(NOISE, classifier, 0.5, "output")
    assert (True, "nsfw", 0.5) == (verdict.allowed, verdict.category, verdict.threshold)
    assert classifier.score(NOISE) == verdict.score
