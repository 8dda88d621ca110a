"""What belongs to a checkpoint beside its weights: `openkontext.json`, next to `model_index.json`."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

LATENT_CHANNELS = 16
LONGEST_TEXT = 512  # T5 tokens that FLUX was trained with


@dataclass(frozen=True)
class Configuration:
    """Limits and the preview's matrix; the defaults are those of FLUX.1 Kontext [dev].

    Attributes:
        max_area: pixels of an output, about (see `contract.sizes.output_size`).
        max_sequence_length: tokens of the T5 encoder.
        latent_rgb_factors: [16, 3], or None where the file has none: then it is fitted to the VAE (see `previews.fit`).
        latent_rgb_bias: [3]; scaled latents @ factors + bias is the picture, an eighth as wide and high, in -1 to 1.
    """

    max_area: int = 1024**2
    max_sequence_length: int = LONGEST_TEXT
    latent_rgb_factors: torch.Tensor | None = None
    latent_rgb_bias: torch.Tensor | None = None


def read_configuration(folder: Path) -> Configuration:
    """The configuration of the checkpoint in `folder`; the defaults where it has none.

    Raises:
        ValueError: `openkontext.json` is not JSON, or holds a wrong value: named.
    """
    path = folder / "openkontext.json"
    if not path.exists():
        return Configuration()
    values: dict[str, Any] = json.loads(path.read_text())
    factors, bias = values.get("latent_rgb_factors"), values.get("latent_rgb_bias")
    return Configuration(
        max_area=_whole("max_area", values.get("max_area", 1024**2), 32**2, 4096**2),
        max_sequence_length=_whole("max_sequence_length", values.get("max_sequence_length", 512), 1, LONGEST_TEXT),
        latent_rgb_factors=None if factors is None else _numbers("latent_rgb_factors", factors, (LATENT_CHANNELS, 3)),
        latent_rgb_bias=None if factors is None else _numbers("latent_rgb_bias", bias or [0, 0, 0], (3,)),
    )


def _whole(name: str, value: Any, least: int, most: int) -> int:
    """A whole number within bounds."""
    if type(value) is not int or not least <= value <= most:
        raise ValueError(f"openkontext.json: {name} is a whole number from {least} to {most}, not {value!r}")
    return value


def _numbers(name: str, value: Any, shape: tuple[int, ...]) -> torch.Tensor:
    """A float32 tensor of a given shape."""
    try:
        numbers = torch.tensor(value, dtype=torch.float32)
    except (TypeError, ValueError) as error:
        raise ValueError(f"openkontext.json: {name} is a table of numbers") from error
    if numbers.shape != shape:
        raise ValueError(f"openkontext.json: {name} has shape {list(shape)}, not {list(numbers.shape)}")
    return numbers
