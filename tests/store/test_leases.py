"""The lease protocol: claims, beats, ends, and what becomes of a job whose worker is gone."""

from collections.abc import Callable

import pytest

from openkontext.contract import State
from openkontext.store import Account, Claim, Job, LeaseLost, Store

BODY = {
    "output": {"key": "outputs/x"},
    "seed": 42,
    "prompt": "snow",
    "metrics": {"inference_time": 3.1},
    "warnings": [],
}


@pytest.fixture
def claim(store: Store, submit) -> Claim:
    """A worker's hold on a new job."""
    submit()
    return claimed(store)


@pytest.fixture
def job(store: Store, account: Account, claim: Claim) -> Callable[[], Job]:
    """The claimed job, as its owner sees it now."""

    def look() -> Job:
        job = store.job(claim.job_id, account.id)
        assert job is not None
        return job

    return look


def claimed(store: Store, worker: str = "worker") -> Claim:
    claim = store.claim(worker)
    assert claim is not None
    return claim


def test_claim_is_a_lease(store: Store, claim: Claim, job, clock):
    """A claim makes the job PROCESSING for the length of a lease, and no one else's."""
    assert (job().state, job().attempt, job().tries, job().started_at) == (State.PROCESSING, 1, 1, clock.now)
    assert claim.lease_until == clock.now + 15
    clock.advance(14.9)
    assert store.claim("other") is None


def test_nothing_to_claim(store: Store):
    """An empty queue is None."""
    assert store.claim("worker") is None


def test_beat_renews_the_lease_and_shows_progress(store: Store, claim: Claim, job, clock):
    """A beat counts from now; what it doesn't say of the progress stays as it was."""
    clock.advance(10)
    assert store.beat(claim, step=3, steps=28) is False
    assert (job().step, job().steps) == (3, 28)
    clock.advance(14.9)
    assert store.claim("other") is None
    store.beat(claim)
    assert (job().step, job().steps) == (3, 28)


def test_finish_completes_and_takes_the_price(store: Store, account: Account, claim: Claim, job, clock):
    """COMPLETED: the body with what it cost, a take in the ledger, an hour to live."""
    clock.advance(3)
    assert store.finish(claim, BODY) == job()
    assert (job().state, job().ended_at, job().expires_at) == (State.COMPLETED, clock.now, clock.now + 3600)
    metrics = {"inference_time": 3.1, "cost": 0.04, "remaining_credits": 9.96}
    assert store.result(claim.job_id) == BODY | {"metrics": metrics}
    assert [(entry.kind, entry.amount) for entry in store.ledger(account.id)][1:] == [("hold", -40_000), ("take", 0)]


def test_fail_gives_the_price_back(store: Store, account: Account, claim: Claim, job):
    """FAILED: the error as it was told, and a release in the ledger."""
    moderation = {"nsfw": 0.93}
    store.fail(claim, code="blocked", error="not this", metrics={"inference_time": 1.0}, moderation=moderation)
    assert job().state is State.FAILED
    expected = {"error": "not this", "code": "blocked", "metrics": {"inference_time": 1.0}, "moderation": moderation}
    assert store.result(claim.job_id) == expected
    assert store.balance(account.id) == 10_000_000
    assert store.ledger(account.id)[-1].kind == "release"


def test_running_job_has_no_result(store: Store, claim: Claim):
    """There is no body before the end."""
    assert store.result(claim.job_id) is None


@pytest.mark.parametrize("write", ["beat", "finish", "fail", "release"])
def test_zombie_is_fenced_out(store: Store, claim: Claim, job, clock, write: str):
    """Once another has the job, the former holder can do nothing to it, whatever it tries."""
    clock.advance(15)
    successor = claimed(store, "successor")
    assert (successor.job_id, successor.attempt) == (claim.job_id, 2)
    with pytest.raises(LeaseLost) as lost:
        write_as(store, claim, write)
    assert (lost.value.job_id, lost.value.worker, lost.value.attempt) == (claim.job_id, "worker", 1)
    assert (job().state, job().attempt) == (State.PROCESSING, 2)
    store.finish(successor, BODY)


@pytest.mark.parametrize("write", ["beat", "finish", "fail", "release"])
def test_ended_job_takes_no_more(store: Store, claim: Claim, job, write: str):
    """Nothing follows an end, not even from the one who made it."""
    store.finish(claim, BODY)
    ended = job()
    with pytest.raises(LeaseLost):
        write_as(store, claim, write)
    assert job() == ended


@pytest.mark.parametrize("write", ["beat", "finish", "fail", "release"])
def test_same_worker_is_fenced_by_attempt(store: Store, claim: Claim, clock, write: str):
    """A worker that claimed its own lost job again can't write as the one it was before."""
    clock.advance(15)
    claimed(store, claim.worker)
    with pytest.raises(LeaseLost):
        write_as(store, claim, write)


def write_as(store: Store, claim: Claim, write: str) -> None:
    arguments = {"finish": {"body": BODY}, "fail": {"code": "inference_failed", "error": "no", "metrics": {}}}
    getattr(store, write)(claim, **arguments.get(write, {}))


def test_late_holder_may_still_finish(store: Store, claim: Claim, job, clock):
    """A lease that ran out is only lost once another has it: work is not thrown away without need."""
    clock.advance(1000)
    store.finish(claim, BODY)
    assert job().state is State.COMPLETED


