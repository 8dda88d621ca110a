"""What is kept, for how long, and which files go with it."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from openkontext.store import Account, Claim, Job, Key, Store, Submitted, input_key, output_key

DAY = 86_400


@pytest.fixture
def claim(store: Store, submit) -> Claim:
    """A running job with a picture of its own."""
    job_id = "0b0f8a52-57c5-4b5c-8f6a-0d1a4f0f7f7e"
    submit(job_id=job_id, input={"kind": "blob", "key": input_key(job_id)}, parameters={"output_format": "jpg"})
    claim = store.claim("worker")
    assert claim is not None
    return claim


@pytest.fixture
def finished(store: Store, claim: Claim) -> Claim:
    store.finish(claim, {"output": {"key": output_key(claim.job_id, 1, "jpg")}, "metrics": {}})
    return claim


def files_of(claim: Claim) -> list[str]:
    return [f"inputs/{claim.job_id}", f"outputs/{claim.job_id}/1.jpg"]


def rows(database: Path, table: str) -> int:
    with sqlite3.connect(database) as connection:
        count = connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
    connection.close()
    return count


def test_result_lives_an_hour(store: Store, account: Account, finished: Claim, clock):
    """Until its hour is over a job is shown; then it is unknown, even before anything came by to expire it."""
    clock.advance(3599)
    assert store.expire() == []
    assert store.job(finished.job_id, account.id) is not None
    clock.advance(1)
    assert store.job(finished.job_id, account.id) is None
    assert store.cancel(finished.job_id, account.id) is None
    assert store.erase(finished.job_id, account.id) is None


def test_expired_files_are_named_until_forgotten(store: Store, finished: Claim, clock):
    """A crash between expiring and deleting leaves no file behind: the keys come again."""
    clock.advance(3600)
    assert store.expire() == files_of(finished)
    assert store.result(finished.job_id) is None
    assert store.expire() == files_of(finished)
    store.forget_blobs(files_of(finished)[:1])
    assert store.expire() == files_of(finished)[1:]
    store.forget_blobs(files_of(finished)[1:])
    assert store.expire() == []


def test_slim_row_stays_for_the_history(store: Store, finished: Claim, clock, database: Path):
    """Parameters without pictures are kept for 30 days more, then nothing but the books."""
    clock.advance(3600)
    store.forget_blobs(store.expire())
    assert [rows(database, table) for table in ("jobs", "payloads", "results")] == [1, 1, 0]
    clock.advance(30 * DAY - 1)
    store.expire()
    assert rows(database, "jobs") == 1
    clock.advance(1)
    store.expire()
    assert [rows(database, table) for table in ("jobs", "payloads", "ledger")] == [0, 0, 3]
    assert store.verify_ledger() == []


def test_owner_erases_at_once(store: Store, account: Account, finished: Claim):
    """Erasing takes result and files away now, once."""
    assert store.erase(finished.job_id, account.id) == files_of(finished)
    assert store.job(finished.job_id, account.id) is None
    assert store.result(finished.job_id) is None
    assert store.erase(finished.job_id, account.id) is None
    assert store.expire() == files_of(finished)


def test_running_job_is_not_erased(store: Store, account: Account, claim: Claim):
    """Only what has ended can be erased."""
    assert store.erase(claim.job_id, account.id) is None
    assert store.job(claim.job_id, account.id) is not None


def test_running_job_never_expires(store: Store, account: Account, claim: Claim, clock):
    """Retention counts from the end, not from the start."""
    clock.advance(100 * DAY)
    assert store.expire() == []
    assert store.job(claim.job_id, account.id) is not None


def test_files_of_lost_attempts_go_too(store: Store, account: Account, claim: Claim, clock):
    """An attempt that died after writing its output left a file that no result names."""
    clock.advance(15)
    again = store.claim("successor")
    store.finish(again, {"output": {"key": output_key(claim.job_id, 2, "jpg")}, "metrics": {}})
    assert store.erase(claim.job_id, account.id) == [*files_of(claim), f"outputs/{claim.job_id}/2.jpg"]


def test_shared_picture_is_not_the_jobs_to_delete(store: Store, account: Account, submit):
    """An input that belongs to something else stays when the job goes."""
    job_id = submit(input={"kind": "blob", "key": "outputs/another/1.png"}).job.id
    store.cancel(job_id, account.id)
    assert store.erase(job_id, account.id) == []


def test_many_expire_in_several_goes(store: Store, account: Account, submit, clock, database: Path):
    """A backlog is worked off in batches, so that no single write holds the others up."""
    for _ in range(150):
        store.cancel(submit(price=1).job.id, account.id)
    clock.advance(3600)
    store.expire()
    assert rows(database, "results") == 50
    store.expire()
    assert rows(database, "results") == 0


def ended(store: Store, *, prompt: str = "snow") -> Job:
    """The next job, completed as a worker does it."""
    claim = store.claim("worker")
    assert claim is not None
    return store.finish(claim, {"output": {"key": f"outputs/{claim.job_id}/1.png"}, "prompt": prompt, "metrics": {}})


@pytest.mark.parametrize(("retention", "seconds"), [(None, 3600), (60.0, 60), (0.0, 3600)])
def test_retention_is_the_keys(
    store: Store, account: Account, submit: Callable[..., Submitted], clock, retention: float | None, seconds: float
):
    """A key may keep its results shorter or longer than the service does; one that keeps nothing still gets them."""
    key, _ = store.create_key(account.id, retention=retention)
    assert submit(by=key).job.retention == retention
    job = ended(store)
    assert job.expires_at == clock.now + seconds
    clock.advance(seconds - 1)
    assert store.job(job.id, account.id) == job
    clock.advance(1)
    assert store.job(job.id, account.id) is None


@pytest.fixture
def discreet(store: Store, account: Account) -> Key:
    """A key whose outputs are delivered once and erased, and whose prompts aren't kept."""
    return store.create_key(account.id, rpm=None, retention=0)[0]


