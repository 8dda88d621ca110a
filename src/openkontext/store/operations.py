"""What the service does, for who operates it: all accounts' counts, times and failures, and none of their content."""

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from openkontext.contract import State

from .database import Database, Row
from .jobs import ACTIVE
from .schema import accounts, jobs, results

HOURS = 24
_HOUR = 3600
# Times are those of so many jobs, the last to be COMPLETED: enough for a percentile, and read at once.
_MOST_TIMED = 5_000
_MOST_FAILURES = 20

_IS_QUEUED, _IS_RUNNING = jobs.c.state == State.QUEUED, jobs.c.state == State.PROCESSING
_QUEUE = sa.select(
    sa.func.count().filter(_IS_QUEUED),
    sa.func.count().filter(_IS_RUNNING),
    sa.func.min(jobs.c.created_at).filter(_IS_QUEUED),
).where(ACTIVE)
_HELD = sa.select(jobs.c.worker, jobs.c.id, jobs.c.step, jobs.c.steps, jobs.c.started_at).where(
    ACTIVE, _IS_RUNNING, jobs.c.worker.is_not(None)
)
# What follows goes by `jobs_ended`. A search of it for each hour takes a tenth of what grouping by the hour would.
_COUNTS = sa.text("""
    WITH RECURSIVE hours (began) AS (
        SELECT CAST(:since AS DOUBLE PRECISION)
        UNION ALL SELECT began + 3600 FROM hours WHERE began + 3600 <= :now
    )
    SELECT began,
        (SELECT count(*) FROM jobs WHERE state = 'COMPLETED' AND ended_at >= began AND ended_at < began + 3600),
        (SELECT count(*) FROM jobs WHERE state = 'FAILED' AND ended_at >= began AND ended_at < began + 3600)
    FROM hours
""")
_SINCE = jobs.c.ended_at >= sa.bindparam("since")
_FAILED = sa.and_(jobs.c.state == State.FAILED, _SINCE)
_TIMES = (
    sa.select(
        jobs.c.ended_at,
        (jobs.c.started_at - jobs.c.created_at).label("wait"),
        (jobs.c.ended_at - jobs.c.started_at).label("run"),
    )
    .where(jobs.c.state == State.COMPLETED, _SINCE)
    .order_by(jobs.c.ended_at.desc())
    .limit(_MOST_TIMED)
)
_CODES = (
    sa.select(jobs.c.code, sa.func.count().label("failures"))
    .where(_FAILED)
    .group_by(jobs.c.code)
    .order_by(sa.func.count().desc(), jobs.c.code)
)
# Keeps: a result past its retention can't be seen, whether or not `expire` came by yet.
_BODY = sa.case((jobs.c.expires_at > sa.bindparam("now"), results.c.body)).label("body")
_FAILURES = (
    sa.select(jobs.c.id, accounts.c.name, jobs.c.code, _BODY, jobs.c.ended_at)
    .join_from(jobs, accounts)
    .outerjoin(results, results.c.job_id == jobs.c.id)
    .where(_FAILED, jobs.c.code != "cancelled")
    .order_by(jobs.c.ended_at.desc())
    .limit(_MOST_FAILURES)
)


@dataclass(frozen=True)
class Queue:
    """Jobs that wait and run now; ``oldest_seconds`` is how long the oldest has waited, None without one."""

    queued: int
    running: int
    oldest_seconds: float | None


@dataclass(frozen=True)
class Held:
    """The job that a worker has, and how far it is."""

    job_id: str
    step: int
    steps: int
    started_at: float


@dataclass(frozen=True)
class Spread:
    """Percentiles of so many ``samples``, in seconds; None without any."""

    p50: float | None
    p90: float | None
    p99: float | None
    samples: int


@dataclass(frozen=True)
class Hour:
    """What ended in the hour from ``at`` on; its medians are None where nothing was timed."""

    at: float
    completed: int
    failed: int
    wait_p50: float | None
    run_p50: float | None


@dataclass(frozen=True)
class Failure:
    """A job that FAILED; ``error`` is None once its result is gone."""

    job_id: str
    account: str
    code: str
    error: str | None
    ended_at: float


@dataclass(frozen=True)
class Activity:
    """The ``queue`` now, and what ended in the last `HOURS`, this one too.

    ``wait`` is from the submit to the first claim and ``run`` from there to the end, both of the last 5,000 that were
    COMPLETED, and so are the hours' medians. ``failures`` counts by code, the most first; the latest ones leave out
    what was cancelled.
    """

    queue: Queue
    wait: Spread
    run: Spread
    hours: list[Hour]
    failures: dict[str, int]
    latest_failures: list[Failure]


class Operations(Database):
    """Watching the service."""

    def held(self) -> dict[str, Held]:
        """The job of each worker that has one, by the worker's name."""
        with self._read() as connection:
            return {worker: Held(*job) for worker, *job in connection.execute(_HELD)}

    def activity(self) -> Activity:
        """What the service has to do and did, as it was at one moment."""
        now = self.clock()
        values = {"since": (now // _HOUR - HOURS + 1) * _HOUR, "now": now}
        with self._snapshot() as connection:
            queued, running, oldest = connection.execute(_QUEUE).one()
            counts = connection.execute(_COUNTS, values).all()
            times = connection.execute(_TIMES, values).all()
            codes = connection.execute(_CODES, values).all()
            failures = connection.execute(_FAILURES, values).all()
        return Activity(
            Queue(queued, running, None if oldest is None else max(0.0, now - oldest)),
            _spread(wait for _, wait, _ in times),
            _spread(run for _, _, run in times),
            _hours(counts, times),
            {row.code: row.failures for row in codes},
            [_failure(row) for row in failures],
        )


def _spread(seconds: Iterable[float]) -> Spread:
    ordered = sorted(max(0.0, each) for each in seconds)
    return Spread(_percentile(ordered, 0.5), _percentile(ordered, 0.9), _percentile(ordered, 0.99), len(ordered))


def _percentile(ordered: Sequence[float], share: float) -> float | None:
    """By nearest rank, so that it is a time that something took."""
    return ordered[math.ceil(share * len(ordered)) - 1] if ordered else None


def _hours(counts: Iterable[Row], times: Iterable[Row]) -> list[Hour]:
    timed = defaultdict(list)
    for ended_at, wait, run in times:
        timed[ended_at // _HOUR].append((wait, run))
    hours = []
    for began, completed, failed in counts:
        waits, runs = ([pair[which] for pair in timed[began // _HOUR]] for which in (0, 1))
        hours.append(Hour(began, completed, failed, _spread(waits).p50, _spread(runs).p50))
    return hours


def _failure(row: Row) -> Failure:
    job_id, account, code, body, ended_at = row
    return Failure(job_id, account, code, json.loads(body)["error"] if body else None, ended_at)
