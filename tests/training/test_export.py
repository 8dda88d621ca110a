"""A fresh model, exported, is a pipeline that diffusers loads and that edits; and the copying heads copy."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import FluxKontextPipeline
from PIL import Image

from training.export import export
from training.nano import Nano, unpack
from training.text import list_words, make_t5_tokenizer, train_clip_tokenizer
from training.transformer import AXES, copy_vectors, pack, token_ids
from training.vae import build_vae

WORDS = list_words(["make it snow", "blur the picture"])


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained checkpoint, exported."""
    torch.manual_seed(0)
    nano = Nano(train_clip_tokenizer(["make it snow"] * 3, size=300), make_t5_tokenizer(WORDS, cased=False))
    vae = build_vae()
    vae.register_to_config(shift_factor=0.1, scaling_factor=2.0)
    folder = tmp_path_factory.mktemp("checkpoint") / "nano"
    pictures = np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3), np.uint8)
    export(nano, vae, WORDS, pictures, 64, folder)
    return folder


def test_exported_checkpoint_edits(checkpoint: Path) -> None:
    """The stock pipeline loads it and returns a picture of the size asked for."""
    pipeline = FluxKontextPipeline.from_pretrained(checkpoint)
    pipeline.set_progress_bar_config(disable=True)
    image = Image.new("RGB", (48, 64), "red")
    options = {"height": 64, "width": 48, "max_area": 64 * 48, "max_sequence_length": 64, "_auto_resize": False}
    result = pipeline(image=image, prompt="make it SNOW", num_inference_steps=2, **options).images[0]
    assert (48, 64) == result.size


def test_exported_settings(checkpoint: Path) -> None:
    """The file beside the model index has the limits and the preview's matrix."""
    settings = json.loads((checkpoint / "openkontext.json").read_text())
    assert [4096, 64] == [settings[name] for name in ("max_area", "max_sequence_length")]
    assert [16, 3, 3] == [
        len(settings["latent_rgb_factors"]),
        *map(len, (settings["latent_rgb_factors"][0], settings["latent_rgb_bias"])),
    ]
    assert [] == list(checkpoint.parent.glob("*.partial"))


def test_encoder_has_no_variance(checkpoint: Path) -> None:
    """Sampling the autoencoder's posterior gives its mean."""
    vae = FluxKontextPipeline.from_pretrained(checkpoint).vae
    posterior = vae.encode(torch.zeros(1, 3, 32, 32)).latent_dist
    assert torch.allclose(posterior.sample(torch.Generator().manual_seed(0)), posterior.mean, atol=0.02)


def test_pack_and_unpack() -> None:
    """Packing to tokens and back is the identity."""
    latents = torch.randn(2, 16, 6, 8)
    assert torch.equal(latents, unpack(pack(latents), 6, 8))


def test_copy_heads_find_the_same_place() -> None:
    """With constant queries and keys, RoPE alone attends most to the reference's token at the same place."""
    from diffusers.models.transformers.transformer_flux import FluxPosEmbed, apply_rotary_emb

    ids = torch.cat([token_ids(12, 16, False), token_ids(12, 16, True)])
    rotary = FluxPosEmbed(10000, list(AXES))(ids)
    query, key = (
        apply_rotary_emb(vector.view(1, 1, 1, 64).expand(1, len(ids), 1, 64), rotary, sequence_dim=1)[0, :, 0]
        for vector in copy_vectors()
    )
    attended = (query @ key.T)[:48].argmax(1)
    assert list(range(48, 96)) == attended.tolist()
