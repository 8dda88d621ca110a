"""The moderator: what it allows, what it blocks, and that it allows nothing that it could not judge."""

import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from openkontext.safety import Blocked, ClassifierError, Finding, Moderator, SafetyUnavailable, Verdict
from openkontext.safety.prompts import WordPolicy
from openkontext.settings import Settings
from tests.safety.classifiers import make_image_classifier, make_text_classifier

PICTURE = Image.new("RGB", (8, 8), "red")
ABUSIVE = "make the woman naked"
MINORS = "a naked child"


class Answering:
    """A policy or classifier that answers as told, and counts how often it is asked."""

    def __init__(self, answer: Any) -> None:
        self.answer, self.asked = answer, 0

    def judge(self, _: object) -> Any:
        self.asked += 1
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer


def by(score: float, category: str = "bad") -> Answering:
    return Answering(Finding(category, score))


def of_pictures(classifier: Any, threshold: float = 0.8) -> Moderator:
    return Moderator([], classifier, threshold)


def of_prompts(*policies: tuple[Any, float]) -> Moderator:
    return Moderator(policies, by(0.0), 0.8)


@pytest.mark.parametrize(("score", "allowed"), [(0.0, True), (0.79, True), (0.8, False), (1.0, False), (0, True)])
def test_the_threshold_decides(score: float, allowed: bool):
    """A score at the threshold is blocked; the verdict has all that a result needs to say why."""
    assert Verdict(allowed, "output", "bad", score, 0.8) == of_pictures(by(score)).judge_image(PICTURE, "output")


@pytest.mark.parametrize(("stage", "what"), [("input", "input image"), ("output", "output image")])
def test_a_blocked_picture_says_why(stage, what: str):
    """In words and in numbers."""
    with pytest.raises(Blocked) as caught:
        of_pictures(by(0.9, "nsfw")).check_image(PICTURE, stage)
    assert f"The {what} was blocked by the safety checker: nsfw score 0.90, allowed below 0.8" == caught.value.message
    assert {"stage": stage, "category": "nsfw", "score": 0.9, "threshold": 0.8} == caught.value.moderation
    assert ("blocked", 422) == (caught.value.code, caught.value.status)


def test_what_scores_low_passes():
    """By every policy, each at its own threshold."""
    of_pictures(by(0.5)).check_image(PICTURE, "input")
    of_prompts((by(0.5), 0.6), (by(0.2), 0.3)).check_prompt("make it snow", disabled=False)


@pytest.mark.parametrize(("first", "second", "category"), [(0.0, 1.0, "second"), (1.0, 0.0, "first"), (1, 1, "first")])
def test_each_policy_can_block(first: float, second: float, category: str):
    """The first that does is the reason."""
    moderator = of_prompts((by(first, "first"), 1.0), (by(second, "second"), 0.5))
    with pytest.raises(Blocked) as caught:
        moderator.check_prompt("anything", disabled=False)
    assert ("prompt", category) == (caught.value.moderation["stage"], caught.value.moderation["category"])


def test_disabled_asks_no_policy():
    """But for what sexualises minors."""
    policy = by(1.0)
    moderator = of_prompts((policy, 0.5))
    moderator.check_prompt(ABUSIVE, disabled=True)
    assert 0 == policy.asked
    with pytest.raises(Blocked) as caught:
        moderator.check_prompt(MINORS, disabled=True)
    assert {"stage": "prompt", "category": "sexual_minors", "score": 1.0, "threshold": 1.0} == caught.value.moderation


@pytest.mark.parametrize("disabled", [True, False])
def test_nothing_turns_the_hard_rule_off(disabled: bool):
    """Neither a flag nor policies that find nothing, nor a threshold."""
    with pytest.raises(Blocked, match="sexual_minors"):
        Moderator([], by(0.0), 1.0).check_prompt(MINORS, disabled=disabled)


