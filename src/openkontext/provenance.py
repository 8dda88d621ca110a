"""What the pixels of an edit depend on: collected here, kept in the picture's file by `openkontext.media.receipts`."""

import hashlib
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import diffusers
import PIL
import torch
import transformers
from PIL import Image

from openkontext import __version__
from openkontext.engine import Checkpoint
from openkontext.engine.pictures import as_seen
from openkontext.media.receipts import Receipt

# Of an edit's parameters, those that make its pixels or its file.
_PARAMETERS = (
    "prompt",
    "aspect_ratio",
    "guidance",
    "num_inference_steps",
    "seed",
    "output_format",
    "output_quality",
)


def receipt_of(
    checkpoint: Checkpoint, picture: Image.Image, parameters: Mapping[str, Any], output: Image.Image
) -> Receipt:
    """The receipt of an ``output`` that ``checkpoint`` just made of ``picture``, by the contract's ``parameters``."""
    return {
        "openkontext": __version__,
        **{name: parameters[name] for name in _PARAMETERS},
        **({"disable_safety_checker": True} if parameters["disable_safety_checker"] else {}),
        "width": output.width,
        "height": output.height,
        **circumstances(checkpoint, picture),
        "created_at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def circumstances(checkpoint: Checkpoint, picture: Image.Image) -> Receipt:
    """The rest of a receipt: where all of this is the same, the same parameters give the same pixels.

    ``input_sha256`` is of ``picture`` as the engine sees it and not of its file's bytes, so that it stays the same when
    the file is written in another way without loss, and changes with any pixel.
    """
    seen = as_seen(picture)
    digest = hashlib.sha256(f"{seen.width}x{seen.height}:".encode())
    digest.update(seen.tobytes())
    return {
        "checkpoint": checkpoint.name,
        "fingerprint": checkpoint.fingerprint,
        "device": _device(checkpoint.device),
        "dtype": str(checkpoint.dtype).removeprefix("torch."),
        # A sum that is split over more threads is added up in another order, and rounded otherwise.
        **({"threads": torch.get_num_threads()} if checkpoint.device.type == "cpu" else {}),
        "torch": str(torch.__version__),
        "diffusers": diffusers.__version__,
        "transformers": transformers.__version__,
        "pillow": PIL.__version__,
        "input_sha256": digest.hexdigest(),
    }


def _device(device: torch.device) -> str:
    """Its name; of a CPU, the instructions by which PyTorch chooses its kernels."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type == "cpu":
        return f"cpu ({platform.machine()}, {torch.backends.cpu.get_cpu_capability()})"
    return device.type
