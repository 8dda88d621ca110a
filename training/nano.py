"""The model in training: text encoders and transformer together, the flow-matching loss, and a sampler."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import CLIPTokenizer, T5TokenizerFast

from training.fast import autocast
from training.pairs import Batch
from training.text import TEXT_LENGTH, TextEncoders, tokenise
from training.transformer import build_transformer, pack, token_ids

MAX_GUIDANCE = 10.0
# The contract's default: there an edit is as it was drawn.
FULL_GUIDANCE = 7.0
# Tokens of text, drawn anew for each step. Most prompts have a dozen words, and a third of all tokens would be padding.
LENGTHS = (16, 16, 32, TEXT_LENGTH)
# Of one token in the loss; most edits of a part change a tenth of the picture or more.
MAX_WEIGHT = 8.0
# An edit keeps nothing, or changes nothing, below this share of the picture's pixels.
NOTHING = 0.01
# Of a scene's token that has next to no kept pixels, beside those that have. A scene is one of many: four fifths of the
# loss of new backgrounds were errors that can't be less, and the edges of what is kept, which can, a sixth.
OPEN, OPEN_WEIGHT = 0.03, 0.1


class Nano(nn.Module):
    """Predicts the velocity (noise − picture) of the noisy target's tokens, given reference and prompt."""

    def __init__(self, clip_tokenizer: CLIPTokenizer, t5_tokenizer: T5TokenizerFast):
        super().__init__()
        self.clip_tokenizer, self.t5_tokenizer = clip_tokenizer, t5_tokenizer
        self.text = TextEncoders(len(clip_tokenizer), len(t5_tokenizer))
        self.transformer = build_transformer()

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.transformer.device

    def encode(self, prompts: list[str], length: int = TEXT_LENGTH) -> tuple[Tensor, Tensor]:
        """Pooled and token embeddings; letter case is met by the exported vocabulary, see `text`."""
        ids = tokenise([prompt.lower() for prompt in prompts], self.clip_tokenizer, self.t5_tokenizer, length)
        return self.text(*(part.to(self.device) for part in ids))

    def forward(
        self, noisy: Tensor, reference: Tensor, times: Tensor, guidance: Tensor, embeddings: tuple[Tensor, Tensor]
    ) -> Tensor:
        """Velocity tokens (N, L, 64) at `times` (N,) in 0–1; `noisy` and `reference` are latents of one size."""
        size = noisy.shape[-2:]
        tokens = pack(noisy)
        pooled, words = embeddings
        output = self.transformer(
            hidden_states=torch.cat([tokens, pack(reference)], dim=1),
            timestep=times,
            guidance=guidance,
            pooled_projections=pooled,
            encoder_hidden_states=words,
            txt_ids=torch.zeros(words.shape[1], 3, device=noisy.device),
            img_ids=torch.cat([token_ids(*size, False), token_ids(*size, True)]).to(noisy.device),
            return_dict=False,
        )[0]
        return output[:, : tokens.shape[1]]


def flow_loss(nano: Nano, batch: Batch, length: int) -> Tensor:
    """Weighted mean squared error of the velocity at random times, with random guidance; `length` tokens of text."""
    reference, target = batch.references.to(nano.device), batch.targets.to(nano.device)
    guidance = draw_guidance(len(target), nano.device)
    target = guided(reference, target, guidance)
    noise, times = torch.randn_like(target), draw_times(len(target), nano.device)
    share = times.view(-1, 1, 1, 1)
    with autocast(nano.device):
        embeddings = nano.encode(batch.prompts, length)
        velocity = nano((1 - share) * target + share * noise, reference, times, guidance, embeddings)
    errors = F.mse_loss(velocity.float(), pack(noise - target), reduction="none").mean(-1)
    return (weigh(batch.kept.to(nano.device), batch.scenes.to(nano.device)) * errors).mean()


def weigh(kept: Tensor, scenes: Tensor) -> Tensor:
    """Weights (N, L) of tokens in the loss; `kept` (N, H/16, W/16) is the share of their pixels that the edit keeps.

    What changes counts as much as what stays. Evenly weighed, an object in a corner would be a tenth of its sample's
    loss, and the copying of the rest nine; before a new background a small subject would be the tenth.
    Where `scenes` (N,) says so, the new background counts most at the edge of what is kept: see OPEN_WEIGHT.
    """
    kept = kept.flatten(1)
    changed = (1 - kept) * torch.where(scenes[:, None] & (kept < OPEN), OPEN_WEIGHT, 1.0)
    share = kept.mean(1, keepdim=True)
    balanced = 0.5 * kept / share + 0.5 * changed / changed.mean(1, keepdim=True)
    both = (share > NOTHING) & (share < 1 - NOTHING)
    return torch.where(both, balanced.clamp(max=MAX_WEIGHT), 1.0)


def guided(reference: Tensor, target: Tensor, guidance: Tensor) -> Tensor:
    """Where classifier-free guidance would lead a perfect model: between the reference, at 0, and beyond the target.

    Without a prompt nano leaves the picture as it is, so that unconditional and conditional prediction are the
    reference and the target: what Ho and Salimans (arXiv 2207.12598) mix at sampling is mixed here in the data, and
    the student needs no teacher.
    """
    below = guidance.clamp(max=FULL_GUIDANCE) / FULL_GUIDANCE
    weight = below + 0.1 * (guidance - FULL_GUIDANCE).clamp(min=0)
    return torch.lerp(reference, target, weight.view(-1, 1, 1, 1))


def draw_guidance(count: int, device: torch.device) -> Tensor:
    """The default for two of three, else uniform over what is allowed."""
    uniform = torch.rand(count, device=device) * MAX_GUIDANCE
    return torch.where(torch.rand(count, device=device) < 0.67, FULL_GUIDANCE, uniform)


def draw_times(count: int, device: torch.device) -> Tensor:
    """Times in 0–1: logit-normal around the noisier half, a fifth uniform.

    One out of each of `count` equal parts of either distribution: a batch that happens to be all noise teaches little.
    """
    parts = (torch.arange(count, device=device) + torch.rand(count, device=device)) / count
    normal = torch.sigmoid(0.3 + 1.2 * torch.special.ndtri(parts.clamp(1e-6, 1 - 1e-6)))
    uniform = parts[torch.randperm(count, device=device)]
    return torch.where(torch.rand(count, device=device) < 0.2, uniform, normal)


@torch.no_grad()
def sample(nano: Nano, references: Tensor, prompts: list[str], steps: int = 20, guidance: float = 7.0) -> Tensor:
    """Edited latents (N, 16, H, W), normalised, by Euler steps on FLUX's shifted schedule."""
    count, height, width = len(references), *references.shape[-2:]
    shift = math.exp(0.5 + (height * width / 4 - 256) * 0.65 / 3840)
    times = torch.linspace(1, 1 / steps, steps)
    times = torch.cat([shift / (shift + 1 / times - 1), torch.zeros(1)]).tolist()
    latents = torch.randn(references.shape, device=nano.device)
    embeddings = nano.encode(prompts)
    for time, following in pairwise(times):
        full = torch.full((count,), time, device=nano.device)
        velocity = nano(latents, references, full, torch.full_like(full, guidance), embeddings)
        latents = latents + (following - time) * unpack(velocity.float(), height, width)
    return latents


def unpack(tokens: Tensor, height: int, width: int) -> Tensor:
    """What `pack` made, as latents again."""
    return tokens.view(-1, height // 2, width // 2, 16, 2, 2).permute(0, 3, 1, 4, 2, 5).reshape(-1, 16, height, width)
