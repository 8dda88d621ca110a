"""The 16-channel, f8 autoencoder: its shape, its training on rendered pictures, its latent statistics."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from torch import Tensor, nn

from training.fast import autocast
from training.optim import Optimisers, split
from training.scenarios import draw_scenario
from training.sources import Cutouts, load_cutouts
from training.state import Clock, Every, load, save_atomically
from training.states import render

LATENT_NOISE = 0.05
POOL = 8000


def build_vae() -> AutoencoderKL:
    """1.7 M parameters in AutoencoderKL's layout; the encoder's variance is fixed at nothing."""
    vae = AutoencoderKL(
        block_out_channels=(16, 32, 64, 96),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=1,
        latent_channels=16,
        norm_num_groups=2,
        mid_block_add_attention=False,
        use_quant_conv=False,
        use_post_quant_conv=False,
        scaling_factor=1.0,
        shift_factor=0.0,
    )
    with torch.no_grad():
        vae.encoder.conv_out.weight[16:].zero_()
        vae.encoder.conv_out.bias[16:].fill_(-12.0)
    return vae


def encode(vae: AutoencoderKL, pictures: Tensor) -> Tensor:
    """Latent means (N, 16, H/8, W/8) of pictures (N, 3, H, W) in −1..1, not yet shifted and scaled."""
    return vae.encoder(pictures)[:, :16]


def to_tensor(pictures: np.ndarray, device: torch.device) -> Tensor:
    """uint8 (N, H, W, 3) as channels-last floats (N, 3, H, W) in −1..1."""
    tensor = torch.from_numpy(np.ascontiguousarray(pictures)).to(device).permute(0, 3, 1, 2)
    return (tensor.float() / 127.5 - 1).contiguous(memory_format=torch.channels_last)


def render_pool(folder: Path, count: int, side: int) -> np.ndarray:
    """(count, side, side, 3) uint8 pictures of random states, rendered on all cores if `folder` has fewer of them."""
    path = folder / f"pictures-{side}.npy"
    if not path.exists() or len(np.load(path, mmap_mode="r")) < count:
        with ProcessPoolExecutor() as pool:
            parts = pool.map(render_part, [folder] * (count // 100), range(count // 100), [side] * (count // 100))
            np.save(path, np.concatenate(list(parts)))
    return np.load(path)[:count]


def render_part(folder: Path, seed: int, side: int) -> np.ndarray:
    """A hundred pictures of random scenarios' states."""
    rng = np.random.default_rng(seed)
    cutouts = load_cutouts(folder, side * 5 // 4)
    return np.stack([render(draw_state(rng, cutouts), (side, side), cutouts) for _ in range(100)])


def draw_state(rng: np.random.Generator, cutouts: Cutouts):
    """Any state of a random scenario."""
    states = draw_scenario(rng, cutouts).states
    return states[rng.integers(len(states))]


def reconstruction_loss(output: Tensor, target: Tensor) -> Tensor:
    """L1 + 2·MSE + half of the L1 between gradients."""
    difference = output - target
    across, down = difference.diff(dim=-1), difference.diff(dim=-2)
    return difference.abs().mean() + 2 * difference.square().mean() + 0.5 * (across.abs().mean() + down.abs().mean())


def draw_batch(pool: np.ndarray, rng: np.random.Generator, count: int, side: int) -> np.ndarray:
    """Random crops (count, side, side, 3), mirrored and with colours permuted so that few objects go further."""
    crops = np.empty((count, side, side, 3), np.uint8)
    for i in range(count):
        y, x = rng.integers(0, pool.shape[1] - side + 1, 2)
        crop = pool[rng.integers(len(pool)), y : y + side, x : x + side]
        crop = crop[:, ::-1] if rng.random() < 0.5 else crop
        crops[i] = crop[..., rng.permutation(3)] if rng.random() < 0.3 else crop
    return crops


def train_vae(folder: Path, side: int, minutes: float, device: torch.device, pictures: int = POOL) -> AutoencoderKL:
    """Train, or go on training, until `minutes` are spent; half-size crops first. Kept in `folder`/vae.pt."""
    vae = build_vae().to(device, memory_format=torch.channels_last)  # type: ignore[call-arg]
    trainer = VaeTrainer(vae, vae, folder / "vae.pt", minutes * 60)
    return trainer.run(lambda: render_pool(folder / "data", pictures, side), small_until=0.35)


def refine_decoder(
    vae: AutoencoderKL, folder: Path, side: int, minutes: float, device: torch.device, pictures: int = POOL
) -> AutoencoderKL:
    """Train the decoder alone for `minutes` more, which leaves latents as they are. Kept in `folder`/decoder.pt."""
    vae.encoder.requires_grad_(False)
    trainer = VaeTrainer(vae.to(device), vae.decoder, folder / "decoder.pt", minutes * 60)
    return trainer.run(lambda: render_pool(folder / "data", pictures, side), small_until=0.0)


class VaeTrainer:
    """An autoencoder in training, all of it or its decoder, with the file it is kept in."""

    def __init__(self, vae: AutoencoderKL, trained: nn.Module, path: Path, budget: float):
        self.vae, self.path = vae, path
        self.optimiser = Optimisers(*split([trained], exclude=("conv_in", "conv_out")), muon_lr=5e-3, adam_lr=3e-3)
        saved = load(path) or {"spent": 0.0, "step": 0}
        self.step, self.clock = saved["step"], Clock(budget, saved["spent"])
        if "model" in saved:
            vae.load_state_dict(saved["model"])
            self.optimiser.load_state_dict(saved["optimiser"])

    def run(self, make_pool: Callable[[], np.ndarray], small_until: float) -> AutoencoderKL:
        """Train until the budget is spent, on half-size crops until that share of it is."""
        report, save = Every(15), Every(120)
        pool = make_pool() if self.clock.share < 1 else np.empty(0)
        rng = np.random.default_rng(self.step)
        while self.clock.share < 1:
            loss = self.update(pool, rng, pool.shape[1] // 2 if self.clock.share < small_until else pool.shape[1])
            if report():
                left = (self.clock.budget - self.clock.spent) / 60
                print(f"vae  step {self.step}  loss {loss:.4f}  {left:.1f} min left", flush=True)
            if save() or self.clock.share >= 1:
                self.save()
        return self.vae.eval()

    def update(self, pool: np.ndarray, rng: np.random.Generator, side: int) -> float:
        """One step on crops of `side` pixels, as many as have five pictures' area. Returns the loss."""
        batch = to_tensor(draw_batch(pool, rng, 5 * (pool.shape[1] // side) ** 2, side), self.vae.device)
        loss = vae_loss(self.vae, batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.vae.parameters(), 1.0)
        self.step += 1
        warm_up, fall = min(1, self.step / 40), 0.5 + 0.5 * math.cos(math.pi * self.clock.share)
        self.optimiser.step(warm_up * fall + 1e-3)
        return float(loss)

    def save(self) -> None:
        """Write everything needed to go on."""
        state = {"model": self.vae.state_dict(), "optimiser": self.optimiser.state_dict()}
        save_atomically({**state, "spent": self.clock.spent, "step": self.step}, self.path)


def vae_loss(vae: AutoencoderKL, batch: Tensor) -> Tensor:
    """Loss of one batch through noisy latents, which the light penalty keeps near unit size."""
    with autocast(batch.device):
        latents = encode(vae, batch)
        output = vae.decoder(latents + LATENT_NOISE * torch.randn_like(latents))
    return reconstruction_loss(output.float(), batch) + 1e-4 * latents.float().square().mean()


@torch.no_grad()
def measure_psnr(vae: AutoencoderKL, pictures: np.ndarray, device: torch.device) -> float:
    """Mean PSNR of reconstructions, in dB."""
    batch = to_tensor(pictures, device)
    output = vae.decoder(encode(vae, batch)).clamp(-1, 1)
    error = F.mse_loss(output, batch, reduction="none").mean((1, 2, 3)) / 4
    return float((-10 * error.log10()).mean())
