"""Looking back: the history, and what it was used for."""

from collections.abc import Callable

import pytest

from openkontext.contract import State
from openkontext.store import Account, Key, Store, Submitted, UsageRow

DAY = 86_400
MIDNIGHT = 1_799_971_200.0


def run(store: Store, *, seconds: float = 2.0, fails: bool = False) -> str:
    """Claim the next job and end it."""
    claim = store.claim("w")
    assert claim is not None
    if fails:
        return store.fail(claim, code="inference_failed", error="no", metrics={"inference_time": seconds}).id
    return store.finish(claim, {"prompt": "snow", "metrics": {"inference_time": seconds}}).id


def test_newest_first_in_pages(store: Store, account: Account, submit: Callable[..., Submitted], clock):
    """Pages follow one another without a gap; one past the end is empty, and says how many there are."""
    ids = []
    for _ in range(5):
        ids.append(submit().job.id)
        clock.advance(1)
    pages = [store.history(account.id, page=page, per_page=2) for page in (1, 2, 3, 4)]
    assert [entry.job.id for page in pages for entry in page.entries] == ids[::-1]
    assert [page.total for page in pages] == [5] * 4
    assert pages[3].entries == []


def test_entry_has_what_was_asked_and_what_came_of_it(store: Store, account: Account, submit: Callable[..., Submitted]):
    """Parameters as they were sent, the result once there is one."""
    job_id = submit(parameters={"prompt": "snow", "seed": 7}).job.id
    [entry] = store.history(account.id).entries
    assert (entry.job, entry.parameters, entry.result) == (
        store.job(job_id, account.id), {"prompt": "snow", "seed": 7}, None,
    )  # fmt: skip
    run(store)
    [entry] = store.history(account.id).entries
    assert (entry.job, entry.result) == (store.job(job_id, account.id), store.result(job_id))


def test_failure_is_remembered_by_its_code(store: Store, account: Account, submit: Callable[..., Submitted]):
    """Why it failed, and what it took, outlive the result."""
    submit()
    job_id = run(store, fails=True, seconds=1.5)
    store.erase(job_id, account.id)
    [entry] = store.history(account.id).entries
    assert (entry.job.code, entry.job.inference_time, entry.result) == ("inference_failed", 1.5, None)


def test_cancelled_job_has_its_code(store: Store, account: Account, submit: Callable[..., Submitted]):
    """So it is with what the store itself ends."""
    store.cancel(submit().job.id, account.id)
    [entry] = store.history(account.id).entries
    assert (entry.job.code, entry.job.inference_time) == ("cancelled", 0.0)


def test_expired_result_is_not_shown(store: Store, account: Account, submit: Callable[..., Submitted], clock):
    """Past its retention a job is in the history without its result, even before anything came by to expire it."""
    submit()
    run(store)
    clock.advance(3600)
    before = store.history(account.id).entries
    store.expire()
    assert [entry.result for entry in before] == [None]
    assert [entry.parameters["prompt"] for entry in store.history(account.id).entries] == ["make it snow"]


def test_filters(store: Store, account: Account, submit: Callable[..., Submitted], clock):
    """By state, and by the time of the submit: from the first moment on, and before the second."""
    start = clock.now
    for _ in range(3):
        submit()
        clock.advance(10)
    completed, failed = run(store), run(store, fails=True)

    def found(**filters) -> set[str]:
        page = store.history(account.id, **filters)
        assert page.total == len(page.entries)
        return {entry.job.id for entry in page.entries}

    everything = found()
    assert len(everything) == 3
    assert found(states=[State.COMPLETED, State.FAILED]) == {completed, failed}
    assert found(states={State.QUEUED}) == everything - {completed, failed}
    assert found(since=start + 10) == everything - {completed}
    assert found(until=start + 10) == {completed}
    assert found(since=start + 10, until=start + 20, states=[State.FAILED]) == {failed}


def test_history_is_the_accounts_own(store: Store, submit: Callable[..., Submitted]):
    """Another account's jobs are nobody's business."""
    submit()
    stranger = store.create_account("stranger")
    assert store.history(stranger.id).total == 0


def test_parent_is_remembered_if_it_is_ones_own(store: Store, account: Account, submit: Callable[..., Submitted]):
    """A job descends from another of its account, and from nothing else."""
    parent = submit().job
    child = submit(parent_id=parent.id).job
    stranger = store.create_account("stranger")
    store.add_credits(stranger.id, 1_000_000)
    foreign, _ = store.create_key(stranger.id)
    parents = [parent, child, submit(parent_id="unknown").job, submit(by=foreign, parent_id=parent.id).job]
    assert [job.parent_id for job in parents] == [None, parent.id, None, None]
    claims = {claim.job_id: claim.parent_id for claim in (store.claim("w") for _ in range(4)) if claim}
    assert claims == {job.id: job.parent_id for job in parents}


def test_webhook_and_address_stay_with_the_job(store: Store, account: Account, submit: Callable[..., Submitted]):
    """Where to post the result, and how the client addresses the server."""
    job = submit(webhook="https://example.com/hook", base_url="https://here").job
    assert (job.webhook, job.base_url) == ("https://example.com/hook", "https://here")
    assert store.job(job.id, account.id) == job


def test_usage_by_day_and_key(store: Store, account: Account, key: Key, submit: Callable[..., Submitted], clock):
    """Days begin at midnight, UTC; only what was completed has a cost."""
    clock.now = MIDNIGHT - 0.25
    submit(price=40_000)
    run(store, seconds=2.0)
    clock.now = MIDNIGHT
    other = store.create_key(account.id, rpm=None, label="ci")[0]
    for _ in range(3):
        submit(by=other, price=50_000)
    run(store, seconds=3.0), run(store, seconds=0.5, fails=True)
    assert store.usage() == [
        UsageRow("2027-01-14", "someone", key.hint, "", 1, 1, 0, 40_000, 2.0),
        UsageRow("2027-01-15", "someone", other.hint, "ci", 3, 1, 1, 50_000, 3.5),
    ]


def test_usage_of_one_account_and_time(store: Store, account: Account, submit: Callable[..., Submitted], clock):
    """The whole service's, one account's, or a span of time."""
    stranger = store.create_account("a stranger")
    store.add_credits(stranger.id, 1_000_000)
    foreign, _ = store.create_key(stranger.id)
    clock.now = MIDNIGHT
    submit(), submit(by=foreign)
    clock.advance(DAY)
    submit()
    assert [(row.day, row.account) for row in store.usage()] == [
        ("2027-01-15", "a stranger"), ("2027-01-15", "someone"), ("2027-01-16", "someone"),
    ]  # fmt: skip
    assert [row.day for row in store.usage(account_id=account.id)] == ["2027-01-15", "2027-01-16"]
    assert [row.day for row in store.usage(account_id=account.id, since=MIDNIGHT + DAY)] == ["2027-01-16"]
    assert [row.requests for row in store.usage(account_id=account.id, until=MIDNIGHT + DAY)] == [1]


def test_usage_outlives_results(store: Store, account: Account, submit: Callable[..., Submitted], clock):
    """What was erased was used all the same."""
    submit()
    store.erase(run(store), account.id)
    assert [(row.requests, row.completed, row.gpu_seconds) for row in store.usage()] == [(1, 1, 2.0)]


@pytest.mark.parametrize("of", [{}, {"account_id": 99}])
def test_no_usage(store: Store, of: dict[str, int]):
    """Nothing used is an empty list."""
    assert store.usage(**of) == []
