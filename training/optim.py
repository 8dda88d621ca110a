"""Muon for matrices and convolutions, AdamW for the rest, together (Jordan 2024; Liu et al., arXiv 2502.16982)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from training import together
from training.fast import choose_type


class Muon(torch.optim.Optimizer):
    """Momentum whose matrix is made orthogonal before each step; updates are scaled to AdamW's root mean square."""

    def __init__(self, params: list[Tensor], lr: float, momentum: float = 0.95, weight_decay: float = 0.01):
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One update of every parameter that has a gradient; equal shapes go through one batched product."""
        for group in self.param_groups:
            shapes: dict[torch.Size, list[Tensor]] = {}
            for param in group["params"]:
                if param.grad is not None:
                    shapes.setdefault(param.flatten(1).shape, []).append(param)
            for params in shapes.values():
                self.step_shape(params, group)

    def step_shape(self, params: list[Tensor], group: dict[str, float]) -> None:
        """Update parameters that are matrices of one shape; of several processes each makes some of them orthogonal."""
        directions = torch.stack([self.direction(param, group["momentum"]).flatten(1) for param in params])
        directions = together.divide(orthogonalise, directions.to(choose_type(directions.device)))
        directions = directions.to(params[0].dtype)
        scale = 0.2 * max(directions.shape[-2:]) ** 0.5
        for param, direction in zip(params, directions, strict=True):
            param.mul_(1 - group["lr"] * group["weight_decay"])
            param.add_(direction.view_as(param), alpha=-group["lr"] * scale)

    def direction(self, param: Tensor, momentum: float) -> Tensor:
        """Nesterov momentum of one parameter."""
        state = self.state[param]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(param)
        state["momentum"].lerp_(param.grad, 1 - momentum)
        return param.grad.lerp(state["momentum"], momentum)


def orthogonalise(matrices: Tensor, steps: int = 5) -> Tensor:
    """The nearest (semi-)orthogonal matrices to a batch (N, M, K), by Newton–Schulz."""
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.mT if tall else matrices
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=-4.7750, alpha=2.0315), x, beta=3.4445)
    return x.mT if tall else x


class Optimisers:
    """Muon and AdamW over one model, stepped and scheduled together."""

    def __init__(self, matrices: list[Tensor], rest: list[Tensor], muon_lr: float, adam_lr: float):
        adam = torch.optim.AdamW(rest, lr=adam_lr, betas=(0.9, 0.98), weight_decay=0.01)
        self.parts: list[torch.optim.Optimizer] = [Muon(matrices, lr=muon_lr), adam]
        self.rates = [muon_lr, adam_lr]

    def step(self, factor: float) -> None:
        """Update at `factor` of the full learning rates, then clear the gradients."""
        for part, rate in zip(self.parts, self.rates, strict=True):
            for group in part.param_groups:
                group["lr"] = rate * factor
            part.step()
            part.zero_grad(set_to_none=True)

    def state_dict(self) -> list[dict]:
        """Both states, for a checkpoint."""
        return [part.state_dict() for part in self.parts]

    def load_state_dict(self, states: list[dict]) -> None:
        """What `state_dict` gave."""
        for part, state in zip(self.parts, states, strict=True):
            part.load_state_dict(state)


def split(modules: list[nn.Module], exclude: tuple[str, ...] = ()) -> tuple[list[Tensor], list[Tensor]]:
    """Parameters for Muon (matrices and convolutions) and the rest; names containing one of `exclude` are rest."""
    matrices, rest = [], []
    for module in modules:
        for name, param in module.named_parameters():
            plain = param.ndim < 2 or any(part in name for part in exclude)
            (rest if plain else matrices).append(param)
    return matrices, rest
