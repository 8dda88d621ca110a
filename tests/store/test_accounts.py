"""Accounts, keys and the books."""

import re
import sqlite3
from collections.abc import Callable
from pathlib import Path

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


def test_limit_below_one_is_refused(store: Store, account: Account):
    """A key that could never submit is not made."""
    with pytest.raises(ValueError, match="at least 1"):
        store.create_key(account.id, rpm=0)


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
