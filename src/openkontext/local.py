"""`openkontext edit`: one edit on this machine, with a progress bar."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from openkontext.contract import InvalidParameters, Problem, parse
from openkontext.contract.parameters import EditParameters
from openkontext.media.images import ImageLimits, decode, encode
from openkontext.parts import load_moderator
from openkontext.safety import ClassifierError, Moderator
from openkontext.settings import Settings

if TYPE_CHECKING:
    import torch
    from PIL import Image

    from openkontext.engine import EditResult, Engine, Step
    from openkontext.media.notary import Notary

FORMATS = {".png": "png", ".jpg": "jpg", ".jpeg": "jpg", ".webp": "webp"}


def edit_file(
    picture: Path,
    out: Path,
    fields: dict[str, Any],
    *,
    model: str,
    device: str | None,
    settings: Settings,
    console: Console,
) -> None:
    """Edit ``picture`` as the contract's ``fields`` say and write ``out``, signed, its receipt in it.

    It is moderated as the ``settings`` say. Raises `Problem` for wrong parameters, an unreadable picture, what the
    safety checker refuses, a checkpoint that can't be loaded or an output that can't be written, the cheap checks
    first.
    """
    parameters, _ = parse(fields | {"input_image": str(picture), "output_format": format_of(out)})
    image = decode(picture.read_bytes(), ImageLimits())
    moderator, notary = moderate(settings, image, parameters), open_notary(settings)
    with progress_bar(console) as bar:
        engine = load(bar, model, device)
        result = run(bar, engine, moderator, image, parameters)
    write(out, engine, notary, image, parameters, result)
    for warning in result.warnings:
        console.print(f"warning: {warning}", style="yellow", markup=False)
    size = f"{result.width} × {result.height}"
    console.print(f"{out}: {size}, seed {result.seed}, {result.inference_time:.1f} s", markup=False)


def format_of(out: Path) -> str:
    """The output format that a file's name asks for. Raises `Problem` for a name or folder that can't be written."""
    if out.suffix.lower() not in FORMATS:
        raise InvalidParameters([f"--out must end in {', '.join(FORMATS)}; got {out.name!r}"])
    if not out.parent.is_dir():
        raise InvalidParameters([f"--out: the folder {out.parent} doesn't exist"])
    return FORMATS[out.suffix.lower()]


def moderate(settings: Settings, image: "Image.Image", parameters: EditParameters) -> Moderator:
    """What is to judge the output too, when it has let prompt and picture pass. Raises `Problem` where it doesn't."""
    try:
        moderator = load_moderator(settings)
    except ClassifierError as error:
        raise Problem("safety_unavailable", str(error)) from None
    moderator.check_prompt(parameters.prompt, disabled=parameters.disable_safety_checker)
    if not parameters.disable_safety_checker:
        # Here and not above: it takes seconds, as in `load`.
        from openkontext.engine.pictures import as_seen

        moderator.check_image(as_seen(image), "input")
    return moderator


def open_notary(settings: Settings) -> "Notary":
    """Who signs as the service of this data folder does or, without one, as the user. Raises `Problem`."""
    # Here and not above: `edit --server` needs none of it.
    from openkontext.media.authority import own_folder
    from openkontext.media.notary import CannotSign, Notary

    folder = settings.authority if settings.data.is_dir() else own_folder()
    try:
        return Notary.open(folder, settings.c2pa_certificate, settings.c2pa_key)
    except CannotSign as error:
        raise Problem("internal", f"the output could not be signed: {error}") from None


def progress_bar(console: Console) -> Progress:
    """The bar on which `load` and `run` show how far they are."""
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console)


def load(bar: Progress, model: str, device: str | None, dtype: "torch.dtype | None" = None) -> "Engine":
    """The engine, see `Engine.load`. Raises `Problem` where that raises `CheckpointError`."""
    # Here and not above: it takes seconds, and what is wrong with the request is said before.
    from openkontext.engine import CheckpointError, Engine

    task = bar.add_task(f"loading {model}", total=None)

    def on_progress(part: str, done: int, total: int) -> None:
        bar.update(task, completed=done, total=total)

    try:
        return Engine.load(model, device=device, dtype=dtype, on_progress=on_progress)
    except CheckpointError as error:
        raise Problem("inference_failed", str(error)) from None


def run(
    bar: Progress, engine: "Engine", moderator: Moderator, image: "Image.Image", parameters: EditParameters
) -> "EditResult":
    """The edit of ``image`` that ``parameters`` ask for. Raises `Problem` where ``moderator`` refuses it."""
    task = bar.add_task("editing", total=parameters.num_inference_steps)

    def on_step(step: "Step") -> None:
        bar.update(task, completed=step.step)

    result = engine.edit(
        image,
        parameters.prompt,
        aspect_ratio=parameters.aspect_ratio,
        guidance=parameters.guidance,
        num_inference_steps=parameters.num_inference_steps,
        seed=parameters.seed,
        on_step=on_step,
    )
    if not parameters.disable_safety_checker:
        moderator.check_image(result.image, "output")
    return result


def write(
    out: Path,
    engine: "Engine",
    notary: "Notary",
    image: "Image.Image",
    parameters: EditParameters,
    result: "EditResult",
) -> None:
    """Write an edit's picture with its receipt, signed, in the format that ``parameters`` name."""
    from openkontext.provenance import receipt_of

    receipt = receipt_of(engine.checkpoint, image, parameters.as_dict(), result.image)
    data = encode(result.image, parameters.output_format, parameters.output_quality, receipt)
    out.write_bytes(notary.sign(data, parameters.output_format, receipt))
