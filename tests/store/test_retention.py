"""What is kept, for how long, and which files go with it."""

import sqlite3
from pathlib import Path

import pytest

from openkontext.store import Account, Claim, Store, input_key, output_key

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
