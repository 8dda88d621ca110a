"""`python -m training.average`: a checkpoint between two, one of which was trained from the other.

A short run at the end learns what it was for and loses a little of the rest; between its beginning and its end lie
weights that have most of both (Wortsman et al., "Robust fine-tuning of zero-shot models", 2022).
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import load_file, save_file

# The parts that a run trains; the autoencoder and the vocabularies are those of its beginning.
TRAINED = ("transformer", "text_encoder", "text_encoder_2")


def average(before: Path, after: Path, share: float, output: Path) -> None:
    """Write the checkpoint with `share` (0–1) of the weights of `after` and the rest of `before` to a new folder.

    Raises:
        ValueError: they don't have the same tensors, as with a word more in the vocabulary.
    """
    mixed = {}
    for path in [path.relative_to(after) for part in TRAINED for path in (after / part).glob("*.safetensors")]:
        old, new = load_file(before / path), load_file(after / path)
        if {name: value.shape for name, value in old.items()} != {name: value.shape for name, value in new.items()}:
            raise ValueError(f"{path.parent.name} has other tensors in {before} than in {after}")
        mixed[path] = {name: old[name].float().lerp(new[name].float(), share).to(new[name].dtype) for name in new}
    shutil.copytree(after, output)
    for path, tensors in mixed.items():
        with safe_open(after / path, "pt") as file:
            save_file(tensors, output / path, file.metadata())


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m training.average", description=__doc__)
    parser.add_argument("before", type=Path, help="the checkpoint that a run began with")
    parser.add_argument("after", type=Path, help="the one that it ended with")
    parser.add_argument("--share", type=float, default=0.7, help="how much of the second, from 0 to 1")
    parser.add_argument("--output", type=Path, required=True, help="a new folder")
    options = parser.parse_args()
    average(options.before, options.after, options.share, options.output)


if __name__ == "__main__":
    main()
