"""Any order of submits, claims, deaths, zombies, cancels and expiries does to the store what it does to a model."""

import functools
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule

from openkontext.contract import State
from openkontext.store import (
    Claim,
    InsufficientCredits,
    Key,
    LeaseLost,
    QueueFull,
    RateLimited,
    Store,
    StoreError,
    StoreSettings,
)

SETTINGS = StoreSettings(
    lease_seconds=10, max_attempts=3, retention_seconds=100, history_days=1, queue_timeout_seconds=60, queue_limit=6
)
DAY = 86_400
FOLLOWS = {
    State.QUEUED: set(State) - {State.COMPLETED},
    State.PROCESSING: set(State) - {State.QUEUED},
    State.COMPLETED: {State.COMPLETED},
    State.FAILED: {State.FAILED},
}


@dataclass
class ModelJob:
    """What is known of a job."""

    id: str
    key: int
    price: int
    tag: float
    created_at: float
    state: State = State.QUEUED
    holder: Claim | None = None
    lease_until: float = 0.0
    attempt: int = 0
    tries: int = 0
    cancel: bool = False
    ended_at: float | None = None
    code: str | None = None
    erased: bool = False

    def unleased(self, now: float) -> bool:
        return self.state is State.PROCESSING and self.lease_until <= now

    def claimable(self, now: float) -> bool:
        retried = self.unleased(now) and self.tries < SETTINGS.max_attempts and not self.cancel
        return self.state is State.QUEUED or retried

    def overdue(self, now: float) -> str | None:
        """The code that reaping ends it with, if it does."""
        patience = now - SETTINGS.queue_timeout_seconds
        if self.state is State.QUEUED:
            return "queue_timeout" if self.created_at <= patience else None
        if not self.unleased(now):
            return None
        late = "queue_timeout" if self.lease_until <= patience else None
        return "cancelled" if self.cancel else "worker_lost" if self.tries >= SETTINGS.max_attempts else late

    def let_go(self, now: float) -> None:
        self.holder, self.lease_until = None, now

    def end(self, state: State, now: float, code: str | None = None) -> None:
        self.state, self.code = (State.FAILED, "cancelled") if self.cancel else (state, code)
        self.ended_at, self.holder = now, None

    def shown(self, now: float) -> bool:
        expired = self.ended_at is not None and self.ended_at + SETTINGS.retention_seconds <= now
        return not (self.erased or expired)


def outcome(call: Callable[[], Any]) -> tuple[Any, StoreError | None]:
    """What was answered, or refused."""
    try:
        return call(), None
    except StoreError as error:
        return None, error


@pytest.fixture(autouse=True, scope="module")
def template(migrated: Path) -> None:
    """Every example starts with a copy of an empty database."""
    StoreMachine.template = migrated


