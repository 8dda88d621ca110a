"""Latents: pictures through the VAE, packing into tokens, positions and noise.

Shapes: a picture is [1, 3, height, width] in -1 to 1; latents are [1, 16, height / 8, width / 8]; tokens are
[1, height / 16 · width / 16, 64], each a patch of 2x2 latents (black-forest-labs/flux, sampling.py).
"""

from typing import Any

import torch
from torch import Tensor

from openkontext.engine.configuration import LATENT_CHANNELS

VAE_FACTOR = 8
PATCH = 2
TOKEN = VAE_FACTOR * PATCH  # pixels to a token, along a side


def pack(latents: Tensor) -> Tensor:
    """Latents to tokens."""
    batch, channels, height, width = latents.shape
    patches = latents.view(batch, channels, height // PATCH, PATCH, width // PATCH, PATCH).permute(0, 2, 4, 1, 3, 5)
    return patches.reshape(batch, -1, channels * PATCH * PATCH)


def unpack(tokens: Tensor, width: int, height: int) -> Tensor:
    """Tokens to the latents of a picture of `width` x `height` pixels."""
    batch, _, channels = tokens.shape
    patches = tokens.view(batch, height // TOKEN, width // TOKEN, channels // PATCH**2, PATCH, PATCH)
    latents = patches.permute(0, 3, 1, 4, 2, 5)
    return latents.reshape(batch, channels // PATCH**2, height // VAE_FACTOR, width // VAE_FACTOR)


def positions(width: int, height: int, picture: int, device: torch.device) -> Tensor:
    """[tokens, 3] RoPE ids (picture, row, column): picture 0 is the output, 1 the reference."""
    rows, columns = torch.arange(height // TOKEN), torch.arange(width // TOKEN)
    ids = torch.cartesian_prod(torch.tensor([picture]), rows, columns)
    return ids.to(device, torch.float32)


def noise(seed: int, width: int, height: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """The tokens an edit starts from, drawn on the CPU so that a seed means the same on every device."""
    shape = (1, LATENT_CHANNELS, height // VAE_FACTOR, width // VAE_FACTOR)
    drawn = torch.randn(shape, generator=torch.Generator("cpu").manual_seed(seed), dtype=dtype)
    return pack(drawn.to(device))


def encode(vae: Any, picture: Tensor) -> Tensor:
    """A picture to the tokens of its latents: the mode of their distribution, so nothing random."""
    latents = vae.encode(picture).latent_dist.mode()
    return pack((latents - vae.config.shift_factor) * vae.config.scaling_factor)


def decode(vae: Any, tokens: Tensor, width: int, height: int) -> Tensor:
    """Tokens to a picture."""
    latents = unpack(tokens, width, height) / vae.config.scaling_factor + vae.config.shift_factor
    picture: Tensor = vae.decode(latents, return_dict=False)[0]
    return picture
