"""`serve`, `gateway` and `worker`: the processes of the service."""

import socket
from typing import Annotated

import typer

from openkontext.settings import Settings

from .flags import console, die, with_settings


@with_settings
def serve(settings: Settings) -> None:
    """Run the whole service on this machine: the gateway and its workers, with one command."""
    from openkontext import service
    from openkontext.worker.supervisor import Misconfigured

    try:
        service.serve(settings, console)
    except Misconfigured as error:
        die(str(error))


@with_settings
def gateway(
    settings: Settings,
    *,
    fd: Annotated[int | None, typer.Option(hidden=True, help="A listening socket handed down.")] = None,
    with_workers: Annotated[bool, typer.Option(hidden=True, help="Be ready only with a loaded worker.")] = False,
) -> None:
    """Run a gateway alone: HTTP in front of the store, no model."""
    from openkontext import service
    from openkontext.gateway import serve as serve_gateway

    if fd is not None:
        listener = socket.socket(fileno=fd)
    else:
        listener = service.listen(settings.host, settings.port)
        service.warn_if_readable(settings, console)
    serve_gateway(settings, listener, wants_worker=with_workers)


@with_settings
def worker(
    settings: Settings,
    *,
    name: Annotated[str | None, typer.Option(help="Unique name of this process; one is made up otherwise.")] = None,
) -> None:
    """Run a worker alone: load the model, then take jobs from the store."""
    from openkontext.worker.main import run

    run(settings, name)
