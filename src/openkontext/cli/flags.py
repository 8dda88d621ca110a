"""Flags that commands share: the settings, the store that they name, an account; and how an error ends a command."""

import inspect
from collections.abc import Callable, Iterable
from contextlib import closing
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from pydantic import ValidationError
from rich.console import Console

from openkontext.media.blobs import BlobsUnavailable
from openkontext.parts import CannotStart, open_store
from openkontext.process import configure_logging
from openkontext.settings import Settings, as_text
from openkontext.store import Account, Store, StoreUnavailable

# Results go to standard output, everything else here.
console = Console(stderr=True, highlight=False)

AccountName = Annotated[str, typer.Option("--account", help="Name of the account.")]
ApiKey = Annotated[str | None, typer.Option(envvar="OPENKONTEXT_API_KEY", help="The server's key for you.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


def with_settings(command: Callable[..., None], names: Iterable[str] = Settings.model_fields) -> Callable[..., None]:
    """Give a command a flag for every setting of these ``names``; the checked `Settings` are its first argument.

    What the settings refuse, and what can't be opened, ends the program with one clear line.
    """

    @wraps(command)
    def run(**arguments: Any) -> None:
        chosen = {name: arguments.pop(name) for name in names}
        try:
            settings = Settings(**{name: value for name, value in chosen.items() if value is not None})
            configure_logging(settings.log_level)
            command(settings, **arguments)
        except ValidationError as error:
            die("; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg'].lower()}" for e in error.errors()))
        except (CannotStart, StoreUnavailable, BlobsUnavailable) as error:
            die(str(error))

    own = list(inspect.signature(command).parameters.values())[1:]
    flags = [_flag(name) for name in names]
    run.__signature__ = inspect.Signature([*own, *flags])  # type: ignore[attr-defined]  # what typer reads
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in (*own, *flags)}
    return run


def with_store(command: Callable[..., None], *, make: bool = False) -> Callable[..., None]:
    """Give a command the open store that the settings name as its first argument, and the flag to name it by.

    ``make``: the data folder may be missing, and is then made.
    """

    @wraps(command)
    def run(settings: Settings, **arguments: Any) -> None:
        if not (make or settings.data.is_dir()):
            die(f"there is no data folder {settings.data}: name the service's with --data")
        with closing(open_store(settings)) as store:
            command(store, **arguments)

    return with_settings(run, ["data"])


def find_account(store: Store, name: str) -> Account:
    """The account of this name; the program ends if there is none."""
    account = store.account(name)
    if account is None:
        die(f"there is no account named {name!r}; `openkontext accounts create` makes one")
    return account


def die(message: str) -> NoReturn:
    """End the program with a line on standard error and status 1."""
    console.print(f"error: {message}", style="red", markup=False, soft_wrap=True)
    raise typer.Exit(1)


def note(message: str) -> None:
    """Tell people, on standard error, what standard output leaves to scripts."""
    console.print(message, markup=False, soft_wrap=True)


def _flag(name: str) -> inspect.Parameter:
    field = Settings.model_fields[name]
    kind = field.annotation if field.annotation in (bool, int, float, Path) else str
    shown = as_text(field.default) if field.default not in ("", frozenset()) else False
    option = typer.Option(help=field.description, envvar=f"OPENKONTEXT_{name.upper()}", show_default=shown)
    annotation: Any = Annotated[kind | None, option]  # a union built at run time
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
