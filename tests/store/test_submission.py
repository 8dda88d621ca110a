"""What makes a submit accepted, and how it is refused."""

import sqlite3
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from openkontext.contract import State
from openkontext.store import Account, InsufficientCredits, Key, QueueFull, RateLimited, Store, StoreError, Submitted


def test_accepted_job_is_queued_with_its_price_held(store: Store, account: Account, key: Key, submit, clock):
    """A submit is a QUEUED job, a hold in the ledger and a lower balance."""
    accepted = submit(price=40_000, steps=28)
    job = accepted.job
    assert (job.state, job.attempt, job.steps, job.price) == (State.QUEUED, 0, 28, 40_000)
    assert (job.account_id, job.key_id, job.created_at) == (account.id, key.id, clock.now)
    assert store.job(job.id, account.id) == job
    assert accepted.balance == store.balance(account.id) == 9_960_000
    entry = store.ledger(account.id)[-1]
    assert (entry.job_id, entry.kind, entry.amount) == (job.id, "hold", -40_000)


def test_id_can_be_given(store: Store, account: Account, submit):
    """The caller may name the job, so that it can store its picture first."""
    job_id = "0b0f8a52-57c5-4b5c-8f6a-0d1a4f0f7f7e"
    assert submit(job_id=job_id).job.id == job_id
    assert store.job(job_id, account.id) is not None


def test_payload_arrives_as_it_was(store: Store, submit):
    """Parameters and input come out of a claim unchanged, whatever text they hold."""
    parameters = {"prompt": 'snow ❄ "\\ \ud800 \0', "seed": 2**63 - 1, "guidance": 2.5, "disable_safety_checker": False}
    submit(parameters=parameters, input={"kind": "blob", "key": "inputs/1"})
    claim = store.claim("w")
    assert claim is not None
    assert (claim.parameters, claim.input) == (parameters, {"kind": "blob", "key": "inputs/1"})


def test_another_accounts_job_is_unknown(store: Store, submit):
    """A job is shown to its own account alone."""
    stranger = store.create_account("stranger")
    job_id = submit().job.id
    assert store.job(job_id, stranger.id) is None
    assert store.cancel(job_id, stranger.id) is None
    assert store.erase(job_id, stranger.id) is None


def test_unlimited_key_has_no_limit(submit, clock):
    """Without a limit there is nothing to count, and nothing to wait for."""
    accepted = submit()
    assert (accepted.limit, accepted.remaining, accepted.reset_at) == (None, None, clock.now)


def test_bucket_is_exact(store: Store, account: Account, submit, clock):
    """A limit of 30 a minute is 30 at once, then one each 2 seconds, to the moment."""
    key = store.create_key(account.id, rpm=30)[0]
    accepted = [submit(by=key) for _ in range(30)]
    assert [submit.remaining for submit in accepted] == list(range(29, -1, -1))
    assert accepted[-1].reset_at == clock.now + 60
    for _ in range(3):
        with pytest.raises(RateLimited) as refused:
            submit(by=key)
        assert (refused.value.limit, refused.value.remaining) == (30, 0)
        assert refused.value.reset_at == pytest.approx(clock.now + 2, abs=1e-3)
        clock.advance(1.9)
        with pytest.raises(RateLimited):
            submit(by=key)
        clock.now = refused.value.reset_at
        assert submit(by=key).remaining == 0


def test_bucket_holds_no_more_than_its_limit(store: Store, account: Account, submit, clock):
    """A day of rest earns a minute's worth, and a clock set back takes nothing away."""
    key = store.create_key(account.id, rpm=2)[0]
    clock.advance(86_400)
    assert submit(by=key).remaining == 1
    clock.advance(-3600)
    assert submit(by=key).remaining == 0
    with pytest.raises(RateLimited):
        submit(by=key)


