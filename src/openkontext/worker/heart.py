"""The heartbeat: a thread that renews the lease while the model makes progress, and only then."""

import os
import threading
import time
from collections.abc import Callable
from functools import partial

import structlog

from openkontext.store import Claim, LeaseLost, Store, StoreUnavailable

from .link import EXIT_HUNG, Link

log = structlog.get_logger(__name__)

# Often enough for prompt progress and cancelling while steps advance; a write each, so not more often.
STEP_BEAT = 0.2
IDLE_BEAT = 1.0
PULSE = 0.5
REPORT = 3.0


class Progress:
    """What the model's thread and the heartbeat know of the running job.

    ``mark`` is called by the model's thread whenever something got done; the rest is the heartbeat's.
    """

    def __init__(self, claim: Claim, step_timeout: float, usual_step: float) -> None:
        self.claim = claim
        self.step, self.steps = 0, 0
        self.cancelled = False
        self.lost = False
        # Seconds a step usually takes, a moving average; 0 while nothing was measured.
        self.usual_step = usual_step
        self._step_timeout = step_timeout
        self._marked_at = time.monotonic()

    def mark(self, step: int = 0, steps: int = 0) -> None:
        """Something got done; with ``step``, that many denoising steps of ``steps``."""
        now = time.monotonic()
        if self.step and step > self.step:
            took = now - self._marked_at
            self.usual_step = took if not self.usual_step else 0.8 * self.usual_step + 0.2 * took
        self.step, self.steps = step or self.step, steps or self.steps
        self._marked_at = now

    @property
    def hung(self) -> bool:
        """Whether nothing got done for ten times a step's usual time, and for the step timeout at least."""
        return time.monotonic() - self._marked_at > max(self._step_timeout, 10 * self.usual_step)


class Heart:
    """The thread. A hung model's lease is let go and the process ended: a thread can't be killed, a process can."""

    def __init__(self, store: Store, link: Link, report: Callable[[Progress | None], None], lease: float) -> None:
        self._store = store
        self._link = link
        self._report = report
        self._idle_beat = min(IDLE_BEAT, lease / 3)
        self._current: Progress | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heart", daemon=True)
        self._last_beat = self._last_pulse = self._last_report = 0.0
        self._beaten_step = 0

    def start(self) -> None:
        """Begin to pulse."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stopping.set()
        self._thread.join()

    def follow(self, progress: Progress | None) -> None:
        """Beat for this job from now on; None when it is over."""
        self._beaten_step = 0
        self._current = progress
        self._last_report = 0.0

    def _run(self) -> None:
        while not self._stopping.wait(min(STEP_BEAT, self._idle_beat)):
            now = time.monotonic()
            progress = self._current
            if progress and progress.hung:
                self._give_up(progress)
            if progress and not progress.lost:
                self._beat(progress, now)
            if now - self._last_pulse >= PULSE:
                self._last_pulse = now
                self._link.send("pulse")
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
        progress.cancelled |= self._store.beat(progress.claim, step=progress.step, steps=progress.steps)

    def _quietly(self, action: Callable[[], None]) -> None:
        try:
            action()
        except StoreUnavailable as error:
            # The lease outlasts a short outage; a long one makes it run out, as it should.
            log.warning("store unavailable", error=str(error))

    def _give_up(self, progress: Progress) -> None:
        log.error("hung", request_id=progress.claim.job_id, step=progress.step)
        self._link.send("fatal", message=f"hung at step {progress.step} of {progress.steps}")
        os._exit(EXIT_HUNG)
