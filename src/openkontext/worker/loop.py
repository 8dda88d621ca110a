"""The worker's loop: claim, run and end jobs until asked to stop.

claimed ──▶ running ──▶ finished
              │  │  └─▶ failed      the request's fault, the checker's verdict, cancelled, too long
              │  └────▶ given back  unexpected failures (to be tried again), shutdown
              └───────▶ lost        another worker has it: what was made here is thrown away
"""

import os
import socket
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

import structlog
from PIL import Image

from openkontext.contract import Problem, State
from openkontext.engine import Cancelled, Step
from openkontext.media.blobs import BlobsUnavailable
from openkontext.media.notary import CannotSign
from openkontext.safety import Blocked, SafetyUnavailable
from openkontext.store import Claim, LeaseLost, Store, StoreUnavailable, output_key

from .heart import Heart, Progress
from .job import Desk, Metrics
from .link import EXIT_BROKEN, Link
from .previews import Previews

log = structlog.get_logger(__name__)

# How long to leave a store alone that can't be used.
OUTAGE_PAUSE = 0.5

Value = TypeVar("Value")


class Drained(Exception):
    """The process is to stop and the edit did not end within the drain time."""


class Worker:
    """Takes jobs one at a time. ``name`` is unique to this process: the lease and the fencing go by it."""

    def __init__(
        self,
        name: str,
        store: Store,
        desk: Desk,
        link: Link,
        *,
        lease: float,
        step_timeout: float,
        job_timeout: float,
        drain: float,
    ) -> None:
        self.name = name
        self._store = store
        self._desk = desk
        self._link = link
        self._step_timeout, self._job_timeout, self._drain = step_timeout, job_timeout, drain
        self._usual_step = 0.0
        self._stop_by: float | None = None
        self._heart = Heart(store, link, self._report, lease)

    def stop(self) -> None:
        """Have `run` end: a running edit gets the drain time, then goes back. Safe in a signal handler."""
        self._stop_by = self._stop_by or time.monotonic() + self._drain

    def run(self) -> None:
        """Claim and run until `stop`; the model is loaded already."""
        self._try(partial(self._report, None))
        self._heart.start()
        self._link.send("ready")
        while self._stop_by is None:
            if claim := self._try(self._next):
                self._run(claim)
        self._heart.stop()
        self._try(partial(self._store.forget_worker, self.name))

    def _next(self) -> Claim | None:
        """The next job, or None after a second without one."""
        seen = self._store.version()
        claim = self._store.claim(self.name)
        if claim is None:
            self._store.wait(seen, timeout=1.0)
        return claim

    def _try(self, action: Callable[[], Value]) -> Value | None:
        try:
            return action()
        except StoreUnavailable as error:
            log.warning("store unavailable", error=str(error))
            time.sleep(OUTAGE_PAUSE)
            return None

    def _insist(self, action: Callable[[], Value], progress: Progress) -> Value:
        """Do it, again and again while the store is out: an edit that was made is not given up for that.

        The fencing makes it safe: as soon as another worker has the job, it is LeaseLost. Raises StoreUnavailable
        when the process is to stop.
        """
        while True:
            try:
                return action()
            except StoreUnavailable as error:
                if self._overdue:
                    raise
                log.warning("store unavailable", request_id=progress.claim.job_id, error=str(error))
                progress.mark()
                time.sleep(OUTAGE_PAUSE)

    @property
    def _overdue(self) -> bool:
        return self._stop_by is not None and time.monotonic() > self._stop_by

    def _report(self, progress: Progress | None) -> None:
        engine = self._desk.engine
        self._store.report_worker(
            self.name,
            state="draining" if self._stop_by is not None else "busy" if progress else "ready",
            device=str(engine.checkpoint.device),
            checkpoint=engine.checkpoint.name,
            pid=os.getpid(),
            host=socket.gethostname(),
            job_id=progress.claim.job_id if progress else None,
            max_area=engine.checkpoint.configuration.max_area,
        )

    def _run(self, claim: Claim) -> None:
        unchecked = claim.parameters["disable_safety_checker"]
        log.info("started", request_id=claim.job_id, attempt=claim.attempt, disable_safety_checker=unchecked)
        previews = Previews(partial(self._may_be_shown, claim.parameters))
        progress = Progress(claim, self._step_timeout, self._usual_step, previews)
        self._heart.follow(progress)
        try:
            self._attempt(claim, progress)
        except LeaseLost:
            # Another worker has it: whatever was made here is nobody's.
            log.warning("lease lost", request_id=claim.job_id)
            self._discard(claim)
        except StoreUnavailable as error:
            # Nothing more can be done here: the lease runs out, and another worker takes the job.
            log.error("given up", request_id=claim.job_id, error=str(error))
        finally:
            self._heart.follow(None)
            self._usual_step = progress.usual_step

    def _attempt(self, claim: Claim, progress: Progress) -> None:
        metrics: Metrics = {"inference_time": 0.0, "queue_time": round(claim.started_at - claim.created_at, 4)}
        fail = partial(self._fail, progress, metrics)
        try:
            result = self._desk.edit(claim, progress, self._guard(progress), metrics)
        except LeaseLost:
            raise
        except Drained:
            self._insist(partial(self._store.release, claim), progress)
            log.info("released", request_id=claim.job_id)
        except Cancelled:
            fail("cancelled", "The request was cancelled")
        except Blocked as blocked:
            fail(blocked.code, blocked.message, moderation=blocked.moderation)
        except SafetyUnavailable as problem:
            log.error("safety checker failed", request_id=claim.job_id, stage=problem.stage, exc_info=problem)
            fail(problem.code, problem.message)
        except CannotSign as error:
            log.error("output can't be signed", request_id=claim.job_id, error=str(error))
            fail("internal", "The output could not be signed, so it is not given out", retry=True)
        except BlobsUnavailable as problem:
            log.error("files unavailable", request_id=claim.job_id, error=problem.detail)
            fail(problem.code, problem.message, retry=True)
        except Problem as problem:
            fail(problem.code, problem.message)
        except Exception as error:
            log.error("edit failed", request_id=claim.job_id, exc_info=error)
            self._unexpected(error, fail)
        else:
            self._finish(claim, progress, result | {"metrics": _total(metrics, claim)})

    def _may_be_shown(self, parameters: Mapping[str, Any], preview: Image.Image) -> bool:
        """What the checker would block at the end is not given out on the way either."""
        if parameters["disable_safety_checker"]:
            return True
        return self._desk.moderator.judge_image(preview, "output").allowed

    def _guard(self, progress: Progress) -> Callable[[Step], None]:
        """What stops an edit between two steps."""
        give_up_at = time.monotonic() + self._job_timeout

        def on_step(step: Step) -> None:
            progress.previews.look(step.step, step.preview)
            progress.mark(step.step, step.steps)
            if progress.lost:
                raise LeaseLost(progress.claim.job_id, self.name, progress.claim.attempt)
            if progress.cancelled:
                raise Cancelled
            if time.monotonic() > give_up_at:
                raise Problem("inference_failed", f"The edit took longer than {self._job_timeout:g} s")
            if self._overdue:
                raise Drained

        return on_step

    def _unexpected(self, error: Exception, fail: Callable[..., None]) -> None:
        broken = not self._desk.device_works()
        try:
            # Perhaps of this process alone: another attempt may succeed.
            fail("inference_failed", "The model could not make this edit", retry=True)
        finally:
            if broken:
                # After some errors of CUDA nothing works any more, until the process is a new one.
                self._heart.end_process(EXIT_BROKEN, f"its device failed: {error}")

    def _finish(self, claim: Claim, progress: Progress, body: dict[str, Any]) -> None:
        job = self._insist(partial(self._store.finish, claim, body), progress)
        log.info("finished", request_id=claim.job_id, state=job.state, **body["metrics"])
        if job.state is State.FAILED:
            # Cancelled at the last moment.
            self._discard(claim)
        elif times := progress.times:
            self._try(partial(self._note, body["receipt"], *times))

    def _note(self, receipt: Mapping[str, Any], step_seconds: float, other_seconds: float) -> None:
        """Keep what the edit took, for the estimates of others."""
        made = receipt["checkpoint"], receipt["width"], receipt["height"]
        self._store.note_timing(*made, step_seconds=step_seconds, other_seconds=other_seconds)

    def _fail(self, progress: Progress, metrics: Metrics, code: str, error: str, **more: Any) -> None:
        claim = progress.claim
        totals = _total(metrics, claim)
        self._insist(partial(self._store.fail, claim, code=code, error=error, metrics=totals, **more), progress)
        log.info("failed", request_id=claim.job_id, code=code)

    def _discard(self, claim: Claim) -> None:
        """Delete the attempt's output, unless it is the job's result: a `finish` may work and its answer be lost."""
        key = output_key(claim.job_id, claim.attempt, claim.parameters["output_format"])
        try:
            result = self._store.result(claim.job_id) or {}
            if result.get("output", {}).get("key") != key:
                self._desk.blobs.delete([key])
        except (StoreUnavailable, BlobsUnavailable) as error:
            # It stays until the job's files are deleted anyway.
            log.warning("output left behind", request_id=claim.job_id, error=str(error))


def _total(metrics: Metrics, claim: Claim) -> Metrics:
    return metrics | {"total_time": round(max(0.0, time.time() - claim.created_at), 4)}
