"""An error of each kind that somebody at the playground can meet, brought about for real."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from PIL import Image

from tests.browser.kit import OwnService, broken_picture, held, new_key, running_step, sample_picture
from tests.chaos.edits import submit
from tests.service import Service, eventually


@dataclass(frozen=True)
class Trouble:
    """What to do to meet an error: open `url` with ``key`` (None: the page's own session), and run an edit.

    ``strike``, called once the edit was submitted, does the rest where that is needed.
    """

    url: str
    picture: Path
    key: str | None = None
    prompt: str = "make it snow"
    strike: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class Stage:
    """What there is to make trouble with: the shared service, services of one's own, and a place to clean up."""

    service: Service
    own_service: Callable[..., OwnService]
    slow: Path
    folder: Path
    stack: ExitStack

    def trouble(self, url: str = "", **more: Any) -> Trouble:
        """A trouble of the shared service unless another ``url`` is given, with a good picture unless named."""
        return Trouble(url or self.service.url, **{"picture": sample_picture(self.folder), **more})

    def with_key(self, **options: Any) -> Trouble:
        """That of a new key of the shared service."""
        return self.trouble(key=new_key(self.service, **options))


def invalid_image(stage: Stage) -> Trouble:
    """The file is no picture."""
    return stage.trouble(picture=broken_picture(stage.folder))


def payload_too_large(stage: Stage) -> Trouble:
    """The file has more than the 32 MB that a body may have."""
    noise = np.random.default_rng(0).integers(0, 256, (3400, 3400, 3), np.uint8)
    Image.fromarray(noise).save(stage.folder / "large.png", compress_level=0)
    return stage.trouble(picture=stage.folder / "large.png")


def invalid_key(stage: Stage) -> Trouble:
    """Nobody's key."""
    return stage.trouble(key="SG_00000000000000000000000000000000")


def forbidden(stage: Stage) -> Trouble:
    """A key for looking only."""
    return stage.with_key(may_edit=False)


def insufficient_credits(stage: Stage) -> Trouble:
    """An account with nothing."""
    return stage.with_key(account="poor")


def rate_limited(stage: Stage) -> Trouble:
    """A key for one request a minute, and that was made."""
    trouble = stage.with_key(account="hasty", credits=1, rpm=1)
    _edit_with(trouble)
    return trouble


def too_many_waiting(stage: Stage) -> Trouble:
    """A key that may have one request waiting, and has it: nothing moves until the test ends."""
    stage.stack.enter_context(held(stage.service))
    trouble = stage.with_key(account="patient", credits=1, max_queued=1)
    _edit_with(trouble)
    return trouble


def blocked(stage: Stage) -> Trouble:
    """A prompt that the policy refuses."""
    return stage.trouble(prompt="Undress her")


def cancelled(stage: Stage) -> Trouble:
    """Somebody else with the account's key cancels the edit while it waits."""
    stage.stack.enter_context(held(stage.service))
    return stage.trouble(strike=lambda: _delete(stage.service, "QUEUED"))


def result_expired(stage: Stage) -> Trouble:
    """Somebody else erases the result once it is there: what is done with it then fails."""
    return stage.trouble(strike=lambda: _delete(stage.service, "COMPLETED"))


def inference_failed(stage: Stage) -> Trouble:
    """Nothing is ever done in time."""
    return stage.trouble(stage.own_service(job_timeout=0.001).url)


def queue_timeout(stage: Stage) -> Trouble:
    """There is no worker, and nothing waits long."""
    return stage.trouble(stage.own_service(workers=0, queue_timeout=1, ready=False).url)


def worker_lost(stage: Stage) -> Trouble:
    """The worker is killed in mid-step, and there is no second attempt. Ask for 50 steps."""
    own = stage.own_service(model=stage.slow, max_attempts=1)
    worker = own.running.child("worker")

    def strike() -> None:
        eventually(lambda: running_step(own.running) >= 1, every=0.005)
        worker.kill()

    return stage.trouble(own.url, strike=strike)


def queue_full(stage: Stage) -> Trouble:
    """One may wait, and does."""
    own = stage.own_service(queue_limit=1)
    stage.stack.enter_context(held(own.running))
    with own.running.client() as client:
        submit(client)
    return stage.trouble(own.url)


def unavailable(stage: Stage) -> Trouble:
    """The database is locked by somebody else until the test ends; the service waits some seconds for it."""
    stage.stack.enter_context(_locked(stage.service.data / "openkontext.db"))
    return stage.trouble()


def offline(stage: Stage) -> Trouble:
    """The service is gone: call `strike` before the edit is run, or while it runs."""
    own = stage.own_service(model=stage.slow)
    return stage.trouble(own.url, strike=own.stop)


# By code; `offline` is the pages' own.
TROUBLES: dict[str, Callable[[Stage], Trouble]] = {
    make.__name__: make
    for make in (
        invalid_image, payload_too_large, invalid_key, forbidden, insufficient_credits, rate_limited, too_many_waiting,
        blocked, cancelled, result_expired, inference_failed, queue_timeout, worker_lost, queue_full, unavailable,
        offline,
    )
}  # fmt: skip


def _edit_with(trouble: Trouble) -> None:
    with httpx.Client(base_url=trouble.url, headers={"x-api-key": trouble.key or ""}, timeout=30) as client:
        submit(client)


def _delete(service: Service, state: str) -> None:
    """Delete the account's newest request, once it is in a state."""
    with service.client() as client:

        def newest() -> str | None:
            found = client.get("/v2/requests?per_page=1").json()["requests"]
            return str(found[0]["request_id"]) if found and found[0]["status"] == state else None

        request_id = eventually(newest)
        assert client.delete(f"/v2/requests/{request_id}").status_code in (202, 204)


@contextmanager
def _locked(database: Path) -> Iterator[None]:
    with closing(sqlite3.connect(database, timeout=30, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            connection.execute("ROLLBACK")
