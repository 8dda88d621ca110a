"""Small CLIP and T5 encoders with vocabularies made from the prompts.

CLIP's is a byte-pair encoding. T5's is a list of whole words with characters below it: a trained Unigram model splits
words as common as "make". T5's tokenizer class keeps no normaliser, so letter case is met by the vocabulary: training
sees lower case only, and `add_cased` gives Capitalised and UPPER words the rows of their lower-case forms.
"""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
import torch
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer, T5Config, T5EncoderModel, T5TokenizerFast

from training.phrases import BACKGROUNDS, BEFORE, HELD_OUT, TRAIN, phrase
from training.scenarios import draw_scenario
from training.sources import Cutouts

WIDTH = 128
TEXT_LENGTH = 64
CLIP_LENGTH = 77
START, END = "<|startoftext|>", "<|endoftext|>"
CHARACTERS = "abcdefghijklmnopqrstuvwxyz0123456789.,!?'\"-:;()&+/%#"


def make_corpus(cutouts: Cutouts, scenarios: int = 1200) -> list[str]:
    """Prompts as training draws them, every name, and the held-out wordings' words (wordings, not sentences)."""
    rng = np.random.default_rng(7)
    prompts = [phrase(rng, edit) for _ in range(scenarios) for edit in draw_scenario(rng, cutouts).edits]
    tables = [*TRAIN.values(), *HELD_OUT.values()]
    wordings = [re.sub(r"[\[\]|]|\{\w+\}", " ", template) for templates in tables for template in templates]
    return [*prompts, *wordings, *cutouts.names, BEFORE.replace("|", " "), *sum(BACKGROUNDS.values(), ())]


def train_clip_tokenizer(corpus: list[str], size: int = 1500) -> CLIPTokenizer:
    """A byte-pair vocabulary of `size`, in CLIP's own conventions."""
    tokenizer = Tokenizer(models.BPE(end_of_word_suffix="</w>", unk_token=END))
    tokenizer.normalizer = normalizers.Lowercase()
    pattern = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
    split = pre_tokenizers.Split(Regex(pattern), behavior="removed", invert=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=[START, END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        end_of_word_suffix="</w>",
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus, trainer)
    merges = [tuple(merge.split(" ")) for merge in bpe_merges(tokenizer)]
    return CLIPTokenizer(vocab=tokenizer.get_vocab(), merges=merges, model_max_length=CLIP_LENGTH)


def bpe_merges(tokenizer: Tokenizer) -> list[str]:
    """The merges of a byte-pair tokenizer as `left right`."""
    import json

    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    return [merge if isinstance(merge, str) else " ".join(merge) for merge in merges]


def list_words(corpus: list[str]) -> list[str]:
    """The corpus' words, commonest first."""
    counts = Counter(word for line in corpus for word in re.findall(r"[a-z0-9&'-]+", line.replace("|", " ").lower()))
    return [word for word, _ in counts.most_common()]


def make_t5_tokenizer(words: list[str], cased: bool) -> T5TokenizerFast:
    """Whole words, then characters; with `cased`, then their forms in other case, in the order of `case_pairs`."""
    special = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    vocab = special + [("▁" + word, -2.0) for word in words] + [("▁", -8.0)] + [(c, -10.0) for c in CHARACTERS]
    known = [token for token, _ in vocab]
    extra = [(form, dict(vocab)[known[row]]) for form, row in case_pairs(known)] if cased else []
    return T5TokenizerFast(vocab=unique(vocab + extra), extra_ids=0, model_max_length=TEXT_LENGTH)


def unique(vocab: list[tuple[str, float]]) -> list[tuple[str, float]]:
    """`vocab` without repeated tokens."""
    return list(dict(vocab).items())


def case_pairs(tokens: list[str]) -> list[tuple[str, int]]:
    """(form, row of its lower-case token) for the forms in other case that `tokens` lack."""
    known = set(tokens)
    forms: dict[str, int] = {}
    for row, token in enumerate(tokens):
        if not token.startswith("<"):
            for form in (token.replace("▁", "").capitalize(), token.upper()):
                form = "▁" + form if token.startswith("▁") and not form.startswith("▁") else form
                if form not in known:
                    forms.setdefault(form, row)
    return list(forms.items())


class TextEncoders(nn.Module):
    """Both encoders, trained together with the transformer."""

    def __init__(self, clip_size: int, t5_size: int):
        super().__init__()
        self.clip = CLIPTextModel(
            CLIPTextConfig(
                vocab_size=clip_size, hidden_size=WIDTH, intermediate_size=2 * WIDTH, projection_dim=WIDTH,
                num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=CLIP_LENGTH,
                bos_token_id=0, eos_token_id=1, pad_token_id=1,
            )
        )  # fmt: skip
        self.t5 = T5EncoderModel(
            T5Config(
                vocab_size=t5_size, d_model=WIDTH, d_kv=32, d_ff=2 * WIDTH, num_layers=2, num_heads=4,
                feed_forward_proj="gated-gelu", dropout_rate=0.0, pad_token_id=0, eos_token_id=1,
            )
        )  # fmt: skip

    def forward(self, clip_ids: Tensor, t5_ids: Tensor) -> tuple[Tensor, Tensor]:
        """Pooled (N, 128) from CLIP and tokens (N, T, 128) from T5, as FluxKontextPipeline takes them."""
        pooled = self.clip(clip_ids).pooler_output
        return pooled, self.t5(t5_ids).last_hidden_state


def tokenise(
    prompts: list[str], clip: CLIPTokenizer, t5: T5TokenizerFast, length: int = TEXT_LENGTH
) -> tuple[Tensor, Tensor]:
    """Ids (N, 77) and (N, `length`), padded as the pipeline pads them."""
    options = {"padding": "max_length", "truncation": True, "return_tensors": "pt"}
    clip_ids = clip(prompts, max_length=CLIP_LENGTH, **options).input_ids
    return clip_ids, t5(prompts, max_length=length, **options).input_ids


def add_cased(t5: T5EncoderModel, lower: T5TokenizerFast) -> T5EncoderModel:
    """A copy of `t5` whose embedding also has a row for each cased form, equal to its lower-case row."""
    vocab = sorted(lower.get_vocab().items(), key=lambda entry: entry[1])
    rows = list(range(len(vocab))) + [row for _, row in case_pairs([token for token, _ in vocab])]
    weights = t5.state_dict()
    for name in ("shared.weight", "encoder.embed_tokens.weight"):
        if name in weights:
            weights[name] = weights[name][torch.tensor(rows)]
    config = T5Config(**{**t5.config.to_dict(), "vocab_size": len(rows)})
    larger = T5EncoderModel(config)
    larger.load_state_dict(weights)
    return larger.eval()