PROMPT = "a secret wish"


def submit_secret(submit: Callable[..., Submitted], key: Key) -> str:
    return submit(by=key, parameters={"prompt": PROMPT, "seed": 7, "output_format": "png"}).job.id


def mentions(database: Path, text: str) -> set[str]:
    """The tables that have this text somewhere."""
    connection = sqlite3.connect(database)
    names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    found = {name for name in names if text in str(connection.execute(f"SELECT * FROM {name}").fetchall())}
    connection.close()
    return found


def test_delivered_once_and_gone(
    store: Store, account: Account, submit: Callable[..., Submitted], discreet: Key, database: Path
):
    """Retention 0: the prompt is with the worker until the end, with the result until it is delivered, then nowhere."""
    job_id = submit_secret(submit, discreet)
    assert mentions(database, PROMPT) == {"payloads"}
    ended(store, prompt=PROMPT)
    assert mentions(database, PROMPT) == {"results"}
    assert store.result(job_id)["prompt"] == PROMPT
    blobs = store.delivered(job_id)
    assert mentions(database, PROMPT) == set()
    assert (blobs, store.expire()) == ([f"outputs/{job_id}/1.png"], blobs)
    assert (store.job(job_id, account.id), store.result(job_id), store.delivered(job_id)) == (None, None, [])
    [entry] = store.history(account.id).entries
    assert entry.parameters == {"seed": 7, "output_format": "png"}


@pytest.mark.parametrize("way", ["erased", "expired"])
def test_what_was_never_fetched_goes_too(
    store: Store, account: Account, submit: Callable[..., Submitted], discreet: Key, database: Path, clock, way: str
):
    """Erased on demand, or after the service's retention: the prompt is nowhere."""
    job_id = submit_secret(submit, discreet)
    ended(store, prompt=PROMPT)
    if way == "erased":
        store.erase(job_id, account.id)
    else:
        clock.advance(3600)
        store.expire()
    assert mentions(database, PROMPT) == set()


@pytest.mark.parametrize("way", ["cancelled", "failed"])
def test_failure_keeps_no_prompt(
    store: Store, account: Account, submit: Callable[..., Submitted], discreet: Key, database: Path, way: str
):
    """Nothing was made of it, so there is nothing to deliver: what failed may be asked for as often as any other."""
    job_id = submit_secret(submit, discreet)
    if way == "cancelled":
        store.cancel(job_id, account.id)
    else:
        store.fail(store.claim("w"), code="inference_failed", error="no", metrics={})
    assert mentions(database, PROMPT) == set()
    assert store.delivered(job_id) == []
    assert store.job(job_id, account.id) is not None


def test_prompt_reaches_receivers_first(
    store: Store, account: Account, submit: Callable[..., Submitted], discreet: Key, database: Path
):
    """A receiver that was promised the result gets it after the client did; then it is nowhere."""
    store.create_endpoint(account.id, "https://example.com/hook", ["request.completed"])
    job_id = submit_secret(submit, discreet)
    ended(store, prompt=PROMPT)
    store.delivered(job_id)
    assert mentions(database, PROMPT) == {"events"}
    [due] = store.due_deliveries(1, 60)
    store.delivered_to(due.delivery.id, due.attempt, 200)
    assert mentions(database, PROMPT) == set()


