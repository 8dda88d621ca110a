"""`openkontext edit`: one edit on this machine, with a progress bar."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from openkontext.contract import InvalidParameters, Problem, parse
from openkontext.media.images import ImageLimits, decode, encode

if TYPE_CHECKING:
    from openkontext.engine import Engine, Step

FORMATS = {".png": "png", ".jpg": "jpg", ".jpeg": "jpg", ".webp": "webp"}


def edit_file(
    picture: Path, out: Path, fields: dict[str, Any], *, model: str, device: str | None, console: Console
) -> None:
    """Edit ``picture`` as the contract's ``fields`` say and write ``out``.

    Raises `Problem` for wrong parameters, an unreadable picture, a checkpoint that can't be loaded or an output
    that can't be written, the cheap checks first.
    """
    if out.suffix.lower() not in FORMATS:
        raise InvalidParameters([f"--out must end in {', '.join(FORMATS)}; got {out.name!r}"])
    parameters, _ = parse(fields | {"input_image": str(picture), "output_format": FORMATS[out.suffix.lower()]})
    if not out.parent.is_dir():
        raise InvalidParameters([f"--out: the folder {out.parent} doesn't exist"])
    image = decode(picture.read_bytes(), ImageLimits())
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as bar:
        engine = _load(model, device, bar)
        task = bar.add_task("editing", total=parameters.num_inference_steps)

        def on_step(step: "Step") -> None:
            bar.update(task, completed=step.step)

        started = time.monotonic()
        result = engine.edit(
            image,
            parameters.prompt,
            aspect_ratio=parameters.aspect_ratio,
            guidance=parameters.guidance,
            num_inference_steps=parameters.num_inference_steps,
            seed=parameters.seed,
            on_step=on_step,
        )
        seconds = time.monotonic() - started
    out.write_bytes(encode(result.image, parameters.output_format, parameters.output_quality))
    for warning in result.warnings:
        console.print(f"warning: {warning}", style="yellow", markup=False)
    size = f"{result.image.width} × {result.image.height}"
    console.print(f"{out}: {size}, seed {result.seed}, {seconds:.1f} s", markup=False)


def _load(model: str, device: str | None, bar: Progress) -> "Engine":
    # Here and not above: it takes seconds, and what is wrong with the request is said before.
    from openkontext.engine import CheckpointError, Engine

    task = bar.add_task(f"loading {model}", total=None)

    def on_progress(part: str, done: int, total: int) -> None:
        bar.update(task, completed=done, total=total)

    try:
        return Engine.load(model, device=device, on_progress=on_progress)
    except CheckpointError as error:
        raise Problem("inference_failed", str(error)) from None
