"""The worker's loop: load the model, then claim, run and end jobs until asked to stop."""

import os
import signal
import socket
import time
from types import FrameType
from typing import Any

import structlog

from openkontext.contract import Problem
from openkontext.engine import Cancelled, Step
from openkontext.store import Claim, LeaseLost, Store

from .heart import Heart, Progress
from .job import Blocked, Desk, Metrics
from .link import Link

log = structlog.get_logger(__name__)


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

    def run(self) -> None:
        """Claim and run until SIGTERM or SIGINT; the model is loaded already."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._asked_to_stop)
        self._report(None)
        self._heart.start()
        self._link.send("ready")
        while self._stop_by is None:
            seen = self._store.version()
            if claim := self._store.claim(self.name):
                self._run(claim)
            else:
                self._store.wait(seen, timeout=1.0)
        self._heart.stop()
        self._store.report_worker(self.name, state="stopped")

    def _asked_to_stop(self, number: int, frame: FrameType | None) -> None:
        self._stop_by = self._stop_by or time.monotonic() + self._drain

    def _report(self, progress: Progress | None) -> None:
        state = "draining" if self._stop_by is not None else "busy" if progress else "ready"
        job_id = progress.claim.job_id if progress else None
        engine = self._desk.engine
        self._store.report_worker(
            self.name,
            state=state,
            device=str(engine.checkpoint.device),
            checkpoint=engine.checkpoint.name,
            pid=os.getpid(),
            host=socket.gethostname(),
            job_id=job_id,
        )

    def _run(self, claim: Claim) -> None:
        log.info("started", request_id=claim.job_id, attempt=claim.attempt)
        progress = Progress(claim, self._step_timeout, self._usual_step)
        self._heart.follow(progress)
        metrics: Metrics = {"inference_time": 0.0, "queue_time": round(claim.started_at - claim.created_at, 4)}
        try:
            self._attempt(claim, progress, metrics)
        except LeaseLost:
            # Another worker has it: whatever was made here is nobody's.
            log.warning("lease lost", request_id=claim.job_id)
            self._desk.blobs.delete([f"outputs/{claim.job_id}/{claim.attempt}.{claim.parameters['output_format']}"])
        finally:
            self._heart.follow(None)
            self._usual_step = progress.usual_step

    def _attempt(self, claim: Claim, progress: Progress, metrics: Metrics) -> None:
        try:
            result = self._desk.edit(claim, progress, self._guard(progress), metrics)
        except LeaseLost:
            raise
        except Drained:
            self._store.release(claim)
            log.info("released", request_id=claim.job_id)
        except Cancelled:
            self._fail(claim, metrics, "cancelled", "The request was cancelled")
        except Blocked as blocked:
            self._fail(claim, metrics, blocked.code, blocked.message, moderation=blocked.moderation)
        except Problem as problem:
            self._fail(claim, metrics, problem.code, problem.message)
        except Exception as error:
            # Unexpected, so perhaps of this process alone: another attempt may succeed.
            log.error("edit failed", request_id=claim.job_id, exc_info=error)
            self._fail(claim, metrics, "inference_failed", "The model could not make this edit", retry=True)
        else:
            self._store.finish(claim, result | {"metrics": _total(metrics, claim)})
            log.info("finished", request_id=claim.job_id, **metrics)

    def _guard(self, progress: Progress) -> Any:
        give_up_at = time.monotonic() + self._job_timeout

        def on_step(step: Step) -> None:
            progress.mark(step.step, step.steps)
            if progress.lost:
                raise LeaseLost(progress.claim)
            if progress.cancelled:
                raise Cancelled
            if time.monotonic() > give_up_at:
                raise Problem("inference_failed", f"The edit took longer than {self._job_timeout:g} s")
            if self._stop_by is not None and time.monotonic() > self._stop_by:
                raise Drained

        return on_step

    def _fail(self, claim: Claim, metrics: Metrics, code: str, error: str, **more: Any) -> None:
        self._store.fail(claim, code=code, error=error, metrics=_total(metrics, claim), **more)
        log.info("failed", request_id=claim.job_id, code=code)


def _total(metrics: Metrics, claim: Claim) -> Metrics:
    metrics["total_time"] = round(max(0.0, time.time() - claim.created_at), 4)
    return metrics
