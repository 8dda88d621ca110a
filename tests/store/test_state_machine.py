"""Any order of submits, replays, claims, deaths, zombies, cancels, deliveries and expiries does to the store what it
does to a model.
"""

import functools
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule

from openkontext.contract import State
from openkontext.store import (
    Claim,
    Idempotency,
    IdempotencyConflict,
    InsufficientCredits,
    Key,
    LeaseLost,
    QueueFull,
    RateLimited,
    ResultExpired,
    Store,
    StoreError,
    TooManyWaiting,
)
from tests.store.model import DAY, FOREVER, KEYS, SETTINGS, ModelJob

PICTURE = "data:,picture"
FOLLOWS = {
    State.QUEUED: set(State) - {State.COMPLETED},
    State.PROCESSING: set(State) - {State.QUEUED},
    State.COMPLETED: {State.COMPLETED},
    State.FAILED: {State.FAILED},
}


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
        self.replays: dict[tuple[int, str], tuple[str, str, float]] = {}
        self.start_accounts()

    def start_accounts(self) -> None:
        rich, poor = (self.store.create_account(name) for name in ("rich", "poor"))
        self.balances = {rich.id: 50, poor.id: 4}
        for account, credits in self.balances.items():
            self.store.add_credits(account, credits)
        self.keys: list[Key] = [
            self.store.create_key((rich, poor)[account].id, **limits)[0] for account, limits in KEYS
        ]
        self.virtual = [0.0, 0.0, 0.0]
        self.served = 0.0
        self.tokens = 3.0

    @initialize(target=jobs)
    def start_busy(self):
        """A job of each key is waiting when it begins."""
        return multiple(*(self.submit(key, 1, 5.0) for key in range(3)))

    @rule(target=jobs, key=st.integers(0, 2), price=st.integers(0, 3), weight=st.sampled_from([1.0, 5.0, 35.0]))
    def submit(self, key: int, price: int, weight: float, idempotency: Idempotency | None = None):
        """Accepted, or refused for the first reason that holds."""
        refusal = self.refusal(key, price)
        order = functools.partial(
            self.store.submit, self.keys[key], {}, {}, price=price, weight=weight, steps=4, idempotency=idempotency
        )
        submitted, error = outcome(order)
        assert type(error) is refusal
        if submitted is None:
            return multiple()
        job = submitted.job
        assert not submitted.replayed
        tag = max(self.virtual[key], self.served)
        self.virtual[key] = tag + weight
        self.balances[job.account_id] -= price
        self.tokens -= key == 1
        self.model[job.id] = ModelJob(job.id, key, price, tag, self.now)
        return job.id

    @rule(target=jobs, key=st.integers(0, 2), word=st.sampled_from("xy"), fingerprint=st.sampled_from("1112"))
    def submit_once(self, key: int, word: str, fingerprint: str):
        """The first under an idempotency key is a submit, and what follows within a day is that one again."""
        account = self.keys[key].account_id
        first, job_id, when = self.replays.get((account, word), ("", "", 0.0))
        if when <= self.now - DAY:
            submitted = self.submit(key, 1, 5.0, Idempotency(word, fingerprint))
            if isinstance(submitted, str):
                self.replays[account, word] = (fingerprint, submitted, self.now)
            return submitted
        order = functools.partial(self.store.submit, self.keys[key], {}, {}, price=1, weight=5.0, steps=4)
        replayed, error = outcome(functools.partial(order, idempotency=Idempotency(word, fingerprint)))
        gone = type(None) if self.model[job_id].shown(self.now) else ResultExpired
        assert type(error) is (IdempotencyConflict if first != fingerprint else gone)
        assert replayed is None or (replayed.job.id, replayed.replayed) == (job_id, True)
        return multiple()

    @rule(account=st.integers(0, 1), micros=st.integers(1, 3))
    def grant(self, account: int, micros: int) -> None:
        """Credits come at any time."""
        account_id = list(self.balances)[account]
        self.balances[account_id] += micros
        assert self.store.add_credits(account_id, micros) == self.balances[account_id]

    def refusal(self, key: int, price: int) -> type[StoreError | None]:
        if key == 1 and self.tokens < 0.999:
            return RateLimited
        if key == 0 and sum(job.state is State.QUEUED and job.key == 0 for job in self.model.values()) >= 4:
            return TooManyWaiting
        if self.balances[self.keys[key].account_id] < price:
            return InsufficientCredits
        waiting = sum(job.state is State.QUEUED for job in self.model.values())
        return QueueFull if waiting >= SETTINGS.queue_limit else type(None)

    @rule(target=claims, worker=st.sampled_from(["a", "b", "c"]))
    def claim(self, worker: str):
        """One of the claimable jobs of least virtual time, and none that another holds."""
        leased = [job for job in self.model.values() if job.holder is not None and job.lease_until > self.now]
        full = {job.key for job in leased if job.key == 2}
        eligible = [job for job in self.model.values() if job.claimable(self.now) and job.key not in full]
        claim = self.store.claim(worker)
        if claim is None:
            assert eligible == []
            return multiple()
        job = self.model[claim.job_id]
        assert (job.tag, job.created_at) == min((other.tag, other.created_at) for other in eligible)
        assert job in eligible
        job.state, job.holder, job.lease_until = State.PROCESSING, claim, self.now + SETTINGS.lease_seconds
        job.attempt, job.tries, job.preview = job.attempt + 1, job.tries + 1, None
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

    @rule(claim=claims, step=st.integers(0, 4), preview=st.sampled_from([None, PICTURE]))
    def beat(self, claim: Claim, step: int, preview: str | None) -> None:
        """The holder, late or not, keeps its lease and hears of a cancel; a zombie is told off."""
        job, told = self.model[claim.job_id], []
        if self.holds(claim, lambda: told.append(self.store.beat(claim, step=step, preview=preview))):
            assert told == [job.cancel]
            job.lease_until = self.now + SETTINGS.lease_seconds
            job.preview = step if preview else job.preview

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

    @rule(job_id=jobs)
    def deliver(self, job_id: str) -> None:
        """What is to be delivered but once goes with its delivery, and nothing else does."""
        job = self.model[job_id]
        once = job.key == 2 and job.state is State.COMPLETED and not job.erased
        assert self.store.delivered(job_id) == (self.doom(job) if once else [])

    @rule(job_id=jobs, keep=st.booleans())
    def pin(self, job_id: str, keep: bool) -> None:
        """A completed job stays as long as its owner likes."""
        job = self.model[job_id]
        change = self.store.pin if keep else self.store.unpin
        answer = change(job_id, self.keys[job.key].account_id)
        possible = job.state is State.COMPLETED and job.shown(self.now) and not (keep and job.key == 2)
        assert (answer is not None) == possible
        if possible and keep:
            job.expires_at = self.now + FOREVER
        elif possible and job.pinned:
            job.expires_at = self.now + job.retention
        job.pinned = keep if possible else job.pinned

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
                assert (job.expires_at, job.pinned, job.code) == (expected.expires_at, expected.pinned, expected.code)
                assert job.state in FOLLOWS[self.seen.get(job.id, State.QUEUED)]
                self.seen[job.id] = job.state
                assert (self.store.result(job.id) or {}).get("code") == expected.code

    @invariant()
    def progress_agrees(self) -> None:
        """Every waiting job has its place, and every running one its preview."""
        waiting = [job for job in self.model.values() if job.state is State.QUEUED]
        for job in self.model.values():
            if job.ended_at is None:
                ahead = sum((other.tag, other.created_at) < (job.tag, job.created_at) for other in waiting)
                progress = self.store.progress(job.id, self.keys[job.key].account_id)
                assert progress is not None
                assert progress.position == (1 + ahead if job in waiting else None)
                assert (progress.preview_step, progress.preview is None) == (job.preview, job.preview is None)

    @invariant()
    def books_agree(self) -> None:
        """Balances are what was granted less what is held or taken, and the sum of their entries: at every moment."""
        assert self.balances == {account: self.store.balance(account) for account in self.balances}
        entries = {account: self.store.ledger(account) for account in self.balances}
        assert self.balances == {account: sum(entry.amount for entry in books) for account, books in entries.items()}

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
