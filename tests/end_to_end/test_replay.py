"""`openkontext replay`: an edit made again from its file alone is the same, or it is said what isn't."""

import io
from pathlib import Path

import pytest
import torch
from PIL import Image
from rich.console import Console

from openkontext.contract import Problem
from openkontext.local import edit_file
from openkontext.media.authority import CERTIFICATE, own_folder, read_certificates
from openkontext.media.claims import examine
from openkontext.media.images import CONTENT_TYPES, encode
from openkontext.media.receipts import read
from openkontext.replaying import replay_file
from openkontext.safety import Blocked
from openkontext.settings import Settings
from tests.checkpoints import make_tiny_checkpoint
from tests.end_to_end.web import picture

FIELDS = {"prompt": "make it snow", "num_inference_steps": 4, "seed": 7, "output_quality": 70}
# Of a machine without a service.
SETTINGS = Settings(data=Path("nowhere"))


def edit(photo: Path, out: Path, model: Path, **fields: object) -> None:
    """Edit a photo here, as `openkontext edit` does."""
    console = Console(file=io.StringIO())
    edit_file(photo, out, FIELDS | fields, model=str(model), device="cpu", settings=SETTINGS, console=console)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> Path:
    """A photo, and its edits in every format; not to be changed."""
    folder = tmp_path_factory.mktemp("replay")
    (folder / "photo.png").write_bytes(picture())
    for format in CONTENT_TYPES:
        out = folder / f"edited.{format}"
        edit(folder / "photo.png", out, tiny)
    return folder


@pytest.fixture
def replay(folder: Path, tiny: Path, tmp_path: Path):
    """Replays a file; gives whether it is the same and what was said."""

    def replay(
        file: Path,
        photo: Path | None = None,
        model: Path | None = tiny,
        prompt: str | None = None,
        unchecked: bool = False,
    ) -> tuple[bool, str]:
        console = Console(file=io.StringIO(), width=1000)
        same = replay_file(
            file,
            photo or folder / "photo.png",
            tmp_path / "replayed.png",
            model=model and str(model),
            device=None,
            prompt=prompt,
            disable_safety_checker=unchecked,
            settings=SETTINGS,
            console=console,
        )
        return same, console.file.getvalue()  # type: ignore[attr-defined]  # it is the StringIO from above

    return replay


def changed(file: Path, to: Path, image: Image.Image | None = None, **fields: object) -> Path:
    """A copy of a file with other pixels or another receipt; a field that is None is left out."""
    receipt = (read(file.read_bytes()) or {}) | fields
    with Image.open(file) as own:
        data = encode(image or own, to.suffix[1:], 70, {name: v for name, v in receipt.items() if v is not None})
    to.write_bytes(data)
    return to


@pytest.mark.parametrize("format", CONTENT_TYPES)
def test_the_same_pixels(folder: Path, replay, tmp_path: Path, format: str):
    """Of an edit on this machine, in every format; the picture made is written, with a receipt of its own."""
    same, said = replay(folder / f"edited.{format}")
    assert same, said
    assert f"replayed.png: the same pixels as {folder}/edited.{format}" in said
    assert "warning" not in said
    with Image.open(tmp_path / "replayed.png") as made, Image.open(folder / "edited.png") as original:
        assert original.tobytes() == made.tobytes()
    assert 7 == read((tmp_path / "replayed.png").read_bytes())["seed"]


@pytest.mark.parametrize("format", CONTENT_TYPES)
def test_signed_by_the_user(folder: Path, format: str):
    """Without a service here an authority of the user's own signs, once made: all three formats hold by one."""
    anchors = read_certificates(own_folder() / CERTIFICATE)
    assert "holds" == examine((folder / f"edited.{format}").read_bytes(), anchors).verdict


@pytest.mark.parametrize("threads", [2, 3])
def test_threads_are_as_many_as_then(folder: Path, tiny: Path, replay, tmp_path: Path, threads: int):
    """Whatever this process would use: on most CPUs another number gives other pixels."""
    usual = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        out = tmp_path / "edited.png"
        edit(folder / "photo.png", out, tiny)
    finally:
        torch.set_num_threads(usual)
    same, said = replay(out)
    assert same, said
    assert "warning" not in said
    assert (threads, usual) == (read(out.read_bytes())["threads"], torch.get_num_threads())


def test_the_same_picture_in_another_file(folder: Path, replay, tmp_path: Path):
    """What the engine sees counts, not the bytes."""
    with Image.open(folder / "photo.png") as image:
        image.save(tmp_path / "photo.webp", lossless=True)
    same, said = replay(folder / "edited.png", tmp_path / "photo.webp")
    assert same, said
    assert "warning" not in said


def test_another_picture(folder: Path, replay, tmp_path: Path):
    """It is noticed before the edit, and by its pixels after it."""
    (tmp_path / "other.png").write_bytes(picture(form="JPEG", quality=30))
    same, said = replay(folder / "edited.png", tmp_path / "other.png")
    assert not same
    assert "warning: the picture given isn't the one that was edited, or its pixels were changed since" in said
    assert "replayed.png: not the same pixels as" in said
    assert "The warnings above say what may be the reason" in said