UNSOUND = {
    "an error": RuntimeError("onnx"),
    "out of memory": MemoryError(),
    "nothing": None,
    "no finding": "nsfw",
    **{f"a score of {score}": Finding("bad", score) for score in (math.nan, math.inf, -math.inf, -0.1, 1.1)},
    "a score that is text": Finding("bad", "0.1"),  # type: ignore[arg-type]  # as a careless policy might
    "no score": Finding("bad", None),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("name", UNSOUND)
def test_without_a_score_nothing_passes(name: str):
    """At any stage, whatever the threshold would allow, and if all others find nothing."""
    unsound = Answering(UNSOUND[name])
    checks: dict[str, Callable[[], None]] = {
        "prompt": lambda: of_prompts((by(0.0), 2.0), (unsound, 2.0)).check_prompt("make it snow", disabled=False),
        "input": lambda: of_pictures(unsound, 2.0).check_image(PICTURE, "input"),
        "output": lambda: of_pictures(unsound, 2.0).check_image(PICTURE, "output"),
    }
    for stage, check in checks.items():
        with pytest.raises(SafetyUnavailable) as caught:
            check()
        assert ("safety_unavailable", 422, stage) == (caught.value.code, caught.value.status, caught.value.stage)
        assert stage in caught.value.message


def test_an_interrupted_check_is_no_failure():
    """Ctrl-C ends the process, as anywhere."""
    with pytest.raises(KeyboardInterrupt):
        of_pictures(Answering(KeyboardInterrupt())).check_image(PICTURE, "input")


def load(**changes: Any) -> Moderator:
    settings = Settings(**changes)
    return Moderator.load(
        prompt_policy=settings.prompt_policy,
        image_classifier=settings.image_classifier,
        prompt_threshold=settings.prompt_threshold,
        image_threshold=settings.safety_threshold,
        unsafe_labels=settings.unsafe_labels,
    )


def test_the_built_in_ones():
    """Words for prompts, open_nsfw for pictures: harmless ones pass."""
    moderator = load()
    assert [WordPolicy] == [type(policy) for policy, _ in moderator.policies]
    moderator.check_prompt("make it snow", disabled=False)
    assert "nsfw" == moderator.judge_image(PICTURE, "output").category
    moderator.check_image(PICTURE, "output")
    with pytest.raises(Blocked):
        moderator.check_prompt(ABUSIVE, disabled=False)


def test_classifiers_by_the_settings(tmp_path: Path):
    """Both kinds, with a threshold each and the labels of one's own."""
    make_image_classifier(tmp_path / "picture", {"fine": -9, "gore": 9})
    make_text_classifier(tmp_path / "text", ("fine", "slur"))
    names = {"image_classifier": str(tmp_path / "picture"), "prompt_policy": str(tmp_path / "text")}
    moderator = load(**names, unsafe_labels="gore, slur", prompt_threshold=0.9, safety_threshold=0.7)
    blocked = []
    for check in (
        lambda: moderator.check_prompt("vile", disabled=False),
        lambda: moderator.check_prompt(ABUSIVE, disabled=False),
        lambda: moderator.check_image(PICTURE, "output"),
    ):
        with pytest.raises(Blocked) as caught:
            check()
        blocked.append((caught.value.moderation["category"], caught.value.moderation["threshold"]))
    assert [("slur", 0.9), (WordPolicy().judge(ABUSIVE).category, 1.0), ("gore", 0.7)] == blocked
    moderator.check_prompt("make it snow", disabled=False)
    with pytest.raises(ClassifierError, match="has the labels fine, slur, and none"):
        load(**names)


def test_what_is_not_asked_for_is_not_imported():
    """Neither torch nor transformers for the built-in ones, and no model at all for a process that judges nothing."""
    code = (
        "import sys; from openkontext.safety import Moderator\n"
        "print('onnxruntime' in sys.modules)\n"
        "from openkontext.parts import load_moderator; from openkontext.settings import Settings\n"
        "load_moderator(Settings())\n"
        "print(sorted({'torch', 'transformers'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "False\n[]\n" == done.stdout
