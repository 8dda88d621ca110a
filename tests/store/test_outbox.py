"""The outbox: events of ended jobs, their deliveries, and how those are shared out, tried, logged and repeated."""

import base64
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from openkontext.store import Account, Claim, DueDelivery, Store, Submitted
from openkontext.store.receivers import MAX_ENDPOINTS

BOTH = ("request.completed", "request.failed")
URL = "https://receiver.example/hook"
LEASE = 40.0
BODY = {"output": {"key": "outputs/x"}, "seed": 42, "prompt": "snow", "metrics": {"inference_time": 3.1}}
METRICS = {"inference_time": 0.0}


@pytest.fixture
def complete(store: Store, submit: Callable[..., Submitted]) -> Callable[..., str]:
    """Has a job submitted and completed; returns its id."""

    def complete(**options: Any) -> str:
        submit(**options)
        claim = claimed(store)
        store.finish(claim, BODY)
        return claim.job_id

    return complete


def claimed(store: Store) -> Claim:
    claim = store.claim("worker")
    assert claim is not None
    return claim


def due(store: Store, limit: int = 100) -> list[DueDelivery]:
    return store.due_deliveries(limit, LEASE)


def body_of(store: Store, account: Account) -> dict[str, Any] | None:
    """What the account's newest event holds."""
    return store.events(account.id, after=store.last_event(account.id) - 1)[0].body


def log_of(store: Store, account: Account) -> list[tuple[str, str | None]]:
    """State and error of each delivery, newest first."""
    return [(each.state, each.last_error) for each in store.deliveries(account.id)[0]]


def test_completed_job_is_an_event(store: Store, account: Account, complete, clock):
    """Its body is the result as it is stored, with what an absolute address needs."""
    job_id = complete(base_url="https://api.example")
    (event,) = store.events(account.id, after=0)
    assert (account.id, job_id, "request.completed", clock.now) == (
        event.account_id, event.job_id, event.type, event.created_at,
    )  # fmt: skip
    beside = {"base_url": "https://api.example", "expires_at": clock.now + 3600, "parent_id": None}
    assert {"result": store.result(job_id), **beside} == event.body


@pytest.mark.parametrize("ending", ["fail", "cancel", "reap"])
def test_every_failure_is_an_event(store: Store, account: Account, submit, clock, ending: str):
    """A worker's, the owner's and the store's own."""
    job = submit(webhook=URL).job
    if ending == "fail":
        store.fail(claimed(store), code="blocked", error="no", metrics=METRICS)
    elif ending == "cancel":
        store.cancel(job.id, account.id)
    else:
        clock.advance(3601)
        store.reap()
    assert ["request.failed"] == [event.type for event in store.events(account.id, after=0)]
    assert [URL] == [each.delivery.url for each in due(store)]


def test_who_is_told(store: Store, account: Account, complete, submit):
    """Each endpoint of the account hears of its types, and the request's own URL of its request."""
    store.create_endpoint(account.id, "https://both.example/", BOTH)
    store.create_endpoint(account.id, "https://failed.example/", ["request.failed"])
    store.create_endpoint(store.create_account("other").id, "https://other.example/", BOTH)
    complete(webhook=URL)
    assert ["https://both.example/", URL] == sorted(each.delivery.url for each in due(store))
    submit()
    store.fail(claimed(store), code="blocked", error="no", metrics=METRICS)
    assert ["https://both.example/", "https://failed.example/"] == sorted(each.delivery.url for each in due(store))


def test_what_runs_or_is_retried_is_no_event(store: Store, account: Account, submit):
    """Only an end is told."""
    submit(webhook=URL)
    store.fail(claimed(store), code="inference_failed", error="once more", metrics=METRICS, retry=True)
    assert ([], []) == (store.events(account.id, after=0), due(store))


def test_secrets(store: Store, account: Account, complete):
    """An endpoint has a secret of its own; the account's signs what a request's own URL gets."""
    endpoint = store.create_endpoint(account.id, URL, BOTH)
    complete(webhook="https://own.example/")
    secrets = {each.delivery.endpoint_id: each.secret for each in due(store)}
    assert {endpoint.id: endpoint.secret, None: store.webhook_secret(account.id)} == secrets
    assert [24, 24] == [len(base64.b64decode(each.removeprefix("whsec_"))) for each in secrets.values()]
    assert 2 == len(set(secrets.values()))


