"""Scenarios as latents on disk: shards of one picture size each, with their edits; what the transformer trains on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor

from training.canvas import Size, same
from training.fast import autocast
from training.scenarios import SIZES, Edit, draw_photo_scenario, draw_scenario
from training.sources import load_cutouts
from training.state import load, save_atomically
from training.states import render
from training.vae import encode, to_tensor

SCENARIOS_PER_SHARD = 50
# The share of scenarios with subjects as photographs have them.
LIKE_PHOTOS = 0.3
# The side of a token, in pixels: the autoencoder's factor of 8, and patches of 2 × 2 latents.
TOKEN = 16
# The folder of the shards in the state folder. `latents` held those that don't say what an edit keeps.
SHARDS = "shards"


@dataclass(frozen=True)
class Shard:
    """Latents (N, 16, H/8, W/8) float16, not normalised, of one picture size, and the edits between them.

    `kept` (E, H/16, W/16), uint8 of 255, is the share of each token's pixels that an edit leaves as they are.
    """

    size: Size
    latents: Tensor
    edits: list[Edit]
    kept: Tensor


def shard_size(number: int, side: int) -> Size:
    """The picture size of a shard: SIZES in turn, scaled so that their area is about `side`²; multiples of 16."""
    height, width = SIZES[number % len(SIZES)]
    return round(height * side / 128 / 16) * 16, round(width * side / 128 / 16) * 16


def render_scenario(folder: Path, seed: int, size: Size, side: int) -> tuple[np.ndarray, list[dict], np.ndarray]:
    """Pictures (N, H, W, 3) uint8 of one random scenario, its edits as dictionaries, and what these keep."""
    cutouts = load_cutouts(folder / "data", side * 5 // 4)
    rng = np.random.default_rng(seed)
    scenario = (draw_photo_scenario if rng.random() < LIKE_PHOTOS else draw_scenario)(rng, cutouts)
    pictures = np.stack([render(state, size, cutouts) for state in scenario.states])
    kept = np.stack([measure_kept(pictures[edit.source], pictures[edit.target]) for edit in scenario.edits])
    return pictures, [asdict(edit) for edit in scenario.edits], kept


def measure_kept(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The share of each token's 16 × 16 pixels that are the same in both pictures, (H/16, W/16) uint8 of 255."""
    height, width = source.shape[0] // TOKEN, source.shape[1] // TOKEN
    tokens = same(source, target).reshape(height, TOKEN, width, TOKEN)
    return np.round(tokens.mean((1, 3)) * 255).astype(np.uint8)


def make_shards(folder: Path, vae: AutoencoderKL, side: int, numbers: range, device: torch.device) -> None:
    """Render and encode the shards of these numbers that `folder` lacks, on all cores; prints a line for each."""
    missing = [number for number in numbers if not shard_path(folder, number).exists()]
    with ProcessPoolExecutor() as pool:
        for number in missing:
            shard = make_shard(folder, vae, side, number, device, pool)
            save_atomically(shard, shard_path(folder, number))
            print(f"latents  shard {number} of {numbers.stop}  {len(shard['latents'])} pictures", flush=True)


def make_shard(
    folder: Path, vae: AutoencoderKL, side: int, number: int, device: torch.device, pool: ProcessPoolExecutor
) -> dict:
    """One shard as it is saved."""
    size = shard_size(number, side)
    seeds = [number * SCENARIOS_PER_SHARD + i for i in range(SCENARIOS_PER_SHARD)]
    latents, edits, kept, start = [], [], [], 0
    arguments = ([folder] * len(seeds), seeds, [size] * len(seeds), [side] * len(seeds))
    for pictures, found, unchanged in pool.map(render_scenario, *arguments):
        latents.append(encode_pictures(vae, pictures, device))
        kept.append(torch.from_numpy(unchanged))
        edits += [{**edit, "source": edit["source"] + start, "target": edit["target"] + start} for edit in found]
        start += len(pictures)
    return {"size": size, "latents": torch.cat(latents), "edits": json.dumps(edits), "kept": torch.cat(kept)}


@torch.no_grad()
def encode_pictures(vae: AutoencoderKL, pictures: np.ndarray, device: torch.device) -> Tensor:
    """Latent means as float16 on the CPU."""
    with autocast(device):
        return encode(vae, to_tensor(pictures, device)).half().cpu()


def shard_path(folder: Path, number: int) -> Path:
    """Where a shard is kept."""
    return folder / SHARDS / f"{number:05d}.pt"


def read_shards(folder: Path) -> Iterator[Shard]:
    """Every shard that is there, in order."""
    for path in sorted((folder / SHARDS).glob("*.pt")):
        saved = load(path)
        edits = [Edit(**edit) for edit in json.loads(saved["edits"])]
        yield Shard(tuple(saved["size"]), saved["latents"], edits, saved["kept"])


def measure_latents(shards: list[Shard]) -> tuple[float, float]:
    """(shift, scale) that bring the latents' mean to 0 and their deviation to 1, as AutoencoderKL's config has them."""
    values = torch.cat([shard.latents[::7].float().flatten() for shard in shards])
    return float(values.mean()), float(1 / values.std())
