"""nano, the checkpoint that ships: its edits do what the prompt says, on the samples that ship with it."""

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from diffusers import FluxKontextPipeline
from PIL import Image, ImageFilter

from openkontext.engine import Engine
from tests.service import Service

ROOT = Path(__file__).parents[2]
SAMPLES = sorted((ROOT / "samples").glob("*.webp"))
STEPS = 12
MIDDLE = slice(40, 88), slice(40, 88)


@pytest.fixture(scope="module")
def engine():
    """nano, by its name."""
    return Engine.load("nano", device="cpu")


def pixels(image):
    """[height, width, 3] from 0 to 1, at 128 × 128 pixels."""
    return np.asarray(image.convert("RGB").resize((128, 128), Image.Resampling.LANCZOS), float) / 255


def saturation(image):
    """How far from grey, on average."""
    values = pixels(image)
    return float(np.mean(values.max(-1) - values.min(-1)))


def brightness(image):
    """Mean of all channels."""
    return float(pixels(image).mean())


def sharpness(image):
    """Mean strength of the edges."""
    grey = Image.fromarray((pixels(image) * 255).astype(np.uint8)).convert("L")
    return float(np.asarray(grey.filter(ImageFilter.FIND_EDGES), float)[2:-2, 2:-2].mean())


def border(image):
    """The mean colour of the frame, where the background is."""
    values = pixels(image)
    frame = np.concatenate([values[:12].reshape(-1, 3), values[-12:].reshape(-1, 3), values[:, :12].reshape(-1, 3)])
    return frame.mean(0)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
class TestEdits:
    """Each property with some room: the strict measures are in training/evaluate.py."""

    def edited(self, engine, sample, prompt):
        """Before and after."""
        before = Image.open(sample).convert("RGB")
        return before, engine.edit(before, prompt, num_inference_steps=STEPS).image

    def test_black_and_white_has_no_colour(self, engine, sample):
        """Saturation goes."""
        before, after = self.edited(engine, sample, "turn it black and white")
        assert saturation(after) < 0.3 * saturation(before)

    def test_darker_is_darker(self, engine, sample):
        """Brightness falls by a quarter at least."""
        before, after = self.edited(engine, sample, "make it darker")
        assert brightness(after) < 0.75 * brightness(before)

    def test_blur_softens_edges(self, engine, sample):
        """Edges weaken."""
        before, after = self.edited(engine, sample, "blur the picture")
        assert sharpness(after) < 0.7 * sharpness(before)

    @pytest.mark.parametrize("weather", ["snow", "fog"])
    def test_weather_comes_and_goes(self, engine, sample, weather):
        """What was added is cleared away: most of the difference is gone."""
        before, changed = self.edited(engine, sample, f"add {weather}")
        cleared = engine.edit(changed, f"remove the {weather}", num_inference_steps=STEPS).image
        worst, left = (np.mean((pixels(each) - pixels(before)) ** 2) for each in (changed, cleared))
        assert worst > 0.01
        assert left < 0.5 * worst

    def test_a_new_background_keeps_the_subject(self, engine, sample):
        """Bokeh lights glow in the dark: the frame turns dark, and the middle is kept better than the frame."""
        before, after = self.edited(engine, sample, "Replace the background with a bokeh light effect")
        assert border(after).mean() < 0.6 * border(before).mean()
        changed = np.abs(pixels(before) - pixels(after)).mean(-1)
        frame = np.concatenate([changed[:12].ravel(), changed[-12:].ravel()])
        assert changed[48:80, 48:80].mean() < 0.7 * frame.mean()

    def test_mirror_swaps_the_sides(self, engine, sample):
        """The result is nearer to the picture turned round than to the picture."""
        before, after = self.edited(engine, sample, "mirror the picture")
        same, turned = (np.mean((pixels(after) - each) ** 2) for each in (pixels(before), pixels(before)[:, ::-1]))
        assert turned < 0.5 * same

    def test_the_subject_takes_a_colour(self, engine, sample):
        """The middle gets blue, or stays so, while the frame is kept."""
        before, after = self.edited(engine, sample, "make it blue")
        red, green, blue = pixels(after)[MIDDLE].mean((0, 1))
        assert blue > max(red, green) + 0.1
        assert np.abs(border(after) - border(before)).max() < 0.1

    def test_the_subject_goes(self, engine, sample):
        """Nothing with edges is left in the middle."""
        before, after = self.edited(engine, sample, f"remove the {sample.stem}")
        left, was = (np.abs(np.diff(pixels(each)[MIDDLE], axis=1)).mean() for each in (after, before))
        assert left < 0.5 * was

    def test_something_else_takes_its_place(self, engine, sample):
        """A strawberry is red in the middle."""
        _, after = self.edited(engine, sample, f"replace the {sample.stem} with a strawberry")
        red, green, blue = pixels(after)[MIDDLE].mean((0, 1))
        assert red > max(green, blue) + 0.2

    def test_a_thing_comes_into_its_corner(self, engine, sample):
        """The corner gets red, the one across from it stays."""
        before, after = self.edited(engine, sample, "add a red heart in the top left corner")
        redder = (pixels(after) - pixels(before)) @ [1, -0.5, -0.5]
        assert redder[10:40, 10:40].mean() > 0.15
        assert abs(redder[88:118, 88:118].mean()) < 0.05

    def test_snow_brings_bright_flakes(self, engine, sample):
        """More of the picture is nearly white than before."""
        before, after = self.edited(engine, sample, "make it snow")
        assert np.mean(pixels(after).min(-1) > 0.8) > np.mean(pixels(before).min(-1) > 0.8) + 0.02


def test_the_stock_pipeline_loads_it_by_its_folder():
    """As any checkpoint in the diffusers layout, and as the service is given one."""
    pipeline = FluxKontextPipeline.from_pretrained(ROOT / "checkpoints" / "nano")
    assert 9e6 < pipeline.transformer.num_parameters() < 1e7
    engine = Engine.load(str(ROOT / "checkpoints" / "nano"), device="cpu")
    assert (192, 192) == engine.edit(Image.open(SAMPLES[-1]), "make it snow", num_inference_steps=1).image.size


def test_the_first_edit_of_a_newcomer(tmp_path):
    """`openkontext serve` with nothing said runs nano, and an edit over the wire does what it says."""
    with Service(tmp_path / "data", "nano") as service, service.client() as http:
        picture = "data:image/webp;base64," + base64.b64encode(SAMPLES[-1].read_bytes()).decode()
        edit = {"input_image": picture, "prompt": "turn it black and white"}
        answer = http.post("/v1/flux-kontext-dev", json=edit)
        assert 200 == answer.status_code, answer.text
        made = Image.open(io.BytesIO(answer.content))
        assert (192, 192) == made.size
        assert saturation(made) < 0.3 * saturation(Image.open(SAMPLES[-1]))
