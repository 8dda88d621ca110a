"""The command line: thin commands over the service and the engine."""

import inspect
import socket
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich.console import Console

from openkontext.contract import DEFAULTS, Problem
from openkontext.media.blobs import BlobsUnavailable
from openkontext.parts import CannotStart
from openkontext.process import configure_logging
from openkontext.settings import Settings
from openkontext.store import StoreUnavailable

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="FLUX.1 Kontext [dev] on your own machine: an image and an instruction go in, the edited image comes out.",
)
console = Console(stderr=True, highlight=False)


def with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command a flag for every setting; it receives the checked `Settings` as its first argument.

    What the settings refuse, and what can't be opened, ends the program with one clear line.
    """

    @wraps(command)
    def run(**arguments: Any) -> None:
        chosen = {name: arguments.pop(name) for name in Settings.model_fields}
        try:
            settings = Settings(**{name: value for name, value in chosen.items() if value is not None})
            configure_logging(settings.log_level)
            command(settings, **arguments)
        except ValidationError as error:
            _die("; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg'].lower()}" for e in error.errors()))
        except (CannotStart, StoreUnavailable, BlobsUnavailable) as error:
            _die(str(error))

    own = list(inspect.signature(command).parameters.values())[1:]
    flags = [_flag(name) for name in Settings.model_fields]
    run.__signature__ = inspect.Signature([*own, *flags])  # type: ignore[attr-defined]  # what typer reads
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in (*own, *flags)}
    return run


def _flag(name: str) -> inspect.Parameter:
    field = Settings.model_fields[name]
    kind = field.annotation if field.annotation in (int, float, Path) else str
    shown = str(field.default) if field.default not in ("", frozenset()) else False
    option = typer.Option(help=field.description, envvar=f"OPENKONTEXT_{name.upper()}", show_default=shown)
    annotation: Any = Annotated[kind | None, option]  # a union built at run time
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _die(message: str) -> None:
    console.print(f"error: {message}", style="red", markup=False, soft_wrap=True)
    raise typer.Exit(1)


@app.command()
@with_settings
def serve(settings: Settings) -> None:
    """Run the whole service on this machine: the gateway and its workers, with one command."""
    from openkontext import service
    from openkontext.worker.supervisor import Misconfigured

    try:
        service.serve(settings, console)
    except Misconfigured as error:
        _die(str(error))


@app.command()
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

    listener = socket.socket(fileno=fd) if fd is not None else service.listen(settings.host, settings.port)
    serve_gateway(settings, listener, wants_worker=with_workers)


@app.command()
@with_settings
def worker(
    settings: Settings,
    *,
    name: Annotated[str | None, typer.Option(help="Unique name of this process; one is made up otherwise.")] = None,
) -> None:
    """Run a worker alone: load the model, then take jobs from the store."""
    from openkontext.worker.main import run

    run(settings, name)


@app.command()
def edit(
    picture: Annotated[Path, typer.Argument(help="The picture to edit.", exists=True, dir_okay=False)],
    prompt: Annotated[str, typer.Argument(help="What to change.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Where to write; the suffix names the format.")] = Path(
        "edited.png"
    ),
    model: Annotated[str, typer.Option(help="Checkpoint.", envvar="OPENKONTEXT_MODEL")] = "nano",
    device: Annotated[str | None, typer.Option(help="cpu, mps or cuda.", envvar="OPENKONTEXT_DEVICE")] = None,
    aspect_ratio: Annotated[str, typer.Option(help="Shape of the output.")] = DEFAULTS["aspect_ratio"],
    guidance: Annotated[float, typer.Option(help="Adherence to the prompt, 0 to 10.")] = DEFAULTS["guidance"],
    steps: Annotated[int, typer.Option(help="Denoising steps, 4 to 50.")] = DEFAULTS["num_inference_steps"],
    seed: Annotated[int, typer.Option(help="Same seed, same picture; -1 draws one.")] = DEFAULTS["seed"],
    quality: Annotated[int, typer.Option(help="Quality of webp and jpg, 0 to 100.")] = DEFAULTS["output_quality"],
) -> None:
    """Edit a picture here and now, without a server."""
    from openkontext.local import edit_file

    fields = {
        "aspect_ratio": aspect_ratio,
        "guidance": guidance,
        "num_inference_steps": steps,
        "seed": seed,
        "output_quality": quality,
        "prompt": prompt,
    }
    try:
        edit_file(picture, out, fields, model=model, device=device, console=console)
    except Problem as problem:
        _die(problem.message)


def main() -> None:
    """Entry point."""
    app()
