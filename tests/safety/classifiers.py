"""Classifiers in Hugging Face's layout, small enough for tests, whose answers are known: their weights are set."""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing
from transformers import (
    DistilBertConfig,
    DistilBertForSequenceClassification,
    PreTrainedTokenizerFast,
    ViTConfig,
    ViTForImageClassification,
)

# Tokens that the text classifier reads at once; the first and the last are [CLS] and [SEP].
LENGTH = 128
WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "make", "it", "snow", "vile")


def make_image_classifier(folder: Path, logits: Mapping[str, float], *, weight: float = 0.0, **config: object) -> Path:
    """A ViT that answers every picture with these ``logits`` by label; with a ``weight``, pictures differ."""
    torch.manual_seed(0)
    model = ViTForImageClassification(
        ViTConfig(
            hidden_size=8,
            num_hidden_layers=1,
            num_attention_heads=1,
            intermediate_size=8,
            image_size=32,
            patch_size=16,
            id2label=dict(enumerate(logits)),
            **config,
        )
    )
    with torch.no_grad():
        model.classifier.weight.mul_(weight)
        model.classifier.bias.copy_(torch.tensor(list(logits.values())))
    model.save_pretrained(folder)
    size = {"height": 32, "width": 32}
    processor = {"image_processor_type": "ViTImageProcessor", "do_resize": True, "do_rescale": True, "size": size}
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    return folder


def make_text_classifier(folder: Path, labels: tuple[str, str] = ("fine", "unsafe")) -> Path:
    """A DistilBERT that gives the second label to texts with the word "vile" among the tokens that it reads at once.

    Its one layer adds the mean of all tokens' last two dimensions to each; only that word has anything there.
    """
    config = DistilBertConfig(
        vocab_size=len(WORDS),
        max_position_embeddings=LENGTH,
        n_layers=1,
        n_heads=1,
        dim=4,
        hidden_dim=4,
        pad_token_id=0,
        id2label=dict(enumerate(labels)),
    )
    model = DistilBertForSequenceClassification(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(torch.ones_like(parameter) if "norm.weight" in name.lower() else 0 * parameter)
        words = model.distilbert.embeddings.word_embeddings.weight
        words[:] = torch.tensor([1.0, -1, 0, 0])
        words[WORDS.index("vile")] = torch.tensor([0.0, 0, 1, -1])
        attention = model.distilbert.transformer.layer[0].attention
        attention.v_lin.weight.copy_(torch.diag(torch.tensor([0.0, 0, 400, 400])))
        attention.out_lin.weight.copy_(torch.eye(4))
        model.pre_classifier.weight.copy_(torch.eye(4))
        model.classifier.weight[1] = torch.tensor([0.0, 0, 20, 0])
        model.classifier.bias.copy_(torch.tensor([0.0, -10]))
    model.save_pretrained(folder)
    _tokenizer().save_pretrained(folder)
    return folder


def _tokenizer() -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(WordLevel({word: index for index, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    ends = [(name, WORDS.index(name)) for name in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="[UNK]", pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]"
    )
