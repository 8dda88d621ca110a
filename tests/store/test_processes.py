"""The store among real processes: racing, dying, and on a disk that is full."""

import time
from collections.abc import Callable
from subprocess import Popen

import pytest

from openkontext.contract import State
from openkontext.store import Account, Store

Actor = Popen[str]


@pytest.fixture(autouse=True)
def wall_clock(clock) -> None:
    """Other processes are on real time, so this one must be too."""
    clock.now = time.time()


def test_no_job_is_claimed_twice_or_lost(
    store: Store, account: Account, submit, start_actor: Callable[..., Actor], act
):
    """Three processes empty one queue: every job is claimed by exactly one of them, and ends."""
    submitted = {submit().job.id for _ in range(90)}
    claims = act([start_actor("claim_some", name, "30") for name in ("a", "b", "c")])
    claimed = [job_id for lines in claims for job_id in lines]
    assert sorted(claimed) == sorted(submitted)
    assert {store.job(job_id, account.id).state for job_id in submitted} == {State.COMPLETED}
    assert [len(lines) for lines in claims] == [30, 30, 30]
    assert store.verify_ledger() == []


def test_accepted_job_survives_the_process(store: Store, account: Account, start_actor: Callable[..., Actor], act):
    """A process killed the moment its submit returned has not lost the job."""
    _, secret = store.create_key(account.id)
    actor = start_actor("submit_and_die", secret)
    [[job_id]] = act([actor])
    assert actor.returncode == -9
    assert store.job(job_id, account.id).state is State.QUEUED
    assert store.claim("w").job_id == job_id


def test_full_disk_is_said_and_nothing_is_half_done(
    store: Store, account: Account, start_actor: Callable[..., Actor], act
):
    """Where nothing can be written any more a submit is refused whole, and goes through once there is room."""
    _, secret = store.create_key(account.id, rpm=None)
    [lines] = act([start_actor("fill_the_disk", secret)])
    accepted = [line for line in lines if not line.startswith("unavailable")]
    assert len(accepted) == len(lines) - 1 >= 2
    assert lines[-1] in accepted
    assert store.queue_depth() == len(accepted)
    assert all(store.job(job_id, account.id) for job_id in accepted)
    assert store.verify_ledger() == []


def test_processes_spend_what_there_is(store: Store, start_actor: Callable[..., Actor], act):
    """Two processes with credit for 50 submits of 200: exactly 50 are accepted."""
    account = store.create_account("poor")
    store.add_credits(account.id, 50)
    _, secret = store.create_key(account.id, rpm=None)
    accepted = act([start_actor("spend", secret, "100") for _ in range(2)])
    assert len({job_id for lines in accepted for job_id in lines}) == 50
    assert (store.balance(account.id), store.queue_depth()) == (0, 50)
    assert store.verify_ledger() == []
