"""Between two checkpoints of one architecture lies a third, which has their files and the share of each."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from training.average import TRAINED, average


def write(folder: Path, value: float, size: int = 3) -> Path:
    """A checkpoint's files: what a run trains in bfloat16, and an autoencoder."""
    for part in (*TRAINED, "vae"):
        (folder / part).mkdir(parents=True)
        save_file({"weight": torch.full((size,), value, dtype=torch.bfloat16)}, folder / part / "model.safetensors")
    (folder / "model_index.json").write_text(str(value))
    return folder


def test_it_has_the_share_of_each(tmp_path: Path) -> None:
    """In the type that they are stored in; what isn't trained is the second's."""
    before, after = write(tmp_path / "before", 0.0), write(tmp_path / "after", 8.0)
    average(before, after, 0.75, tmp_path / "between")
    for part, expected in {**dict.fromkeys(TRAINED, 6.0), "vae": 8.0}.items():
        weight = load_file(tmp_path / "between" / part / "model.safetensors")["weight"]
        assert torch.equal(torch.full((3,), expected, dtype=torch.bfloat16), weight)
    assert "8.0" == (tmp_path / "between" / "model_index.json").read_text()


def test_others_are_refused(tmp_path: Path) -> None:
    """A vocabulary with a word more is named, and nothing is written."""
    before, after = write(tmp_path / "before", 0.0), write(tmp_path / "after", 8.0)
    shutil.rmtree(before / "text_encoder_2")
    write(tmp_path / "larger", 0.0, size=4).joinpath("text_encoder_2").rename(before / "text_encoder_2")
    with pytest.raises(ValueError, match="text_encoder_2 has other tensors"):
        average(before, after, 0.5, tmp_path / "between")
    assert not (tmp_path / "between").exists()