def test_secret_is_made_once(open_store, account: Account):
    """Whoever asks first, all get the same."""
    stores = [open_store() for _ in range(4)]
    found: list[str] = []
    threads = [threading.Thread(target=lambda s=each: found.append(s.webhook_secret(account.id))) for each in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (4, 1) == (len(found), len(set(found)))


def test_endpoints(store: Store, account: Account):
    """They are made, listed and deleted by their account alone, and are not without number."""
    made = [store.create_endpoint(account.id, URL, BOTH) for _ in range(MAX_ENDPOINTS)]
    assert {endpoint.id: endpoint for endpoint in made} == {each.id: each for each in store.endpoints(account.id)}
    with pytest.raises(ValueError, match="20 webhooks"):
        store.create_endpoint(account.id, URL, BOTH)
    stranger = store.create_account("stranger")
    assert (False, False) == (store.delete_endpoint(stranger.id, made[0].id), store.delete_endpoint(account.id, "?"))
    assert store.delete_endpoint(account.id, made[0].id)
    assert 19 == len(store.endpoints(account.id))


def test_deleted_endpoint_gets_nothing_more(store: Store, account: Account, complete, clock):
    """What waits for it is given up, also what is being tried."""
    endpoint = store.create_endpoint(account.id, URL, BOTH)
    complete()
    (first,) = due(store)
    complete()
    store.delete_endpoint(account.id, endpoint.id)
    store.failed_to(first.delivery.id, first.attempt, None, "late", clock.now + 1)
    clock.advance(LEASE)
    assert [] == due(store)
    assert [("failed", "the webhook was removed")] * 2 == log_of(store, account)


def test_delivery_is_leased(store: Store, complete, clock):
    """Whoever takes it has it for a time; if nothing is heard of the attempt, it is due again."""
    complete(webhook=URL)
    (first,) = due(store)
    assert (1, 1, clock.now) == (first.attempt, first.delivery.attempts, first.delivery.last_at)
    clock.advance(LEASE - 0.1)
    assert [] == due(store)
    clock.advance(0.1)
    (second,) = due(store)
    assert (first.delivery.id, first.event, 2) == (second.delivery.id, second.event, second.attempt)


def test_late_outcome_is_nothing(store: Store, account: Account, complete, clock):
    """The outcome of an attempt whose lease ran out changes nothing: another is under way."""
    complete(webhook=URL)
    (first,) = due(store)
    clock.advance(LEASE)
    (second,) = due(store)
    store.delivered_to(first.delivery.id, first.attempt, 200)
    store.failed_to(first.delivery.id, first.attempt, 500, "late", None)
    assert [("pending", None)] == log_of(store, account)
    store.delivered_to(second.delivery.id, second.attempt, 204)
    store.failed_to(second.delivery.id, second.attempt, 500, "later", None)
    assert [("delivered", None)] == log_of(store, account)


def test_failed_attempt(store: Store, account: Account, complete, clock):
    """It is due at the time it was given, or never again; the log has the answer."""
    complete(webhook=URL)
    (first,) = due(store)
    store.failed_to(first.delivery.id, first.attempt, 500, "broken", clock.now + 5)
    (logged,) = store.deliveries(account.id)[0]
    assert ("pending", clock.now + 5, 500, "broken") == (
        logged.state, logged.due_at, logged.last_status, logged.last_error,
    )  # fmt: skip
    clock.advance(4.9)
    assert [] == due(store)
    clock.advance(0.1)
    (second,) = due(store)
    store.failed_to(second.delivery.id, second.attempt, None, "gone", None)
    clock.advance(1e6)
    assert [] == due(store)
    assert [("failed", "gone")] == log_of(store, account)


def test_many_take_each_once(open_store, store: Store, account: Account, complete):
    """Stores that ask at the same time never get the same delivery."""
    for host in range(8):
        store.create_endpoint(account.id, f"https://{host}.example/", BOTH)
    complete()
    taken: list[str] = []

    def take(mine: Store) -> None:
        while found := mine.due_deliveries(1, LEASE):
            taken.extend(each.delivery.id for each in found)

    threads = [threading.Thread(target=take, args=(open_store(),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (8, 8) == (len(taken), len(set(taken)))


def test_a_host_has_its_share(store: Store, complete):
    """What is under way counts; other hosts are found behind any number that wait for a full one."""
    urls = [f"https://slow.example/{number}" for number in range(12)]
    for url in [*urls, URL]:
        complete(webhook=url)
    under_way = [each.delivery for each in due(store)]
    assert urls[:4] == sorted(each.url for each in under_way)
    others = store.due_deliveries(9, LEASE, under_way=under_way)
    assert [URL] == [each.delivery.url for each in others]
    under_way = [each for each in under_way if each.url != urls[0]]
    assert urls[4:5] == [each.delivery.url for each in store.due_deliveries(9, LEASE, under_way=under_way)]


def test_accounts_take_turns(store: Store, account: Account, complete):
    """One with many waiting, all of them older, gets its share and no more."""
    for number in range(12):
        complete(webhook=f"https://{number}.example/")
    other = store.create_account("other")
    store.add_credits(other.id, 1_000_000)
    key, _ = store.create_key(other.id, rpm=None)
    under_way = [each.delivery for each in due(store, limit=3)]
    complete(by=key, webhook=URL)
    (turn,) = store.due_deliveries(1, LEASE, under_way=under_way)
    assert other.id == turn.delivery.account_id
    under_way += [each.delivery for each in store.due_deliveries(99, LEASE, under_way=under_way)]
    assert {account.id: 8} == Counter(each.account_id for each in under_way)
    complete(by=key, webhook=URL)
    turns = store.due_deliveries(99, LEASE, under_way=under_way)
    assert [other.id] == [each.delivery.account_id for each in turns]


def test_erased_on_demand_is_not_delivered(store: Store, account: Account, complete, clock):
    """What its owner erases is told to nobody any more, and can't be repeated."""
    job_id = complete(webhook=URL)
    (tried,) = due(store)
    store.erase(job_id, account.id)
    assert (None, [("failed", "the request was erased before it could be delivered")]) == (
        body_of(store, account),
        log_of(store, account),
    )
    clock.advance(LEASE)
    assert [] == due(store)
    assert store.redeliver(account.id, tried.delivery.id) is None


def test_expired_result_is_still_delivered(store: Store, account: Account, complete, clock):
    """Receivers have a day, results often less: what was promised is kept until it is delivered, then goes."""
    complete(webhook=URL)
    (first,) = due(store)
    clock.advance(3601)
    store.expire()
    (second,) = due(store)
    assert first.event == second.event
    store.delivered_to(second.delivery.id, second.attempt, 200)
    assert (None, [("delivered", None)]) == (body_of(store, account), log_of(store, account))


def test_result_expires_when_all_is_delivered(store: Store, account: Account, complete, clock):
    """Without a delivery under way the event's body goes with the result."""
    complete()
    assert body_of(store, account) is not None
    clock.advance(3601)
    store.expire()
    assert body_of(store, account) is None


def test_retention_none_is_in_no_event_without_a_receiver(store: Store, account: Account, complete):
    """A result that is delivered once is not kept for nobody."""
    key, _ = store.create_key(account.id, rpm=None, retention=0)
    complete(by=key)
    assert body_of(store, account) is None


def test_retention_none_keeps_an_event_until_all_have_it(store: Store, account: Account, complete, clock):
    """Fetching the picture, as a receiver does, is not the end of it; the last outcome is, good or bad."""
    key, _ = store.create_key(account.id, rpm=None, retention=0)
    store.create_endpoint(account.id, "https://both.example/", BOTH)
    job_id = complete(by=key, webhook=URL)
    one, other = due(store)
    store.delivered_to(one.delivery.id, one.attempt, 200)
    assert store.delivered(job_id)
    store.failed_to(other.delivery.id, other.attempt, 500, "broken", clock.now + 5)
    assert other.event.body == body_of(store, account)
    clock.advance(5)
    (other,) = due(store)
    store.failed_to(other.delivery.id, other.attempt, 410, "gone", None)
    assert body_of(store, account) is None


def test_redelivery(store: Store, account: Account, complete, clock):
    """It is a new delivery of the same event to the same address, due now; the old one stays in the log."""
    endpoint = store.create_endpoint(account.id, URL, BOTH)
    complete()
    (first,) = due(store)
    store.delivered_to(first.delivery.id, first.attempt, 200)
    clock.advance(60)
    again = store.redeliver(account.id, first.delivery.id)
    assert again is not None
    (second,) = due(store)
    assert (again.id, first.event, first.secret, 1) == (
        second.delivery.id, second.event, second.secret, second.attempt,
    )  # fmt: skip
    assert [again.id, first.delivery.id] == [each.id for each in store.deliveries(account.id)[0]]
    stranger = store.create_account("stranger")
    assert (None, None) == (store.redeliver(stranger.id, again.id), store.redeliver(account.id, "?"))
    store.delete_endpoint(account.id, endpoint.id)
    assert store.redeliver(account.id, again.id) is None


def test_log(store: Store, account: Account, complete, clock):
    """Pages of it, newest first, of one endpoint or of all; nobody sees another's."""
    endpoint = store.create_endpoint(account.id, "https://both.example/", BOTH)
    jobs = []
    for _ in range(3):
        jobs.append(complete(webhook=URL))
        clock.advance(1)
    found, total = store.deliveries(account.id, page=2, per_page=4)
    assert (6, [jobs[0]] * 2) == (total, [each.job_id for each in found])
    found, total = store.deliveries(account.id, endpoint_id=endpoint.id)
    assert (3, jobs[::-1]) == (total, [each.job_id for each in found])
    stranger = store.create_account("stranger")
    assert (([], 0), None) == (store.deliveries(stranger.id), store.delivery(stranger.id, found[0].id))
    assert found[0] == store.delivery(account.id, found[0].id)


def test_following_events(store: Store, account: Account, complete):
    """They are numbered in their order; who knows one gets those after it."""
    assert 0 == store.last_event(account.id)
    jobs = [complete() for _ in range(3)]
    events = store.events(account.id, after=0)
    assert jobs == [event.job_id for event in events]
    assert events[1:] == store.events(account.id, after=events[0].id)
    assert events[:2] == store.events(account.id, after=0, limit=2)
    assert events[-1].id == store.last_event(account.id)
    assert [] == store.events(store.create_account("stranger").id, after=0)