def test_refusals_come_in_order_and_cost_nothing(
    store: Store, open_store: Callable[..., Store], submit, account: Account
):
    """Rate limit before credits before the queue; a refused submit takes no token, credit or place."""
    key = store.create_key(account.id, rpm=1)[0]
    full = open_store(queue_limit=0)
    with pytest.raises(InsufficientCredits) as poor:
        submit(by=key, to=full, price=10_000_001)
    assert (poor.value.balance, poor.value.price) == (10_000_000, 10_000_001)
    with pytest.raises(QueueFull) as crowded:
        submit(by=key, to=full)
    assert crowded.value.retry_after > 0
    assert submit(by=key).remaining == 0
    with pytest.raises(RateLimited):
        submit(by=key, to=full, price=10_000_001)
    assert (store.balance(account.id), store.queue_depth()) == (9_960_000, 1)


def test_queue_has_room_again_once_a_job_is_taken(open_store: Callable[..., Store], submit):
    """The limit counts the waiting, not the running."""
    store = open_store(queue_limit=2)
    submit(), submit()
    with pytest.raises(QueueFull):
        submit(to=store)
    store.claim("w")
    assert submit(to=store).job.state is State.QUEUED


def test_last_credit_can_be_spent(store: Store, account: Account, submit):
    """A balance equal to the price is enough."""
    assert submit(price=10_000_000).balance == 0
    with pytest.raises(InsufficientCredits):
        submit(price=1)


def test_concurrent_submits_spend_what_there_is(store: Store, account: Account, submit):
    """200 threads with credit for 50: exactly 50 are accepted, and the books add up."""
    with ThreadPoolExecutor(16) as threads:
        outcomes = Counter(threads.map(lambda _: outcome(submit), range(200)))
    assert outcomes == {"accepted": 50, "InsufficientCredits": 150}
    assert (store.balance(account.id), store.queue_depth()) == (0, 50)
    assert store.verify_ledger() == []


def outcome(submit: Callable[..., Submitted]) -> str:
    try:
        submit(price=200_000)
    except StoreError as error:
        return type(error).__name__
    return "accepted"


def claimed_keys(store: Store, count: int) -> list[int]:
    claims = [store.claim("w") for _ in range(count)]
    return [claim.key_id for claim in claims if claim]


def test_busy_key_is_interleaved_with_later_ones(store: Store, account: Account, key: Key, submit):
    """A key with 100 waiting jobs gets a third of the claims once two others come."""
    late = [store.create_key(account.id, rpm=None)[0] for _ in range(2)]
    for _ in range(100):
        submit()
    assert claimed_keys(store, 10) == [key.id] * 10
    for _ in range(10):
        submit(by=late[0]), submit(by=late[1])
    turns = claimed_keys(store, 30)
    assert all(Counter(turns[i : i + 3]) == Counter([key.id, late[0].id, late[1].id]) for i in range(0, 30, 3))


def test_shares_go_by_weight(store: Store, account: Account, key: Key, submit):
    """Jobs that take four times as long come a fourth as often."""
    heavy = store.create_key(account.id, rpm=None)[0]
    for _ in range(40):
        submit(by=heavy, weight=4.0)
        submit(weight=1.0)
    assert Counter(claimed_keys(store, 25)) == {key.id: 20, heavy.id: 5}


def test_rest_is_not_paid_for(store: Store, account: Account, key: Key, submit):
    """A key that was busy while nobody else was has no debt towards one that comes later."""
    for _ in range(20):
        submit()
    claimed_keys(store, 20)
    newcomer = store.create_key(account.id, rpm=None)[0]
    for _ in range(10):
        submit(by=newcomer), submit()
    assert Counter(claimed_keys(store, 10)) == {key.id: 5, newcomer.id: 5}


def test_one_keys_jobs_keep_their_order(store: Store, submit):
    """First come, first served, within a key."""
    submitted = [submit().job.id for _ in range(5)]
    claims = [store.claim("w") for _ in range(5)]
    assert [claim.job_id for claim in claims if claim] == submitted


def test_held_once_in_the_table_too(store: Store, submit, database: Path):
    """A second hold for a job is refused by the database itself."""
    submit()
    with sqlite3.connect(database) as connection, pytest.raises(sqlite3.IntegrityError):
        connection.execute(
            "INSERT INTO ledger SELECT NULL, account_id, job_id, kind, amount, 0 FROM ledger WHERE kind = 'hold'"
        )
    connection.close()
