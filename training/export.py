"""Writes the checkpoint in FluxKontextPipeline's layout, with `openkontext.json` for what the layout can't say."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler, FluxKontextPipeline
from torch import Tensor

from training.nano import Nano
from training.text import TEXT_LENGTH, add_cased, make_t5_tokenizer
from training.vae import encode, to_tensor

# FLUX.1's own schedule: the shift grows with the number of tokens.
SCHEDULE = {
    "base_image_seq_len": 256,
    "base_shift": 0.5,
    "max_image_seq_len": 4096,
    "max_shift": 1.15,
    "shift": 3.0,
    "use_dynamic_shifting": True,
}


def export(nano: Nano, vae: AutoencoderKL, words: list[str], pictures: np.ndarray, side: int, folder: Path) -> None:
    """Write the checkpoint to `folder`, replacing the model files there; `pictures` fit the preview's matrix."""
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    make_pipeline(nano, vae, words).save_pretrained(partial)
    settings = {"max_area": side * side, "max_sequence_length": TEXT_LENGTH, **fit_preview(vae, pictures)}
    (partial / "openkontext.json").write_text(json.dumps(settings, indent=2) + "\n")
    folder.mkdir(parents=True, exist_ok=True)
    for part in partial.iterdir():
        replace(part, folder / part.name)
    partial.rmdir()


def replace(source: Path, target: Path) -> None:
    """Move a file or folder over another."""
    if target.is_dir():
        shutil.rmtree(target)
    os.replace(source, target)


def make_pipeline(nano: Nano, vae: AutoencoderKL, words: list[str]) -> FluxKontextPipeline:
    """The pipeline with the vocabulary that knows letter case; the transformer is rounded to bfloat16.

    The text encoders are not: transformers loads them in the type they were saved in, diffusers loads the rest in
    float32, and the pipeline gives the autoencoder the text's type.
    """
    return FluxKontextPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(**SCHEDULE),
        vae=vae.float().cpu().to(memory_format=torch.contiguous_format),
        text_encoder=nano.text.clip.cpu().float(),
        tokenizer=nano.clip_tokenizer,
        text_encoder_2=add_cased(nano.text.t5.cpu().float(), nano.t5_tokenizer),
        tokenizer_2=make_t5_tokenizer(words, cased=True),
        transformer=nano.transformer.cpu().bfloat16(),
    )


@torch.no_grad()
def fit_preview(vae: AutoencoderKL, pictures: np.ndarray) -> dict[str, list]:
    """The affine map from normalised latents to RGB in −1..1 that fits `pictures` (N, H, W, 3) best."""
    batch = to_tensor(pictures, torch.device("cpu"))
    latents = (encode(vae.float().cpu(), batch) - vae.config.shift_factor) * vae.config.scaling_factor
    inputs, outputs = rows(latents), rows(F.avg_pool2d(batch, 8))
    inputs = torch.cat([inputs, torch.ones(len(inputs), 1)], dim=1)
    matrix = torch.linalg.lstsq(inputs, outputs).solution
    rounded = [[round(value, 5) for value in row] for row in matrix.tolist()]
    return {"latent_rgb_factors": rounded[:16], "latent_rgb_bias": rounded[16]}


def rows(maps: Tensor) -> Tensor:
    """(N, C, H, W) as (N·H·W, C)."""
    return maps.permute(0, 2, 3, 1).flatten(0, 2)
