"""The heartbeat: one thread renews the lease while the model makes progress, another tells that the process lives.

Two, since the database may make the first wait for seconds, and a worker that waits is not a hung one.
"""

import faulthandler
import os
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import NoReturn

import structlog

from openkontext.store import Claim, LeaseLost, Store, StoreUnavailable

from .link import EXIT_BROKEN, EXIT_HUNG, Link
from .previews import Previews

log = structlog.get_logger(__name__)

# Often enough for prompt progress and cancelling while steps advance; a write each, so not more often.
STEP_BEAT = 0.2
IDLE_BEAT = 1.0
PULSE = 0.5
REPORT = 3.0
# Steps that make a measure.
_LEAST_MEASURED = 2


class Progress:
    """What the model's thread and the heartbeat know of the running job.

    ``mark`` and ``allow`` are called by the model's thread; the rest is the heartbeat's.
    """

    def __init__(
        self,
        claim: Claim,
        step_timeout: float,
        usual_step: float,
        previews: Previews,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.claim = claim
        self.previews = previews
        self.step, self.steps = 0, 0
        self.cancelled = False
        self.lost = False
        # Seconds a step usually takes, a moving average; 0 while nothing was measured.
        self.usual_step = usual_step
        self._step_timeout = step_timeout
        self._allowance = 0.0
        self._clock = clock
        self._began_at = self._marked_at = clock()
        # Of the first step that is done, and the last: its number and time.
        self._first = self._last = (0, 0.0)

    def mark(self, step: int = 0, steps: int = 0) -> None:
        """Something got done; with ``step``, that many denoising steps of ``steps``."""
        now = self._clock()
        if self.step and step > self.step:
            took = now - self._marked_at
            self.usual_step = took if not self.usual_step else 0.8 * self.usual_step + 0.2 * took
        if step:
            self._last = (step, now)
            self._first = self._first if self._first[0] else self._last
        self.step, self.steps = step or self.step, steps or self.steps
        self._allowance = 0.0
        self._marked_at = now

    def allow(self, seconds: float) -> None:
        """What comes next has a deadline of its own: until the next `mark`, grant it this much more."""
        self._allowance = seconds

    @property
    def patience(self) -> float:
        """Seconds without progress that count as a hang: ten times a step's usual time, the step timeout at least."""
        return max(self._step_timeout, 10 * self.usual_step) + self._allowance

    @property
    def times(self) -> tuple[float, float] | None:
        """Seconds of a step, the mean of those after the first, and of all else until now; None if too few were done.

        Before the first, text and picture are encoded.
        """
        (first, began), (last, ended) = self._first, self._last
        if last - first < _LEAST_MEASURED:
            return None
        step_seconds = (ended - began) / (last - first)
        return step_seconds, max(0.0, self._clock() - self._began_at - step_seconds * last)

    @property
    def hung(self) -> bool:
        """Whether nothing got done for longer than that."""
        return self._clock() - self._marked_at > self.patience


class Heart:
    """The threads. A hung model's lease is let go and the process ended: a thread can't be killed, a process can."""

    def __init__(self, store: Store, link: Link, report: Callable[[Progress | None], None], lease: float) -> None:
        self._store = store
        self._link = link
        self._report = report
        self._idle_beat = min(IDLE_BEAT, lease / 3)
        self._current: Progress | None = None
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._guarded, args=(what,), name=what.__name__, daemon=True)
            for what in (self._beat_on, self._pulse_on)
        ]
        self._last_beat = self._last_report = 0.0
        self._beaten_step = 0

    def start(self) -> None:
        """Begin to beat and pulse."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End the threads."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        faulthandler.cancel_dump_traceback_later()

    def follow(self, progress: Progress | None) -> None:
        """Beat for this job from now on; None when it is over."""
        self._beaten_step = 0
        self._current = progress
        self._last_report = 0.0
        self._watch_interpreter(progress)

    def end_process(self, status: int, reason: str) -> NoReturn:
        """Tell the supervisor why, and be gone: nothing that is stuck or broken is waited for."""
        log.error("worker ends itself", reason=reason)
        self._link.send("fatal", message=reason)
        os._exit(status)

    def _guarded(self, run: Callable[[], None]) -> None:
        try:
            run()
        except Exception as error:
            # A worker without a heartbeat would claim jobs and lose them, one after the other.
            log.error("heartbeat failed", exc_info=error)
            self.end_process(EXIT_BROKEN, f"its heartbeat failed: {error!r}")

    def _pulse_on(self) -> None:
        while not self._stopping.wait(PULSE):
            progress = self._current
            if progress and progress.hung:
                self.end_process(EXIT_HUNG, _describe(progress))
            self._watch_interpreter(progress)
            self._link.send("pulse")

    def _watch_interpreter(self, progress: Progress | None) -> None:
        """Code that never lets go of the interpreter stops this thread too; this timer runs without either."""
        if progress:
            faulthandler.dump_traceback_later(progress.patience + 2 * PULSE, exit=True, file=2)
        else:
            faulthandler.cancel_dump_traceback_later()

    def _beat_on(self) -> None:
        while not self._stopping.wait(min(STEP_BEAT, self._idle_beat)):
            now = time.monotonic()
            progress = self._current
            if progress and not progress.lost and not progress.hung:
                self._beat(progress, now)
            if now - self._last_report >= REPORT:
                self._last_report = now
                self._quietly(partial(self._report, progress))

    def _beat(self, progress: Progress, now: float) -> None:
        if progress.step == self._beaten_step and now - self._last_beat < self._idle_beat:
            return
        self._last_beat, self._beaten_step = now, progress.step
        try:
            self._quietly(partial(self._ask, progress))
        except LeaseLost:
            progress.lost = True

    def _ask(self, progress: Progress) -> None:
        step, preview = progress.step, None
        if taken := progress.previews.take():
            # A picture goes out with its own step; the one that is done by now follows with the next beat.
            self._beaten_step, preview = taken
            step = self._beaten_step
        # Before the first step it isn't known of how many; the store has what was asked for.
        steps = progress.steps or None
        progress.cancelled |= self._store.beat(progress.claim, step=step, steps=steps, preview=preview)

    def _quietly(self, action: Callable[[], None]) -> None:
        try:
            action()
        except StoreUnavailable as error:
            # The lease outlasts a short outage; a long one makes it run out, as it should.
            log.warning("store unavailable", error=str(error))


def _describe(progress: Progress) -> str:
    where = f"step {progress.step + 1} of {progress.steps}" if progress.steps else "the first step"
    return (
        f"hung for {progress.patience:.0f} s at {where}; "
        "if the device is only slow, raise the step timeout (OPENKONTEXT_STEP_TIMEOUT)"
    )
