"""`openkontext ledger` and `usage`."""

import csv
import io
import json
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from openkontext.store import Account, Key, Store
from tests.cli.conftest import Run

DAY = 1_800_000_000  # 2027-01-15 08:00 UTC
HEAD = "day,account,key,label,requests,completed,failed,cost,gpu_seconds\n"


def submit(store: Store, key: Key) -> str:
    """Submit an edit for 0.04 credits; its id."""
    return store.submit(key, {"prompt": "x"}, {"kind": "url"}, price=40_000, weight=1, steps=4).job.id


def complete(store: Store, seconds: float = 1.0) -> None:
    """Claim a job and finish it."""
    claim = store.claim("worker")
    assert claim
    store.finish(claim, {"metrics": {"inference_time": seconds}})


def test_books_are_proven(run: Run, store: Store, ann: Account):
    """One line and status 0, when every balance is the sum of its entries."""
    store.create_account("bob")
    key, _ = store.create_key(ann.id)
    submit(store, key)
    submit(store, key)
    complete(store)
    assert (0, "2 accounts, 4 entries: every balance equals its sum\n", "") == run("ledger", "verify")


def test_wrong_balance_is_found(run: Run, store: Store, ann: Account, data: Path):
    """A line for each problem, and status 1."""
    key, _ = store.create_key(ann.id)
    job = submit(store, key)
    with closing(sqlite3.connect(data / "openkontext.db", isolation_level=None)) as database:
        database.execute("UPDATE accounts SET balance = 5")
        database.execute("UPDATE ledger SET amount = -30000 WHERE kind = 'hold'")
    done = run("ledger", "verify")
    assert (1, "") == (done.exit_code, done.stderr)
    account, charge = done.stdout.splitlines()
    assert "account ann: the balance is 5, its entries sum to 9970000" == account
    assert charge.startswith(f"job {job} is QUEUED with 1 entries that sum to -30000")


def test_books_are_proven_while_they_change(run: Run, store: Store, ann: Account):
    """No moment between two entries is taken for an error."""
    key, _ = store.create_key(ann.id, rpm=None, max_queued=None)
    done = threading.Event()

    def work() -> None:
        while not done.is_set():
            submit(store, key)
            complete(store)

    worker = threading.Thread(target=work)
    worker.start()
    statuses = set()
    try:
        while len(store.ledger(ann.id)) < 30:
            statuses.add(run("ledger", "verify").exit_code)
    finally:
        done.set()
        worker.join()
    assert {0} == statuses


def test_entries_are_shown_with_the_balance_after_each(run: Run, store: Store, ann: Account):
    """Oldest first, in credits; as JSON for scripts."""
    job = submit(store, store.create_key(ann.id)[0])
    complete(store)
    lines = [line.split() for line in run("ledger", "show", "ann").stdout.splitlines()]
    assert ["id", "time", "kind", "amount", "balance", "request"] == lines[0]
    shown = [(line[0], *line[3:]) for line in lines[1:]]
    grant, hold, take = ("grant", "10", "10", "-"), ("hold", "-0.04", "9.96", job), ("take", "0", "9.96", job)
    assert [("1", *grant), ("2", *hold), ("3", *take)] == shown
    as_json = json.loads(run("ledger", "show", "ann", "--json").stdout)
    assert [("hold", "-0.04", "9.96", job)] == [
        (entry["kind"], entry["amount"], entry["balance"], entry["request_id"]) for entry in as_json[1:2]
    ]


@pytest.fixture
def used(store: Store, ann: Account) -> tuple[str, str]:
    """Two days of ann and one of bob; the hints of their keys."""
    bob = store.create_account("bob")
    store.add_credits(bob.id, 10_000_000)
    key, hers = store.create_key(ann.id, label='the "big", one')
    other, his = store.create_key(bob.id)
    store.clock = lambda: DAY
    for by, seconds in ((key, 1.25), (key, 2.5), (other, 4)):
        submit(store, by)
        complete(store, seconds)
    store.clock = lambda: DAY + 86400.0
    submit(store, key)
    failed = store.claim("worker")
    assert failed
    store.fail(failed, code="inference_failed", error="it broke", metrics={"inference_time": 0.5})
    return hers[-4:], his[-4:]


def test_usage_is_csv(run: Run, used: tuple[str, str]):
    """A row for each day and key, with exact money, quoted where it must be."""
    ann, bob = used
    first = f'2027-01-15,ann,{ann},"the ""big"", one",2,2,0,0.08,3.750\n2027-01-15,bob,{bob},,1,1,0,0.04,4.000\n'
    second = f'2027-01-16,ann,{ann},"the ""big"", one",1,0,1,0,0.500\n'
    done = run("usage")
    assert (0, HEAD + first + second, "") == done
    assert 4 == len(list(csv.reader(io.StringIO(done.stdout))))


@pytest.mark.parametrize(
    ("options", "rows"),
    [
        (("--account", "bob"), [("2027-01-15", "bob")]),
        (("--from", "2027-01-16"), [("2027-01-16", "ann")]),
        (("--to", "2027-01-15"), [("2027-01-15", "ann"), ("2027-01-15", "bob")]),
        (("--from", "2027-01-15", "--to", "2027-01-15", "--account", "ann"), [("2027-01-15", "ann")]),
        (("--from", "2027-01-17"), []),
        (("--to", "9999-12-31", "--from", "2027-01-16"), [("2027-01-16", "ann")]),
    ],
)
def test_usage_of_some_days_or_of_one_account(
    run: Run, used: tuple[str, str], options: tuple[str, ...], rows: list[tuple[str, str]]
):
    """From the first day to the last, itself included."""
    table = list(csv.DictReader(io.StringIO(run("usage", *options).stdout)))
    assert rows == [(row["day"], row["account"]) for row in table]


def test_usage_goes_to_a_file(run: Run, used: tuple[str, str], tmp_path: Path):
    """The same text, and nothing on standard output."""
    expected = run("usage").stdout
    assert (0, "", "") == run("usage", "--output", "used.csv")
    assert expected == (tmp_path / "used.csv").read_text()


def test_file_that_can_not_be_written_is_an_error(run: Run, data: Path):
    """With the reason."""
    says = "error: can't write nowhere/used.csv: no such file or directory\n"
    assert (1, "", says) == run("usage", "--output", "nowhere/used.csv")


@pytest.mark.parametrize("day", ["yesterday", "2027-13-01", "2027-01-15T00:00"])
def test_wrong_day_is_refused(run: Run, data: Path, day: str):
    """As wrong usage."""
    done = run("usage", "--from", day)
    assert (2, "") == (done.exit_code, done.stdout)
    assert f"'{day}'" in done.stderr


def test_usage_of_an_unknown_account_is_an_error(run: Run, data: Path):
    """Rather than an empty table."""
    assert 1 == run("usage", "--account", "bob").exit_code
