"""Is a picture fit to be given out? A classifier's score against a threshold, and a verdict that says why.

    Problem
     └── SafetyUnavailable  422, the classifier failed, so nothing is given out

Closed, not open: without a score there is no verdict, and without a verdict no picture.
"""

import math
from dataclasses import dataclass
from typing import Literal, Protocol

from PIL import Image

from openkontext.contract import Problem

Stage = Literal["input", "output"]


class ImageClassifier(Protocol):
    """Scores pictures for one category of what must not be given out."""

    @property
    def category(self) -> str:
        """What is looked for, ``nsfw`` say."""

    def score(self, image: Image.Image) -> float:
        """How likely ``image`` is of the category, 0 to 1."""


@dataclass(frozen=True)
class Verdict:
    """Whether a picture may go on, at which stage it was looked at, and by which score."""

    allowed: bool
    stage: Stage
    category: str
    score: float
    threshold: float


class SafetyUnavailable(Problem):
    """The classifier failed at ``stage``, so the picture counts as blocked."""

    def __init__(self, stage: Stage) -> None:
        super().__init__(
            "safety_unavailable", f"the safety checker failed on the {stage} image, so nothing is given out"
        )
        self.stage = stage


def check(image: Image.Image, classifier: ImageClassifier, threshold: float, stage: Stage) -> Verdict:
    """Judge ``image``: allowed if its score is below ``threshold``.

    Fails closed: raises `SafetyUnavailable` when the classifier raises or its score is no number from 0 to 1.
    """
    try:
        score = classifier.score(image)
    except Exception as error:
        raise SafetyUnavailable(stage) from error
    if not (math.isfinite(score) and 0 <= score <= 1):
        raise SafetyUnavailable(stage)
    return Verdict(score < threshold, stage, classifier.category, score, threshold)
