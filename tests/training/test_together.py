"""Processes that train together agree on every average, and each draws edits of its own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from training import together
from training.optim import Muon


def note_average(folder: Path) -> None:
    """Average what differs by process, in two shapes, and write down what came of it."""
    rank = together.rank()
    tensors = [torch.full((2, 3), float(rank)), torch.tensor(10.0 * rank)]
    together.average(tensors)
    (folder / f"{rank}.json").write_text(json.dumps([tensor.tolist() for tensor in tensors]))


@pytest.mark.parametrize(("processes", "mean"), [(1, 0.0), (2, 0.5)])
def test_all_have_the_average(tmp_path: Path, processes: int, mean: float) -> None:
    """In each process, and nothing else is left in the folder."""
    together.run_together(note_average, processes, tmp_path, tmp_path)
    expected = [[[mean] * 3] * 2, 10 * mean]
    assert {f"{rank}.json": expected for rank in range(processes)} == {
        path.name: json.loads(path.read_text()) for path in tmp_path.iterdir()
    }


def note_update(folder: Path) -> None:
    """A step of Muon on three matrices, one of them the only one of its shape, written down."""
    torch.manual_seed(0)
    matrices = [torch.nn.Parameter(torch.randn(shape)) for shape in ((4, 8), (4, 8), (8, 4))]
    for matrix in matrices:
        matrix.grad = torch.randn_like(matrix)
    Muon(matrices, lr=0.1).step()
    torch.save([matrix.detach() for matrix in matrices], folder / f"{together.size()}-{together.rank()}.pt")


def test_what_is_divided_is_whole_for_all(tmp_path: Path) -> None:
    """Muon's matrices, some made orthogonal by each process: every process has the update that one alone makes."""
    for processes in (1, 2):
        together.run_together(note_update, processes, tmp_path, tmp_path)
    alone, *both = (torch.load(tmp_path / f"{name}.pt") for name in ("1-0", "2-0", "2-1"))
    for found in both:
        assert all(torch.allclose(*pair, atol=1e-3) for pair in zip(found, alone, strict=True))
