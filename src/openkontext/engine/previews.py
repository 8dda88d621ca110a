"""A rough look at an edit on its way, without the VAE: a fitted matrix turns 16 latent channels into RGB."""

from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from openkontext.engine.configuration import Configuration
from openkontext.engine.latents import unpack
from openkontext.engine.pictures import to_image

# Pictures to fit the matrix to: their side in pixels, and of how many patches of colour each is blended, a side.
_SIDE = 128
_PATCHES = (1, 2, 4, 8, 16, 16)
# Holds the matrix down where the pictures say nothing: latent channels that they hardly move.
_RIDGE = 1e-3


def preview(configuration: Configuration, tokens: Tensor, width: int, height: int) -> Image.Image:
    """The picture in [1, n, 64] tokens, an eighth of `width` x `height`."""
    factors, bias = configuration.latent_rgb_factors, configuration.latent_rgb_bias
    assert factors is not None
    assert bias is not None
    latents = unpack(tokens, width, height).float().cpu()
    return to_image((latents.movedim(1, -1) @ factors + bias).movedim(-1, 1))


@torch.no_grad()
def fit(vae: Any) -> tuple[Tensor, Tensor]:
    """The matrix [16, 3] and bias [3] from scaled latents to RGB in -1 to 1 that fit this VAE's encoder best.

    By least squares over blended patches of random colours; takes one pass of the encoder over a few small pictures.
    """
    pictures = _patches().to(vae.device, vae.dtype)
    latents = (vae.encode(pictures).latent_dist.mode() - vae.config.shift_factor) * vae.config.scaling_factor
    inputs, outputs = _rows(latents), _rows(F.avg_pool2d(pictures, _SIDE // latents.shape[-1]))
    means = inputs.mean(0), outputs.mean(0)
    centred = inputs - means[0]
    gram = centred.T @ centred + _RIDGE * len(inputs) * torch.eye(inputs.shape[1], dtype=inputs.dtype)
    factors = torch.linalg.solve(gram, centred.T @ (outputs - means[1]))
    return factors.float(), (means[1] - means[0] @ factors).float()


def _patches() -> Tensor:
    """[n, 3, side, side] in -1 to 1, the same each time."""
    random = torch.Generator().manual_seed(0)
    colours = [torch.rand(1, 3, count, count, generator=random) * 2 - 1 for count in _PATCHES]
    return torch.cat([F.interpolate(each, size=_SIDE, mode="bilinear") for each in colours])


def _rows(maps: Tensor) -> Tensor:
    """[n, c, h, w] as [n * h * w, c], in double precision on the CPU."""
    return maps.movedim(1, -1).flatten(0, 2).cpu().double()
