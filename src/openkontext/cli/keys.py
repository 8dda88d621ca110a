"""`keys`: what clients send as `x-api-key`, with what each may do."""

from collections.abc import Callable, Iterable
from typing import Annotated, Any, TypeVar

import typer

from openkontext.store import Account, Key, Store

from .flags import AccountName, AsJson, die, find_account, note, with_store
from .output import show_json, show_table
from .times import duration, iso, moment, shown_duration, shown_time

keys = typer.Typer(no_args_is_help=True, help="The keys of an account, each with its permissions and limits.")

Value = TypeVar("Value")


@keys.command("create")
@with_store
def _create(
    store: Store,
    *,
    account: AccountName = "local",
    label: Annotated[str, typer.Option(help="A word to know it by.")] = "",
    rpm: Annotated[str, typer.Option(metavar="N|unlimited", help="Requests a minute.")] = "60",
    max_running: Annotated[str, typer.Option(metavar="N|unlimited", help="Requests that run at once.")] = "unlimited",
    max_queued: Annotated[str, typer.Option(metavar="N|unlimited", help="Requests that may wait.")] = "100",
    expires: Annotated[
        str | None, typer.Option(metavar="TIME", help="Until when it is good: 30d from now, or 2027-01-31 (UTC).")
    ] = None,
    retention: Annotated[
        str | None,
        typer.Option(
            metavar="DURATION|none",
            help="How long its results live, instead of the service's setting: 12h, 30d; "
            "none: each is delivered once, then deleted, and no prompt is kept.",
        ),
    ] = None,
    no_edit: Annotated[bool, typer.Option("--no-edit", help="It may not submit edits.")] = False,
    no_history: Annotated[bool, typer.Option("--no-history", help="It may not read the account's history.")] = False,
    no_disable_safety: Annotated[
        bool, typer.Option("--no-disable-safety", help="It may not turn the safety checker off.")
    ] = False,
    no_manage: Annotated[bool, typer.Option("--no-manage", help="It may not manage the account's webhooks.")] = False,
    operator: Annotated[
        bool, typer.Option("--operator", help="An operator's key: it may watch and drain the workers.")
    ] = False,
    no_prompt_in_file: Annotated[
        bool, typer.Option("--no-prompt-in-file", help="Leave the prompt out of the pictures' receipts.")
    ] = False,
) -> None:
    """Make a key and print it, alone, on standard output. It is shown this once: only its hash is stored."""
    if not label.isprintable() or len(label) > 100:
        raise typer.BadParameter("must be at most 100 printable characters", param_hint="--label")
    try:
        key, secret = store.create_key(
            find_account(store, account).id,
            label=label,
            rpm=_parsed("--rpm", _limit, rpm),
            max_running=_parsed("--max-running", _limit, max_running),
            max_queued=_parsed("--max-queued", _limit, max_queued),
            expires_at=_parsed("--expires", lambda text: moment(text, store.clock()), expires),
            retention=_parsed("--retention", _retention, retention),
            may_edit=not no_edit,
            may_read_history=not no_history,
            may_disable_safety=not no_disable_safety,
            may_manage=not no_manage,
            may_operate=operator,
            prompt_in_file=not no_prompt_in_file,
        )
    except ValueError as error:
        die(str(error))
    note(f"made key {key.id} of {account}; it can't be shown again")
    typer.echo(secret)


@keys.command("list")
@with_store
def _list(
    store: Store,
    *,
    account: Annotated[str | None, typer.Option(help="Only the keys of this account.")] = None,
    as_json: AsJson = False,
) -> None:
    """List keys by their last four characters, with what they may do."""
    found = _keys(store, account)
    if as_json:
        return show_json([_as_json(key, owner, store.clock()) for key, owner in found])
    head = ("id", "key", "account", "label", "rpm", "running", "queued", "retention", "not allowed", "operator")
    rows = ((*_row(key, owner), state_of(key, store.clock())) for key, owner in found)
    show_table((*head, "created", "expires", "state"), rows)


@keys.command("revoke")
@with_store
def _revoke(
    store: Store,
    which: Annotated[str, typer.Argument(metavar="ID", help="Its id, or its last four characters.")],
    *,
    account: Annotated[str | None, typer.Option(help="Look among the keys of this account only.")] = None,
) -> None:
    """Revoke a key: it stops at once, on every gateway. Requests that it has submitted go on."""
    fitting = [(key, owner) for key, owner in _keys(store, account) if which in (str(key.id), key.hint)]
    if not fitting:
        die(f"there is no key with the id or the last four characters {which!r}; see: openkontext keys list")
    if len(fitting) > 1:
        named = ", ".join(f"{key.id} (…{key.hint} of {owner.name})" for key, owner in fitting)
        die(f"{which!r} fits more than one key: {named}; revoke it by its id")
    key, owner = fitting[0]
    if not store.revoke_key(key.id):
        die(f"key {key.id} (…{key.hint} of {owner.name}) was revoked already")
    note(f"revoked key {key.id} (…{key.hint} of {owner.name})")


def state_of(key: Key, now: float) -> str:
    """``active``, ``expired`` or ``revoked``."""
    if key.revoked_at is not None:
        return "revoked"
    return "active" if key.good_at(now) else "expired"


def _keys(store: Store, account: str | None) -> list[tuple[Key, Account]]:
    owners: Iterable[Account] = store.accounts() if account is None else [find_account(store, account)]
    return [(key, owner) for owner in owners for key in store.keys(owner.id)]


def _row(key: Key, owner: Account) -> tuple[object, ...]:
    limits = ("unlimited" if limit is None else limit for limit in (key.rpm, key.max_running, key.max_queued))
    retention = "-" if key.retention is None else shown_duration(key.retention) if key.retention else "none"
    withheld = ", ".join(what for what, given in _permissions(key).items() if not given) or "-"
    times = (shown_time(key.created_at), shown_time(key.expires_at))
    operator = "yes" if key.may_operate else "-"
    return (key.id, f"…{key.hint}", owner.name, key.label or "-", *limits, retention, withheld, operator, *times)


def _permissions(key: Key) -> dict[str, bool]:
    return {
        "edit": key.may_edit,
        "history": key.may_read_history,
        "disable-safety": key.may_disable_safety,
        "manage": key.may_manage,
        "prompt-in-file": key.prompt_in_file,
    }


def _as_json(key: Key, owner: Account, now: float) -> dict[str, Any]:
    limits = {name: getattr(key, name) for name in ("rpm", "max_running", "max_queued", "retention")}
    allowed = {name.replace("-", "_"): given for name, given in _permissions(key).items()}
    times = {name: iso(getattr(key, name)) for name in ("created_at", "expires_at", "revoked_at")}
    named = {"id": key.id, "hint": key.hint, "label": key.label, "account": owner.name}
    return named | limits | allowed | {"operator": key.may_operate} | times | {"state": state_of(key, now)}


def _parsed(flag: str, parse: Callable[[str], Value], text: str | None) -> Value | None:
    if text is None:
        return None
    try:
        return parse(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=flag) from None


def _limit(text: str) -> int | None:
    if text == "unlimited":
        return None
    if not (text.isascii() and text.isdigit() and 0 < int(text[:10]) < 1_000_000_000):
        raise ValueError(f"must be a whole number from 1 to 999999999, or unlimited; got {text!r}")
    return int(text)


def _retention(text: str) -> int:
    return 0 if text == "none" else duration(text)
