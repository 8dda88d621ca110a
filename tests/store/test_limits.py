"""What a key may have waiting, and running."""

from collections import Counter
from collections.abc import Callable

import pytest

from openkontext.store import (
    Account,
    Claim,
    InsufficientCredits,
    Key,
    QueueFull,
    RateLimited,
    Store,
    Submitted,
    TooManyWaiting,
)


@pytest.fixture
def narrow(store: Store, account: Account) -> Key:
    """A key that may run two jobs at once."""
    return store.create_key(account.id, rpm=None, max_running=2)[0]


def claims(store: Store, count: int) -> list[Claim]:
    return [claim for _ in range(count) if (claim := store.claim("w"))]


def test_full_key_is_passed_over(store: Store, key: Key, narrow: Key, submit: Callable[..., Submitted]):
    """Jobs behind those of a key that runs all it may are claimed before them."""
    for _ in range(5):
        submit(by=narrow)
    for _ in range(3):
        submit()
    assert Counter(claim.key_id for claim in claims(store, 8)) == {narrow.id: 2, key.id: 3}
    assert (store.claim("w"), store.queue_depth()) == (None, 3)


@pytest.mark.parametrize("ends", ["finish", "fail", "release", "lost"])
def test_end_makes_room(store: Store, narrow: Key, submit: Callable[..., Submitted], clock, ends: str):
    """Whatever ends a job, or its worker, lets the next one in: one for one."""
    for _ in range(4):
        submit(by=narrow)
    first, second = claims(store, 4)
    clock.advance(10)
    store.beat(second)
    acts = {
        "finish": lambda: store.finish(first, {"metrics": {}}),
        "fail": lambda: store.fail(first, code="inference_failed", error="no", metrics={}),
        "release": lambda: store.release(first),
        "lost": lambda: clock.advance(5),
    }
    acts[ends]()
    assert len(claims(store, 4)) == 1


def test_other_keys_of_the_account_have_limits_of_their_own(
    store: Store, account: Account, narrow: Key, submit: Callable[..., Submitted]
):
    """The limit is the key's."""
    other, _ = store.create_key(account.id, rpm=None, max_running=1)
    for _ in range(3):
        submit(by=narrow), submit(by=other)
    assert Counter(claim.key_id for claim in claims(store, 6)) == {narrow.id: 2, other.id: 1}


def test_waiting_jobs_are_limited(store: Store, account: Account, submit: Callable[..., Submitted]):
    """A key may have so many jobs waiting; running ones, and those of other keys, don't count."""
    key, _ = store.create_key(account.id, rpm=None, max_queued=2)
    submit(), submit(by=key), submit(by=key)
    with pytest.raises(TooManyWaiting) as refused:
        submit(by=key)
    assert (refused.value.limit, refused.value.retry_after > 0) == (2, True)
    submit()
    claims(store, 2)
    assert submit(by=key).job.key_id == key.id


def test_order_of_refusals(open_store: Callable[..., Store], account: Account, submit: Callable[..., Submitted], clock):
    """Rate limit, waiting jobs, credits, queue: the first that holds is what is said."""
    store = open_store(queue_limit=1)
    key, _ = store.create_key(account.id, rpm=1, max_queued=1)
    submit(by=key, to=store)
    poor = {"by": key, "to": store, "price": 10_000_001}
    with pytest.raises(RateLimited):
        submit(**poor)
    clock.advance(60)
    with pytest.raises(TooManyWaiting):
        submit(**poor)
    store.claim("w")
    submit(to=store)
    with pytest.raises(InsufficientCredits):
        submit(**poor)
    with pytest.raises(QueueFull):
        submit(by=key, to=store)
