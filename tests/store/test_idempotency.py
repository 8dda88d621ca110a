"""One idempotency key, one job, one charge."""

import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from subprocess import Popen
from typing import Any

import pytest

from openkontext.contract import State
from openkontext.store import (
    Account,
    Idempotency,
    IdempotencyConflict,
    InsufficientCredits,
    RateLimited,
    ResultExpired,
    Store,
    StoreError,
    Submitted,
    TooManyWaiting,
)

ONCE = Idempotency("order-1", "a" * 64)
OTHER = replace(ONCE, fingerprint="b" * 64)
DAY = 86_400


def test_replay_is_the_first_job_and_costs_nothing(store: Store, account: Account, submit: Callable[..., Submitted]):
    """The same again is the same job, with what is left now: no credit, token or place in the queue is spent."""
    key = store.create_key(account.id, rpm=5)[0]
    first = submit(by=key, idempotency=ONCE)
    submit(by=key)
    replayed = submit(by=key, idempotency=ONCE)
    assert (first.replayed, replayed.replayed) == (False, True)
    assert replayed == replace(first, balance=9_920_000, remaining=3, reset_at=replayed.reset_at, replayed=True)
    assert submit(by=key).remaining == 2
    assert (store.balance(account.id), store.queue_depth()) == (9_880_000, 3)
    assert store.verify_ledger() == []


def test_replay_shows_the_job_as_it_is_now(store: Store, submit: Callable[..., Submitted]):
    """Later on the first job may have ended, well or not."""
    job_id = submit(idempotency=ONCE).job.id
    claim = store.claim("w")
    assert submit(idempotency=ONCE).job.state is State.PROCESSING
    ended = store.finish(claim, {"metrics": {}})
    assert (ended.id, submit(idempotency=ONCE).job) == (job_id, ended)


def test_another_request_is_a_conflict(store: Store, submit: Callable[..., Submitted], account: Account):
    """An idempotency key stands for one request, whatever became of it."""
    job_id = submit(idempotency=ONCE).job.id
    with pytest.raises(IdempotencyConflict):
        submit(idempotency=OTHER)
    store.cancel(job_id, account.id)
    store.erase(job_id, account.id)
    with pytest.raises(IdempotencyConflict):
        submit(idempotency=OTHER)
    assert store.queue_depth() == 0


def test_keys_of_an_account_share_it_and_others_do_not(
    store: Store, account: Account, submit: Callable[..., Submitted]
):
    """A client may come back with a new API key; another account's words mean something else."""
    first = submit(idempotency=ONCE)
    second_key, _ = store.create_key(account.id)
    assert submit(by=second_key, idempotency=ONCE).job == first.job
    stranger = store.create_account("stranger")
    store.add_credits(stranger.id, 1_000_000)
    strangers, _ = store.create_key(stranger.id)
    foreign = submit(by=strangers, idempotency=OTHER)
    assert (foreign.replayed, foreign.job.account_id) == (False, stranger.id)


@pytest.mark.parametrize("gone", ["erased", "expired", "deleted"])
def test_job_that_is_gone_is_said_to_be(
    open_store: Callable[..., Store], submit: Callable[..., Submitted], account: Account, clock, gone: str
):
    """Erased, past its retention, or without a row: the job isn't made again behind its owner's back."""
    store = open_store(retention_seconds=3600, history_days=0.1)
    job_id = submit(to=store, idempotency=ONCE).job.id
    store.cancel(job_id, account.id)
    if gone == "erased":
        store.erase(job_id, account.id)
    else:
        clock.advance(3600 if gone == "expired" else DAY / 2)
    if gone == "deleted":
        store.expire(), store.expire()
        assert store.history(account.id).total == 0
    with pytest.raises(ResultExpired) as refused:
        submit(to=store, idempotency=ONCE)
    assert refused.value.job_id == job_id


def test_forgotten_after_a_day(store: Store, submit: Callable[..., Submitted], clock):
    """24 hours later it is a new request, whether or not anything was cleaned up."""
    first = submit(idempotency=ONCE)
    clock.advance(DAY - 1)
    assert submit(idempotency=ONCE).replayed
    clock.advance(1)
    second = submit(idempotency=OTHER)
    assert (second.replayed, second.job.id != first.job.id) == (False, True)
    assert submit(idempotency=OTHER).job == second.job


def test_cleaning_up_keeps_what_is_remembered(store: Store, submit: Callable[..., Submitted], clock, tables):
    """Only what is older than a day goes."""
    submit(idempotency=ONCE)
    clock.advance(DAY - 1)
    store.expire()
    assert [row["idempotency_key"] for row in tables("replays")] == ["order-1"]
    clock.advance(1)
    store.expire()
    assert tables("replays") == []


@pytest.mark.parametrize(
    ("limits", "price", "refusal"),
    [({"rpm": 1}, 1, RateLimited), ({"max_queued": 1}, 1, TooManyWaiting), ({}, 10_000_000, InsufficientCredits)],
)
def test_refused_submits_are_not_remembered(
    store: Store,
    account: Account,
    submit: Callable[..., Submitted],
    clock,
    limits: dict[str, int],
    price: int,
    refusal: type[StoreError],
):
    """Whoever was refused may try again under the same idempotency key, even with something else."""
    key, _ = store.create_key(account.id, **limits)
    submit(by=key, price=1)
    with pytest.raises(refusal):
        submit(by=key, price=price, idempotency=ONCE)
    store.claim("w")
    clock.advance(60)
    assert not submit(by=key, price=1, idempotency=OTHER).replayed


def test_replay_passes_where_a_new_submit_would_be_refused(
    store: Store, account: Account, submit: Callable[..., Submitted]
):
    """Neither an empty bucket nor an empty account is in the way of an answer that was paid for."""
    key, _ = store.create_key(account.id, rpm=1, max_queued=1)
    first = submit(by=key, price=10_000_000, idempotency=ONCE)
    assert submit(by=key, price=10_000_000, idempotency=ONCE).job == first.job


def test_threads_with_one_key_make_one_job(store: Store, account: Account, submit: Callable[..., Submitted]):
    """However many ask at once, one of them is first."""
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: submit(idempotency=ONCE), range(24)))
    assert Counter(answer.replayed for answer in answers) == {False: 1, True: 23}
    assert len({answer.job.id for answer in answers}) == 1
    assert (store.queue_depth(), store.balance(account.id)) == (1, 9_960_000)


def test_processes_with_one_key_make_one_job(
    store: Store, account: Account, start_actor: Callable[..., Popen[str]], act: Callable[..., Any], clock
):
    """Two gateways that get the same requests at once accept each of them once."""
    clock.now = time.time()
    _, secret = store.create_key(account.id, rpm=None)
    answers = act([start_actor("submit_once", secret, "8") for _ in range(2)])
    assert answers[0] == answers[1]
    assert (len(set(answers[0])), store.queue_depth()) == (8, 8)
    assert store.verify_ledger() == []
