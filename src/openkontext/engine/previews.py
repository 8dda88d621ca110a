"""A rough look at an edit on its way, without the VAE: a fitted matrix turns 16 latent channels into RGB."""

from PIL import Image
from torch import Tensor

from openkontext.engine.configuration import Configuration
from openkontext.engine.latents import unpack
from openkontext.engine.pictures import to_image


def preview(configuration: Configuration, tokens: Tensor, width: int, height: int) -> Image.Image | None:
    """The picture in [1, n, 64] tokens, an eighth of `width` x `height`; None if the checkpoint has no matrix."""
    factors, bias = configuration.latent_rgb_factors, configuration.latent_rgb_bias
    if factors is None or bias is None:
        return None
    latents = unpack(tokens, width, height).float().cpu()
    return to_image((latents.movedim(1, -1) @ factors + bias).movedim(-1, 1))
