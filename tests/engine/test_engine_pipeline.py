"""Our loop gives the pixels of diffusers' `FluxKontextPipeline` on the same inputs."""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import FluxKontextPipeline
from PIL import Image

from openkontext.contract.sizes import output_size
from openkontext.engine import EditResult, Engine
from tests.engine.pictures import colourful

NANO = Path(__file__).parents[2] / "checkpoints" / "nano" / "openkontext_nano"

CASES: list[tuple[tuple[int, int], dict[str, Any]]] = [
    ((160, 120), {"prompt": "make it snow"}),
    ((120, 160), {"prompt": "make it snow", "seed": 7, "guidance": 2.5}),
    ((300, 300), {"prompt": "a black and white photograph", "seed": 2**63 - 1, "num_inference_steps": 1}),
    ((400, 100), {"prompt": "blur", "seed": 0, "guidance": 0.0, "num_inference_steps": 7}),
    ((64, 64), {"prompt": "darker", "guidance": 10.0, "aspect_ratio": "16:9"}),
    ((90, 200), {"prompt": "x", "aspect_ratio": "1:1", "num_inference_steps": 5, "seed": 3}),
    ((200, 150), {"prompt": "a very long prompt " * 10, "seed": 5}),
]


@cache
def both(folder: Path) -> tuple[Engine, Any]:
    """Our engine and diffusers' pipeline on one checkpoint."""
    pipeline = FluxKontextPipeline.from_pretrained(folder, dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    return Engine.load(folder, device="cpu", dtype=torch.float32), pipeline


def pipeline_edit(pipeline: Any, engine: Engine, picture: Image.Image, ours: EditResult, **arguments: Any) -> Any:
    """The pipeline's picture of the same edit, its own resizing out of the way."""
    configuration = engine.checkpoint.configuration
    reference = output_size(picture.width / picture.height, configuration.max_area)
    return pipeline(
        image=picture.resize(reference, Image.Resampling.LANCZOS),
        prompt=arguments["prompt"],
        width=ours.width,
        height=ours.height,
        guidance_scale=arguments["guidance"],
        num_inference_steps=arguments["num_inference_steps"],
        generator=torch.Generator("cpu").manual_seed(ours.seed),
        max_sequence_length=configuration.max_sequence_length,
        max_area=ours.width * ours.height,
        _auto_resize=False,
    ).images[0]


def assert_equal_to_pipeline(folder: Path, size: tuple[int, int], arguments: dict[str, Any]) -> None:
    """Edit both ways: the same size, and no pixel further apart than rounding."""
    engine, pipeline = both(folder)
    arguments = {"num_inference_steps": 4, "guidance": 7.0} | arguments
    picture = colourful(*size)
    ours = engine.edit(picture, **arguments)
    arguments.pop("aspect_ratio", None)
    theirs = np.asarray(pipeline_edit(pipeline, engine, picture, ours, **arguments), dtype=int)
    assert theirs.shape == (ours.height, ours.width, 3)
    assert np.abs(np.asarray(ours.image, dtype=int) - theirs).max() <= 1
    assert theirs.std() > 5, "a flat picture would prove nothing"


@pytest.mark.parametrize(("size", "arguments"), CASES)
def test_equal_on_a_tiny_checkpoint(tiny_checkpoint: Path, size: tuple[int, int], arguments: dict[str, Any]) -> None:
    """The same pixels on random weights, over shapes, seeds, guidances, steps and prompts."""
    assert_equal_to_pipeline(tiny_checkpoint, size, arguments)


@pytest.mark.skipif(not (NANO / "model_index.json").exists(), reason="nano is not in this checkout")
@pytest.mark.parametrize(("size", "arguments"), CASES)
def test_equal_on_nano(size: tuple[int, int], arguments: dict[str, Any]) -> None:
    """The same pixels on trained weights."""
    assert_equal_to_pipeline(NANO, size, arguments)
