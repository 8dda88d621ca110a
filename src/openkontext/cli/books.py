"""`ledger` and `usage`: the books, and what to bill from them."""

import csv
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import accumulate
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer

from openkontext.contract.money import spoken
from openkontext.store import LedgerEntry, Store, UsageRow

from .flags import AsJson, die, find_account, with_store
from .output import show_json, show_table
from .times import iso, shown_time

ledger = typer.Typer(no_args_is_help=True, help="The books: every change of a balance is an entry.")

_DAY: Any = {"formats": ["%Y-%m-%d"], "metavar": "DATE"}
_COLUMNS = ("day", "account", "key", "label", "requests", "completed", "failed", "cost", "gpu_seconds")


@ledger.command("show")
@with_store
def _show(
    store: Store, name: Annotated[str, typer.Argument(help="Name of the account.")], *, as_json: AsJson = False
) -> None:
    """Show an account's entries, oldest first, with the balance after each."""
    entries = store.ledger(find_account(store, name).id)
    balances = list(accumulate(entry.amount for entry in entries))
    if as_json:
        return show_json([_as_json(entry, balance) for entry, balance in zip(entries, balances, strict=True)])
    rows = (
        (each.id, shown_time(each.created_at), each.kind, spoken(each.amount), spoken(balance), each.job_id or "-")
        for each, balance in zip(entries, balances, strict=True)
    )
    show_table(("id", "time", "kind", "amount", "balance", "request"), rows)


@ledger.command("verify")
@with_store
def _verify(store: Store) -> None:
    """Prove the books: every balance is the sum of its entries, every request is charged once or not at all.

    Ends with status 1 and a line for each problem, if there is one. The service may be running.
    """
    problems = store.verify_ledger()
    for problem in problems:
        typer.echo(problem)
    if problems:
        raise typer.Exit(1)
    owners = store.accounts()
    entries = sum(len(store.ledger(owner.id)) for owner in owners)
    typer.echo(f"{len(owners)} accounts, {entries} entries: every balance equals its sum")


@with_store
def usage(
    store: Store,
    *,
    account: Annotated[str | None, typer.Option(help="Only this account.")] = None,
    since: Annotated[datetime | None, typer.Option("--from", help="First day, UTC.", **_DAY)] = None,
    until: Annotated[datetime | None, typer.Option("--to", help="Last day, UTC, itself included.", **_DAY)] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write, instead of standard output.")
    ] = None,
) -> None:
    """Export what each key used, day by day, as CSV: for as many days as the history is kept.

    Days are in UTC, by when requests were submitted; `cost` is in credits, of what was completed.
    """
    rows = store.usage(
        account_id=None if account is None else find_account(store, account).id,
        since=None if since is None else _midnight(since),
        until=None if until is None else _midnight(until) + 86400,
    )
    if output is None:
        return _write(rows, sys.stdout)
    try:
        with output.open("w", encoding="utf-8", newline="") as file:
            _write(rows, file)
    except OSError as error:
        die(f"can't write {output}: {(error.strerror or str(error)).lower()}")


def _write(rows: Iterable[UsageRow], file: TextIO) -> None:
    table = csv.writer(file, lineterminator="\n")
    table.writerow(_COLUMNS)
    for row in rows:
        counts = (row.requests, row.completed, row.failed)
        spent = (spoken(row.cost), f"{row.gpu_seconds:.3f}")
        table.writerow((row.day, row.account, row.key_hint, row.key_label, *counts, *spent))


def _midnight(day: datetime) -> float:
    return day.replace(tzinfo=UTC).timestamp()


def _as_json(entry: LedgerEntry, balance: int) -> dict[str, Any]:
    amounts = {"amount": spoken(entry.amount), "balance": spoken(balance)}
    times = {"created_at": iso(entry.created_at)}
    return {"id": entry.id, "kind": entry.kind, "request_id": entry.job_id} | amounts | times
