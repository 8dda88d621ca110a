"""`Engine.edit`: what it returns, what it refuses, and that one edit leaves nothing to the next."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from openkontext.engine import Cancelled, EditResult, Engine, Step
from openkontext.engine.checkpoint import load_checkpoint
from openkontext.engine.latents import encode, unpack
from openkontext.engine.previews import fit

STEPS = 4


def edit(engine: Engine, picture: Image.Image, prompt: str = "make it snow", **arguments: object) -> EditResult:
    """A short edit."""
    return engine.edit(picture, prompt, **{"num_inference_steps": STEPS, **arguments})  # type: ignore[arg-type]


def pixels(result: EditResult) -> bytes:
    """What to compare."""
    return result.image.tobytes()


def test_result_says_how_it_came_about(engine: Engine, picture: Image.Image) -> None:
    """The result carries size, seed, steps, time and the checkpoint it is from."""
    result = edit(engine, picture, seed=9)
    assert (80, 48, "RGB", (80, 48)) == (result.width, result.height, result.image.mode, result.image.size)
    assert (9, STEPS, ()) == (result.seed, result.steps, result.warnings)
    assert ("tiny", "cpu", "float32") == (result.checkpoint, result.device, result.dtype)
    assert engine.checkpoint.fingerprint == result.fingerprint
    assert 0 < result.inference_time < 60


def test_same_seed_same_pixels(engine: Engine, picture: Image.Image) -> None:
    """A seed fixes the picture, and another seed gives another."""
    first, second, other = (edit(engine, picture, seed=seed) for seed in (1, 1, 2))
    assert pixels(first) == pixels(second)
    assert pixels(first) != pixels(other)


@pytest.mark.parametrize(
    "change", [{"prompt": "blur"}, {"guidance": 1.0}, {"num_inference_steps": 5}, {"aspect_ratio": "9:16"}]
)
def test_every_argument_counts(engine: Engine, picture: Image.Image, change: dict[str, object]) -> None:
    """Prompt, guidance, steps and shape each change the picture."""
    assert pixels(edit(engine, picture)) != pixels(edit(engine, picture, **change))  # type: ignore[arg-type]


def test_reference_counts(engine: Engine, picture: Image.Image) -> None:
    """The picture that was given changes the picture that is made."""
    assert pixels(edit(engine, picture)) != pixels(edit(engine, picture.rotate(180)))


def test_steps_are_reported_in_order(engine: Engine, picture: Image.Image) -> None:
    """The callback gets each step once, counted from 1."""
    seen: list[Step] = []
    edit(engine, picture, on_step=seen.append)
    assert [(1, STEPS), (2, STEPS), (3, STEPS), (4, STEPS)] == [(step.step, step.steps) for step in seen]


def test_every_step_has_its_preview(engine: Engine, picture: Image.Image) -> None:
    """A preview is an eighth as wide and high, in colour, and changes from step to step."""
    previews: list[Image.Image | None] = []
    edit(engine, picture, on_step=lambda step: previews.append(step.preview()))
    assert [(10, 6)] * STEPS == [preview.size for preview in previews if preview]
    assert STEPS == len({preview.tobytes() for preview in previews if preview})


def test_a_matrix_is_fitted_where_none_is_given(tiny_checkpoint: Path, tmp_path: Path, picture: Image.Image) -> None:
    """A checkpoint without `openkontext.json`, as the official one is, has previews too, the same each time."""
    plain = Path(shutil.copytree(tiny_checkpoint, tmp_path / "plain"))
    (plain / "openkontext.json").write_text('{"max_area": 4096, "max_sequence_length": 48}')
    previews: list[Image.Image] = []
    for _ in range(2):
        edit(Engine.load(plain, device="cpu"), picture, on_step=lambda step: previews.append(step.preview()))
    assert 2 * STEPS == len(previews)
    assert [image.tobytes() for image in previews[:STEPS]] == [image.tobytes() for image in previews[STEPS:]]


def test_the_fitted_matrix_shows_the_picture() -> None:
    """On a trained autoencoder it tells nearly all of a smooth picture's colours."""
    checkpoint = load_checkpoint("nano", device="cpu")
    factors, bias = fit(checkpoint.vae)
    ramp = torch.linspace(-0.8, 0.8, 64)
    shown = torch.stack(torch.broadcast_tensors(ramp[:, None], ramp, -ramp[:, None]))[None]
    with torch.no_grad():
        latents = unpack(encode(checkpoint.vae, shown), 64, 64)
    seen = (latents.movedim(1, -1) @ factors + bias).movedim(-1, 1)
    wanted = torch.nn.functional.avg_pool2d(shown, 8)
    assert (seen - wanted).square().mean() < 0.05 * wanted.var()


