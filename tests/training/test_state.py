"""A run can be stopped and gone on with: files, clocks, optimisers."""

from __future__ import annotations

import copy
import hashlib
from pathlib import Path

import pytest
import torch
from torch import nn

from training import sources
from training.optim import Optimisers, orthogonalise, split
from training.state import Clock, load, save_atomically
from training.train import DECAY_FROM, WARM_UP, learning_rate


def test_save_and_load(tmp_path: Path) -> None:
    """What was saved last is what is loaded, and nothing else is left behind."""
    path = tmp_path / "new" / "state.pt"
    assert load(path) is None
    for step in (1, 2):
        save_atomically({"step": step}, path)
    assert {"step": 2} == load(path)
    assert [path] == list(path.parent.iterdir())


def test_clock_goes_on() -> None:
    """Time spent in earlier runs counts; a spent budget is a share of one."""
    assert 0.5 <= Clock(100, spent=50).share < 0.6
    assert [1.0, 1.0] == [Clock(100, spent=200).share, Clock(0).share]


def test_learning_rate_rises_and_falls() -> None:
    """By steps at first, by the share of the budget at the end."""
    assert learning_rate(0, 0) < learning_rate(WARM_UP, 0) == learning_rate(WARM_UP, DECAY_FROM - 0.01) == 1
    assert pytest.approx(0.02) == learning_rate(WARM_UP, 1.0)


def test_orthogonalise() -> None:
    """Singular values end near one, for wide and tall matrices."""
    for shape in ((3, 16, 32), (3, 32, 16)):
        matrices = torch.randn(shape, generator=torch.Generator().manual_seed(0)).bfloat16()
        values = torch.linalg.svdvals(orthogonalise(matrices).float())
        assert values.min() > 0.4
        assert values.max() < 1.4


def test_optimisers_go_on_as_if_never_stopped() -> None:
    """Steps after a reload are those that would have been taken."""
    torch.manual_seed(0)
    model, inputs = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2)), torch.randn(16, 4)

    def step(optimisers: Optimisers) -> list[torch.Tensor]:
        model(inputs).square().mean().backward()
        optimisers.step(1.0)
        return [param.detach().clone() for param in model.parameters()]

    first, second = (Optimisers(*split([model]), muon_lr=0.01, adam_lr=0.01) for _ in range(2))
    step(first)
    weights, state = model.state_dict(), first.state_dict()
    saved = {name: value.clone() for name, value in weights.items()}
    second.load_state_dict(copy.deepcopy(state))
    expected = step(first)
    model.load_state_dict(saved)
    assert all(map(torch.equal, expected, step(second)))


def test_wrong_package_is_refused(tmp_path: Path) -> None:
    """An archive whose hash isn't the one written down is an error that names both."""
    archive = tmp_path / sources.NAMES[1]
    archive.write_bytes(b"something else")
    with pytest.raises(sources.SourceError, match=hashlib.sha256(b"something else").hexdigest()):
        sources.verify(archive)
