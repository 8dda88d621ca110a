"""The SDK against the real gateway, over a socket: what each promises the other."""

import os
import threading
from pathlib import Path

import httpx
import pytest
from PIL import Image

from openkontext import AsyncClient, Client, Conflict, Event, InferenceFailed, RateLimited
from openkontext.client.core import LARGE_BYTES
from openkontext.contract import SLUG
from tests.gateway.harness import PICTURE, Live

EDIT = {"input_image": PICTURE, "prompt": "make it snow", "num_inference_steps": 4, "seed": 7}


def client_of(live: Live, **options: object) -> Client:
    return Client(live.secret, live.url, **options)  # type: ignore[arg-type]  # any of the client's own


def jobs(live: Live) -> int:
    with client_of(live) as client:
        return int(client.history()["total"])


def noisy(path: Path) -> Path:
    """A picture whose file is large."""
    side = 640
    Image.frombytes("RGB", (side, side), os.urandom(side * side * 3)).save(path)
    assert path.stat().st_size > LARGE_BYTES
    return path


def test_a_request_is_followed_to_its_end(live: Live) -> None:
    """From the queue over each step to the whole body, and the picture is there."""
    with client_of(live) as client:
        job = client.submit_async(SLUG, **EDIT)
        events = job.stream()
        first = next(events)
        assert ("status", "QUEUED", 1) == (first.type, first.status, first.queue_position)
        claim = live.worker.take()
        live.services.store.beat(claim, step=2, steps=4, preview="data:image/png;base64,aGVsbG8=")
        seen = [first]
        while not any(event.preview for event in seen):
            seen.append(next(events))
        live.worker.complete(claim)
        seen += events
        assert b"hello" == next(event.preview for event in seen if event.preview)
        assert (2, 4) in [(event.step, event.steps) for event in seen]
        assert client.job(job.request_id).result() == seen[-1].result
        assert PICTURE == job.download()


async def test_progress_is_told_under_asyncio(live: Live) -> None:
    """run with a callback, while a worker does the edit in another thread."""
    worker = threading.Thread(target=live.worker.complete)
    worker.start()
    seen: list[Event] = []
    async with AsyncClient(live.secret, live.url) as client:
        result = await client.run(SLUG, on_progress=seen.append, **EDIT)
    worker.join()
    assert PICTURE == httpx.get(result["output"]).content
    assert result == seen[-1].result


def test_a_failed_request_is_raised_from_the_stream(live: Live) -> None:
    """With the server's words."""
    worker = threading.Thread(target=live.worker.fail)
    worker.start()
    with client_of(live) as client, pytest.raises(InferenceFailed, match="it broke"):
        client.run(SLUG, on_progress=lambda event: None, **EDIT)
    worker.join()


class LosesAnswers(httpx.HTTPTransport):
    """The network, but the answers to the first posts of an edit get lost."""

    def __init__(self, lost: int) -> None:
        super().__init__()
        self.lost = lost

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = super().handle_request(request)
        if request.url.path.endswith(SLUG) and self.lost:
            self.lost -= 1
            response.read()
            raise httpx.ReadError("the connection broke")
        return response


def test_a_lost_answer_makes_no_second_edit(live: Live) -> None:
    """The repeats carry one key: one request, one charge."""
    with client_of(live, transport=LosesAnswers(2), sleep=lambda seconds: None) as client:
        job = client.submit_async(SLUG, **EDIT)
        assert 1 == jobs(live)
        assert "QUEUED" == job.status()["status"]
        assert 9.96 == client.credits()["credits"]


def test_a_lost_picture_comes_again(live: Live) -> None:
    """v1: the same bytes, of the same edit."""
    worker = threading.Thread(target=live.worker.complete)
    worker.start()
    with client_of(live, transport=LosesAnswers(1), sleep=lambda seconds: None) as client:
        response = client.run_sync(SLUG, **EDIT)
    worker.join()
    assert (PICTURE, 1) == (response.content, jobs(live))


def test_a_chosen_key_is_one_edit(live: Live) -> None:
    """Asked for twice, it is the same request; with other parameters it is refused."""
    with client_of(live) as client:
        first, second = (client.submit_async(SLUG, idempotency_key="order-7", **EDIT) for _ in range(2))
        assert first.request_id == second.request_id
        with pytest.raises(Conflict):
            client.submit_async(SLUG, idempotency_key="order-7", **EDIT | {"seed": 8})


def test_a_large_picture_is_uploaded_first(live: Live, tmp_path: Path) -> None:
    """The worker gets its very bytes, and the server fetches nothing for it."""
    path = noisy(tmp_path / "large.png")
    with client_of(live) as client:
        client.submit_async(SLUG, **EDIT | {"input_image": path})
        claim = live.worker.take()
        assert "blob" == claim.input["kind"]
        assert path.read_bytes() == live.services.blobs.get(claim.input["key"])
        small = client.files.upload_many([PICTURE, path])
        assert [PICTURE, path.read_bytes()] == [httpx.get(url).content for url in small]


def test_the_rate_limit_is_waited_out(live: Live) -> None:
    """The third of two requests a minute waits as long as the server says; a shorter patience is told when."""
    store = live.services.store
    _, secret = store.create_key(live.account.id, rpm=2)
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        now = store.clock()
        store.clock = lambda: now + seconds

    with Client(secret, live.url, sleep=wait) as client:
        for _ in range(3):
            client.submit_async(SLUG, **EDIT)
    assert 1 == len(waits)
    assert 29 <= waits[0] <= 31.5
    with Client(secret, live.url, max_wait=5) as client, pytest.raises(RateLimited) as caught:
        client.submit_async(SLUG, **EDIT)
    assert (2, 0) == (caught.value.limit, caught.value.remaining)
    assert caught.value.reset_at is not None


def test_the_account_is_told(live: Live) -> None:
    """Estimate, models, credits, history and pins have the shapes that they are documented with."""
    with client_of(live) as client:
        estimate = client.estimate(SLUG, **EDIT)
        assert {"cost", "width", "height", "queue_seconds", "run_seconds"} == set(estimate)
        assert SLUG == client.models()["data"][0]["id"]
        job = client.submit_async(SLUG, **EDIT)
        assert 10.0 == client.credits()["credits"] + estimate["cost"]
        live.worker.complete()
        pinned = job.pin()["output"]
        assert PICTURE == httpx.get(pinned).content
        (entry,) = client.history(status="COMPLETED", since="2020-01-01")["requests"]
        assert (job.request_id, True) == (entry["request_id"], entry["pinned"])
        job.unpin()
        assert not client.history()["requests"][0]["pinned"]
        assert 0 == client.history(until="2020-01-01")["total"]
