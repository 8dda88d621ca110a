"""May a prompt be followed and a picture be given out? A score against a threshold, and a verdict that says why.

Closed, not open: without a score there is no verdict, and without a verdict no picture.
"""

from .errors import Blocked, ClassifierError, SafetyUnavailable
from .findings import Finding, Stage, Verdict
from .moderator import ImageClassifier, Moderator, PromptPolicy

__all__ = [
    "Blocked",
    "ClassifierError",
    "Finding",
    "ImageClassifier",
    "Moderator",
    "PromptPolicy",
    "SafetyUnavailable",
    "Stage",
    "Verdict",
]
