"""The books: every change of a balance is an entry, and the balance is the sum of its account's entries.

A job's entries: hold (-price) at submit, then either take (0) at COMPLETED or release (+price) at FAILED.
"""

from dataclasses import dataclass, fields
from typing import Any, Literal

import sqlalchemy as sa

from openkontext.contract import State

from .records import LedgerEntry
from .schema import accounts, jobs, ledger

Kind = Literal["grant", "hold", "take", "release"]

# Keeps: no balance below zero (the table's CHECK refuses it), and none changed without an entry beside it.
_CHANGE_BALANCE = (
    sa.update(accounts)
    .where(accounts.c.id == sa.bindparam("account"))
    .values(balance=accounts.c.balance + sa.bindparam("amount"))
    .returning(accounts.c.balance)
)
_INSERT = sa.insert(ledger)

_OF_ACCOUNT = ledger.c.account_id == sa.bindparam("account")
_BALANCE = sa.select(accounts.c.balance).where(accounts.c.id == sa.bindparam("account"))
_COUNT = sa.select(sa.func.count()).select_from(ledger).where(_OF_ACCOUNT)
_NEWEST = (
    sa.select(*(ledger.c[field.name] for field in fields(LedgerEntry))).where(_OF_ACCOUNT).order_by(ledger.c.id.desc())
)
# Of those that are newer than a page: the balance is the sum of all, so that without these it is the page's own.
_NEWER = sa.select(ledger.c.amount).where(_OF_ACCOUNT).order_by(ledger.c.id.desc())

_SUM = sa.func.coalesce(sa.func.sum(ledger.c.amount), 0)
_WRONG_BALANCES = (
    sa.select(accounts.c.name, accounts.c.balance, _SUM.label("sum"))
    .select_from(accounts.outerjoin(ledger, ledger.c.account_id == accounts.c.id))
    .group_by(accounts.c.id, accounts.c.name, accounts.c.balance)
    .having(accounts.c.balance != _SUM)
)
_DUE = sa.case((jobs.c.state == State.FAILED, 0), else_=-jobs.c.price)
_ENTRIES_DUE = sa.case((jobs.c.ended_at.is_(None), 1), else_=2)
_WRONG_JOBS = (
    sa.select(jobs.c.id, jobs.c.state, _SUM.label("sum"), sa.func.count(ledger.c.id).label("entries"))
    .select_from(jobs.outerjoin(ledger, ledger.c.job_id == jobs.c.id))
    .group_by(jobs.c.id, jobs.c.state, jobs.c.price, jobs.c.ended_at)
    .having(sa.or_(_SUM != _DUE, sa.func.count(ledger.c.id) != _ENTRIES_DUE))
)
# Keeps: a job's row goes only once it was settled, so that what is left of it in the books is a hold and its end.
_HOLD = sa.func.min(ledger.c.amount)
_WRONG_LEFTOVERS = (
    sa.select(ledger.c.job_id, _SUM.label("sum"), sa.func.count().label("entries"))
    .select_from(ledger.outerjoin(jobs, jobs.c.id == ledger.c.job_id))
    .where(ledger.c.job_id.is_not(None), jobs.c.id.is_(None))
    .group_by(ledger.c.job_id)
    .having(sa.or_(sa.func.count() != 2, sa.and_(_SUM != 0, _SUM != _HOLD)))
)


def post(
    connection: sa.Connection, account_id: int, kind: Kind, amount: int, now: float, *, job_id: str | None = None
) -> int:
    """Enter ``amount`` into the account's books, in the caller's transaction; returns the balance after it."""
    balance: int = connection.execute(_CHANGE_BALANCE, {"account": account_id, "amount": amount}).scalar_one()
    entry: dict[str, Any] = {"account_id": account_id, "job_id": job_id, "kind": kind, "amount": amount}
    connection.execute(_INSERT, entry | {"created_at": now})
    return balance


@dataclass(frozen=True)
class Booked:
    """An entry, and the account's ``balance`` after it."""

    entry: LedgerEntry
    balance: int


def booked(connection: sa.Connection, account_id: int, limit: int, offset: int) -> tuple[list[Booked], int]:
    """Some of an account's entries, newest first, and how many there are, from a connection that reads one snapshot."""
    account = {"account": account_id}
    total: int = connection.execute(_COUNT, account).scalar_one()
    balance = connection.execute(_BALANCE, account).scalar_one()
    newer = _NEWER.limit(offset).subquery()
    balance -= connection.execute(sa.select(sa.func.coalesce(sa.func.sum(newer.c.amount), 0)), account).scalar_one()
    found = []
    for row in connection.execute(_NEWEST.limit(limit).offset(offset), account):
        found.append(Booked(LedgerEntry(*row), int(balance)))
        balance -= row.amount
    return found, total


def problems(connection: sa.Connection) -> list[str]:
    """A sentence for each account or job whose entries don't add up, from a connection that reads one snapshot."""
    balances = connection.execute(_WRONG_BALANCES).all()
    charges = connection.execute(_WRONG_JOBS).all()
    leftovers = connection.execute(_WRONG_LEFTOVERS).all()
    return [
        *(f"account {row.name}: the balance is {row.balance}, its entries sum to {row.sum}" for row in balances),
        *(f"job {row.id} is {row.state} with {row.entries} entries that sum to {row.sum}" for row in charges),
        *(f"job {row.job_id} is gone, with {row.entries} entries that sum to {row.sum}" for row in leftovers),
    ]
