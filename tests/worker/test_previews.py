"""Small pictures of an edit on its way."""

import base64
import io
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image
from structlog.testing import capture_logs

from openkontext.contract import State
from openkontext.engine import Engine
from openkontext.safety import Finding
from openkontext.store import Progress, Store
from openkontext.worker.previews import EVERY, LARGEST, Previews, data_uri
from tests.service import eventually
from tests.worker.conftest import Harmless, hooked, moderated, stage_of
from tests.worker.test_progress import Clock

RED = Image.new("RGB", (16, 8), "red")


def red() -> Image.Image:
    return RED


def opened(uri: str) -> Image.Image:
    """The picture of a data URI."""
    head, _, encoded = uri.partition(",")
    assert head == "data:image/jpeg;base64"
    return Image.open(io.BytesIO(base64.b64decode(encoded)))


def test_the_newest_picture_is_taken_once():
    """With its step, as small as it is."""
    previews = Previews(lambda image: True)
    assert previews.take() is None
    previews.look(3, red)
    number, uri = previews.take()
    assert (3, RED.size) == (number, opened(uri).size)
    assert np.abs(np.asarray(opened(uri), int) - np.asarray(RED)).max() < 8
    assert previews.take() is None


def test_pictures_keep_their_distance():
    """However fast the steps are; what nobody took gives way to the next."""
    previews, made = Previews(lambda image: True, clock := Clock()), []
    for number in range(1, 6):
        previews.look(number, lambda number=number: made.append(number) or RED)
        clock.now += EVERY / 2
    assert [1, 3, 5] == made
    assert 5 == previews.take()[0]


def test_pictures_that_are_costly_are_rarer():
    """At most a twentieth of the time goes into them."""
    clock = Clock()

    def judge(_: Image.Image) -> bool:
        clock.now += 0.1
        return True

    previews = Previews(judge, clock)
    previews.look(1, red)
    previews.take()
    clock.now += 1.8
    previews.look(2, red)
    assert previews.take() is None
    clock.now += 0.2
    previews.look(3, red)
    assert 3 == previews.take()[0]


def test_no_matrix_no_preview():
    """A checkpoint without one has none."""
    previews = Previews(lambda image: True)
    previews.look(1, lambda: None)
    assert previews.take() is None


def test_what_is_not_allowed_is_not_shown():
    """And the next may be."""
    verdicts = iter([False, True])
    previews = Previews(lambda image: next(verdicts), clock := Clock())
    previews.look(1, red)
    assert previews.take() is None
    clock.now += EVERY
    previews.look(2, red)
    assert 2 == previews.take()[0]


def fail(*_: Any) -> Any:
    raise ArithmeticError("broken")


@pytest.mark.parametrize(("make", "allowed"), [(fail, lambda image: True), (red, fail)])
def test_a_failure_is_logged_once(make, allowed):
    """In either thread; there are no more previews then."""
    previews = Previews(allowed, clock := Clock())
    with capture_logs() as logs:
        for number in (1, 2, 3):
            previews.look(number, make)
            assert previews.take() is None
            clock.now += EVERY
    assert ["no more previews"] == [entry["event"] for entry in logs]


@pytest.mark.parametrize("side", [16, 128, 256, 512])
def test_no_preview_is_large(side):
    """Noise, as of the first steps, is the worst case: lower quality, then fewer pixels."""
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8))
    uri = data_uri(noise)
    assert len(uri) <= LARGEST
    assert min(side, 128) <= opened(uri).width <= side


@pytest.fixture
def watch(submit, run, store: Store, engine: Engine) -> Callable[..., tuple[State, str | None]]:
    """Runs an edit whose second step waits until the first was told to the store; its end, and the preview then."""

    def watch(fields: dict[str, Any] | None = None, **parts: Any) -> tuple[State, str | None]:
        job, shown, steps = submit(**fields or {}), [], itertools.count(1)

        def told() -> Progress | None:
            found = store.progress(job.id, job.account_id)
            return found if found.job.step else None

        def before_step(*_: Any) -> None:
            if next(steps) == 2:
                shown.append(eventually(told).preview)

        with hooked(engine, before_step):
            ended, _ = run(job, **parts)
        assert store.progress(job.id, job.account_id).preview is None
        return ended.state, shown[0]

    return watch


def test_an_edit_has_previews(watch):
    """An eighth as wide and high as its output; none is left at its end."""
    state, uri = watch({"aspect_ratio": "1:1"})
    assert State.COMPLETED is state
    assert (8, 8) == opened(uri).size


class Unfit:
    """Finds something in all that was made, and nothing in what was sent."""

    def judge(self, image: Image.Image) -> Finding:
        return Finding("nsfw", 0.0 if stage_of(image) == "input" else 0.9)


def test_what_would_be_blocked_is_not_shown_on_the_way(watch):
    """The checker sees every preview first."""
    assert (State.FAILED, None) == watch(moderator=moderated(Unfit(), 0.5))


def test_previews_are_not_checked_where_that_is_disabled(watch):
    """By the request, whose output isn't either."""
    state, uri = watch({"disable_safety_checker": True, "aspect_ratio": "1:1"}, moderator=moderated(Unfit(), 0.5))
    assert (State.COMPLETED, (8, 8)) == (state, opened(uri).size)


def test_a_checker_that_fails_on_a_preview_harms_no_edit(watch):
    """Without a verdict nothing is shown; the output's own check is another."""
    assert (State.COMPLETED, None) == watch(moderator=moderated(Harmless(preview=fail)))
