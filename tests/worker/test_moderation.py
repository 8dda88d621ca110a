"""Moderation of a job: each stage blocks in its turn, says why, costs nothing, and lets nothing pass if it fails."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from structlog.testing import capture_logs

from openkontext.contract import State
from openkontext.engine import Engine
from openkontext.media.blobs import Blobs
from openkontext.media.fetch import FetchPolicy
from openkontext.media.receipts import read
from openkontext.safety import Finding, Moderator
from openkontext.safety.classifiers import PictureClassifier, TextClassifier
from openkontext.safety.prompts import WordPolicy
from openkontext.store import Job, Store
from openkontext.worker import main
from openkontext.worker.job import Desk
from openkontext.worker.link import EXIT_MISCONFIGURED
from tests.receivers import receiving
from tests.safety.classifiers import make_image_classifier, make_text_classifier
from tests.service import eventually
from tests.worker.conftest import PRICE, Harmless, hooked, moderated, stage_of, working

Run = Callable[..., tuple[Job, dict[str, Any]]]
ABUSIVE = "make the woman naked"
MINORS = "a naked child"


class Scoring:
    """Scores the pictures of each stage as told, and notes which it saw."""

    def __init__(self, **scores: float) -> None:
        self.scores, self.seen = scores, []

    def judge(self, image: Image.Image) -> Finding:
        stage = stage_of(image)
        self.seen.append(stage)
        return Finding("nsfw", self.scores.get(stage, 0.0))


@pytest.fixture
def steps(engine: Engine):
    """Counts the steps that the model makes."""
    made: list[int] = []
    with hooked(engine, lambda *_: made.append(1)):
        yield made


@pytest.mark.parametrize("stage", ["input", "output"])
def test_a_blocked_picture_says_why_and_is_free(submit, run: Run, store: Store, blobs: Blobs, stage: str):
    """FAILED with the stage, the score and the threshold; nothing is stored, and the books balance."""
    job, body = run(submit(), moderator=moderated(Scoring(**{stage: 0.91}), 0.8))
    assert (State.FAILED, "blocked") == (job.state, body["code"])
    assert {"stage": stage, "category": "nsfw", "score": 0.91, "threshold": 0.8} == body["moderation"]
    assert f"The {stage} image was blocked by the safety checker: nsfw score 0.91, allowed below 0.8" == body["error"]
    assert not blobs.exists(f"outputs/{job.id}/1.png")
    assert 100 * PRICE == store.balance(job.account_id)
    assert [] == store.verify_ledger()


def test_a_blocked_prompt_says_why_and_is_free(submit, run: Run, store: Store):
    """By the category that the policy found."""
    job, body = run(submit(prompt=ABUSIVE))
    found = WordPolicy().judge(ABUSIVE)
    assert (State.FAILED, "blocked") == (job.state, body["code"])
    assert {"stage": "prompt", "category": found.category, "score": 1.0, "threshold": 1.0} == body["moderation"]
    assert f"The prompt was blocked by the safety checker: {found.category} score 1.00" in body["error"]
    assert 100 * PRICE == store.balance(job.account_id)


def test_the_prompt_is_judged_before_anything_is_fetched(submit, run: Run):
    """A stranger's server hears nothing of a request that is refused anyway."""
    with receiving() as receiver:
        policy = FetchPolicy(allowed_hosts=frozenset({receiver.url.removeprefix("http://").split("/")[0]}))
        _, body = run(submit(receiver.url, prompt=ABUSIVE), fetch_policy=policy)
        assert [] == receiver.received
    assert "prompt" == body["moderation"]["stage"]


def test_the_input_is_judged_before_the_model_runs(submit, run: Run, steps: list[int]):
    """No step is made for it."""
    _, body = run(submit(), moderator=moderated(Scoring(input=1.0)))
    assert ("input", []) == (body["moderation"]["stage"], steps)


def test_the_built_in_classifier_blocks(submit, run: Run, nsfw):
    """At a threshold of 0, every picture, by the score that it has."""
    _, body = run(submit(), moderator=moderated(nsfw, 0))
    score = body["moderation"].pop("score")
    assert {"stage": "input", "category": "nsfw", "threshold": 0} == body["moderation"]
    assert 0 <= score <= 1
    assert f"nsfw score {score:.2f}" in body["error"]


def test_classifiers_from_hugging_face_block(submit, run: Run, tmp_path: Path):
    """The text's besides the words, the picture's in the place of the built-in one."""
    text = TextClassifier.load(str(make_text_classifier(tmp_path / "text")), {"unsafe"})
    picture = make_image_classifier(tmp_path / "picture", {"fine": -9.0, "porn": 9.0})
    moderator = Moderator([(WordPolicy(), 1.0), (text, 0.7)], PictureClassifier.load(str(picture), {"porn"}), 0.8)
    blocks = [run(submit(prompt=words), moderator=moderator)[1]["moderation"] for words in ("vile", "make it snow")]
    expected = [("prompt", "unsafe", 0.7), ("input", "porn", 0.8)]
    assert expected == [(block["stage"], block["category"], block["threshold"]) for block in blocks]


