"""Edits as a client asks for them, and what became of them: over the wire, and in the books."""

import base64
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from PIL import Image

from openkontext.media.blobs import Blobs
from openkontext.store import Job, Store, output_key
from tests.service import eventually

PRICE = 40_000
CREDITS = 1_000_000_000
LONGEST = 50


def picture() -> str:
    """A small picture as a data URI."""
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64), "#3366aa").save(buffer, "PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def submit(client: httpx.Client, steps: int = 4) -> str:
    """Submit an edit; its id. The safety checker is off: it is not what these scenarios are about."""
    fields = {"input_image": picture(), "prompt": "make it snow", "disable_safety_checker": True}
    answer = client.post("/v2/flux-kontext-dev", json=fields | {"num_inference_steps": steps})
    assert 200 == answer.status_code, answer.text
    return str(answer.json()["request_id"])


def follow(client: httpx.Client, request_id: str) -> tuple[list[str], dict[str, Any]]:
    """Poll until the request ended: the states in the order seen, and the last body."""
    seen: list[str] = []

    def ended() -> dict[str, Any] | None:
        try:
            body = client.get(f"/v2/requests/{request_id}").json()
        except httpx.TransportError:
            # The gateway died under this poll; the next one goes to the new one.
            return None
        if seen[-1:] != [body["status"]]:
            seen.append(body["status"])
        return body if body["status"] in ("COMPLETED", "FAILED") else None

    body = eventually(ended, within=120)
    return seen, body


class Record:
    """What the store and the files say: the truth behind the wire, and there when no process runs."""

    def __init__(self, data: Path, store: Store) -> None:
        self.store = store
        self._blobs = Blobs.open(data / "blobs")
        account = store.account("local")
        assert account is not None
        self.account = account

    def job(self, request_id: str) -> Job:
        job = self.store.job(request_id, self.account.id)
        assert job is not None
        return job

    def spent(self) -> int:
        """Micro-credits, holds included, that the account has less than at first."""
        return CREDITS - self.store.balance(self.account.id)

    def has_output(self, request_id: str, attempt: int) -> bool:
        return self._blobs.exists(output_key(request_id, attempt, "png"))

    def wait_for_step(self, request_id: str, step: int = 1) -> None:
        """Until the edit is under way, in the middle of it if it has many more steps."""
        eventually(lambda: self.job(request_id).step >= step, within=120)


@contextmanager
def record(data: Path) -> Iterator[Record]:
    """The record of the service whose data is in ``data``."""
    store = Store.open(data / "openkontext.db")
    try:
        yield Record(data, store)
        assert [] == store.verify_ledger()
    finally:
        store.close()