class StoreMachine(RuleBasedStateMachine):
    """Two accounts with three keys, and any number of workers."""

    jobs = Bundle("jobs")
    claims = Bundle("claims")
    template: Path

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_800_000_000.0
        # In memory where that can be had: what a disk does with a sync is not asked here, and takes long.
        memory = Path("/dev/shm")
        self.folder = tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None)
        path = shutil.copy(self.template, Path(self.folder.name) / "store.db")
        self.store = Store.open(path, clock=lambda: self.now, settings=SETTINGS)
        self.model: dict[str, ModelJob] = {}
        self.seen: dict[str, State] = {}
        self.doomed: set[str] = set()
        self.start_accounts()

    def start_accounts(self) -> None:
        rich, poor = (self.store.create_account(name) for name in ("rich", "poor"))
        self.balances = {rich.id: 50, poor.id: 4}
        for account, credits in self.balances.items():
            self.store.add_credits(account, credits)
        self.keys: list[Key] = [
            self.store.create_key(account.id, rpm=rpm)[0] for account, rpm in ((rich, None), (rich, 3), (poor, None))
        ]
        self.virtual = [0.0, 0.0, 0.0]
        self.served = 0.0
        self.tokens = 3.0

    @initialize(target=jobs)
    def start_busy(self):
        """A job of each key is waiting when it begins."""
        return multiple(*(self.submit(key, 1, 5.0) for key in range(3)))

    @rule(target=jobs, key=st.integers(0, 2), price=st.integers(0, 3), weight=st.sampled_from([1.0, 5.0, 35.0]))
    def submit(self, key: int, price: int, weight: float):
        """Accepted, or refused for the first reason that holds."""
        refusal = self.refusal(key, price)
        order = functools.partial(self.store.submit, self.keys[key], {}, {}, price=price, weight=weight, steps=4)
        submitted, error = outcome(order)
        assert type(error) is refusal
        if submitted is None:
            return multiple()
        job = submitted.job
        tag = max(self.virtual[key], self.served)
        self.virtual[key] = tag + weight
        self.balances[job.account_id] -= price
        self.tokens -= key == 1
        self.model[job.id] = ModelJob(job.id, key, price, tag, self.now)
        return job.id

    def refusal(self, key: int, price: int) -> type[StoreError | None]:
        if key == 1 and self.tokens < 0.999:
            return RateLimited
        if self.balances[self.keys[key].account_id] < price:
            return InsufficientCredits
        waiting = sum(job.state is State.QUEUED for job in self.model.values())
        return QueueFull if waiting >= SETTINGS.queue_limit else type(None)

    @rule(target=claims, worker=st.sampled_from(["a", "b", "c"]))
    def claim(self, worker: str):
        """One of the claimable jobs of least virtual time, and none that another holds."""
        eligible = [job for job in self.model.values() if job.claimable(self.now)]
        claim = self.store.claim(worker)
        if claim is None:
            assert eligible == []
            return multiple()
        job = self.model[claim.job_id]
        assert (job.tag, job.created_at) == min((other.tag, other.created_at) for other in eligible)
        assert job in eligible
        job.state, job.holder, job.lease_until = State.PROCESSING, claim, self.now + SETTINGS.lease_seconds
        job.attempt, job.tries = job.attempt + 1, job.tries + 1
        assert (claim.attempt, claim.lease_until) == (job.attempt, job.lease_until)
        self.served = max(self.served, job.tag)
        return claim

    @rule(target=claims, key=st.integers(0, 2), worker=st.sampled_from(["a", "b", "c"]))
    def come_and_go(self, key: int, worker: str):
        """Something to do, and someone who does it."""
        self.submit(key, 1, 5.0)
        return self.claim(worker)

    @rule(target=claims, claim=claims)
    def hang(self, claim: Claim):
        """A lease runs out, and who had it comes back for more, as if nothing had been."""
        self.advance(SETTINGS.lease_seconds)
        return self.claim(claim.worker)

    def holds(self, claim: Claim, write) -> bool:
        """Whether ``write`` was let through, as it must be for the holder and for no one else."""
        meant = self.model[claim.job_id].holder == claim
        _, error = outcome(write)
        assert type(error) is (type(None) if meant else LeaseLost)
        return meant

    @rule(claim=claims, step=st.integers(0, 4))
    def beat(self, claim: Claim, step: int) -> None:
        """The holder, late or not, keeps its lease and hears of a cancel; a zombie is told off."""
        job, told = self.model[claim.job_id], []
        if self.holds(claim, lambda: told.append(self.store.beat(claim, step=step))):
            assert told == [job.cancel]
            job.lease_until = self.now + SETTINGS.lease_seconds

    @rule(claim=claims)
    def finish(self, claim: Claim) -> None:
        """Only the holder's result counts."""
        if self.holds(claim, lambda: self.store.finish(claim, {"metrics": {}})):
            self.end(self.model[claim.job_id], State.COMPLETED)

    @rule(claim=claims, retry=st.booleans())
    def fail(self, claim: Claim, retry: bool) -> None:
        """A failure ends the job, unless it is to be retried and may be."""
        job = self.model[claim.job_id]
        again = retry and job.tries < SETTINGS.max_attempts and not job.cancel
        report = functools.partial(self.store.fail, claim, code="inference_failed", error="no", metrics={}, retry=retry)
        if self.holds(claim, report):
            job.let_go(self.now) if again else self.end(job, State.FAILED, "inference_failed")

    @rule(claim=claims)
    def release(self, claim: Claim) -> None:
        """A drained job is free at once, and that try doesn't count."""
        job = self.model[claim.job_id]
        if self.holds(claim, lambda: self.store.release(claim)):
            job.let_go(self.now)
            job.tries -= 1

    @rule(worker=st.sampled_from(["a", "b", "c"]))
    def abandon(self, worker: str) -> None:
        """A dead worker's jobs are free at once."""
        self.store.abandon(worker)
        for job in self.model.values():
            if job.holder is not None and job.holder.worker == worker:
                job.let_go(self.now)

    @rule(claim=claims)
    def cancel_running(self, claim: Claim) -> None:
        """What was taken by a worker is cancelled like what was not."""
        self.cancel(claim.job_id)

    @rule(job_id=jobs)
    def cancel(self, job_id: str) -> None:
        """A waiting job ends, a running one is asked to."""
        job = self.model[job_id]
        answer = self.store.cancel(job_id, self.keys[job.key].account_id)
        if not job.shown(self.now):
            assert answer is None
        elif job.state.ended:
            assert answer == "ended"
        else:
            job.cancel = True
            assert answer == ("cancelled" if job.state is State.QUEUED else "cancelling")
            if job.state is State.QUEUED:
                self.end(job, State.FAILED)

    @rule(job_id=jobs)
    def erase(self, job_id: str) -> None:
        """Only an ended job can be erased, once."""
        job = self.model[job_id]
        blobs = self.store.erase(job_id, self.keys[job.key].account_id)
        if job.ended_at is None or not job.shown(self.now):
            assert blobs is None
        else:
            assert blobs == self.doom(job)

    @rule()
    def reap(self) -> None:
        """What no worker will end, ends."""
        overdue = {job.id: code for job in self.model.values() if (code := job.overdue(self.now))}
        assert set(self.store.reap()) == set(overdue)
        for job_id, code in overdue.items():
            self.end(self.model[job_id], State.FAILED, code)

    def doom(self, job: ModelJob) -> list[str]:
        """The files that go with a job, the first time that it goes."""
        attempts = range(1, job.attempt + 1) if not job.erased else ()
        files = [f"outputs/{job.id}/{attempt}.png" for attempt in attempts]
        self.doomed.update(files)
        job.erased = True
        return files

    @rule()
    def expire(self) -> None:
        """Nothing of an expired job is left to read, and its files are named until they are forgotten."""
        blobs = self.store.expire()
        expired = [job for job in self.model.values() if job.ended_at is not None and not job.shown(self.now)]
        for job in expired:
            self.doom(job)
        assert blobs == sorted(self.doomed)
        self.doomed.clear()
        assert [None] * len(expired) == [self.store.result(job.id) for job in expired]
        assert blobs == self.store.expire()
        self.store.forget_blobs(blobs)
        assert self.store.expire() == []
        assert self.store.verify_ledger() == []

    @rule(seconds=st.sampled_from([4.0, 4.0, 4.0, 6.0, 6.0, 10.0, 10.0, 60.0, 100.0, 2.0 * DAY]))
    def advance(self, seconds: float) -> None:
        """Time goes by."""
        self.now += seconds
        self.tokens = min(3.0, self.tokens + seconds * 3 / 60)

    def end(self, job: ModelJob, state: State, code: str | None = None) -> None:
        job.end(state, self.now, code)
        if job.state is State.FAILED:
            self.balances[self.keys[job.key].account_id] += job.price

    @invariant()
    def jobs_agree(self) -> None:
        """Every accepted job is there, in the state that it ought to be in."""
        for expected in self.model.values():
            job = self.store.job(expected.id, self.keys[expected.key].account_id)
            assert (job is not None) == expected.shown(self.now)
            if job is not None:
                assert (job.state, job.attempt, job.tries) == (expected.state, expected.attempt, expected.tries)
                assert (job.cancel_requested, job.ended_at) == (expected.cancel, expected.ended_at)
                assert job.state in FOLLOWS[self.seen.get(job.id, State.QUEUED)]
                self.seen[job.id] = job.state
                assert (self.store.result(job.id) or {}).get("code") == expected.code

    @invariant()
    def books_agree(self) -> None:
        """Balances are what was granted less what is held or taken."""
        assert self.balances == {account: self.store.balance(account) for account in self.balances}

    def teardown(self) -> None:
        """Whatever happened, every job comes to an end once there are workers again."""
        try:
            self.now += SETTINGS.lease_seconds
            self.store.reap()
            while claim := self.store.claim("last"):
                self.store.finish(claim, {"metrics": {}})
            shown = [self.store.job(job.id, self.keys[job.key].account_id) for job in self.model.values()]
            assert [job for job in shown if job and not job.state.ended] == []
            assert self.store.verify_ledger() == []
        finally:
            self.store.close()
            self.folder.cleanup()


TestStoreMachine = StoreMachine.TestCase
# A failure is shown as it was found: making it smaller would take minutes of commits.
TestStoreMachine.settings = settings(
    max_examples=50,
    stateful_step_count=50,
    deadline=None,
    derandomize=True,
    database=None,
    phases=(Phase.generate,),
)