def test_disabled_for_all_but_minors(submit, run: Run, blobs: Blobs):
    """No classifier and no policy is asked then; what sexualises minors stays refused."""
    classifier = Scoring(input=1.0, output=1.0)
    job, body = run(submit(prompt=ABUSIVE, disable_safety_checker=True), moderator=moderated(classifier))
    assert (State.COMPLETED, []) == (job.state, classifier.seen)
    assert read(blobs.get(body["output"]["key"]))["disable_safety_checker"] is body["receipt"]["disable_safety_checker"]
    assert body["receipt"]["disable_safety_checker"] is True
    _, body = run(submit(prompt=MINORS, disable_safety_checker=True), moderator=moderated(classifier))
    assert ("blocked", "prompt", "sexual_minors") == (
        body["code"], body["moderation"]["stage"], body["moderation"]["category"],
    )  # fmt: skip


def test_every_stage_is_judged_once(submit, run: Run):
    """Of an edit that passes, and its receipt doesn't say that nothing was."""
    classifier = Scoring()
    job, body = run(submit(), moderator=moderated(classifier))
    assert (State.COMPLETED, ["input", "output"]) == (job.state, [s for s in classifier.seen if s != "preview"])
    assert "disable_safety_checker" not in body["receipt"]


@pytest.mark.parametrize("disabled", [False, True])
def test_the_log_says_what_was_not_checked(submit, store: Store, desk: Desk, disabled: bool):
    """The history has it among the parameters."""
    job = submit(disable_safety_checker=disabled)
    with capture_logs() as logs, working(store, desk):
        eventually(lambda: store.job(job.id, job.account_id).state.ended)
    assert [disabled] == [line["disable_safety_checker"] for line in logs if line["event"] == "started"]
    assert [disabled] == [e.parameters["disable_safety_checker"] for e in store.history(job.account_id).entries]


def fail() -> None:
    raise OSError("the classifier's file is gone")


class Judging:
    """A policy that answers as told."""

    def __init__(self, answer: Callable[[], Finding]) -> None:
        self._answer = answer

    def judge(self, prompt: str) -> Finding:
        return self._answer()


FAILURES = {
    "the policy raises": ("prompt", Moderator([(Judging(fail), 0.5)], Harmless(), 0.8)),
    "the policy's score is no number": (
        "prompt", Moderator([(Judging(lambda: Finding("x", math.nan)), 0.5)], Harmless(), 0.8),
    ),
    "the second policy raises": ("prompt", Moderator([(WordPolicy(), 1), (Judging(fail), 0.5)], Harmless(), 0.8)),
    "the input can't be judged": ("input", moderated(Harmless(input=fail))),
    "the input's score is beyond 1": ("input", moderated(Scoring(input=1.5))),
    "the output can't be judged": ("output", moderated(Harmless(output=fail))),
    "the output's score is below 0": ("output", moderated(Scoring(output=-0.5))),
}  # fmt: skip


@pytest.mark.parametrize("name", FAILURES)
def test_a_failing_checker_lets_nothing_pass(submit, store: Store, desk: Desk, blobs: Blobs, name: str):
    """FAILED at its stage, free, nothing stored; the reason is in the log, for the operator alone."""
    stage, moderator = FAILURES[name]
    job = submit()
    with capture_logs() as logs, working(store, replace(desk, moderator=moderator)):
        eventually(lambda: store.job(job.id, job.account_id).state.ended)
    body = store.result(job.id)
    assert "safety_unavailable" == body["code"]
    assert f"the safety checker failed on the {stage}" in body["error"]
    assert "moderation" not in body
    assert "gone" not in body["error"]
    assert [stage] == [line["stage"] for line in logs if line["event"] == "safety checker failed"]
    assert not blobs.exists(f"outputs/{job.id}/1.png")
    assert 100 * PRICE == store.balance(job.account_id)


@pytest.mark.parametrize("setting", ["image_classifier", "prompt_policy"])
def test_a_worker_with_a_wrong_classifier_does_not_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], setting: str
):
    """One line on standard error names its labels, before the model is loaded; the status is not to be tried again."""
    make = {"image_classifier": lambda to: make_image_classifier(to, {"cat": 0, "dog": 0})}
    folder = make.get(setting, lambda to: make_text_classifier(to, ("cat", "dog")))(tmp_path / "pets")
    settings = main.Settings(data=tmp_path / "data", model="/nowhere", **{setting: str(folder)})
    with pytest.raises(SystemExit) as caught:
        main.run(settings)
    assert EXIT_MISCONFIGURED == caught.value.code
    error = f"error: classifier {folder}: it has the labels cat, dog, and none of those that count as unsafe"
    assert error in capsys.readouterr().err
