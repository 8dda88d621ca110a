"""What happens to a request on its way, as `Job.stream` tells it."""

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any, Self

from .sse import Message


@dataclass(frozen=True)
class Event:
    """One thing that happened to a request.

    ``type``: what ``data`` is. ``status`` {status, queue_position}, ``progress`` {step, steps, eta_seconds},
    ``preview`` {step, image}, ``done`` (the whole body, COMPLETED or FAILED) or ``error`` {error, code}. A server may
    send more.
    ``id``: its place in the stream, None where the server has no stream and was polled instead.
    """

    type: str
    data: dict[str, Any]
    id: str | None = None

    @classmethod
    def of(cls, message: Message) -> Self | None:
        """A message of a stream; None for one that isn't of this kind."""
        try:
            data = json.loads(message.data)
        except ValueError:
            return None
        return cls(message.event, data, message.id or None) if isinstance(data, dict) else None

    @property
    def status(self) -> str | None:
        """QUEUED, PROCESSING, COMPLETED or FAILED, where the event names it."""
        return self.data.get("status")

    @property
    def queue_position(self) -> int | None:
        """1: the next to be taken up. None unless it waits, and the server counts."""
        return self.data.get("queue_position")

    @property
    def step(self) -> int | None:
        """The denoising steps done."""
        return self.data.get("step")

    @property
    def steps(self) -> int | None:
        """The denoising steps in all."""
        return self.data.get("steps")

    @property
    def eta_seconds(self) -> float | None:
        """Seconds until the end, as the server expects them."""
        return self.data.get("eta_seconds")

    @property
    def preview(self) -> bytes | None:
        """A ``preview``'s picture: the bytes of a small image file."""
        image = self.data.get("image") if self.type == "preview" else None
        _, comma, encoded = str(image).partition(";base64,")
        try:
            return base64.b64decode(encoded, validate=True) if comma else None
        except binascii.Error:
            return None

    @property
    def result(self) -> dict[str, Any] | None:
        """The whole body, once it is ``done``: with ``output`` if COMPLETED, with ``error`` if FAILED."""
        return self.data if self.type == "done" else None

    @property
    def ends_stream(self) -> bool:
        """Whether the server sends none after it; after an ``error`` the status says what is wrong."""
        return self.type in ("done", "error")
