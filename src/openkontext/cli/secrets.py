"""`secret`: what signs the addresses of results and uploads."""

from contextlib import closing
from typing import Annotated

import typer

from openkontext.parts import open_secrets, open_store
from openkontext.settings import Settings

from .flags import die, note, with_settings
from .times import duration, shown_time

secret = typer.Typer(no_args_is_help=True, help="The secret that signs the addresses of results and uploads.")


def _rotate(
    settings: Settings,
    *,
    keep: Annotated[
        str | None,
        typer.Option(
            metavar="DURATION|none",
            help="How long addresses signed before are good at most; none: they end now, for a secret that got out.",
        ),
    ] = None,
) -> None:
    """Replace the secret, also while the service runs: addresses given out before are good until they expire.

    A poll shows the addresses that the new secret signs.
    """
    if not settings.data.is_dir():
        die(f"there is no data folder {settings.data}: name the service's with --data")
    longest = _keep(keep)
    with closing(open_store(settings)) as store:
        now = store.clock()
        try:
            end = open_secrets(settings).rotate(now, lambda: min(store.last_expiry() or now, now + longest))
        except OSError as error:
            die(f"can't replace the secret: {(error.strerror or str(error)).lower()}")
    note("made a new secret; addresses signed before " + _what_becomes(end, now))


def _keep(text: str | None) -> float:
    if text is None:
        return float("inf")
    try:
        return 0.0 if text == "none" else duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--keep") from None


def _what_becomes(end: float, now: float) -> str:
    return f"are good until they expire, the last at {shown_time(end)}" if end > now else "are good no more"


secret.command("rotate")(with_settings(_rotate, ["data"]))
