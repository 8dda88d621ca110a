"""Accounts, their keys and their books."""

import hashlib
import hmac
import math
import secrets
from dataclasses import fields
from functools import cached_property
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from . import ledger as books
from .database import Database
from .lookup import Lookup
from .records import Account, Key, LedgerEntry
from .schema import accounts, keys, ledger

_ACCOUNT = [accounts.c[field.name] for field in fields(Account)]
_KEY = [keys.c[field.name] for field in fields(Key)]
_ENTRY = [ledger.c[field.name] for field in fields(LedgerEntry)]

_INSERT_ACCOUNT = sa.insert(accounts).returning(*_ACCOUNT)
_ACCOUNTS = sa.select(*_ACCOUNT).order_by(accounts.c.name)
_ACCOUNT_NAMED = sa.select(*_ACCOUNT).where(accounts.c.name == sa.bindparam("name"))
_BALANCE = sa.select(accounts.c.balance).where(accounts.c.id == sa.bindparam("account"))

# Keeps: the secret itself is nowhere, only its hash.
_INSERT_KEY = sa.insert(keys).returning(*_KEY)
_KEY_HASHED = sa.select(keys.c.hash, *_KEY).where(keys.c.hash == sa.bindparam("digest"))
_KEY_NUMBERED = sa.select(*_KEY).where(keys.c.id == sa.bindparam("key"))
_KEYS = sa.select(*_KEY).where(keys.c.account_id == sa.bindparam("account")).order_by(keys.c.id)
# Keeps: a key was revoked once, at the time that is noted.
_REVOKE = (
    sa.update(keys)
    .where(keys.c.id == sa.bindparam("key"), keys.c.revoked_at.is_(None))
    .values(revoked_at=sa.bindparam("now"))
    .returning(keys.c.id)
)

_ENTRIES = sa.select(*_ENTRY).where(ledger.c.account_id == sa.bindparam("account")).order_by(ledger.c.id)


class Accounts(Database):
    """Who may submit, and with what."""

    def create_account(self, name: str) -> Account:
        """A new account with a balance of 0; ValueError if the name is taken."""
        try:
            with self._transaction() as connection:
                values = {"name": name, "balance": 0, "created_at": self._now(connection)}
                return Account(*connection.execute(_INSERT_ACCOUNT, values).one())
        except IntegrityError as error:
            raise ValueError(f"there is an account named {name!r} already") from error

    def account(self, name: str) -> Account | None:
        """The account of this name."""
        with self._read() as connection:
            row = connection.execute(_ACCOUNT_NAMED, {"name": name}).first()
        return Account(*row) if row else None

    def accounts(self) -> list[Account]:
        """All accounts, by name."""
        with self._read() as connection:
            return [Account(*row) for row in connection.execute(_ACCOUNTS)]

    def create_key(
        self,
        account_id: int,
        *,
        rpm: int | None = 60,
        label: str = "",
        expires_at: float | None = None,
        may_edit: bool = True,
        may_read_history: bool = True,
        may_disable_safety: bool = True,
        may_manage: bool = True,
        max_running: int | None = None,
        max_queued: int | None = 100,
        retention: float | None = None,
        prompt_in_file: bool = True,
    ) -> tuple[Key, str]:
        """A new key and its secret, which can't be had again. What the limits mean is said at `Key`.

        Raises ValueError for a limit below 1, or a retention below 0.
        """
        _check_limits(rpm, max_running, max_queued, retention)
        secret = f"SG_{secrets.token_hex(16)}"
        values: dict[str, Any] = {"account_id": account_id, "hash": _digest(secret), "hint": secret[-4:]}
        values |= {"label": label, "rpm": rpm, "max_running": max_running, "max_queued": max_queued}
        values |= {"may_edit": may_edit, "may_read_history": may_read_history, "may_manage": may_manage}
        values |= {"may_disable_safety": may_disable_safety, "prompt_in_file": prompt_in_file}
        values |= {"expires_at": expires_at, "retention": retention}
        values |= {"tokens": float(rpm or 0), "virtual_time": 0.0, "served_time": 0.0}
        with self._transaction() as connection:
            now = self._now(connection)
            row = connection.execute(_INSERT_KEY, values | {"created_at": now, "tokens_at": now}).one()
        return Key(*row), secret

    def keys(self, account_id: int) -> list[Key]:
        """The account's keys, oldest first, revoked and expired ones too."""
        with self._read() as connection:
            return [Key(*row) for row in connection.execute(_KEYS, {"account": account_id})]

    def key(self, key_id: int) -> Key | None:
        """The key of this number."""
        with self._read() as connection:
            row = connection.execute(_KEY_NUMBERED, {"key": key_id}).first()
        return Key(*row) if row else None

    def revoke_key(self, key_id: int) -> bool:
        """From now on the key authenticates nobody; its jobs go on. False: it was revoked already, or is unknown."""
        with self._transaction() as connection:
            return connection.execute(_REVOKE, {"key": key_id, "now": self._now(connection)}).first() is not None

    def authenticate(self, secret: str) -> Key | None:
        """The key of this secret; None if it is unknown, revoked or expired."""
        digest = _digest(secret)
        with self._clear_errors():
            row = self._hashed.first({"digest": digest})
        if row is None or not hmac.compare_digest(row[0], digest):
            return None
        key = Key(*row[1:])
        return key if key.good_at(self.clock()) else None

    @cached_property
    def _hashed(self) -> Lookup:
        return Lookup(_KEY_HASHED, self._reader)

    def add_credits(self, account_id: int, micros: int) -> int:
        """Grant ``micros`` (more than 0) to the account; returns the balance after it."""
        if micros <= 0:
            raise ValueError(f"a grant must be more than 0 micro-credits, not {micros}")
        with self._transaction() as connection:
            return books.post(connection, account_id, "grant", micros, self._now(connection))

    def balance(self, account_id: int) -> int:
        """What the account can spend, in micro-credits, holds taken off."""
        with self._read() as connection:
            balance: int = connection.execute(_BALANCE, {"account": account_id}).scalar_one()
            return balance

    def ledger(self, account_id: int) -> list[LedgerEntry]:
        """All of the account's entries, oldest first."""
        with self._read() as connection:
            return [LedgerEntry(*row) for row in connection.execute(_ENTRIES, {"account": account_id})]

    def verify_ledger(self) -> list[str]:
        """What is wrong with the books, a sentence each: nothing, unless there is a defect.

        The books are read as they were at one moment, whatever is submitted and settled meanwhile.
        """
        with self._snapshot() as connection:
            return books.problems(connection)


def _check_limits(rpm: int | None, max_running: int | None, max_queued: int | None, retention: float | None) -> None:
    limits = {"requests a minute": rpm, "jobs at once": max_running, "waiting jobs": max_queued}
    for what, limit in limits.items():
        if limit is not None and limit < 1:
            raise ValueError(f"a key's limit of {what} must be at least 1, not {limit}")
    if retention is not None and not 0 <= retention < math.inf:
        raise ValueError(f"a key's retention must be a number of seconds, 0 or more, not {retention}")


def _digest(secret: str) -> str:
    # A plain hash is enough: the secret has 128 random bits, so there is nothing to guess from it.
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
