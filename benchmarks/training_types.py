"""Which type of products nano trains faster in, on this machine's CPU: side by side, on one thread.

python -m benchmarks.training_types [--repeats 5]
"""

import argparse
import time
from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks.engine import machine
from training.fast import choose_type
from training.optim import orthogonalise
from training.text import WIDTH
from training.transformer import build_transformer
from training.vae import build_vae, encode

TYPES = (torch.float32, torch.bfloat16)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5, help="of each, in turn; the fastest counts")
    repeats = parser.parse_args().repeats
    torch.set_num_threads(1)
    torch.manual_seed(0)
    print(machine())
    print(f"training chooses {choose_type(torch.device('cpu'))}\n")
    print(f"{'':28} {'float32 s':>9} {'bfloat16 s':>10} {'ratio':>6}")
    for name, work in {
        "encoding 22 pictures": encoding(),
        "24 edits, there and back": training(),
        "Muon's 8 of 256 × 1024": orthogonalising(),
    }.items():
        whole, half = measure(work, repeats)
        print(f"{name:28} {whole:9.3f} {half:10.3f} {half / whole:6.2f}")


def measure(work: Callable[[torch.dtype], object], repeats: int) -> list[float]:
    """The fastest of so many runs in each of TYPES, after one that doesn't count."""
    seconds: dict[torch.dtype, list[float]] = {dtype: [] for dtype in TYPES}
    for _ in range(repeats + 1):
        for dtype, found in seconds.items():
            began = time.perf_counter()
            with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
                work(dtype)
            found.append(time.perf_counter() - began)
    return [min(found[1:]) for found in seconds.values()]


def encoding() -> Callable[[torch.dtype], Tensor]:
    """The autoencoder's encoder on a scenario of 128 × 128 pixels."""
    vae, pictures = build_vae(), torch.rand(22, 3, 128, 128)
    return torch.no_grad()(lambda _: encode(vae, pictures))


def training() -> Callable[[torch.dtype], None]:
    """One process' share of a step, but for the optimiser and the text encoders."""
    transformer, words = build_transformer(), torch.randn(24, 16, WIDTH)
    inputs = {
        "hidden_states": torch.randn(24, 128, 64),
        "timestep": torch.rand(24),
        "guidance": torch.full((24,), 7.0),
        "pooled_projections": torch.randn(24, WIDTH),
        "encoder_hidden_states": words,
        "txt_ids": torch.zeros(16, 3),
        "img_ids": torch.zeros(128, 3),
    }

    def step(_: torch.dtype) -> None:
        transformer(**inputs, return_dict=False)[0].float().square().mean().backward()
        transformer.zero_grad()

    return step


def orthogonalising() -> Callable[[torch.dtype], Tensor]:
    """Newton–Schulz, in the type of what it gets."""
    matrices = torch.randn(8, 256, 1024)
    return lambda dtype: orthogonalise(matrices.to(dtype))


if __name__ == "__main__":
    main()
