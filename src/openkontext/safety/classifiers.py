"""Classifiers from Hugging Face, in the place of the built-in one or besides it: safetensors only, no code of theirs.

They compute on the CPU, with as many threads as the worker's settings give PyTorch: another number, set while an edit
is on its way and a preview is judged, would be the edit's too, and change its pixels.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import huggingface_hub
import torch
from huggingface_hub.errors import RepositoryNotFoundError
from PIL import Image
from transformers import (
    AutoImageProcessor,
    AutoModelForImageClassification,
    AutoModelForSequenceClassification,
    AutoTokenizer,
)
from transformers.utils import logging

from .errors import ClassifierError
from .findings import Finding

_HUB_ID: Final = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_FILES: Final = ["*.json", "*.txt", "*.model", "*.safetensors"]
_VOCABULARIES: Final = ("tokenizer.json", "vocab.txt", "vocab.json", "*.model")
_SAFELY: Final[dict[str, Any]] = {"trust_remote_code": False, "local_files_only": True}
# Tokens at once, where a classifier can take more: what is abusive in a long prompt isn't drowned in the rest of it.
_WINDOW: Final = 512


@dataclass(frozen=True)
class _Labels:
    """Which of a model's outputs are unsafe, and whether it takes labels to exclude each other."""

    unsafe: Mapping[int, str]
    exclusive: bool

    def finding(self, logits: torch.Tensor) -> Finding:
        """Of ``logits`` [labels]: the likeliest unsafe label, and its chance; the sum, where labels exclude each other.

        Raises ValueError for what is no number.
        """
        if not logits.isfinite().all():
            raise ValueError(f"the classifier's answer is no number: {logits.tolist()}")
        chances = (logits.softmax(0) if self.exclusive else logits.sigmoid()).tolist()
        likeliest = max(self.unsafe, key=chances.__getitem__)
        # Rounding may lead beyond 1, where no score is believed.
        score = min(1.0, sum(chances[index] for index in self.unsafe)) if self.exclusive else chances[likeliest]
        return Finding(self.unsafe[likeliest], score)


class PictureClassifier:
    """An image classifier from Hugging Face, such as a ViT that was trained to tell explicit pictures."""

    def __init__(self, model: Any, processor: Any, labels: _Labels) -> None:
        self._model, self._processor, self._labels = model, processor, labels

    @classmethod
    def load(cls, name: str, unsafe_labels: Collection[str]) -> "PictureClassifier":
        """Load it by its Hugging Face id, or from a folder, and try it once. Raises `ClassifierError`."""
        with _refusing(name), _quiet():
            folder = _locate(name)
            model, labels = _load(AutoModelForImageClassification, folder, unsafe_labels)
            processors: Any = AutoImageProcessor
            processor = processors.from_pretrained(folder, backend="pil", **_SAFELY)
            classifier = cls(model, processor, labels)
            classifier.judge(Image.new("RGB", (64, 64)))
        return classifier

    def judge(self, image: Image.Image) -> Finding:
        """How likely ``image``, upright and flattened, has one of the unsafe labels."""
        pixels = self._processor(images=image.convert("RGB"), return_tensors="pt")
        with torch.inference_mode():
            return self._labels.finding(self._model(**pixels).logits[0])


