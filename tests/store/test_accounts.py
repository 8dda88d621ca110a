"""Accounts, keys and the books."""

import math
import re
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from openkontext.store import Account, Key, Store, Submitted


def test_account_is_found_by_name(store: Store):
    """An account is created once, with nothing on it, and found again."""
    account = store.create_account("local")
    assert account == store.account("local")
    assert account.balance == 0
    assert store.account("other") is None


def test_names_are_unique(store: Store):
    """A second account of a name is refused in words."""
    store.create_account("local")
    with pytest.raises(ValueError, match="'local' already"):
        store.create_account("local")


def test_key_authenticates(store: Store, account: Account):
    """The secret has the promised form, and gives its key back."""
    key, secret = store.create_key(account.id, rpm=7, label="ci", may_disable_safety=False)
    assert re.fullmatch("SG_[0-9a-f]{32}", secret)
    assert store.authenticate(secret) == key
    assert (key.rpm, key.label, key.may_disable_safety, key.hint) == (7, "ci", False, secret[-4:])


@pytest.mark.parametrize("secret", ["", "SG_", "SG_" + "0" * 32, "' OR 1=1 --", "SG_\ud800", "clé"])
def test_unknown_secret_authenticates_nobody(store: Store, key: Key, secret: str):
    """Anything that is not a secret is None, whatever text it is."""
    assert store.authenticate(secret) is None


def test_revoked_key_authenticates_nobody(store: Store, account: Account):
    """Revoking works at once, and for this key alone."""
    (revoked, secret), (other, other_secret) = (store.create_key(account.id) for _ in range(2))
    store.revoke_key(revoked.id)
    assert store.authenticate(secret) is None
    assert store.authenticate(other_secret) == other


def test_key_expires(store: Store, account: Account, clock):
    """A key is good until its time, not at it."""
    key, secret = store.create_key(account.id, expires_at=clock.now + 10)
    clock.advance(9.5)
    assert store.authenticate(secret) == key
    clock.advance(0.5)
    assert store.authenticate(secret) is None


@pytest.mark.parametrize(
    ("limit", "problem"),
    [
        ({"rpm": 0}, "requests a minute must be at least 1, not 0"),
        ({"max_running": 0}, "jobs at once must be at least 1, not 0"),
        ({"max_queued": -1}, "waiting jobs must be at least 1, not -1"),
        ({"retention": -1.0}, "retention must be a number of seconds, 0 or more, not -1"),
        ({"retention": math.inf}, "retention must be"),
        ({"retention": math.nan}, "retention must be"),
        ({"expires_at": 253402300800.0}, "expires_at must be before the year 10000"),
    ],
)
def test_limit_that_makes_no_sense_is_refused(store: Store, account: Account, limit: dict[str, Any], problem: str):
    """A key that could never submit, or keeps results for less than no time, is not made."""
    with pytest.raises(ValueError, match=problem):
        store.create_key(account.id, **limit)
    assert store.keys(account.id) == []


def test_key_may_everything_unless_told_otherwise(store: Store, account: Account):
    """What a client that comes from elsewhere expects, and limits that one user can't hurt others within."""
    key, _ = store.create_key(account.id)
    assert (key.may_edit, key.may_read_history, key.may_disable_safety, key.may_manage) == (True,) * 4
    assert (key.rpm, key.max_running, key.max_queued, key.retention, key.prompt_in_file) == (60, None, 100, None, True)


@pytest.mark.parametrize(
    "trait",
    [
        *({name: False} for name in ("may_edit", "may_read_history", "may_manage", "may_disable_safety")),
        *({"prompt_in_file": False}, {"max_running": 3}, {"max_queued": None}, {"retention": 0.0}, {"expires_at": 2e9}),
    ],
    ids=str,
)
def test_key_is_as_it_was_made(store: Store, account: Account, trait: dict[str, Any]):
    """Each permission and limit is its own, and comes back with the secret."""
    usual, _ = store.create_key(account.id)
    key, secret = store.create_key(account.id, **trait)
    own = {"id": key.id, "hint": key.hint}
    assert key == replace(usual, **own, **trait)
    assert store.authenticate(secret) == store.key(key.id) == key


def test_accounts_and_keys_are_listed(store: Store):
    """Accounts by name, an account's keys by age, those that are no good any more too."""
    late, early = (store.create_account(name) for name in ("b", "a"))
    assert store.accounts() == [early, late]
    (first, _), (second, _), (foreign, _) = (store.create_key(owner.id) for owner in (late, late, early))
    store.revoke_key(first.id)
    assert [key.id for key in store.keys(late.id)] == [first.id, second.id]
    assert store.keys(late.id)[0].revoked_at is not None
    assert store.keys(early.id) == [store.key(foreign.id)] == [foreign]
    assert store.key(999) is None


