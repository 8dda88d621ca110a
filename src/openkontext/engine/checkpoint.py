"""A FLUX.1 Kontext checkpoint in memory: read from the diffusers layout, on one device, in one dtype."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler, FluxTransformer2DModel
from diffusers.utils import logging as diffusers_logging
from transformers import CLIPTextModel, CLIPTokenizer, T5EncoderModel, T5Tokenizer
from transformers.utils import logging as transformers_logging

from openkontext.engine.configuration import Configuration, read_configuration
from openkontext.engine.errors import CheckpointError
from openkontext.engine.fingerprint import fingerprint
from openkontext.engine.previews import fit
from openkontext.engine.source import locate

PIPELINE = "FluxKontextPipeline"
OnProgress = Callable[[str, int, int], None]

_TOKENIZERS: dict[str, Any] = {"tokenizer": CLIPTokenizer, "tokenizer_2": T5Tokenizer}
_ENCODERS: dict[str, Any] = {"text_encoder": CLIPTextModel, "text_encoder_2": T5EncoderModel}
_MODELS: dict[str, Any] = {"transformer": FluxTransformer2DModel, "vae": AutoencoderKL}
PARTS = ("scheduler", *_TOKENIZERS, *_ENCODERS, *_MODELS)


@dataclass(frozen=True)
class Checkpoint:
    """The parts of `FluxKontextPipeline`, loaded; diffusers' and transformers' own modules.

    Attributes:
        name: `nano`, a Hugging Face id, or the folder's name.
        fingerprint: 16 hexadecimal digits that tell this checkpoint from any other (see `fingerprint`).
        scheduler: its configuration; each edit makes a fresh scheduler from it, since a scheduler counts its steps.
    """

    name: str
    fingerprint: str
    configuration: Configuration
    device: torch.device
    dtype: torch.dtype
    scheduler: dict[str, Any]
    tokenizer: Any
    tokenizer_2: Any
    text_encoder: Any
    text_encoder_2: Any
    transformer: Any
    vae: Any


def load_checkpoint(
    checkpoint: str | Path,
    *,
    device: str | None = None,
    dtype: torch.dtype | None = None,
    on_progress: OnProgress | None = None,
) -> Checkpoint:
    """Load a checkpoint onto a device.

    Args:
        checkpoint: `nano`, a folder in the diffusers layout, or a Hugging Face id.
        device: a torch device; by default CUDA, else MPS, else the CPU.
        dtype: by default bfloat16 on an accelerator, float32 on the CPU.
        on_progress: called with (part, parts loaded, parts in all) before each part, and with `ready` at the end.

    Raises:
        CheckpointError: it can't be had or can't be used.
    """
    report = on_progress or _silently
    report("files", 0, len(PARTS))
    name, folder = locate(checkpoint)
    _check_layout(name, folder)
    place = torch.device(device or _best_device())
    number_type = dtype or _best_dtype(place)
    try:
        identity, configuration = fingerprint(folder, PARTS), read_configuration(folder)
    except (OSError, ValueError) as error:
        raise CheckpointError(name, str(error)) from error
    parts = {}
    with _without_bars():
        for done, part in enumerate(PARTS):
            report(part, done, len(PARTS))
            parts[part] = _load_part(name, folder / part, place, number_type)
    if configuration.latent_rgb_factors is None:
        factors, bias = fit(parts["vae"])
        configuration = replace(configuration, latent_rgb_factors=factors, latent_rgb_bias=bias)
    report("ready", len(PARTS), len(PARTS))
    return Checkpoint(name, identity, configuration, place, number_type, **parts)


def _silently(part: str, done: int, total: int) -> None:
    """Report nothing."""


@contextmanager
def _without_bars() -> Iterator[None]:
    """Keep the loaders from drawing progress bars of their own: `on_progress` tells how far it is."""
    logs: tuple[Any, Any] = (diffusers_logging, transformers_logging)
    shown = [log for log in logs if log.is_progress_bar_enabled()]
    for log in shown:
        log.disable_progress_bar()
    try:
        yield
    finally:
        for log in shown:
            log.enable_progress_bar()


def _best_device() -> str:
    """The fastest device of this machine."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _best_dtype(device: torch.device) -> torch.dtype:
    """The type of the numbers that a device is good at.

    On MPS too: half the memory, which there is the whole machine's, and float16 overflows in T5 and in FLUX. CPUs
    are float32 because few multiply bfloat16 in hardware, and without that it is several times slower.
    """
    return torch.float32 if device.type == "cpu" else torch.bfloat16


def _check_layout(name: str, folder: Path) -> None:
    """Refuse a folder that is not a whole Kontext checkpoint, before anything large is read."""
    index = folder / "model_index.json"
    if not index.is_file():
        raise CheckpointError(name, f"no model_index.json in {folder}: not a checkpoint in the diffusers layout")
    try:
        pipeline = json.loads(index.read_text())["_class_name"]
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(name, "model_index.json can't be read") from error
    if pipeline != PIPELINE:
        raise CheckpointError(name, f"it is for {pipeline}; only {PIPELINE} edits pictures by instruction")
    missing = [part for part in PARTS if not (folder / part).is_dir()]
    if missing:
        raise CheckpointError(name, f"without {', '.join(missing)}: download it again")


def _load_part(name: str, folder: Path, device: torch.device, dtype: torch.dtype) -> Any:
    """One part, by the loader of its class."""
    part = folder.name
    try:
        if part == "scheduler":
            return FlowMatchEulerDiscreteScheduler.load_config(folder)
        if part in _TOKENIZERS:
            return _TOKENIZERS[part].from_pretrained(folder, local_files_only=True)
        return _load_model(folder, device, dtype)
    except torch.OutOfMemoryError as error:
        raise CheckpointError(name, f"its {part} does not fit in the memory of {device}") from error
    except Exception as error:  # the loaders raise whatever their file formats do
        raise CheckpointError(name, f"its {part} can't be loaded: {error}") from error


def _load_model(folder: Path, device: torch.device, dtype: torch.dtype) -> Any:
    """A module with all of its weights, from safetensors only: they can't run code."""
    part = folder.name
    model, info = {**_ENCODERS, **_MODELS}[part].from_pretrained(
        folder,
        use_safetensors=True,
        local_files_only=True,
        output_loading_info=True,
        dtype=dtype,
    )
    if info["missing_keys"]:
        # they would be left random
        raise ValueError(f"{len(info['missing_keys'])} weights are missing, such as {min(info['missing_keys'])}")
    return model.to(device).eval()
