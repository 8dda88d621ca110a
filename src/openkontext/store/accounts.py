"""Accounts, their keys and their books."""

import hashlib
import hmac
import secrets
from dataclasses import fields
from functools import cached_property

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
_ACCOUNT_NAMED = sa.select(*_ACCOUNT).where(accounts.c.name == sa.bindparam("name"))
_BALANCE = sa.select(accounts.c.balance).where(accounts.c.id == sa.bindparam("account"))

# Keeps: the secret itself is nowhere, only its hash.
_INSERT_KEY = sa.insert(keys).returning(*_KEY)
_KEY_HASHED = sa.select(keys.c.hash, *_KEY).where(keys.c.hash == sa.bindparam("digest"))
_REVOKE = sa.update(keys).where(keys.c.id == sa.bindparam("key"), keys.c.revoked_at.is_(None))

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

    def create_key(
        self,
        account_id: int,
        *,
        rpm: int | None = 60,
        label: str = "",
        expires_at: float | None = None,
        may_disable_safety: bool = True,
    ) -> tuple[Key, str]:
        """A new key and its secret, which can't be had again; ``rpm`` submits a minute, None for no limit."""
        if rpm is not None and rpm < 1:
            raise ValueError(f"a key's limit must be at least 1 request a minute, not {rpm}")
        secret = f"SG_{secrets.token_hex(16)}"
        values = {"account_id": account_id, "hash": _digest(secret), "hint": secret[-4:], "label": label, "rpm": rpm}
        values |= {"expires_at": expires_at, "may_disable_safety": may_disable_safety}
        values |= {"tokens": float(rpm or 0), "virtual_time": 0.0, "served_time": 0.0}
        with self._transaction() as connection:
            now = self._now(connection)
            row = connection.execute(_INSERT_KEY, values | {"created_at": now, "tokens_at": now}).one()
        return Key(*row), secret

    def revoke_key(self, key_id: int) -> None:
        """From now on the key authenticates nobody; its jobs go on."""
        with self._transaction() as connection:
            connection.execute(_REVOKE.values(revoked_at=self._now(connection)), {"key": key_id})

    def authenticate(self, secret: str) -> Key | None:
        """The key of this secret; None if it is unknown, revoked or expired."""
        digest = _digest(secret)
        with self._clear_errors():
            row = self._hashed.first({"digest": digest})
        if row is None or not hmac.compare_digest(row[0], digest):
            return None
        key = Key(*row[1:])
        expired = key.expires_at is not None and key.expires_at <= self.clock()
        return None if expired or key.revoked_at is not None else key

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
        """What is wrong with the books, a sentence each: nothing, unless there is a defect."""
        with self._read() as connection:
            return books.problems(connection)


def _digest(secret: str) -> str:
    # A plain hash is enough: the secret has 128 random bits, so there is nothing to guess from it.
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
