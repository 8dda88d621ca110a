"""What an operator sees of the service: the queue, times and failures."""

import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from openkontext.store import Account, Job, Store, Submitted
from openkontext.store import operations as parts
from openkontext.store.operations import Failure, Held, Hour, Queue, Spread
from tests.store.conftest import Clock

NOTHING = Spread(None, None, None, 0)
METRICS = {"metrics": {}}


@pytest.fixture
def ended(store: Store, submit: Callable[..., Submitted], clock: Clock) -> Callable[..., Job]:
    """A job that waited and ran for so many seconds, and ended now."""

    def ended(wait: float = 0.0, run: float = 0.0, code: str | None = None) -> Job:
        submit()
        clock.advance(wait)
        claim = store.claim("worker")
        assert claim is not None
        clock.advance(run)
        if code:
            return store.fail(claim, code=code, error=f"because of {code}", **METRICS)
        return store.finish(claim, METRICS)

    return ended


def plans(database: Path, *statements: sa.Executable) -> Iterable[str]:
    """How SQLite goes about each statement."""
    with closing(sqlite3.connect(database)) as connection:
        for statement in statements:
            compiled = statement.compile(dialect=sa.create_engine("sqlite://").dialect)
            values = [0] * len(compiled.positiontup)
            rows = connection.execute(f"EXPLAIN QUERY PLAN {compiled}", values)
            yield "; ".join(row[3] for row in rows)


def test_nothing_is_there_yet(store: Store, clock: Clock):
    """A day of empty hours, this one too, on the hour."""
    clock.advance(1234)
    activity = store.activity()
    assert (Queue(0, 0, None), NOTHING, NOTHING) == (activity.queue, activity.wait, activity.run)
    assert [Hour(1_800_000_000 + 3600 * n, 0, 0, None, None) for n in range(-23, 1)] == activity.hours
    assert ({}, []) == (activity.failures, activity.latest_failures)


def test_the_queue_is_of_now(store: Store, submit: Callable[..., Submitted], ended: Callable[..., Job], clock: Clock):
    """What waits, what runs, and how long the first of those that wait has."""
    ended()
    submit()
    clock.advance(5)
    submit()
    submit()
    assert Queue(3, 0, 5.0) == store.activity().queue
    store.claim("a")
    clock.advance(2)
    assert Queue(2, 1, 2.0) == store.activity().queue


def test_each_job_is_its_workers(store: Store, submit: Callable[..., Submitted], clock: Clock):
    """With its progress; one that nobody has is nobody's."""
    jobs = [submit().job.id for _ in range(3)]
    clock.advance(2)
    claims = [store.claim(name) for name in ("a", "b")]
    store.beat(claims[0], step=7)
    assert {"a": Held(jobs[0], 7, 35, clock.now), "b": Held(jobs[1], 0, 35, clock.now)} == store.held()
    store.finish(claims[0], METRICS)
    store.release(claims[1])
    assert {} == store.held()


def test_percentiles_are_times_that_something_took(store: Store, ended: Callable[..., Job]):
    """The nearest of those measured: of twenty, the 10th, 18th and last."""
    for seconds in (*range(11, 21), *range(1, 11)):
        ended(run=seconds)
    assert Spread(10.0, 18.0, 20.0, 20) == store.activity().run
    assert Spread(0.0, 0.0, 0.0, 20) == store.activity().wait


def test_times_are_of_what_was_completed(store: Store, ended: Callable[..., Job]):
    """A failure says little of what an edit takes."""
    ended(wait=3, run=4)
    ended(wait=100, run=200, code="inference_failed")
    activity = store.activity()
    assert (Spread(3.0, 3.0, 3.0, 1), Spread(4.0, 4.0, 4.0, 1)) == (activity.wait, activity.run)


