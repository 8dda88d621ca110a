"""`openkontext replay`: make an edit again by the receipt in its file, and say whether it is the same."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageChops
from rich.console import Console
from rich.progress import Progress

from openkontext.contract import DEFAULTS, InvalidParameters, Problem, parse
from openkontext.contract.parameters import EditParameters
from openkontext.local import format_of, load, moderate, open_notary, progress_bar, run, write
from openkontext.media import receipts
from openkontext.media.images import ImageLimits, decode, encode, inspect
from openkontext.media.receipts import Receipt
from openkontext.settings import Settings

if TYPE_CHECKING:
    from openkontext.engine import Engine

# What may be another here than it was there, and change pixels.
_CIRCUMSTANCES = {
    "device": "the device",
    "dtype": "the type of the numbers",
    "threads": "the number of CPU threads",
    "torch": "the version of PyTorch",
    "diffusers": "the version of diffusers",
    "transformers": "the version of transformers",
    "pillow": "the version of Pillow",
}
_DTYPES = ("float32", "bfloat16", "float16")
_MOST_THREADS = 1024
# Outputs are larger files than the inputs that the service takes.
_OUTPUT_LIMITS = ImageLimits(max_bytes=200_000_000)


def replay_file(
    file: Path,
    picture: Path,
    out: Path,
    *,
    model: str | None,
    device: str | None,
    prompt: str | None,
    disable_safety_checker: bool,
    settings: Settings,
    console: Console,
) -> bool:
    """Do the edit of ``file``'s receipt again, with ``picture``, and write ``out``; True if it has the same pixels.

    ``model``, ``device`` and ``prompt`` are the receipt's unless given. A jpg or webp is compared as it comes out of
    the encoder. What is another here than it was there is printed before the edit, the verdict after it. Whether it is
    moderated is said here, not by the receipt.
    Raises `Problem` for a file without a receipt or without its prompt, and as `openkontext.local.edit_file` does.
    """
    data = file.read_bytes()
    before = decode(data, _OUTPUT_LIMITS).convert("RGB")
    receipt = _receipt(file, data)
    said = _parameters(file, receipt, picture, prompt)
    # A stranger's file has no say in what is checked here.
    parameters = replace(said, output_format=format_of(out), disable_safety_checker=disable_safety_checker)
    image = decode(picture.read_bytes(), ImageLimits())
    moderator, notary = moderate(settings, image, parameters), open_notary(settings)
    with progress_bar(console) as bar:
        engine = _load(bar, receipt, model, device)
        with _threads(receipt):
            apart = [*_of_the_file(data, receipt, prompt), *_differences(receipt, engine, image)]
            for difference in apart:
                console.print(f"warning: {difference}", style="yellow", markup=False)
            result = run(bar, engine, moderator, image, parameters)
            write(out, engine, notary, image, parameters, result)
    after = decode(encode(result.image, receipt["output_format"], receipt["output_quality"]), _OUTPUT_LIMITS)
    change = _change(before, after)
    console.print(f"{out}: {_verdict(file, change, apart)}", markup=False)
    return change is None


def _receipt(file: Path, data: bytes) -> Receipt:
    receipt = receipts.read(data)
    if receipt is None:
        why = "openkontext didn't make it, or a program that saved it again left the receipt out"
        raise InvalidParameters([f"{file} has no receipt: {why}"])
    return receipt


def _parameters(file: Path, receipt: Receipt, picture: Path, prompt: str | None) -> EditParameters:
    """What the receipt says, checked as a request is: anybody may have written it."""
    prompt = prompt or receipt.get("prompt")
    if prompt is None:
        raise InvalidParameters([f"the receipt of {file} leaves the prompt out: give it by --prompt"])
    fields = {name: receipt[name] for name in DEFAULTS if name in receipt}
    parameters, _ = parse(fields | {"prompt": prompt, "input_image": str(picture)})
    return parameters


def _load(bar: Progress, receipt: Receipt, model: str | None, device: str | None) -> "Engine":
    # Here and not above: it takes seconds, and what is wrong with the file is said before.
    import torch

    place = device or ("cpu" if receipt["device"].startswith("cpu") else None)
    dtype = getattr(torch, receipt["dtype"]) if receipt["dtype"] in _DTYPES else None
    try:
        return load(bar, model or receipt["checkpoint"], place, dtype)
    except Problem as problem:
        if model:
            raise
        hint = "if you have it under another name, give that by --model"
        raise Problem(problem.code, f"{problem.message}; {hint}") from None


@contextmanager
def _threads(receipt: Receipt) -> Iterator[None]:
    """Compute with as many CPU threads as the receipt says."""
    import torch

    usual = torch.get_num_threads()
    wanted = receipt.get("threads", usual)
    torch.set_num_threads(wanted if 1 <= wanted <= _MOST_THREADS else usual)
    try:
        yield
    finally:
        torch.set_num_threads(usual)


def _of_the_file(data: bytes, receipt: Receipt, prompt: str | None) -> Iterator[str]:
    """What already the file says about why its pixels can't be made again."""
    form = inspect(data, _OUTPUT_LIMITS).format
    if form != receipt["output_format"].replace("jpg", "jpeg"):
        yield f"the file was made as {receipt['output_format']} and is {form} now: it was saved again"
    if prompt and "prompt" not in receipt:
        yield "the receipt leaves the prompt out: the one given counts, whether it was that or not"
    elif prompt and prompt != receipt["prompt"]:
        yield "the prompt given isn't the receipt's"
    elif receipt.get("prompt_cut") and not prompt:
        yield "the receipt has the beginning of the prompt only: give all of it by --prompt"


def _differences(receipt: Receipt, engine: "Engine", image: Image.Image) -> Iterator[str]:
    """What is another here than it was there."""
    from openkontext.provenance import circumstances

    here = circumstances(engine.checkpoint, image)
    if here["fingerprint"] != receipt["fingerprint"]:
        yield (
            f"the checkpoint is another: {here['checkpoint']} with fingerprint {here['fingerprint']}, "
            f"where the file is from {receipt['checkpoint']} with {receipt['fingerprint']}"
        )
    if here["input_sha256"] != receipt["input_sha256"]:
        yield "the picture given isn't the one that was edited, or its pixels were changed since"
    for name, what in _CIRCUMSTANCES.items():
        # Only CPUs have threads; that it was none, or is none, the device says already.
        if name in here and name in receipt and here[name] != receipt[name]:
            yield f"{what} is {here[name]} here and was {receipt[name]} there"


def _change(before: Image.Image, after: Image.Image) -> str | None:
    """How far two pictures are apart, or None."""
    if before.size != after.size:
        return f"the size is {after.width} × {after.height} and was {before.width} × {before.height}"
    change = np.asarray(ImageChops.difference(before, after)).max(axis=2)
    if not change.any():
        return None
    return f"{np.count_nonzero(change)} of {change.size} pixels differ, by up to {change.max()} of 255"


def _verdict(file: Path, change: str | None, apart: list[str]) -> str:
    if change is None:
        return f"the same pixels as {file}"
    if apart:
        return f"not the same pixels as {file}: {change}. The warnings above say what may be the reason"
    return (
        f"not the same pixels as {file}: {change}. Picture, checkpoint, device and versions are the same: "
        "the file's pixels or its receipt were changed after it was made"
    )
