"""What moderation raises.

    Exception
    ├── ClassifierError           a Hugging Face classifier can't be had or can't be used: says what to do about it
    └── Problem
         ├── Blocked              422, what was looked at must not go on; .moderation says why
         └── SafetyUnavailable    422, a policy or classifier failed, so nothing goes on

A `Problem` is the request's answer; a `ClassifierError` is the operator's, before there are any requests.
"""

from dataclasses import asdict
from typing import Any, Final

from openkontext.contract import Problem

from .findings import Stage, Verdict

_WHAT: Final[dict[Stage, str]] = {"prompt": "prompt", "input": "input image", "output": "output image"}


class ClassifierError(Exception):
    """A classifier can't be had or can't be used; ``classifier`` is what was asked for, a folder or Hugging Face id."""

    def __init__(self, classifier: str, why: str) -> None:
        super().__init__(f"classifier {classifier}: {why}")
        self.classifier = classifier


class Blocked(Problem):
    """The safety checker refuses what it looked at; ``moderation`` is what the error's body says of it."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(
            "blocked",
            f"The {_WHAT[verdict.stage]} was blocked by the safety checker: "
            f"{verdict.category} score {verdict.score:.2f}, allowed below {verdict.threshold:g}",
        )
        self.moderation: dict[str, Any] = asdict(verdict)
        del self.moderation["allowed"]


class SafetyUnavailable(Problem):
    """A policy or classifier failed at ``stage``, so what it looked at counts as blocked."""

    def __init__(self, stage: Stage) -> None:
        what = _WHAT[stage]
        super().__init__("safety_unavailable", f"the safety checker failed on the {what}, so nothing is given out")
        self.stage = stage
