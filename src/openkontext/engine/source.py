"""Where a checkpoint lies: the folder of `nano`, of a path, or of a Hugging Face id after its download."""

import re
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import huggingface_hub
from huggingface_hub import constants
from huggingface_hub import errors as hub

from openkontext.engine.errors import CheckpointError

NANO = "nano"
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")

# Only what the loaders read: FLUX repositories also hold the same weights in one 24 GB file at their root.
_FILES = ("model_index.json", "openkontext.json", "*/*.json", "*/*.txt", "*/*.model", "*/*.safetensors")


def locate(checkpoint: str | Path) -> tuple[str, Path]:
    """The name and the folder (diffusers layout) of a checkpoint, downloaded first if it is a Hugging Face id.

    Args:
        checkpoint: `nano`, a folder, or a Hugging Face id such as `black-forest-labs/FLUX.1-Kontext-dev`.

    Raises:
        CheckpointError: it is not there, or not to be had.
    """
    if checkpoint == NANO:
        return NANO, _nano()
    folder = Path(checkpoint).expanduser()
    if folder.is_dir():
        return folder.resolve().name, folder
    if isinstance(checkpoint, str) and _HUB_ID.fullmatch(checkpoint):
        return checkpoint, _download(checkpoint)
    raise CheckpointError(str(checkpoint), "no such folder; give a folder, a Hugging Face id (owner/name) or nano")


def _nano() -> Path:
    """The folder of the checkpoint that ships beside this package, installed or in its checkout."""
    in_checkout = Path(__file__).parents[3] / "checkpoints" / "nano" / "openkontext_nano"
    if find_spec("openkontext_nano"):
        return Path(import_module("openkontext_nano").PATH)
    if in_checkout.is_dir():
        return in_checkout
    raise CheckpointError(NANO, "it is not installed; run: pip install openkontext-nano")


def _download(repository: str) -> Path:
    """The cached snapshot of a Hugging Face repository, with the token from the usual places."""
    try:
        return Path(huggingface_hub.snapshot_download(repository, allow_patterns=list(_FILES)))
    except Exception as error:  # besides its own errors, whatever the transport and the disk raise
        raise CheckpointError(repository, _remedy(repository, error)) from error


def _remedy(repository: str, error: Exception) -> str:
    """What went wrong at Hugging Face and how to put it right."""
    page = f"https://huggingface.co/{repository}"
    if isinstance(error, hub.GatedRepoError):
        return f"its licence must be accepted first at {page}; then log in with `hf auth login` or set HF_TOKEN"
    if isinstance(error, hub.RepositoryNotFoundError):
        return "no such folder here, nor such a repository at Hugging Face (a private one needs HF_TOKEN)"
    if isinstance(error, hub.LocalEntryNotFoundError) and constants.is_offline_mode():
        return f"it is not in the cache, and HF_HUB_OFFLINE is set; unset it or run `hf download {repository}` first"
    if isinstance(error, hub.LocalEntryNotFoundError):
        return "it is not in the cache, and Hugging Face can't be reached or does not answer; check the network"
    return f"the download failed: {error}"
