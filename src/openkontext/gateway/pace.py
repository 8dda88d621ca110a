"""How long a request still takes: from its own steps, before that from what edits took on the workers there are."""

from dataclasses import dataclass, field

from openkontext.contract.sizes import output_size
from openkontext.store import Store, Timing, WorkerRow
from openkontext.store.standings import Standing

from .health import live_workers
from .services import Services


@dataclass(frozen=True)
class Fleet:
    """The live workers: how many, and the measured times of an edit on them, by the job that each has, if any."""

    workers: int = 0
    timings: dict[str | None, Timing] = field(default_factory=dict)

    @classmethod
    def of(cls, services: Services) -> "Fleet":
        """The fleet as it last reported. Raises StoreUnavailable."""
        alive = live_workers(services)
        measured = {row.job_id: _timing(services.store, row) for row in alive}
        return cls(len(alive), {job_id: timing for job_id, timing in measured.items() if timing})

    def timing(self, job_id: str) -> Timing | None:
        """Of the worker that has the job, else of any other: the next may be anyone's."""
        return self.timings.get(job_id) or next(iter(self.timings.values()), None)


def _timing(store: Store, row: WorkerRow) -> Timing | None:
    if row.checkpoint is None or row.max_area is None:
        return None
    # All shapes of a checkpoint have about the same area, and so take about the same time.
    return store.timing(row.checkpoint, *output_size(1.0, row.max_area))


class Pace:
    """The time that a run's steps take, as seen from here."""

    def __init__(self) -> None:
        self._attempt = 0
        self._first = self._last = (0, 0.0)

    def note(self, standing: Standing, now: float) -> None:
        """The run is there at ``now`` (seconds of any clock that goes on steadily)."""
        seen = (standing.step, now)
        if standing.attempt != self._attempt or not self._first[0]:
            self._attempt, self._first = standing.attempt, seen
        self._last = seen

    @property
    def step_seconds(self) -> float | None:
        """The mean of the steps seen; None before the second."""
        (first, began), (last, ended) = self._first, self._last
        return (ended - began) / (last - first) if last > first > 0 else None


def eta(standing: Standing, pace: Pace, timing: Timing | None, workers: int) -> float | None:
    """Seconds until the end: those of the run's own pace as soon as it has one. None where nothing was measured."""
    usual, other = (timing.step_seconds, timing.other_seconds) if timing else (None, 0.0)
    step_seconds = pace.step_seconds or usual
    if step_seconds is None:
        return None
    left = max(0, standing.steps - standing.step) * step_seconds + other
    if standing.jobs_ahead < workers:
        return round(left, 1)
    ahead = standing.steps_ahead * step_seconds + standing.jobs_ahead * other
    return round(ahead / max(1, workers) + left, 1)
