"""`edit` and `replay`: one picture, here and now."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from openkontext.contract import DEFAULTS, Problem
from openkontext.settings import Settings

from .flags import ApiKey, console, die, with_settings

# Of the service's settings, those that say what is refused and who signs.
_as_a_service = partial(
    with_settings,
    names=(
        "data",
        "c2pa_certificate",
        "c2pa_key",
        "safety_threshold",
        "image_classifier",
        "prompt_policy",
        "prompt_threshold",
        "unsafe_labels",
    ),
)

Unchecked = Annotated[
    bool, typer.Option("--disable-safety-checker", help="Check nothing but that no minor is sexualised.")
]


@_as_a_service
def edit(
    settings: Settings,
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
    disable_safety_checker: Unchecked = False,
    server: Annotated[
        str | None, typer.Option(metavar="URL", help="Have it done there, with that server's model and device.")
    ] = None,
    api_key: ApiKey = None,
) -> None:
    """Edit a picture here and now, without a server; or on one, with --server."""
    from openkontext.local import edit_file
    from openkontext.remote import edit_remote

    fields = {
        "aspect_ratio": aspect_ratio,
        "guidance": guidance,
        "num_inference_steps": steps,
        "seed": seed,
        "output_quality": quality,
        "prompt": prompt,
        "disable_safety_checker": disable_safety_checker,
    }
    try:
        if server:
            edit_remote(picture, out, fields, server=server, api_key=api_key, console=console)
        else:
            edit_file(picture, out, fields, model=model, device=device, settings=settings, console=console)
    except Problem as problem:
        die(problem.message)


@_as_a_service
def replay(
    settings: Settings,
    file: Annotated[
        Path, typer.Argument(help="A picture that was made here, or on a server.", exists=True, dir_okay=False)
    ],
    picture: Annotated[
        Path, typer.Option("--input", help="The picture that it was made from.", exists=True, dir_okay=False)
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Where to write; the suffix names the format.")] = Path(
        "replayed.png"
    ),
    model: Annotated[str | None, typer.Option(help="Checkpoint, instead of the one that the receipt names.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu, mps or cuda, instead of the receipt's.")] = None,
    prompt: Annotated[str | None, typer.Option(help="The prompt, where the receipt leaves it out.")] = None,
    disable_safety_checker: Unchecked = False,
) -> None:
    """Make an edit again by the receipt in its file, and say whether the pixels are the same: status 0 if they are."""
    from openkontext.replaying import replay_file

    try:
        same = replay_file(
            file,
            picture,
            out,
            model=model,
            device=device,
            prompt=prompt,
            disable_safety_checker=disable_safety_checker,
            settings=settings,
            console=console,
        )
    except Problem as problem:
        die(problem.message)
    if not same:
        raise typer.Exit(1)