class TextClassifier:
    """A text classifier from Hugging Face, such as a BERT that was trained to tell what is toxic."""

    def __init__(self, model: Any, tokenizer: Any, labels: _Labels) -> None:
        self._model, self._tokenizer, self._labels = model, tokenizer, labels
        places = getattr(model.config, "max_position_embeddings", _WINDOW)
        self._window: int = min(tokenizer.model_max_length, places, _WINDOW)

    @classmethod
    def load(cls, name: str, unsafe_labels: Collection[str]) -> "TextClassifier":
        """Load it by its Hugging Face id, or from a folder, and try it once. Raises `ClassifierError`."""
        with _refusing(name), _quiet():
            folder = _locate(name)
            model, labels = _load(AutoModelForSequenceClassification, folder, unsafe_labels)
            if not any(each.match(pattern) for each in folder.iterdir() for pattern in _VOCABULARIES):
                # Without one the loader makes an empty tokenizer, to which every word is unknown.
                raise ValueError("it has no tokenizer, such as a tokenizer.json")
            tokenizer = AutoTokenizer.from_pretrained(folder, **_SAFELY)
            if not tokenizer.is_fast:
                raise ValueError("its tokenizer can't cut a long prompt into parts: there is no fast one of its kind")
            classifier = cls(model, tokenizer, labels)
            classifier.judge("a " * _WINDOW)
        return classifier

    def judge(self, prompt: str) -> Finding:
        """How likely ``prompt`` has one of the unsafe labels: its worst part, since it reads a part at once.

        The parts overlap by a quarter, so that what one's end cuts in two is whole in the next.
        """
        # Half a surrogate pair is text to JSON and to nobody else.
        text = prompt.encode(errors="replace").decode()
        parts = self._tokenizer(
            text,
            truncation=True,
            max_length=self._window,
            stride=self._window // 4,
            return_overflowing_tokens=True,
            return_attention_mask=False,
        )["input_ids"]
        with torch.inference_mode():
            found = [self._labels.finding(self._model(torch.tensor([ids])).logits[0]) for ids in parts]
        return max(found, key=lambda finding: finding.score)


def _locate(name: str) -> Path:
    """The folder of a classifier, downloaded first if it is a Hugging Face id. Raises ValueError."""
    folder = Path(name).expanduser()
    if name and folder.is_dir():
        return folder
    if not _HUB_ID.fullmatch(name):
        raise ValueError("no such folder; give a folder, a Hugging Face id (owner/name) or the built-in one's name")
    try:
        # No pickle and no code is even fetched.
        return Path(huggingface_hub.snapshot_download(name, allow_patterns=_FILES, ignore_patterns="*/*"))
    except RepositoryNotFoundError:
        why = "no such folder here, nor such a repository at Hugging Face (a private or gated one needs HF_TOKEN)"
        raise ValueError(why) from None


def _load(kind: Any, folder: Path, unsafe_labels: Collection[str]) -> tuple[Any, _Labels]:
    """The model and which of its labels count as unsafe. Raises ValueError, and whatever the loaders raise."""
    model, info = kind.from_pretrained(
        folder, use_safetensors=True, dtype=torch.float32, output_loading_info=True, **_SAFELY
    )
    if info["missing_keys"]:
        # They would be left random.
        raise ValueError(f"{len(info['missing_keys'])} weights are missing, such as {min(info['missing_keys'])}")
    config = model.config
    wanted = {label.casefold() for label in unsafe_labels}
    unsafe = {index: label for index, label in config.id2label.items() if label.casefold() in wanted}
    if not unsafe:
        has, known = (", ".join(sorted(labels)) for labels in (config.id2label.values(), unsafe_labels))
        raise ValueError(f"it has the labels {has}, and none of those that count as unsafe ({known})")
    exclusive = config.num_labels > 1 and config.problem_type != "multi_label_classification"
    return model.eval(), _Labels(unsafe, exclusive)


@contextmanager
def _refusing(name: str) -> Iterator[None]:
    """Turn whatever the loaders raise, whose kinds are without number, into one clear line."""
    try:
        yield
    except Exception as error:
        raise ClassifierError(name, " ".join(str(error).split())) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the loaders from drawing bars and printing reports: what is wrong is raised."""
    log: Any = logging
    level, bars = log.get_verbosity(), log.is_progress_bar_enabled()
    log.set_verbosity_error()
    log.disable_progress_bar()
    try:
        yield
    finally:
        log.set_verbosity(level)
        if bars:
            log.enable_progress_bar()
