"""The transformer's training loop: resumable, bounded by time, with an averaged copy of the weights for use.

With several processes (`together`) each draws a share of every batch, and the first keeps the run.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from training import together
from training.fast import speed_up
from training.nano import LENGTHS, Nano, flow_loss
from training.optim import Optimisers
from training.pairs import Batch, Pairs, stream
from training.state import Clock, Every, load, save_atomically

WARM_UP = 100
DECAY_FROM = 0.5
AVERAGE = 0.998


class Trainer:
    """Model, optimisers and averaged weights, with the file they are kept in."""

    def __init__(self, nano: Nano, path: Path, rate: float = 1.0):
        self.nano, self.path = nano, path
        self.optimisers = Optimisers(*split_nano(nano), muon_lr=2e-3 * rate, adam_lr=1e-3 * rate)
        self.average = [param.detach().clone() for param in nano.parameters()]
        self.step, self.samples, self.spent = 0, 0, 0.0
        saved = load(path)
        if saved is not None:
            self.restore(saved)

    def restore(self, saved: dict) -> None:
        """Go on from a checkpoint."""
        self.nano.load_state_dict(saved["model"])
        self.optimisers.load_state_dict(saved["optimisers"])
        self.average = [value.to(self.nano.device) for value in saved["average"]]
        self.step, self.samples, self.spent = saved["step"], saved["samples"], saved["spent"]

    def save(self, spent: float) -> None:
        """Write everything needed to go on."""
        self.spent = spent
        state = {"step": self.step, "samples": self.samples, "spent": spent, "average": self.average}
        state |= {"model": self.nano.state_dict(), "optimisers": self.optimisers.state_dict()}
        save_atomically(state, self.path)

    def update(self, batch: Batch, share: float) -> Tensor:
        """One step on this process' part of a batch; `share` of the budget decides the learning rate. Its loss."""
        length = int(np.random.default_rng(self.step).choice(LENGTHS))
        loss = flow_loss(self.nano, batch, length)
        loss.backward()
        together.average([param.grad for param in self.nano.parameters() if param.grad is not None])
        torch.nn.utils.clip_grad_norm_(self.nano.parameters(), 1.0)
        self.optimisers.step(learning_rate(self.step, share))
        decay = min(AVERAGE, (self.step + 1) / (self.step + 10))
        torch._foreach_lerp_(self.average, [param.detach() for param in self.nano.parameters()], 1 - decay)
        self.step += 1
        self.samples += len(batch.prompts) * together.size()
        return loss.detach()

    def averaged(self) -> Nano:
        """A copy of the model with the averaged weights, for sampling and export."""
        model = copy.deepcopy(self.nano).eval()
        with torch.no_grad():
            for param, value in zip(model.parameters(), self.average, strict=True):
                param.copy_(value)
        return model


def split_nano(nano: Nano) -> tuple[list[Tensor], list[Tensor]]:
    """Muon for the matrices of the transformer's blocks, AdamW for everything else."""
    matrices, rest = [], []
    for name, param in nano.named_parameters():
        (matrices if "transformer_blocks" in name and param.ndim == 2 else rest).append(param)
    return matrices, rest


def learning_rate(step: int, share: float) -> float:
    """Factor in 0–1: a short rise by steps, a plateau, a fall over the last third of the budget."""
    fall = 1.0 if share < DECAY_FROM else 0.02 + 0.98 * (1 - share) / (1 - DECAY_FROM)
    return min(1.0, (step + 1) / WARM_UP) * fall


def train(
    nano: Nano,
    pairs: Pairs,
    folder: Path,
    *,
    minutes: float,
    count: int,
    rate: float,
    on_picture: Callable[[Nano, int], None],
) -> None:
    """Train, or go on, until `minutes` are spent; `on_picture(model, step)` is called now and then to draw samples."""
    trainer = Trainer(nano, folder / "nano.pt", rate)
    if nano.device.type == "cpu":
        speed_up(nano.transformer)
    nano.transformer.compile_repeated_blocks(dynamic=True)
    clock = Clock(minutes * 60, trainer.spent)
    seed = [trainer.step, together.rank()]
    torch.manual_seed(int(np.random.default_rng(seed).integers(1 << 40)))
    batches = stream(pairs, count // together.size(), seed, drawers=8 if nano.device.type == "cuda" else 0)
    first = together.rank() == 0
    report, save, picture = Every(20), Every(180), Every(1200)
    losses: list[Tensor] = []
    try:
        while (share := agreed(clock.share, nano.device)) < 1:
            losses.append(trainer.update(next(batches), share))
            if first and report():
                print(progress(trainer, clock, losses), flush=True)
            if first and save():
                trainer.save(clock.spent)
            if first and picture():
                on_picture(trainer.averaged(), trainer.step)
            del losses[:-100]
    finally:
        if first:
            trainer.save(clock.spent)


def agreed(share: float, device: torch.device) -> float:
    """The mean of all processes' shares, by which all take the same steps and end at the same one."""
    mean = torch.tensor([share], dtype=torch.float64, device=device)
    together.average([mean])
    return float(mean)


def progress(trainer: Trainer, clock: Clock, losses: list[Tensor]) -> str:
    """One line: step, loss of the last steps, speed over the whole training, time left."""
    loss = float(torch.stack(losses).mean())
    speed, left = trainer.samples / clock.spent, (clock.budget - clock.spent) / 60
    return f"nano  step {trainer.step}  loss {loss:.4f}  {speed:.1f} samples/s  {left:.1f} min left"
