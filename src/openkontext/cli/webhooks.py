"""`webhooks`: who is told when an account's requests end, straight on the store; `listen` asks a server instead."""

from typing import Annotated, Any, NoReturn

import typer

from openkontext.media import urls
from openkontext.settings import Settings
from openkontext.store import Endpoint, Store
from openkontext.store.events import TYPES
from openkontext.store.outbox import LoggedDelivery

from .flags import AccountName, ApiKey, AsJson, die, find_account, note, with_settings, with_store
from .output import show_json, show_table
from .times import iso, shown_time

webhooks = typer.Typer(no_args_is_help=True, help="Who is told, by a signed POST, when an account's requests end.")

_EVENTS = tuple(TYPES.values())
_PER_PAGE = 20


@webhooks.command("add")
@with_store
def _add(
    store: Store,
    url: Annotated[str, typer.Argument(help="Where to post.")],
    *,
    account: AccountName = "local",
    events: Annotated[str, typer.Option(help="Which events, comma-separated.")] = ",".join(_EVENTS),
) -> None:
    """Post an account's events to a URL, from now on; prints the secret that signs them, alone."""
    chosen = tuple(dict.fromkeys(filter(None, map(str.strip, events.split(",")))))
    if not chosen or set(chosen) - set(_EVENTS):
        raise typer.BadParameter(f"must be of {', '.join(_EVENTS)}; got {events!r}", param_hint="--events")
    owner = find_account(store, account)
    try:
        endpoint = store.create_endpoint(owner.id, _checked(url), chosen)
    except ValueError as error:
        die(str(error))
    note(f"made webhook {endpoint.id} of {account}")
    typer.echo(endpoint.secret)


@webhooks.command("list")
@with_store
def _list(store: Store, *, account: AccountName = "local", as_json: AsJson = False) -> None:
    """List where an account's events are posted to."""
    found = store.endpoints(find_account(store, account).id)
    if as_json:
        return show_json([_as_json(endpoint) for endpoint in found])
    rows = ((each.id, each.url, ", ".join(each.types), shown_time(each.created_at)) for each in found)
    show_table(("id", "url", "events", "created"), rows)


@webhooks.command("delete")
@with_store
def _delete(
    store: Store,
    webhook: Annotated[str, typer.Argument(metavar="ID", help="The webhook's id.")],
    *,
    account: AccountName = "local",
) -> None:
    """Post nothing to a webhook any more; what waits for it is given up."""
    if not store.delete_endpoint(find_account(store, account).id, webhook):
        _unknown(webhook, account)
    note(f"deleted webhook {webhook} of {account}")


@webhooks.command("secret")
@with_store
def _secret(
    store: Store,
    webhook: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="A webhook's id; without it, the account's own secret.")
    ] = None,
    *,
    account: AccountName = "local",
) -> None:
    """Print the secret that signs what a webhook gets, or what `?webhook=` of a request and `webhooks listen` get."""
    owner = find_account(store, account)
    if webhook is None:
        return typer.echo(store.webhook_secret(owner.id))
    secrets = [each.secret for each in store.endpoints(owner.id) if each.id == webhook]
    typer.echo(secrets[0] if secrets else _unknown(webhook, account))


@webhooks.command("deliveries")
@with_store
def _deliveries(
    store: Store,
    *,
    account: AccountName = "local",
    webhook: Annotated[str | None, typer.Option(metavar="ID", help="Only those to this webhook.")] = None,
    page: Annotated[int, typer.Option(min=1, max=1_000_000, help=f"Which page, of {_PER_PAGE} each.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Show what was posted, or is to be, and what became of it: the newest first."""
    owner = find_account(store, account)
    found, total = store.deliveries(owner.id, page=page, per_page=_PER_PAGE, endpoint_id=webhook)
    if as_json:
        return show_json([_delivery_as_json(delivery) for delivery in found])
    rows = ((each.id, shown_time(each.created_at), each.type, each.job_id, each.url, *_outcome(each)) for each in found)
    show_table(("id", "created", "event", "request", "url", "state", "attempts", "last answer", "next attempt"), rows)
    if total > page * _PER_PAGE:
        note(f"{total} in all; the next are: --page {page + 1}")


@webhooks.command("redeliver")
@with_store
def _redeliver(
    store: Store,
    delivery: Annotated[str, typer.Argument(metavar="ID", help="The id of a delivery.")],
    *,
    account: AccountName = "local",
) -> None:
    """Post an event once more, with the service's next round; prints the id of the new delivery."""
    again = store.redeliver(find_account(store, account).id, delivery)
    if again is None:
        die(f"{account} has no delivery {delivery!r}, or its event's body or its webhook is gone")
    typer.echo(again.id)


def _listen(
    settings: Settings,
    *,
    server: Annotated[
        str | None, typer.Option(metavar="URL", envvar="OPENKONTEXT_BASE_URL", help="The server, if not this machine.")
    ] = None,
    api_key: ApiKey = None,
    body: Annotated[bool, typer.Option("--body", help="Print each event's body too.")] = False,
    forward: Annotated[
        str | None, typer.Option(metavar="URL", help="Post each event to this address, as to a webhook.")
    ] = None,
) -> None:
    """Print the events of an account as they happen, each verified; no public address is needed for it.

    The key says which account; on the service's own machine it is found in the data folder. Ctrl-C ends it.
    """
    from .listening import find_target, listen

    receiver = None if forward is None else _checked(forward)
    listen(find_target(server, api_key, settings.data / "api-key"), body=body, receiver=receiver)


webhooks.command("listen")(with_settings(_listen, ["data"]))


def _checked(url: str) -> str:
    try:
        return urls.parse(url).url
    except ValueError as error:
        die(f"the URL {error}")


def _unknown(webhook: str, account: str) -> NoReturn:
    die(f"{account} has no webhook {webhook!r}; see: openkontext webhooks list --account {account}")


def _outcome(delivery: LoggedDelivery) -> tuple[object, ...]:
    answer = delivery.last_error or delivery.last_status or "-"
    return (delivery.state, delivery.attempts, answer, shown_time(delivery.due_at))


def _as_json(endpoint: Endpoint) -> dict[str, Any]:
    named = {"id": endpoint.id, "url": endpoint.url, "types": list(endpoint.types)}
    return named | {"created_at": iso(endpoint.created_at)}


def _delivery_as_json(delivery: LoggedDelivery) -> dict[str, Any]:
    event = {"id": delivery.id, "event_id": delivery.event_id, "type": delivery.type, "request_id": delivery.job_id}
    receiver = {"webhook_id": delivery.endpoint_id, "url": delivery.url}
    state = {name: getattr(delivery, name) for name in ("state", "attempts", "last_status", "last_error")}
    times = {"created_at": delivery.created_at, "last_at": delivery.last_at, "next_at": delivery.due_at}
    return event | receiver | state | {name: iso(seconds) for name, seconds in times.items()}
