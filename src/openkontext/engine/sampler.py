"""The sampling loop: Euler steps of rectified flow, from noise to an edited picture's latents.

It is the loop of `FluxKontextPipeline` (diffusers 0.42) and gives the same pixels; what it adds is a callback that can
stop it after any step, and state that lives and dies with one call.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from torch import Tensor

from openkontext.engine.checkpoint import Checkpoint
from openkontext.engine.latents import decode, encode, noise, positions
from openkontext.engine.text import Text

OnSampled = Callable[[int, Callable[[], Tensor]], None]

_SCHEDULER: Any = FlowMatchEulerDiscreteScheduler


@dataclass(frozen=True)
class Order:
    """What to make: an output of `width` x `height` pixels, multiples of 16."""

    width: int
    height: int
    guidance: float
    steps: int
    seed: int


def sample(checkpoint: Checkpoint, picture: Tensor, text: Text, order: Order, on_sampled: OnSampled) -> Tensor:
    """An edit in tensors: [1, 3, h, w] of any size in multiples of 16 to [1, 3, order.height, order.width].

    Both in -1 to 1. The reference joins the sequence behind the noise, told apart from it by its RoPE ids.
    """
    device, dtype = checkpoint.device, checkpoint.dtype
    reference_height, reference_width = picture.shape[-2:]
    reference = encode(checkpoint.vae, picture.to(device, dtype))
    start = noise(order.seed, order.width, order.height, device, dtype)
    ids = torch.cat(
        [
            positions(order.width, order.height, 0, device),
            positions(reference_width, reference_height, 1, device),
        ]
    )
    scheduler = make_schedule(checkpoint.scheduler, start.shape[1], order.steps, device)
    tokens = denoise(checkpoint.transformer, scheduler, start, reference, ids, text, order.guidance, on_sampled)
    return decode(checkpoint.vae, tokens, order.width, order.height)


def make_schedule(config: dict[str, Any], tokens: int, steps: int, device: torch.device) -> Any:
    """A fresh scheduler for `steps` steps towards `tokens` output tokens; more tokens stay longer at high noise."""
    scheduler = _SCHEDULER.from_config(config)
    few, many = scheduler.config.base_image_seq_len, scheduler.config.max_image_seq_len
    low, high = scheduler.config.base_shift, scheduler.config.max_shift
    mu = low + (high - low) * (tokens - few) / (many - few)
    scheduler.set_timesteps(sigmas=np.linspace(1.0, 1 / steps, steps), mu=mu, device=device)
    scheduler.set_begin_index(0)  # without it, each step looks up its index and waits for the device
    return scheduler


def denoise(
    transformer: Any,
    scheduler: Any,
    latents: Tensor,
    reference: Tensor,
    ids: Tensor,
    text: Text,
    guidance: float,
    on_sampled: OnSampled,
) -> Tensor:
    """Sample.

    Args:
        transformer: a `FluxTransformer2DModel`.
        scheduler: from `make_schedule`, used up by this call.
        latents: [1, n, 64] noise tokens of the output.
        reference: [1, m, 64] tokens of the picture to edit.
        ids: [n + m, 3] RoPE ids of both.
        text: the encoded prompt.
        guidance: the scale that the transformer's guidance embedding gets.
        on_sampled: called after each step with its number, from 1, and a function that gives the [1, n, 64] tokens
            predicted so far for the finished picture. What it raises ends the sampling.

    Returns:
        [1, n, 64] tokens of the edited picture.
    """
    conditions = {
        "pooled_projections": text.pooled,
        "encoder_hidden_states": text.prompt_embeds,
        "txt_ids": torch.zeros(text.prompt_embeds.shape[1], 3, device=latents.device),
        "img_ids": ids,
        "guidance": _guidance(transformer, guidance, latents.device),
    }
    for step, timestep in enumerate(scheduler.timesteps):
        tokens = torch.cat([latents, reference], dim=1)
        time = timestep.expand(1).to(latents.dtype) / 1000
        velocity = transformer(hidden_states=tokens, timestep=time, return_dict=False, **conditions)[0]
        velocity = velocity[:, : latents.shape[1]]
        finished = partial(_finished, latents, velocity, scheduler.sigmas[step])
        latents = scheduler.step(velocity, timestep, latents, return_dict=False)[0]
        on_sampled(step + 1, finished)
    return latents


def _guidance(transformer: Any, guidance: float, device: torch.device) -> Tensor | None:
    """[1] float32, or None for a transformer that was not distilled with guidance."""
    return torch.full([1], guidance, device=device) if transformer.config.guidance_embeds else None


def _finished(latents: Tensor, velocity: Tensor, sigma: Tensor) -> Tensor:
    """Where the straight path from here ends: the picture without noise."""
    return latents - sigma * velocity
