"""What trains faster: a type for products, and on a CPU other forms of the transformer (a seventh less time a step)."""

from __future__ import annotations

from functools import partial

import diffusers.models.transformers.transformer_flux as flux
import torch
from torch import Tensor, nn

# What PyTorch calls a CPU's ability to multiply bfloat16, on x86 and on ARM.
BFLOAT16 = ("avx512_bf16", "amx_bf16", "bf16")


def autocast(device: torch.device) -> torch.autocast:
    """Products in bfloat16, where `choose_type` finds that they are faster so."""
    return torch.autocast(device.type, torch.bfloat16, enabled=choose_type(device) == torch.bfloat16)


def choose_type(device: torch.device) -> torch.dtype:
    """bfloat16, but float32 on a CPU that can't multiply it: there a step takes 19 times as long (AVX2)."""
    able = device.type != "cpu" or any(torch.cpu.get_capabilities().get(name) for name in BFLOAT16)
    return torch.bfloat16 if able else torch.float32


def speed_up(transformer: nn.Module) -> None:
    """Use plain attention and fused norms; for training only, on the CPU."""
    flux.dispatch_attention_fn = plain_attention
    for module in transformer.modules():
        if isinstance(module, nn.RMSNorm):
            module.forward = partial(fused_norm, module)  # type: ignore[method-assign]


def plain_attention(query: Tensor, key: Tensor, value: Tensor, **_: object) -> Tensor:
    """Attention over (N, L, heads, D) by two products; for 200 tokens flash's backward takes thrice as long."""
    query, key, value = (part.transpose(1, 2) for part in (query, key, value))
    weights = ((query * query.shape[-1] ** -0.5) @ key.mT).softmax(-1)
    return (weights.to(value.dtype) @ value).transpose(1, 2)


def fused_norm(norm: nn.RMSNorm, values: Tensor) -> Tensor:
    """RMSNorm with its weight in the values' type, without which torch has no fused kernel."""
    weight = None if norm.weight is None else norm.weight.to(values.dtype)
    return torch.rms_norm(values, norm.normalized_shape, weight, norm.eps)
