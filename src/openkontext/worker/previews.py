"""Small pictures of an edit on its way, for those who watch it: never at the cost of the edit."""

import base64
import io
import time
from collections.abc import Callable
from typing import TypeVar

import structlog
from PIL import Image

log = structlog.get_logger(__name__)

# Seconds between two of them, at least: checking one takes some 40 ms of a core that the model may want.
EVERY = 0.5
MOST_TIME = 0.05
# Characters of a data URI, as the wire has it.
LARGEST = 20_000
_QUALITIES = (80, 50, 25)

Value = TypeVar("Value")


class Previews:
    """Of one edit: made in the model's thread, checked and encoded in the one that takes them, the heartbeat's.

    ``allowed`` judges each picture before it is shown. What fails, in either thread, is logged, and there are no more.
    """

    def __init__(self, allowed: Callable[[Image.Image], bool], clock: Callable[[], float] = time.monotonic) -> None:
        self._allowed = allowed
        self._clock = clock
        self._looked_at, self._pause = float("-inf"), EVERY
        self._newest: tuple[int, Image.Image] | None = None
        self._failed = False

    def look(self, step: int, make: Callable[[], Image.Image]) -> None:
        """Keep the picture that ``make`` makes of this step, unless the last one is of just now."""
        now = self._clock()
        if self._failed or now - self._looked_at < self._pause:
            return
        self._looked_at = now
        if image := self._try(make):
            self._newest = step, image

    def take(self) -> tuple[int, str] | None:
        """The newest picture that wasn't taken before, as a data URI, and its step."""
        newest, self._newest = self._newest, None
        if newest is None:
            return None
        step, image = newest
        began = self._clock()
        shown = self._try(lambda: data_uri(image) if self._allowed(image) else None)
        self._pause = max(EVERY, (self._clock() - began) / MOST_TIME)
        return (step, shown) if shown else None

    def _try(self, make: Callable[[], Value | None]) -> Value | None:
        try:
            return make()
        except Exception as error:
            self._failed = True
            log.warning("no more previews", exc_info=error)
            return None


def data_uri(image: Image.Image) -> str:
    """A JPEG of at most `LARGEST` characters: of lower quality where it needs to be, and then smaller."""
    for quality in _QUALITIES:
        file = io.BytesIO()
        image.save(file, "JPEG", quality=quality)
        uri = "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()
        if len(uri) <= LARGEST:
            return uri
    return data_uri(image.reduce(2))
