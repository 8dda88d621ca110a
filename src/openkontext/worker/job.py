"""One job: its words, the picture in, the edit, the picture out, each checked before the next."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image

from openkontext.engine import EditResult, Engine, Step
from openkontext.engine.pictures import as_seen
from openkontext.media.blobs import Blobs
from openkontext.media.fetch import FetchPolicy, fetch
from openkontext.media.images import CONTENT_TYPES, ImageLimits, decode, encode
from openkontext.media.notary import Notary
from openkontext.media.receipts import Receipt
from openkontext.provenance import receipt_of
from openkontext.safety import Moderator
from openkontext.store import Claim, output_key

from .heart import Progress

# Where the model's time goes; what the wire calls them.
Metrics = dict[str, float]


@dataclass(frozen=True)
class Desk:
    """What a worker needs for a job."""

    engine: Engine
    moderator: Moderator
    notary: Notary
    blobs: Blobs
    limits: ImageLimits
    fetch_policy: FetchPolicy

    def edit(
        self, claim: Claim, progress: Progress, on_step: Callable[[Step], None], metrics: Metrics
    ) -> dict[str, Any]:
        """Do the job and store the picture; returns the result to finish with.

        ``metrics`` is filled as times become known, so that a failure has them too. Raises `Problem`
        for what is the request's fault or the checker's verdict, `CannotSign`, and whatever ``on_step`` raises.
        """
        parameters = claim.parameters
        checked = not parameters["disable_safety_checker"]
        self.moderator.check_prompt(parameters["prompt"], disabled=not checked)
        progress.mark()
        picture = self._picture(claim, progress)
        progress.mark()
        if checked:
            self.moderator.check_image(picture, "input")
            progress.mark()
        started = time.monotonic()
        try:
            result = self.engine.edit(
                picture,
                parameters["prompt"],
                aspect_ratio=parameters["aspect_ratio"],
                guidance=parameters["guidance"],
                num_inference_steps=parameters["num_inference_steps"],
                seed=parameters["seed"],
                on_step=on_step,
            )
        finally:
            metrics["inference_time"] = round(time.monotonic() - started, 4)
        progress.mark()
        if checked:
            self.moderator.check_image(result.image, "output")
        receipt = self._receipt(claim, picture, result)
        return {
            "output": self._keep(claim, result.image, receipt),
            "seed": result.seed,
            "prompt": parameters["prompt"],
            "warnings": list(result.warnings),
            "receipt": receipt,
            **_parent(claim),
        }

    def device_works(self) -> bool:
        """Whether the engine's device still computes: after a fatal error of CUDA every call fails."""
        try:
            return bool(torch.ones(2, device=self.engine.checkpoint.device).sum().item() == 2)
        except RuntimeError:
            return False

    def _picture(self, claim: Claim, progress: Progress) -> Image.Image:
        source = claim.input
        if source["kind"] == "url":
            progress.allow(self.fetch_policy.timeout_seconds)
            data = fetch(source["url"], self.fetch_policy)
        else:
            data = self.blobs.get(source["key"])
        # Once here, for the engine and the receipt both.
        return as_seen(decode(data, self.limits))

    def _receipt(self, claim: Claim, picture: Image.Image, result: EditResult) -> Receipt:
        receipt = receipt_of(self.engine.checkpoint, picture, claim.parameters, result.image)
        if not claim.prompt_in_file:
            del receipt["prompt"]
        return receipt | {"request_id": claim.job_id, **_parent(claim)}

    def _keep(self, claim: Claim, image: Image.Image, receipt: Receipt) -> dict[str, Any]:
        form = claim.parameters["output_format"]
        data = encode(image, form, claim.parameters["output_quality"], receipt)
        data = self.notary.sign(data, form, receipt)
        key = output_key(claim.job_id, claim.attempt, form)
        self.blobs.put(key, data)
        return {
            "key": key,
            "content_type": CONTENT_TYPES[form],
            "file_name": f"{claim.job_id}.{form}",
            "file_size": len(data),
        }


def _parent(claim: Claim) -> dict[str, str]:
    return {"parent_request_id": claim.parent_id} if claim.parent_id else {}
