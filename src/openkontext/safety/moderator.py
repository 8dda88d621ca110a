"""The moderator: judges a request's prompt, its picture and the picture made of it, by what the settings name."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol

from PIL import Image

from .errors import Blocked, SafetyUnavailable
from .findings import Finding, Stage, Verdict
from .prompts import NOTHING, SEXUAL_MINORS, WordPolicy, sexualises_minors

# The built-in ones, as the settings call them.
OPEN_NSFW: Final = "opennsfw"
WORDS: Final = "words"
# What words are found by is there or isn't: they score 1 or 0.
_CERTAIN: Final = 1.0


class PromptPolicy(Protocol):
    """Judges what a prompt asks for."""

    def judge(self, prompt: str) -> Finding:
        """What ``prompt`` asks for that must not be made."""


class ImageClassifier(Protocol):
    """Judges what a picture shows."""

    def judge(self, image: Image.Image) -> Finding:
        """What ``image``, upright and flattened, shows that must not be given out."""


@dataclass(frozen=True)
class Moderator:
    """Allows what every policy, or the classifier, scores below the threshold. Raises `Blocked` for anything else.

    Fails closed: raises `SafetyUnavailable` when one of them raises, or its score is no number from 0 to 1.
    """

    # Each with its threshold.
    policies: Sequence[tuple[PromptPolicy, float]]
    classifier: ImageClassifier
    image_threshold: float

    @classmethod
    def load(
        cls,
        *,
        prompt_policy: str,
        image_classifier: str,
        prompt_threshold: float,
        image_threshold: float,
        unsafe_labels: Collection[str],
    ) -> "Moderator":
        """What the settings name: `WORDS` and `OPEN_NSFW`, or classifiers from Hugging Face, with their unsafe labels.

        Raises `ClassifierError` for one that can't be had or can't be used.
        """
        policies: list[tuple[PromptPolicy, float]] = [(WordPolicy(), _CERTAIN)]
        if prompt_policy != WORDS:
            policies.append((_text_classifier(prompt_policy, unsafe_labels), prompt_threshold))
        return cls(policies, _image_classifier(image_classifier, unsafe_labels), image_threshold)

    def check_prompt(self, prompt: str, *, disabled: bool) -> None:
        """Block what ``prompt`` must not ask for; ``disabled``, only what sexualises minors: nothing turns that off."""
        _pass(_verdict(partial(_hard_rule, prompt), "prompt", _CERTAIN))
        for policy, threshold in () if disabled else self.policies:
            _pass(_verdict(partial(policy.judge, prompt), "prompt", threshold))

    def check_image(self, image: Image.Image, stage: Stage) -> None:
        """Block what ``image``, upright and flattened, must not show."""
        _pass(self.judge_image(image, stage))

    def judge_image(self, image: Image.Image, stage: Stage) -> Verdict:
        """Whether ``image`` may be shown."""
        return _verdict(partial(self.classifier.judge, image), stage, self.image_threshold)


def _hard_rule(prompt: str) -> Finding:
    return SEXUAL_MINORS if sexualises_minors(prompt) else NOTHING


def _verdict(judge: Callable[[], Finding], stage: Stage, threshold: float) -> Verdict:
    try:
        found = judge()
        # As a comparison and not its negation: with NaN every one is false.
        sound = 0 <= found.score <= 1
    except Exception as error:
        raise SafetyUnavailable(stage) from error
    if not sound:
        raise SafetyUnavailable(stage)
    return Verdict(found.score < threshold, stage, found.category, found.score, threshold)


def _pass(verdict: Verdict) -> None:
    if not verdict.allowed:
        raise Blocked(verdict)


def _text_classifier(name: str, unsafe_labels: Collection[str]) -> PromptPolicy:
    # Here and not above, as below: importing what isn't asked for would take seconds.
    from .classifiers import TextClassifier

    return TextClassifier.load(name, unsafe_labels)


def _image_classifier(name: str, unsafe_labels: Collection[str]) -> ImageClassifier:
    if name == OPEN_NSFW:
        from .nsfw import NSFWClassifier

        return NSFWClassifier.load()
    from .classifiers import PictureClassifier

    return PictureClassifier.load(name, unsafe_labels)