def test_retry_is_processing_and_counted_in_the_result(store: Store, claim: Claim, job, clock):
    """A retried job never looks QUEUED again, keeps its first start, and says how often it was retried."""
    started = job().started_at
    store.beat(claim, step=9)
    clock.advance(15)
    assert job().state is State.PROCESSING
    again = claimed(store)
    assert (job().started_at, job().step, job().tries) == (started, 0, 2)
    store.finish(again, BODY)
    assert (store.result(claim.job_id) or {})["metrics"]["retry_count"] == 1


def test_lost_worker_is_the_end_after_three_attempts(store: Store, account: Account, claim: Claim, job, clock):
    """The third lease that runs out fails the job, and gives its price back."""
    for attempt in (2, 3):
        clock.advance(15)
        assert store.reap() == []
        assert claimed(store).attempt == attempt
    clock.advance(14)
    assert store.reap() == []
    clock.advance(1)
    assert store.claim("other") is None
    assert store.reap() == [claim.job_id]
    assert (job().state, store.result(claim.job_id)["code"]) == (State.FAILED, "worker_lost")
    assert store.balance(account.id) == 10_000_000
    assert store.reap() == []


def test_failure_with_retry_is_claimable_at_once(store: Store, claim: Claim, job):
    """A failure that another attempt may mend waits for no lease; after the last it is the job's end."""
    for attempt in (1, 2):
        failed = store.fail(claim, code="inference_failed", error=f"no {attempt}", metrics={}, retry=True)
        assert (failed.state, failed.attempt) == (State.PROCESSING, attempt)
        claim = claimed(store)
    failed = store.fail(claim, code="inference_failed", error="no 3", metrics={}, retry=True)
    assert failed == job()
    assert (failed.state, store.result(claim.job_id)["error"]) == (State.FAILED, "no 3")


def test_released_job_is_free_and_the_try_not_counted(store: Store, claim: Claim, job):
    """Draining again and again never uses up a job's attempts, and never reuses their numbers."""
    for attempt in range(1, 6):
        assert (claim.attempt, job().tries) == (attempt, 1)
        store.release(claim)
        assert (job().state, job().tries) == (State.PROCESSING, 0)
        claim = claimed(store)
    store.finish(claim, BODY)
    assert "retry_count" not in store.result(claim.job_id)["metrics"]


def test_abandoned_jobs_are_free_at_once(store: Store, submit, claim: Claim):
    """What a dead worker held is claimable without waiting; what others hold is not touched."""
    submit()
    claimed(store, "healthy")
    store.abandon("worker")
    assert claimed(store, "successor").job_id == claim.job_id
    assert store.claim("successor") is None
    with pytest.raises(LeaseLost):
        store.finish(claim, BODY)


def test_queued_job_is_cancelled_at_once(store: Store, account: Account, submit, clock):
    """Cancelling what waits ends it, with its price given back."""
    job = submit().job
    clock.advance(2)
    assert store.cancel(job.id, account.id) == "cancelled"
    assert store.claim("worker") is None
    result = store.result(job.id)
    assert result["code"] == "cancelled"
    assert result["metrics"] == {"inference_time": 0.0, "queue_time": 2.0, "total_time": 2.0}
    assert store.balance(account.id) == 10_000_000
    assert store.cancel(job.id, account.id) == "ended"


def test_running_job_is_told_to_stop(store: Store, account: Account, claim: Claim):
    """Cancelling what runs reaches its worker by the next beat."""
    assert store.beat(claim) is False
    assert store.cancel(claim.job_id, account.id) == "cancelling"
    assert store.beat(claim) is True


@pytest.mark.parametrize("write", ["finish", "fail"])
def test_cancel_wins_over_the_worker(store: Store, account: Account, claim: Claim, job, write: str):
    """What was promised to be cancelled is FAILED and not charged, even if it was done in that moment."""
    store.cancel(claim.job_id, account.id)
    write_as(store, claim, write)
    assert (job().state, store.result(claim.job_id)["code"]) == (State.FAILED, "cancelled")
    assert store.balance(account.id) == 10_000_000


def test_cancelled_job_of_a_dead_worker_is_reaped(store: Store, account: Account, claim: Claim, job):
    """Nobody starts a cancelled job again; reaping ends it."""
    store.cancel(claim.job_id, account.id)
    store.abandon("worker")
    assert store.claim("other") is None
    assert store.reap() == [claim.job_id]
    assert (job().state, store.result(claim.job_id)["code"]) == (State.FAILED, "cancelled")


def test_job_that_nobody_takes_times_out(store: Store, account: Account, submit, clock):
    """An hour in the queue is the end, and free of charge."""
    job = submit().job
    clock.advance(3599)
    assert store.reap() == []
    clock.advance(1)
    assert store.reap() == [job.id]
    assert store.result(job.id)["code"] == "queue_timeout"
    assert store.balance(account.id) == 10_000_000


def test_retry_that_nobody_takes_times_out(store: Store, claim: Claim, clock):
    """So is an hour without a worker after the first one was lost."""
    store.abandon("worker")
    clock.advance(3599)
    assert store.reap() == []
    clock.advance(1)
    assert store.reap() == [claim.job_id]
    assert store.result(claim.job_id)["code"] == "queue_timeout"
