"""A FLUX.1 Kontext checkpoint small enough for tests: every part of the real layout, random weights, no training."""

import json
from pathlib import Path

import torch
from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler, FluxTransformer2DModel
from tokenizers.pre_tokenizers import ByteLevel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer, T5Config, T5EncoderModel, T5TokenizerFast

MAX_AREA = 64**2
CLIP_LENGTH, T5_LENGTH = 32, 48  # tokens, each a character
TEXT_WIDTH = 32

CLASSES = {
    "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "text_encoder_2": ["transformers", "T5EncoderModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "tokenizer_2": ["transformers", "T5TokenizerFast"],
    "transformer": ["diffusers", "FluxTransformer2DModel"],
    "vae": ["diffusers", "AutoencoderKL"],
}


def make_tiny_checkpoint(path: Path, *, seed: int = 0, max_area: int = MAX_AREA) -> Path:
    """Write a checkpoint of about 1 MB to `path`, in the diffusers layout with `openkontext.json`.

    Outputs have about `max_area` pixels; the same seed gives the same weights.
    """
    torch.manual_seed(seed)
    parts = {
        "scheduler": _scheduler(),
        "tokenizer": _clip_tokenizer(),
        "tokenizer_2": _t5_tokenizer(),
        "transformer": _livelier(_transformer()),
        "vae": _livelier(_vae()),
    }
    parts["text_encoder"] = _clip(len(parts["tokenizer"]), parts["tokenizer"].eos_token_id)
    parts["text_encoder_2"] = _t5(len(parts["tokenizer_2"]))
    for name, part in parts.items():
        part.save_pretrained(path / name)
    index = {"_class_name": "FluxKontextPipeline", "_diffusers_version": "0.42.1", **CLASSES}
    (path / "model_index.json").write_text(json.dumps(index))
    (path / "openkontext.json").write_text(json.dumps(_configuration(max_area)))
    return path


def _configuration(max_area: int) -> dict[str, object]:
    factors = torch.randn(16, 3) / 16
    return {
        "max_area": max_area,
        "max_sequence_length": T5_LENGTH,
        "latent_rgb_factors": factors.tolist(),
        "latent_rgb_bias": [0.1, 0.0, -0.1],
    }


def _livelier(model: torch.nn.Module) -> torch.nn.Module:
    """Larger random weights: with the default ones every picture is the same grey, and a comparison shows nothing."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(1.5)
    return model


def _scheduler() -> FlowMatchEulerDiscreteScheduler:
    return FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True, base_shift=0.5, max_shift=1.15, shift=3.0)


def _transformer() -> FluxTransformer2DModel:
    return FluxTransformer2DModel(
        in_channels=64,
        num_layers=1,
        num_single_layers=2,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=TEXT_WIDTH,
        pooled_projection_dim=TEXT_WIDTH,
        guidance_embeds=True,
        axes_dims_rope=(4, 6, 6),
    )


def _vae() -> AutoencoderKL:
    return AutoencoderKL(
        block_out_channels=(8, 8, 16, 16),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=1,
        latent_channels=16,
        norm_num_groups=4,
        scaling_factor=0.3611,
        shift_factor=0.1159,
        use_quant_conv=False,
        use_post_quant_conv=False,
        mid_block_add_attention=False,
    )


def _clip_tokenizer() -> CLIPTokenizer:
    """One token for each byte, as CLIP's BPE without its merges."""
    alphabet = sorted(ByteLevel.alphabet())
    pieces = ["<|startoftext|>", "<|endoftext|>", "<|pad|>", *alphabet, *(letter + "</w>" for letter in alphabet)]
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    return CLIPTokenizer(vocab=vocabulary, merges=[], pad_token="<|pad|>", model_max_length=CLIP_LENGTH)


def _t5_tokenizer() -> T5TokenizerFast:
    """One token for each printable ASCII character."""
    characters = [chr(code) for code in range(33, 127)]
    vocabulary = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0), *((c, -3.0) for c in characters)]
    return T5TokenizerFast(vocab=vocabulary, extra_ids=0, model_max_length=T5_LENGTH)


def _clip(vocabulary: int, eos: int) -> CLIPTextModel:
    config = CLIPTextConfig(
        vocab_size=vocabulary,
        hidden_size=TEXT_WIDTH,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=CLIP_LENGTH,
        bos_token_id=0,
        eos_token_id=eos,
    )
    return CLIPTextModel(config)


def _t5(vocabulary: int) -> T5EncoderModel:
    config = T5Config(
        vocab_size=vocabulary,
        d_model=TEXT_WIDTH,
        d_kv=16,
        d_ff=64,
        num_layers=1,
        num_heads=2,
        feed_forward_proj="gated-gelu",
    )
    return T5EncoderModel(config)