def test_only_what_keeps_nothing_is_erased_by_its_delivery(store: Store, account: Account, finished: Claim):
    """Any other job stays as long as it may; an unknown one is nothing."""
    assert store.delivered(finished.job_id) == []
    assert store.job(finished.job_id, account.id) is not None
    assert store.delivered("unknown") == []


def test_running_job_is_not_delivered(store: Store, submit: Callable[..., Submitted], discreet: Key):
    """There is nothing yet that could be."""
    job_id = submit(by=discreet).job.id
    store.claim("w")
    assert store.delivered(job_id) == []
    assert store.queue_depth() == 0


def test_pinned_job_outlives_its_retention(store: Store, account: Account, finished: Claim, clock):
    """It stays until it is let go, and then for as long as one that has just ended."""
    pinned = store.pin(finished.job_id, account.id)
    assert (pinned.pinned, pinned.expires_at) == (True, clock.now + 3650 * DAY)
    clock.advance(365 * DAY)
    assert (store.expire(), store.job(finished.job_id, account.id)) == ([], pinned)
    unpinned = store.unpin(finished.job_id, account.id)
    assert (unpinned.pinned, unpinned.expires_at) == (False, clock.now + 3600)
    clock.advance(3600)
    assert store.expire() == files_of(finished)


def test_unpinned_job_has_its_keys_retention(store: Store, account: Account, submit: Callable[..., Submitted], clock):
    """What its key's other results have; and letting go again makes it no longer."""
    key, _ = store.create_key(account.id, retention=60)
    submit(by=key)
    job = ended(store)
    store.pin(job.id, account.id)
    clock.advance(30)
    assert store.unpin(job.id, account.id).expires_at == clock.now + 60
    clock.advance(30)
    assert store.unpin(job.id, account.id).expires_at == clock.now + 30


def test_what_cannot_be_pinned(store: Store, account: Account, submit: Callable[..., Submitted], discreet: Key, clock):
    """Only what is there to be kept: nothing unknown, foreign, running, failed, expired, or to be delivered once."""
    stranger = store.create_account("stranger")
    secret, running, failed, good = (submit(by=discreet).job, submit().job, submit().job, submit().job)
    ended(store)
    store.claim("w"), store.fail(store.claim("w"), code="inference_failed", error="no", metrics={}), ended(store)
    refused = [("unknown", account.id), (good.id, stranger.id)]
    refused += [(job.id, account.id) for job in (secret, running, failed)]
    assert [store.pin(*each) for each in refused] == [None] * 5
    assert store.pin(good.id, account.id) is not None
    store.unpin(good.id, account.id)
    clock.advance(3600)
    assert (store.pin(good.id, account.id), store.unpin(good.id, account.id)) == (None, None)


def test_pinned_job_can_be_erased(store: Store, account: Account, finished: Claim, clock, database: Path):
    """Its owner has the last word; the history counts from then."""
    store.pin(finished.job_id, account.id)
    assert store.erase(finished.job_id, account.id) == files_of(finished)
    assert store.job(finished.job_id, account.id) is None
    clock.advance(30 * DAY)
    store.expire()
    assert rows(database, "jobs") == 0


def test_erased_job_leaves_no_body_in_its_events(store: Store, account: Account, finished: Claim):
    """That it happened is told, what came of it is not."""
    assert [event.body is None for event in store.events(account.id, after=0)] == [False]
    store.erase(finished.job_id, account.id)
    assert [(event.type, event.body) for event in store.events(account.id, after=0)] == [("request.completed", None)]


def test_old_events_go_with_the_history(store: Store, account: Account, submit, clock):
    """After 30 days, but for the newest: its number must not be given out again."""
    for _ in range(3):
        store.cancel(submit().job.id, account.id)
    clock.advance(30 * DAY - 1)
    store.expire()
    assert [event.id for event in store.events(account.id, after=0)] == [1, 2, 3]
    clock.advance(1)
    store.expire()
    assert [event.id for event in store.events(account.id, after=0)] == [3]
    assert store.last_event(account.id) == 3


def test_event_on_its_way_stays(store: Store, account: Account, submit, clock, tables):
    """A delivery that is tried again and again keeps its event, whatever its age; then both go."""
    store.create_endpoint(account.id, "https://example.com/hook", ["request.failed"])
    store.cancel(submit().job.id, account.id)
    [due] = store.due_deliveries(1, 60)
    store.cancel(submit().job.id, account.id)
    clock.advance(30 * DAY)
    store.expire()
    assert [row["id"] for row in tables("events")] == [1, 2]
    store.failed_to(due.delivery.id, due.attempt, 500, "no", None)
    store.expire()
    assert [row["event_id"] for row in tables("deliveries")] == [2]