def test_cancel_stops_at_that_step(engine: Engine, picture: Image.Image) -> None:
    """Raising from the callback ends the edit there and then."""
    seen: list[int] = []

    def cancel_at_two(step: Step) -> None:
        seen.append(step.step)
        if step.step == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        edit(engine, picture, on_step=cancel_at_two)
    assert [1, 2] == seen


def test_cancelled_edit_leaves_nothing_behind(tiny_checkpoint: Path, picture: Image.Image) -> None:
    """After a cancel an engine gives the pixels of one that never ran."""

    def cancel(step: Step) -> None:
        raise Cancelled

    used, fresh = Engine.load(tiny_checkpoint, device="cpu"), Engine.load(tiny_checkpoint, device="cpu")
    with pytest.raises(Cancelled):
        edit(used, picture.rotate(90, expand=True), "blur", seed=5, on_step=cancel)
    assert pixels(edit(fresh, picture)) == pixels(edit(used, picture))


def test_long_prompt_is_cut_and_said_so(engine: Engine, picture: Image.Image) -> None:
    """Beyond the encoders' tokens nothing counts, and the result warns, once for each encoder."""
    long = "snow " * 40
    first, second = edit(engine, picture, long), edit(engine, picture, long + "and blur")
    assert pixels(first) == pixels(second)
    assert [
        "the prompt was cut: it has 201 tokens and the encoder reads 48",
        "the prompt's summary (CLIP) leaves its end out: it has 162 tokens and the encoder reads 32",
    ] == list(first.warnings)


def test_prompt_that_fits_has_no_warning(engine: Engine, picture: Image.Image) -> None:
    """A prompt of just the encoder's length is not cut; one letter more is."""
    fits, over = edit(engine, picture, "a" * 30), edit(engine, picture, "a" * 31)
    assert (0, 1) == (len(fits.warnings), len(over.warnings))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"seed": -1}, "seed is 0 to"),
        ({"seed": 2**63}, "seed is 0 to"),
        ({"num_inference_steps": 0}, "at least 1"),
        ({"aspect_ratio": "wide"}, "16:9"),
        ({"aspect_ratio": "5:1"}, "4:1"),
        ({"prompt": "  "}, "blank"),
    ],
)
def test_wrong_arguments_are_refused(
    engine: Engine, picture: Image.Image, arguments: dict[str, object], message: str
) -> None:
    """What can't be done is a ValueError that says why."""
    with pytest.raises(ValueError, match=message):
        edit(engine, picture, **arguments)  # type: ignore[arg-type]


def test_sides_up_to_four_to_one(engine: Engine) -> None:
    """4:1 is edited, a pixel more is refused."""
    assert (128, 32) == edit(engine, Image.new("RGB", (400, 100))).image.size
    with pytest.raises(ValueError, match="401x100"):
        edit(engine, Image.new("RGB", (401, 100)))


def test_orientation_is_honoured(engine: Engine, picture: Image.Image, tmp_path: Path) -> None:
    """A camera's sideways picture is edited as it is seen: the shape is the upright one's, and so are the pixels."""
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    picture.save(tmp_path / "sideways.png", exif=exif)
    sideways = Image.open(tmp_path / "sideways.png")
    upright = picture.transpose(Image.Transpose.ROTATE_270)
    assert pixels(edit(engine, upright)) == pixels(edit(engine, sideways))
    assert (48, 80) == edit(engine, sideways).image.size


def test_output_may_have_another_shape_than_the_reference(engine: Engine, picture: Image.Image) -> None:
    """An aspect ratio that was asked for is the output's."""
    assert (48, 80) == edit(engine, picture, aspect_ratio="9:16").image.size
    assert np.asarray(edit(engine, picture, aspect_ratio="1:1").image).shape == (64, 64, 3)