def test_key_is_revoked_once(store: Store, account: Account, clock):
    """Whoever revokes it again is told, and the time stays that of the first."""
    key, _ = store.create_key(account.id)
    revoked_at = clock.now
    assert store.revoke_key(key.id) is True
    clock.advance(5)
    assert store.revoke_key(key.id) is False
    assert store.key(key.id).revoked_at == revoked_at
    assert store.revoke_key(999) is False


def test_revoked_key_stops_everywhere(store: Store, open_store: Callable[..., Store], account: Account):
    """Another gateway that knew the key refuses it at once."""
    key, secret = store.create_key(account.id)
    other = open_store()
    assert other.authenticate(secret) == key
    store.revoke_key(key.id)
    assert other.authenticate(secret) is None


def test_secret_is_nowhere_in_the_files(store: Store, account: Account, database: Path):
    """What lies on the disk holds no key that can be used."""
    _, secret = store.create_key(account.id)
    store.authenticate(secret)
    files = [path.read_bytes() for path in database.parent.iterdir()]
    assert any(b"accounts_never_overdrawn" in data for data in files)
    assert [data for data in files if secret[3:].encode() in data] == []


def test_grants_add_up(store: Store, account: Account):
    """A grant is an entry, and the balance their sum."""
    assert store.add_credits(account.id, 5) == 10_000_005
    assert [(entry.kind, entry.amount) for entry in store.ledger(account.id)] == [("grant", 10_000_000), ("grant", 5)]
    assert store.balance(account.id) == 10_000_005


@pytest.mark.parametrize("micros", [0, -1])
def test_only_more_can_be_granted(store: Store, account: Account, micros: int):
    """A grant of nothing, or less, is refused."""
    with pytest.raises(ValueError, match="more than 0"):
        store.add_credits(account.id, micros)


@pytest.mark.parametrize(
    ("tampering", "problem"),
    [
        (
            "UPDATE accounts SET balance = balance + 1",
            "account someone: the balance is 9960001, its entries sum to 9960000",
        ),
        ("DELETE FROM ledger WHERE kind = 'hold'", "with 0 entries that sum to 0"),
        ("UPDATE jobs SET state = 'FAILED', ended_at = 1", "is FAILED with 1 entries that sum to -40000"),
    ],
)
def test_books_that_do_not_add_up_are_found(
    store: Store, submit: Callable[..., Submitted], database: Path, tampering: str, problem: str
):
    """The audit sees a balance, an entry or a state that was changed behind the store's back."""
    submit()
    assert store.verify_ledger() == []
    with sqlite3.connect(database) as connection:
        connection.execute(tampering)
    connection.close()
    assert problem in " ".join(store.verify_ledger())


@pytest.mark.parametrize(
    ("tampering", "problem"),
    [
        ("DELETE FROM ledger WHERE kind = 'take'", "is gone, with 1 entries that sum to -40000"),
        ("UPDATE ledger SET amount = 1 WHERE kind = 'take'", "is gone, with 2 entries that sum to -39999"),
    ],
)
def test_books_of_jobs_that_are_gone_are_looked_at_too(
    store: Store,
    account: Account,
    submit: Callable[..., Submitted],
    clock,
    database: Path,
    tampering: str,
    problem: str,
):
    """After the history a job is in the books alone: they must add up all the same."""
    for _ in range(2):
        submit()
    store.finish(store.claim("w"), {"metrics": {}})
    store.fail(store.claim("w"), code="inference_failed", error="no", metrics={})
    clock.advance(3600)
    store.expire()
    clock.advance(30 * 86_400)
    store.expire()
    assert (store.history(account.id).total, store.verify_ledger()) == (0, [])
    with sqlite3.connect(database) as connection:
        connection.execute(tampering)
    connection.close()
    assert problem in " ".join(store.verify_ledger())


def test_books_are_audited_while_they_are_written(
    store: Store, open_store: Callable[..., Store], account: Account, submit: Callable[..., Submitted]
):
    """The audit sees one moment: what is submitted and settled meanwhile is no problem to it."""
    auditor, over = open_store(), threading.Event()

    def work() -> None:
        for _ in range(40):
            submit(price=1)
            store.finish(store.claim("w"), {"metrics": {}})
        over.set()

    writer = threading.Thread(target=work)
    writer.start()
    problems, audits = [], 0
    while not over.is_set():
        problems += auditor.verify_ledger()
        audits += 1
    writer.join()
    assert (problems, audits > 1) == ([], True)


def test_snapshot_is_of_one_moment(store: Store, open_store: Callable[..., Store], account: Account):
    """Between two reads of an audit nothing changes, whoever writes."""
    other = open_store()
    with store._snapshot() as connection:
        before = connection.exec_driver_sql("SELECT balance FROM accounts").scalar_one()
        other.add_credits(account.id, 5)
        assert connection.exec_driver_sql("SELECT balance FROM accounts").scalar_one() == before
    assert store.balance(account.id) == before + 5