def test_hours_are_those_of_the_end(store: Store, ended: Callable[..., Job], clock: Clock):
    """From the first second of each to the last; what was before the day is not seen."""
    clock.now = 1_800_000_000.0 - 1
    ended(run=0.5)
    clock.now = 1_800_000_000.0
    ended(code="cancelled")
    ended(wait=1, run=7)
    ended(wait=3, run=9)
    clock.now = 1_800_003_599.0
    ended(wait=2, run=0.5)
    clock.now = 1_800_003_600.0
    ended(code="blocked")
    before, first, now = store.activity().hours[-3:]
    assert Hour(1_799_996_400.0, 1, 0, 0.0, 0.5) == before
    assert Hour(1_800_000_000.0, 2, 1, 1.0, 7.0) == first
    assert Hour(1_800_003_600.0, 1, 1, 2.0, 0.5) == now
    clock.now = 1_800_000_000.0 + 24 * 3600
    activity = store.activity()
    assert Hour(1_800_003_600.0, 1, 1, 2.0, 0.5) == activity.hours[0]
    assert (1, {"blocked": 1}) == (activity.run.samples, activity.failures)
    clock.advance(3600)
    activity = store.activity()
    assert ([0] * 24, {}, []) == (
        [hour.completed + hour.failed for hour in activity.hours],
        activity.failures,
        activity.latest_failures,
    )


def test_failures_are_counted_by_code(store: Store, ended: Callable[..., Job]):
    """The most frequent first."""
    for code in ("blocked", "inference_failed", "inference_failed", "cancelled"):
        ended(code=code)
    counts = {"inference_failed": 2, "blocked": 1, "cancelled": 1}
    assert list(counts.items()) == list(store.activity().failures.items())


def test_latest_failures(store: Store, ended: Callable[..., Job], account: Account, clock: Clock):
    """The newest first, at most 20, with whose they are and why; what its owner cancelled is none."""
    for _ in range(21):
        clock.advance(1)
        last = ended(code="inference_failed")
    ended(code="cancelled")
    ended()
    found = store.activity().latest_failures
    expected = Failure(last.id, account.name, "inference_failed", "because of inference_failed", clock.now)
    assert (expected, 20) == (found[0], len(found))
    assert [clock.now - seconds for seconds in range(20)] == [failure.ended_at for failure in found]


def test_words_of_a_failure_end_with_its_result(store: Store, ended: Callable[..., Job], clock: Clock):
    """Whether or not anyone came by to erase it."""
    ended(code="blocked")
    clock.advance(store.settings.retention_seconds)
    for _ in range(2):
        assert [("blocked", None)] == [(each.code, each.error) for each in store.activity().latest_failures]
        store.expire()


def test_times_are_of_the_newest(store: Store, ended: Callable[..., Job], monkeypatch: pytest.MonkeyPatch):
    """Of so many, however many there were; what is counted is counted whole."""
    monkeypatch.setattr(parts, "_TIMES", parts._TIMES.limit(2))
    for seconds in (100, 5, 5):
        ended(run=seconds)
    activity = store.activity()
    assert (Spread(5.0, 5.0, 5.0, 2), 3) == (activity.run, sum(hour.completed for hour in activity.hours))


def test_every_read_goes_by_an_index(store: Store, database: Path):
    """Those of counts and times touch nothing else; so a hundred thousand jobs are read in some milliseconds."""
    counts, times, codes, failures = plans(database, parts._COUNTS, parts._TIMES, parts._CODES, parts._FAILURES)
    assert 2 == counts.count("COVERING INDEX jobs_ended (state=? AND ended_at>? AND ended_at<?)")
    assert "SEARCH jobs USING COVERING INDEX jobs_ended (state=? AND ended_at>?)" == times
    assert "SEARCH jobs USING COVERING INDEX jobs_ended (state=? AND ended_at>?)" in codes
    assert "SEARCH jobs USING INDEX jobs_ended (state=? AND ended_at>?)" in failures
    assert "B-TREE" not in failures
    for active in plans(database, parts._QUEUE, parts._HELD):
        assert "INDEX jobs_active" in active or "INDEX jobs_standing" in active


def test_a_clock_that_was_set_back(store: Store, ended: Callable[..., Job], clock: Clock):
    """No time is less than none."""
    clock.advance(10)
    ended(run=-5)
    assert 0.0 == store.activity().run.p50
