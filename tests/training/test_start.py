"""A run can begin with a checkpoint that was exported: the same weights and words, and room for new ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from training.export import export
from training.make_nano import parse
from training.nano import Nano
from training.start import Start, extend
from training.text import list_words, make_t5_tokenizer, train_clip_tokenizer
from training.vae import build_vae

WORDS = list_words(["make it snow", "blur the picture"])


def test_a_run_goes_on_from_an_exported_checkpoint(tmp_path: Path) -> None:
    """Known prompts are encoded as before, though the vocabulary has a word more."""
    torch.manual_seed(0)
    before = Nano(train_clip_tokenizer(["make it snow"] * 3, size=300), make_t5_tokenizer(WORDS, cased=False)).eval()
    pictures = np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3), np.uint8)
    expected = before.encode(["blur the picture"])
    vae = build_vae()
    vae.register_to_config(scaling_factor=2.0)
    export(before, vae, WORDS, pictures, 64, tmp_path)
    assert 64 == parse(["--begin", str(tmp_path)]).size
    assert 128 == parse([]).size
    start = Start(tmp_path)
    assert vae.config.scaling_factor == start.vae.config.scaling_factor
    assert torch.equal(vae.decoder.conv_in.weight, start.vae.decoder.conv_in.weight)
    assert WORDS == start.words
    words = extend(start.words, ["snow", "gone"])
    assert [*WORDS, "gone"] == words
    after = Nano(start.clip_tokenizer, make_t5_tokenizer(words, cased=False)).eval()
    start.give_weights(after)
    assert all(map(torch.equal, expected, after.encode(["blur the picture"])))
    assert torch.equal(before.transformer.x_embedder.weight, after.transformer.x_embedder.weight)
    assert ["▁gone"] == after.t5_tokenizer.tokenize("gone")
