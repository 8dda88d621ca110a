"""What a check of a prompt or of a picture found, and what follows from it."""

from dataclasses import dataclass
from typing import Literal

# What is looked at: the request's words, its picture, the picture made of it.
Stage = Literal["prompt", "input", "output"]


@dataclass(frozen=True, slots=True)
class Finding:
    """The category that fits best and how surely: ``score`` lies in 0 … 1; with nothing found it is ``none`` and 0."""

    category: str
    score: float


@dataclass(frozen=True)
class Verdict:
    """Whether a prompt or a picture may go on, at which stage it was looked at, and by which score."""

    allowed: bool
    stage: Stage
    category: str
    score: float
    threshold: float
