"""The model as a library: a picture and an instruction in, the edited picture out."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from openkontext.contract.parameters import MATCH_INPUT_IMAGE, SEED_MAX
from openkontext.contract.sizes import aspect_of, check_aspect, output_size
from openkontext.engine.checkpoint import Checkpoint, OnProgress, load_checkpoint
from openkontext.engine.pictures import as_seen, to_image, to_tensor
from openkontext.engine.previews import preview
from openkontext.engine.sampler import OnSampled, Order, sample
from openkontext.engine.text import encode_text


@dataclass(frozen=True)
class Step:
    """A denoising step that is done.

    Attributes:
        step: its number, from 1.
        steps: how many there are.
    """

    step: int
    steps: int
    _preview: Callable[[], Image.Image] = field(repr=False, compare=False)

    def preview(self) -> Image.Image:
        """The finished picture as predicted now, an eighth as wide and high.

        Cheap (one small matrix product), but it waits for the device.
        """
        return self._preview()


@dataclass(frozen=True)
class EditResult:
    """An edited picture and how it came about.

    Attributes:
        image: RGB, `width` x `height` pixels.
        seed: of the noise; the same seed, arguments, checkpoint, device and dtype give the same pixels.
        steps: denoising steps done.
        inference_time: seconds, from the picture given to the picture made.
        warnings: what was done otherwise than asked, one sentence each.
        checkpoint: its name.
        fingerprint: its fingerprint.
        device: such as `cuda:0`.
        dtype: such as `bfloat16`.
    """

    image: Image.Image
    seed: int
    width: int
    height: int
    steps: int
    inference_time: float
    warnings: tuple[str, ...]
    checkpoint: str
    fingerprint: str
    device: str
    dtype: str


OnStep = Callable[[Step], None]


class Engine:
    """A loaded checkpoint, ready to edit again and again; for one thread at a time."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.checkpoint = checkpoint

    @classmethod
    def load(
        cls,
        checkpoint: str | Path = "nano",
        *,
        device: str | None = None,
        dtype: torch.dtype | None = None,
        on_progress: OnProgress | None = None,
    ) -> "Engine":
        """Load a checkpoint: see `load_checkpoint`, which takes the same arguments and raises the same error."""
        return cls(load_checkpoint(checkpoint, device=device, dtype=dtype, on_progress=on_progress))

    def edit(
        self,
        image: Image.Image,
        prompt: str,
        *,
        aspect_ratio: str = MATCH_INPUT_IMAGE,
        guidance: float = 7.0,
        num_inference_steps: int = 35,
        seed: int = 42,
        on_step: OnStep | None = None,
    ) -> EditResult:
        """Edit a picture as the prompt says.

        Args:
            image: any Pillow picture, sides up to 4:1: EXIF orientation is honoured, transparency put on white, the
                first frame of an animation taken.
            prompt: what to change.
            aspect_ratio: such as `16:9`; by default that of `image`.
            guidance: how closely to follow the prompt.
            num_inference_steps: denoising steps, at least 1.
            seed: 0 to 2^63 - 1.
            on_step: called after each step. What it raises, `Cancelled` above all, ends the edit and is raised here.

        Raises:
            ValueError: an argument out of range.
        """
        began = time.perf_counter()
        seen = as_seen(image)
        width, height = self._output_size(seen, aspect_ratio)
        order = Order(width, height, guidance, num_inference_steps, seed)
        _check(prompt, order)
        with torch.inference_mode():
            text = encode_text(self.checkpoint, prompt)
            picture = sample(self.checkpoint, self._reference(seen), text, order, self._reporter(order, on_step))
            edited = to_image(picture)
        return self._result(edited, order, text.warnings, time.perf_counter() - began)

    def _output_size(self, seen: Image.Image, aspect_ratio: str) -> tuple[int, int]:
        """The (width, height) that an edit of this picture has."""
        check_aspect(*seen.size)
        aspect = seen.width / seen.height if aspect_ratio == MATCH_INPUT_IMAGE else aspect_of(aspect_ratio)
        return output_size(aspect, self.checkpoint.configuration.max_area)

    def _reference(self, seen: Image.Image) -> Tensor:
        """The picture as the VAE takes it, in its own shape whatever the output's."""
        return to_tensor(seen, *output_size(seen.width / seen.height, self.checkpoint.configuration.max_area))

    def _reporter(self, order: Order, on_step: OnStep | None) -> OnSampled:
        """The sampler's callback, turned into the caller's."""

        def report(step: int, finished: Callable[[], Tensor]) -> None:
            if on_step is not None:
                on_step(Step(step, order.steps, lambda: self._preview(finished(), order)))

        return report

    def _preview(self, tokens: Tensor, order: Order) -> Image.Image:
        return preview(self.checkpoint.configuration, tokens, order.width, order.height)

    def _result(self, image: Image.Image, order: Order, warnings: tuple[str, ...], seconds: float) -> EditResult:
        return EditResult(
            image=image,
            seed=order.seed,
            width=order.width,
            height=order.height,
            steps=order.steps,
            inference_time=seconds,
            warnings=warnings,
            checkpoint=self.checkpoint.name,
            fingerprint=self.checkpoint.fingerprint,
            device=str(self.checkpoint.device),
            dtype=str(self.checkpoint.dtype).removeprefix("torch."),
        )


def _check(prompt: str, order: Order) -> None:
    """Refuse what can't be sampled."""
    if not prompt.strip():
        raise ValueError("the prompt is blank")
    if order.steps < 1:
        raise ValueError(f"num_inference_steps is at least 1, not {order.steps}")
    if not 0 <= order.seed <= SEED_MAX:
        raise ValueError(f"seed is 0 to {SEED_MAX}, not {order.seed}")
