"""Prompts and vocabularies: every wording fills its gaps, and letter case makes no difference to the model."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import CLIPTokenizer, T5TokenizerFast

from training.pairs import WEIGHTS
from training.phrases import BACKGROUNDS, FAMILIES, HELD_OUT, TRAIN, expand, phrase
from training.scenarios import Edit
from training.scenes import SCENES
from training.text import TextEncoders, add_cased, list_words, make_t5_tokenizer, tokenise, train_clip_tokenizer

CORPUS = ["make it snow", "replace the background with a bokeh light effect", "please, make it darker!"] * 3
WORDS = {
    "background": "beach", "colour": "red", "object": "cat", "other": "dog", "weather": "snow", "place": "top left",
}  # fmt: skip


def test_families_agree() -> None:
    """Each family has wordings to learn, others held out, and a share of the samples; each scene has names."""
    assert set(TRAIN) == set(HELD_OUT) == {row.removesuffix(", photos") for row in WEIGHTS} == set(FAMILIES)
    assert set(SCENES) == set(BACKGROUNDS)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("held_out", [False, True])
def test_phrases_fill_their_gaps(family: str, held_out: bool) -> None:
    """No bracket or gap is left in a prompt."""
    rng = np.random.default_rng(0)
    prompts = [phrase(rng, Edit(0, 1, family, WORDS), held_out) for _ in range(200)]
    assert [] == [prompt for prompt in prompts if re.search(r"[\[\]{}|]|  ", prompt) or not prompt.strip()]


@pytest.mark.parametrize("family", FAMILIES)
def test_held_out_phrases_are_never_trained(family: str) -> None:
    """A wording kept for evaluation is not one of those drawn in training."""
    rng = np.random.default_rng(0)
    trained = {expand(rng, template) for template in TRAIN[family] for _ in range(300)}
    assert set() == trained & set(HELD_OUT[family])


def test_clip_tokenizer_ends_with_its_own_token() -> None:
    """CLIP's end token is not 2, for which transformers takes another way to pool."""
    tokenizer = train_clip_tokenizer(CORPUS, size=300)
    assert 1 == tokenizer.eos_token_id
    assert [0, 1] == [tokenizer("make it snow").input_ids[i] for i in (0, -1)]


def test_t5_tokenizer_keeps_words_whole() -> None:
    """Known words are one token each; unknown ones fall to characters."""
    tokenizer = make_t5_tokenizer(list_words(CORPUS), cased=False)
    assert ["▁make", "▁it", "▁snow", ",", "▁", "q", "i"] == tokenizer.tokenize("make it snow, qi")


def test_letter_case_makes_no_difference(tmp_path: Path) -> None:
    """The exported vocabulary and embedding give any case the lower-case prompt's encoding, after saving too."""
    lower = make_t5_tokenizer(list_words(CORPUS), cased=False)
    make_t5_tokenizer(list_words(CORPUS), cased=True).save_pretrained(tmp_path)
    cased = T5TokenizerFast.from_pretrained(tmp_path)
    encoders = TextEncoders(clip_size=300, t5_size=len(lower)).eval()
    larger = add_cased(encoders.t5, lower)
    clip = train_clip_tokenizer(CORPUS, size=300)
    expected = encoders.t5(tokenise(["make it snow, please"], clip, lower)[1]).last_hidden_state
    actual = larger(tokenise(["Make it SNOW, Please"], clip, cased)[1]).last_hidden_state
    assert torch.equal(expected, actual)


def test_clip_tokenizer_survives_saving(tmp_path: Path) -> None:
    """The saved tokenizer gives the same ids, whatever the letter case."""
    tokenizer = train_clip_tokenizer(CORPUS, size=300)
    tokenizer.save_pretrained(tmp_path)
    loaded = CLIPTokenizer.from_pretrained(tmp_path)
    assert tokenizer("make it snow").input_ids == loaded("Make It SNOW").input_ids
