"""Prompts to embeddings: CLIP's pooled summary and T5's tokens."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from openkontext.engine.checkpoint import Checkpoint


@dataclass(frozen=True)
class Text:
    """A prompt as the transformer reads it.

    Attributes:
        prompt_embeds: [1, max_sequence_length, T5 width], padding included, as FLUX was trained.
        pooled: [1, CLIP width].
        warnings: one sentence for each encoder that did not read the whole prompt.
    """

    prompt_embeds: Tensor
    pooled: Tensor
    warnings: tuple[str, ...] = ()


def encode_text(checkpoint: Checkpoint, prompt: str) -> Text:
    """Encode a prompt with both encoders, cut to what each reads."""
    clip_length = checkpoint.tokenizer.model_max_length
    t5_length = checkpoint.configuration.max_sequence_length
    clip_ids = _token_ids(checkpoint.tokenizer, prompt, clip_length, checkpoint.device)
    t5_ids = _token_ids(checkpoint.tokenizer_2, prompt, t5_length, checkpoint.device)
    pooled = checkpoint.text_encoder(clip_ids, output_hidden_states=False).pooler_output
    prompt_embeds = checkpoint.text_encoder_2(t5_ids, output_hidden_states=False)[0]
    cuts = (
        _cut(checkpoint.tokenizer_2, prompt, t5_length, "the prompt was cut"),
        _cut(checkpoint.tokenizer, prompt, clip_length, "the prompt's summary (CLIP) leaves its end out"),
    )
    return Text(prompt_embeds.to(checkpoint.dtype), pooled.to(checkpoint.dtype), tuple(filter(None, cuts)))


def _token_ids(tokenizer: Any, prompt: str, length: int, device: torch.device) -> Tensor:
    """[1, length] token ids, padded or cut."""
    encoded = tokenizer(prompt, padding="max_length", max_length=length, truncation=True, return_tensors="pt")
    ids: Tensor = encoded.input_ids
    return ids.to(device)


def _cut(tokenizer: Any, prompt: str, length: int, consequence: str) -> str:
    """What a reader should know if the prompt is longer than the encoder reads; empty if it is not."""
    tokens = len(tokenizer(prompt, truncation=False, verbose=False).input_ids)
    return f"{consequence}: it has {tokens} tokens and the encoder reads {length}" if tokens > length else ""
