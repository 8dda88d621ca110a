"""`accounts` and `credits`: who may use the service, and what they may spend."""

import re
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any

import typer

from openkontext.contract import money
from openkontext.store import Account, Store

from .flags import AsJson, die, find_account, note, with_store
from .keys import state_of
from .output import show_json, show_table
from .times import iso, shown_time

accounts = typer.Typer(no_args_is_help=True, help="Who uses the service: each account has its credits and its keys.")
credits = typer.Typer(no_args_is_help=True, help="What an account may spend.")

Name = Annotated[str, typer.Argument(help="Name of the account.")]

_NAME = re.compile(r"[A-Za-z0-9._@-]{1,64}")
# Far from what the books' 64 bits hold, so that no sum of grants gets there.
_MOST = 1_000_000_000


def _create(store: Store, name: Name) -> None:
    """Make an account, with a balance of 0."""
    if not _NAME.fullmatch(name):
        die(f"an account's name has 1 to 64 letters, digits and . _ - @; got {name!r}")
    try:
        store.create_account(name)
    except ValueError as error:
        die(str(error))
    note(f"made the account {name}; next: openkontext credits add {name} 10, openkontext keys create --account {name}")


accounts.command("create")(with_store(_create, make=True))


@accounts.command("list")
@with_store
def _list(store: Store, *, as_json: AsJson = False) -> None:
    """List the accounts with their balances."""
    found = store.accounts()
    if as_json:
        show_json([_as_json(account) for account in found])
    else:
        rows = ((each.name, money.spoken(each.balance), shown_time(each.created_at)) for each in found)
        show_table(("name", "balance", "created"), rows)


@accounts.command("show")
@with_store
def _show(store: Store, name: Name, *, as_json: AsJson = False) -> None:
    """Show an account: its balance, its keys, and its requests as far as the history goes back."""
    account = find_account(store, name)
    active = sum(state_of(key, store.clock()) == "active" for key in store.keys(account.id))
    usage = store.usage(account_id=account.id)
    requests = {what: sum(getattr(row, what) for row in usage) for what in ("requests", "completed", "failed")}
    if as_json:
        return show_json(_as_json(account) | {"active_keys": active} | requests)
    typer.echo(f"name         {account.name}")
    typer.echo(f"balance      {money.spoken(account.balance)}")
    typer.echo(f"created      {shown_time(account.created_at)}")
    typer.echo(f"active keys  {active}")
    typer.echo(f"requests     {requests['requests']}: {requests['completed']} completed, {requests['failed']} failed")


@credits.command("add")
@with_store
def _add(
    store: Store, name: Name, amount: Annotated[str, typer.Argument(help="Credits, to at most 6 decimals.")]
) -> None:
    """Grant credits to an account; prints its balance after that."""
    account = find_account(store, name)
    typer.echo(money.spoken(store.add_credits(account.id, _micros(amount))))


@credits.command("show")
@with_store
def _show_credits(store: Store, name: Name, *, as_json: AsJson = False) -> None:
    """Print what an account can spend: its balance, with what its running requests may cost taken off."""
    account = find_account(store, name)
    if as_json:
        show_json({"account": account.name, "balance": money.spoken(account.balance)})
    else:
        typer.echo(money.spoken(account.balance))


def _as_json(account: Account) -> dict[str, Any]:
    shown = {"name": account.name, "balance": money.spoken(account.balance)}
    return shown | {"created_at": iso(account.created_at)}


def _micros(amount: str) -> int:
    try:
        value = Decimal(amount)
    except InvalidOperation:
        die(f"the amount must be a number of credits such as 10 or 0.5, not {amount!r}")
    if not (value.is_finite() and 0 < value <= _MOST):
        die(f"the amount must be more than 0 and at most {_MOST} credits, not {amount}")
    if value != money.to_credits(money.to_micros(value)):
        die(f"an amount has at most 6 decimals, and {amount} has more")
    return money.to_micros(value)
