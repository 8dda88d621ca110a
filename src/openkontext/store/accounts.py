"""Accounts, their keys and their books."""

import hashlib
import hmac
import math
import secrets
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from openkontext.contract import State

from . import ledger as books
from .database import Database
from .lookup import Lookup
from .records import Account, Key, LedgerEntry
from .schema import accounts, jobs, keys, ledger

_DAY = 86400
# Unix seconds: what is later can't be written as a date, and no list with such a key in it could be shown.
_LAST = datetime(9999, 12, 31, tzinfo=UTC).timestamp() + _DAY - 1

_ACCOUNT = [accounts.c[field.name] for field in fields(Account)]
_KEY = [keys.c[field.name] for field in fields(Key)]
_ENTRY = [ledger.c[field.name] for field in fields(LedgerEntry)]

_INSERT_ACCOUNT = sa.insert(accounts).returning(*_ACCOUNT)
_ACCOUNTS = sa.select(*_ACCOUNT).order_by(accounts.c.name)
_ACCOUNT_NAMED = sa.select(*_ACCOUNT).where(accounts.c.name == sa.bindparam("name"))
_BALANCE = sa.select(accounts.c.balance).where(accounts.c.id == sa.bindparam("account"))
_OF_ACCOUNT = jobs.c.account_id == sa.bindparam("account")
# The account is no condition of the first, so that it reads the few active jobs, and not the account's many.
_HELD = sa.select(sa.func.sum(jobs.c.price).filter(_OF_ACCOUNT)).where(jobs.c.ended_at.is_(None))
_SPENT = sa.select(sa.func.sum(jobs.c.price)).where(
    _OF_ACCOUNT, jobs.c.created_at >= sa.bindparam("today"), jobs.c.state == State.COMPLETED
)
_OVERVIEW = sa.select(
    *_ACCOUNT,
    *(sa.cast(sa.func.coalesce(each.scalar_subquery(), 0), sa.BigInteger) for each in (_HELD, _SPENT)),
).where(accounts.c.id == sa.bindparam("account"))

# Keeps: the secret itself is nowhere, only its hash.
_INSERT_KEY = sa.insert(keys).returning(*_KEY)
_KEY_HASHED = sa.select(keys.c.hash, *_KEY).where(keys.c.hash == sa.bindparam("digest"))
_KEY_NUMBERED = sa.select(*_KEY).where(keys.c.id == sa.bindparam("key"))
_KEYS = sa.select(*_KEY).where(keys.c.account_id == sa.bindparam("account")).order_by(keys.c.id)
_GOOD = sa.and_(
    keys.c.revoked_at.is_(None), sa.or_(keys.c.expires_at.is_(None), keys.c.expires_at > sa.bindparam("now"))
)
_OWN = keys.c.account_id == sa.bindparam("account")
_GOOD_KEYS = sa.select(sa.func.count()).select_from(keys).where(_OWN, _GOOD)
_ALL_KEYS = sa.select(sa.func.count()).select_from(keys).where(_OWN)
_NEWEST_KEYS = sa.select(*_KEY).where(_OWN).order_by(sa.case((_GOOD, 0), else_=1), keys.c.id.desc())
_LOCK = sa.select(accounts.c.id).where(accounts.c.id == sa.bindparam("account")).with_for_update()
# Keeps: a key was revoked once, at the time that is noted.
_REVOKE = (
    sa.update(keys)
    .where(keys.c.id == sa.bindparam("key"), keys.c.revoked_at.is_(None))
    .values(revoked_at=sa.bindparam("now"))
    .returning(keys.c.id)
)

_ENTRIES = sa.select(*_ENTRY).where(ledger.c.account_id == sa.bindparam("account")).order_by(ledger.c.id)


@dataclass(frozen=True)
class Overview:
    """An account, with the micro-credits that are ``held`` for its unfinished jobs.

    ``spent_today`` is of those submitted since midnight, UTC, that were COMPLETED.
    """

    account: Account
    held: int
    spent_today: int


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

    def overview(self, account_id: int) -> Overview:
        """How the account of this number stands."""
        midnight = self.clock() // _DAY * _DAY
        with self._read() as connection:
            *account, held, spent = connection.execute(_OVERVIEW, {"account": account_id, "today": midnight}).one()
        return Overview(Account(*account), held, spent)

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
        may_operate: bool = False,
        max_running: int | None = None,
        max_queued: int | None = 100,
        retention: float | None = None,
        prompt_in_file: bool = True,
        most: int | None = None,
    ) -> tuple[Key, str]:
        """A new key and its secret, which can't be had again. What the limits mean is said at `Key`.

        Raises ValueError for a limit below 1, a retention below 0, an end after the year 9999, or if the account has
        ``most`` good keys already.
        """
        _check_limits(rpm, max_running, max_queued, retention)
        if expires_at is not None and expires_at > _LAST:
            raise ValueError("expires_at must be before the year 10000, UTC")
        secret = f"SG_{secrets.token_hex(16)}"
        values: dict[str, Any] = {"account_id": account_id, "hash": _digest(secret), "hint": secret[-4:]}
        values |= {"label": label, "rpm": rpm, "max_running": max_running, "max_queued": max_queued}
        values |= {"may_edit": may_edit, "may_read_history": may_read_history, "may_manage": may_manage}
        values |= {"may_disable_safety": may_disable_safety, "may_operate": may_operate}
        values |= {"expires_at": expires_at, "retention": retention, "prompt_in_file": prompt_in_file}
        values |= {"tokens": float(rpm or 0), "virtual_time": 0.0, "served_time": 0.0}
        with self._transaction() as connection:
            now = self._now(connection)
            if most is not None:
                _check_room(connection, account_id, most, now)
            row = connection.execute(_INSERT_KEY, values | {"created_at": now, "tokens_at": now}).one()
        return Key(*row), secret

    def keys(self, account_id: int) -> list[Key]:
        """The account's keys, oldest first, revoked and expired ones too."""
        with self._read() as connection:
            return [Key(*row) for row in connection.execute(_KEYS, {"account": account_id})]

    def key_page(self, account_id: int, *, page: int, per_page: int) -> tuple[list[Key], int]:
        """A page (from 1) of the account's keys, and how many it has: good ones first, the newest of each first."""
        selected = _NEWEST_KEYS.limit(per_page).offset((page - 1) * per_page)
        with self._snapshot() as connection:
            total: int = connection.execute(_ALL_KEYS, {"account": account_id}).scalar_one()
            rows = connection.execute(selected, {"account": account_id, "now": self.clock()}).all()
        return [Key(*row) for row in rows], total

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

    def ledger_page(self, account_id: int, *, page: int, per_page: int) -> tuple[list[books.Booked], int]:
        """A page (from 1) of the account's entries with the balance after each, newest first; and how many it has."""
        with self._snapshot() as connection:
            return books.booked(connection, account_id, per_page, (page - 1) * per_page)

    def verify_ledger(self) -> list[str]:
        """What is wrong with the books, a sentence each: nothing, unless there is a defect.

        The books are read as they were at one moment, whatever is submitted and settled meanwhile.
        """
        with self._snapshot() as connection:
            return books.problems(connection)


def _check_room(connection: sa.Connection, account_id: int, most: int, now: float) -> None:
    # Locked, so that of two that come together the second counts the first.
    connection.execute(_LOCK, {"account": account_id})
    if connection.execute(_GOOD_KEYS, {"account": account_id, "now": now}).scalar_one() >= most:
        raise ValueError(f"an account may have {most} keys that are good, and has them already; revoke one first")


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
