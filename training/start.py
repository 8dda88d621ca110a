"""Going on from a checkpoint that was exported: its autoencoder, its vocabularies and its weights, without its run."""

from __future__ import annotations

from math import isqrt
from pathlib import Path

import torch
from diffusers import AutoencoderKL, FluxKontextPipeline
from torch import Tensor
from transformers import CLIPTokenizer

from openkontext.engine.configuration import read_configuration
from training.nano import Nano
from training.vae import build_vae


def read_side(folder: Path) -> int:
    """The side of a square picture of the checkpoint in `folder`, in pixels."""
    return isqrt(read_configuration(folder).max_area)


class Start:
    """A pipeline as `from_pretrained` loads it, to begin a run with."""

    def __init__(self, folder: Path):
        self.pipeline = FluxKontextPipeline.from_pretrained(folder)

    @property
    def words(self) -> list[str]:
        """The words of T5's vocabulary in their order, without their forms in other letter case."""
        tokens = sorted(self.pipeline.tokenizer_2.get_vocab().items(), key=lambda entry: entry[1])
        names = [token for token, _ in tokens]
        return [name.removeprefix("▁") for name in names[: names.index("▁")] if name.startswith("▁")]

    @property
    def vae(self) -> AutoencoderKL:
        """The autoencoder, with the shift and scale of its latents."""
        known = self.pipeline.vae
        vae = build_vae()
        vae.load_state_dict(known.state_dict())
        vae.register_to_config(shift_factor=known.config.shift_factor, scaling_factor=known.config.scaling_factor)
        return vae.eval()

    @property
    def clip_tokenizer(self) -> CLIPTokenizer:
        """CLIP's vocabulary: byte pairs, which spell any new word."""
        return self.pipeline.tokenizer

    @torch.no_grad()
    def give_weights(self, nano: Nano) -> None:
        """Copy the weights into `nano`; words that the checkpoint doesn't know keep their fresh embeddings."""
        nano.transformer.load_state_dict(self.pipeline.transformer.float().state_dict())
        nano.text.clip.load_state_dict(self.pipeline.text_encoder.state_dict())
        known, weights = self.pipeline.tokenizer_2.get_vocab(), self.pipeline.text_encoder_2.state_dict()
        fresh = nano.text.t5.state_dict()
        for name in ("shared.weight", "encoder.embed_tokens.weight"):
            if name in weights:
                weights[name] = pick_rows(weights[name], known, fresh[name], nano.t5_tokenizer.get_vocab())
        nano.text.t5.load_state_dict(weights)


def pick_rows(known: Tensor, known_ids: dict[str, int], fresh: Tensor, fresh_ids: dict[str, int]) -> Tensor:
    """`fresh` (M, D) with the rows that `known` (N, D) has for the same tokens."""
    rows = fresh.clone()
    for token, row in fresh_ids.items():
        if token in known_ids:
            rows[row] = known[known_ids[token]]
    return rows


def extend(words: list[str], corpus_words: list[str]) -> list[str]:
    """`words` in their order, then those of the corpus that they lack."""
    known = set(words)
    return words + [word for word in corpus_words if word not in known]