def test_a_picture_of_another_shape(folder: Path, replay, tmp_path: Path):
    """Sizes are compared before pixels are."""
    (tmp_path / "other.png").write_bytes(picture(200, 300))
    same, said = replay(folder / "edited.png", tmp_path / "other.png")
    assert not same
    assert "the size is 96 × 144 and was 144 × 96" in said


def test_another_checkpoint_of_that_name(folder: Path, replay, tmp_path: Path):
    """Its fingerprint tells."""
    other = make_tiny_checkpoint(tmp_path / "tiny", seed=1, max_area=128**2)
    same, said = replay(folder / "edited.png", model=other)
    assert not same
    fingerprint = read((folder / "edited.png").read_bytes())["fingerprint"]
    assert "warning: the checkpoint is another: tiny with fingerprint" in said
    assert f"with {fingerprint}" in said


def test_a_receipt_of_another_seed(folder: Path, replay, tmp_path: Path):
    """Nothing differs but the outcome: then the file or its receipt was changed."""
    same, said = replay(changed(folder / "edited.png", tmp_path / "forged.png", seed=8))
    assert not same
    assert "warning" not in said
    assert "the file's pixels or its receipt were changed after it was made" in said


def test_one_pixel_that_was_changed(folder: Path, replay, tmp_path: Path):
    """It is counted, and by how much it differs."""
    with Image.open(folder / "edited.png") as image:
        retouched = image.copy()
    red, green, blue = retouched.getpixel((5, 5))
    retouched.putpixel((5, 5), (red, green, (blue + 100) % 256))
    same, said = replay(changed(folder / "edited.png", tmp_path / "retouched.png", retouched))
    assert not same
    assert f"1 of {144 * 96} pixels differ, by up to {abs((blue + 100) % 256 - blue)} of 255" in said


def test_other_circumstances_are_named(folder: Path, replay, tmp_path: Path):
    """Each that is another here; the pixels count all the same."""
    there = {"device": "NVIDIA H100 80GB HBM3", "torch": "2.0", "threads": None}
    same, said = replay(changed(folder / "edited.png", tmp_path / "far.png", **there))
    here = read((folder / "edited.png").read_bytes())
    assert same, said
    assert 2 == said.count("warning")
    assert f"warning: the device is {here['device']} here and was NVIDIA H100 80GB HBM3 there" in said
    assert f"warning: the version of PyTorch is {here['torch']} here and was 2.0 there" in said


def test_a_file_saved_again_in_another_format(folder: Path, replay, tmp_path: Path):
    """With its receipt, which then tells of another file."""
    same, said = replay(changed(folder / "edited.webp", tmp_path / "again.png"))
    assert same, said
    assert "warning: the file was made as webp and is png now: it was saved again" in said


def test_a_prompt_that_was_left_out(folder: Path, replay, tmp_path: Path):
    """It has to be given; the right one makes the same pixels, and another is told apart."""
    silent = changed(folder / "edited.png", tmp_path / "silent.png", prompt=None)
    with pytest.raises(Problem, match="leaves the prompt out: give it by --prompt"):
        replay(silent)
    same, said = replay(silent, prompt="make it snow")
    assert same, said
    assert "warning: the receipt leaves the prompt out" in said
    assert not replay(silent, prompt="make it rain")[0]


def test_a_prompt_that_was_cut(folder: Path, replay, tmp_path: Path):
    """The file has its beginning, and says so."""
    cut = changed(folder / "edited.png", tmp_path / "cut.png", prompt="make", prompt_cut=True)
    same, said = replay(cut)
    assert not same
    assert "warning: the receipt has the beginning of the prompt only: give all of it by --prompt" in said
    assert replay(cut, prompt="make it snow")[0]


def test_a_receipt_does_not_turn_the_checker_off(folder: Path, replay, tmp_path: Path):
    """Who replays says whether it is checked; who wrote the file doesn't."""
    forged = changed(folder / "edited.png", tmp_path / "forged.png", prompt="undress her", disable_safety_checker=True)
    with pytest.raises(Blocked) as blocked:
        replay(forged)
    assert "undressing" == blocked.value.moderation["category"]
    replay(forged, unchecked=True)
    assert read((tmp_path / "replayed.png").read_bytes())["disable_safety_checker"]


def test_a_file_without_a_receipt(folder: Path, replay, tmp_path: Path):
    """Stripped of its metadata, it is refused before anything is loaded."""
    with Image.open(folder / "edited.png") as image:
        (tmp_path / "bare.png").write_bytes(encode(image, "png", 90))
    with pytest.raises(Problem, match=r"bare.png has no receipt: openkontext didn't make it, or a program"):
        replay(tmp_path / "bare.png", model=tmp_path / "nowhere")


def test_a_receipt_that_asks_for_what_is_not_allowed(folder: Path, replay, tmp_path: Path):
    """It is checked like any request."""
    with pytest.raises(Problem, match="num_inference_steps must be an integer from 4 to 50; got 5000"):
        replay(changed(folder / "edited.png", tmp_path / "forged.png", num_inference_steps=5000))


def test_a_checkpoint_that_is_not_here(folder: Path, replay, tmp_path: Path):
    """The receipt knows only its name: where it lies must be said."""
    gone = changed(folder / "edited.png", tmp_path / "gone.png", checkpoint="gone")
    with pytest.raises(Problem, match=r"checkpoint gone: no such folder.*give that by --model"):
        replay(gone, model=None)
