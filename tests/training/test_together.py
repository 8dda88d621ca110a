"""Processes that train together agree on every average, and each draws edits of its own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from training import together


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
