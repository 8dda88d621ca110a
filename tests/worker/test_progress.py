"""When a model counts as hung, and what its steps took."""

import pytest

from openkontext.store import Claim
from openkontext.worker.heart import Progress
from openkontext.worker.previews import Previews

CLAIM = Claim("job", 1, "worker", 1, 1, {}, {}, 0.0, 0.0, 0.0)


class Clock:
    """Time stands still unless it is moved."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def progress(clock: Clock, *, step_timeout: float = 60, usual_step: float = 0.0) -> Progress:
    return Progress(CLAIM, step_timeout, usual_step, Previews(lambda image: True), clock)


def test_hung_after_the_step_timeout():
    """Not at it, and not as long as something gets done."""
    running = progress(clock := Clock())
    clock.now += 60
    assert not running.hung
    running.mark()
    clock.now += 60
    assert not running.hung
    clock.now += 0.1
    assert running.hung


def test_slow_device_gets_ten_of_its_steps():
    """A step that usually takes 20 s may take 200."""
    running = progress(clock := Clock())
    for step in (1, 2, 3):
        clock.now += 20
        running.mark(step, 35)
    assert (3, 35, 20.0) == (running.step, running.steps, running.usual_step)
    clock.now += 199
    assert not running.hung
    clock.now += 2
    assert running.hung


def test_first_step_is_no_measure():
    """Before it text and picture are encoded; and the next job starts with what the last one measured."""
    running = progress(clock := Clock(), usual_step=2.0)
    clock.now += 50
    running.mark(1, 4)
    assert 2.0 == running.usual_step
    clock.now += 4
    running.mark(2, 4)
    assert pytest.approx(2.4) == running.usual_step


def test_what_has_a_deadline_of_its_own_may_take_it():
    """Fetching a picture, say; once it is done the patience is the usual one again."""
    running = progress(clock := Clock())
    running.allow(30)
    clock.now += 85
    assert not running.hung
    running.mark()
    clock.now += 61
    assert running.hung


def test_times_are_of_the_steps_after_the_first():
    """The first has encoding before it: that, and what comes behind the last, is all else."""
    running = progress(clock := Clock())
    for step, seconds in ((1, 12), (2, 2), (3, 2), (4, 2)):
        assert running.times is None or step == 4
        clock.now += seconds
        running.mark(step, 4)
    clock.now += 3
    running.mark()
    assert (2.0, 13.0) == running.times


def test_steps_between_marks_count():
    """A mark that says nothing of steps changes no measure, and one that skips some spreads its time over them."""
    running = progress(clock := Clock())
    running.mark(1, 9)
    clock.now += 4
    running.mark()
    clock.now += 4
    running.mark(9, 9)
    assert (1.0, 0.0) == running.times
