"""v1: one call that answers the picture, or says in its status what went wrong."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from openkontext.media.blobs import Blobs, BlobsUnavailable
from tests.gateway.harness import EDIT, PICTURE, RUN, TIMES, Gateway, assert_error, soon


async def run(gateway: Gateway, worker: Callable[[], Any], **changes: Any) -> httpx.Response:
    """v1's answer, while the worker does its part."""
    answer = asyncio.create_task(gateway.http.post(RUN, json=EDIT | changes))
    await asyncio.to_thread(worker)
    return await answer


async def test_the_answer_is_the_picture(gateway):
    """The body is the file alone; headers tell the rest."""
    gateway.clock.advance(0.5)
    response = await run(gateway, gateway.worker.complete)
    assert (200, "image/png", PICTURE) == (response.status_code, response.headers["content-type"], response.content)
    expected = {
        "x-cost": "0.04",
        "x-remaining-credits": "9.96",
        "x-generation-time": "3.100",
        "x-seed-value": "7",
        "x-rate-limit-reset-at-utc": "2027-01-15T08:00:01Z",
        "cache-control": "no-store",
        "content-length": str(len(PICTURE)),
    }
    assert expected == {name: response.headers[name] for name in expected}
    polled = await gateway.http.get(f"/v1/requests/{response.headers['x-request-id']}")
    assert polled.json()["status"] == "COMPLETED"


@pytest.mark.parametrize(("form", "kind"), [("png", "image/png"), ("jpg", "image/jpeg"), ("webp", "image/webp")])
async def test_content_types(gateway, form, kind):
    """The content type is the chosen format's."""
    response = await run(gateway, gateway.worker.complete, output_format=form)
    assert response.headers["content-type"] == kind


async def test_a_limited_key_learns_what_is_left(gateway):
    """A limited key's answers carry its limit and what is left of it."""
    gateway.http.headers["x-api-key"] = gateway.new_key(rpm=30)
    response = await run(gateway, gateway.worker.complete)
    assert ("30", "29") == (response.headers["x-rate-limit-limit"], response.headers["x-rate-limit-remaining"])
    assert response.headers["x-rate-limit-reset-at-utc"] == "2027-01-15T08:00:02Z"


async def test_credits_of_any_price_are_exact(start):
    """Cost and credits have all their digits."""
    gateway = await start(price="1.234567")
    response = await run(gateway, gateway.worker.complete)
    assert ("1.234567", "8.765433") == (response.headers["x-cost"], response.headers["x-remaining-credits"])


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("fetch_failed", 400),
        ("invalid_image", 400),
        ("blocked", 422),
        ("inference_failed", 422),
        ("safety_unavailable", 422),
        ("cancelled", 422),
        ("queue_timeout", 422),
        ("worker_lost", 502),
        ("internal", 500),
    ],
)
async def test_a_failure_has_the_status_of_its_code(gateway, code, status):
    """What failed in the job decides the status; the request is named and free."""
    response = await run(gateway, lambda: gateway.worker.fail(code, "the reason"))
    body = assert_error(response, status, code)
    assert {"error": "the reason", "code": code, "request_id": response.headers["x-request-id"]} == body
    assert "x-cost" not in response.headers
    assert gateway.balance == 10


async def test_a_code_of_a_newer_worker(gateway):
    """A code that this gateway doesn't know is a failure of the model's side."""
    response = await run(gateway, lambda: gateway.worker.fail("melted", "too hot"))
    assert assert_error(response, 422, "inference_failed")["error"] == "too hot"


async def test_a_block_has_its_score(gateway):
    """A blocked picture's verdict is in the body, all of whose fields OpenAPI names."""
    verdict = {"stage": "output", "category": "nsfw", "score": 0.97, "threshold": 0.8}
    response = await run(gateway, lambda: gateway.worker.fail("blocked", "no", moderation=verdict))
    body = assert_error(response, 422, "blocked")
    assert body["moderation"] == verdict
    schemas = (await gateway.http.get("/openapi.json")).json()["components"]["schemas"]
    assert set(body) == set(schemas["Error"]["properties"])


async def test_workers_that_die(gateway):
    """A job whose three workers died is a 502."""

    def die() -> None:
        for _ in range(3):
            gateway.worker.take()
            gateway.services.store.abandon("worker")
        gateway.services.store.reap()

    assert_error(await run(gateway, die), 502, "worker_lost")
    assert gateway.balance == 10


async def test_cancelled_by_its_owner(gateway):
    """A v1 call whose request is cancelled elsewhere ends as 422."""
    answer = asyncio.create_task(gateway.http.post(RUN, json=EDIT))
    claim = await asyncio.to_thread(gateway.worker.take)
    await gateway.http.delete(f"/v2/requests/{claim.job_id}")
    gateway.worker.complete(claim)
    assert_error(await answer, 422, "cancelled")


async def test_not_in_time(start):
    """A job that takes too long is a 504 that names it, goes on, and can be polled to its end."""
    gateway = await start(sync_timeout=0.05)
    response = await gateway.http.post(RUN, json=EDIT)
    request_id = assert_error(response, 504, "timeout")["request_id"]
    assert response.headers["x-request-id"] == request_id
    assert "Retry-After" not in response.headers
    assert (await gateway.http.get(f"/v1/requests/{request_id}")).json()["status"] == "QUEUED"
    gateway.worker.complete()
    assert (await gateway.http.get(f"/v1/requests/{request_id}")).json()["status"] == "COMPLETED"


async def test_draining_lets_go_of_what_waits(gateway):
    """A server that stops doesn't wait for a queued job; that is kept, and a repeat isn't asked for."""
    answer = asyncio.create_task(gateway.http.post(RUN, json=EDIT))
    await soon(gateway.services.store.queue_depth)
    gateway.services.draining = True
    gateway.services.store.report_worker("another", state="loading")
    response = await answer
    request_id = assert_error(response, 504, "timeout")["request_id"]
    assert "Retry-After" not in response.headers
    assert (await gateway.http.get(f"/v2/requests/{request_id}")).json()["status"] == "QUEUED"


async def test_draining_waits_for_what_runs(gateway):
    """A server that stops answers those whose job is being worked on."""
    answer = asyncio.create_task(gateway.http.post(RUN, json=EDIT))
    claim = await asyncio.to_thread(gateway.worker.take)
    gateway.services.draining = True
    gateway.worker.complete(claim)
    assert (await answer).status_code == 200


async def test_draining_refuses_new_ones(gateway):
    """A server that stops takes nothing in, and says when to come back."""
    gateway.services.draining = True
    response = await gateway.http.post(RUN, json=EDIT)
    assert_error(response, 503, "draining")
    assert response.headers["Retry-After"] == "10"
    assert (gateway.balance, gateway.blobs) == (10, set())


class UnreadableBlobs(Blobs):
    """Storage that takes files and doesn't give them back."""

    def __init__(self) -> None:
        """There is nothing behind it."""

    def put(self, key: str, data: bytes) -> None:
        """Takes it."""

    def get(self, key: str) -> bytes:
        raise BlobsUnavailable(key, "can't be reached", "secret-host refused")


async def test_an_output_that_cannot_be_read(gateway):
    """What is charged must not invite a repeat: storage that fails afterwards is a 504 that names the request."""
    gateway.services.blobs = UnreadableBlobs()
    response = await run(gateway, gateway.worker.complete)
    body = assert_error(response, 504, "timeout")
    assert "secret-host" not in response.text
    polled = (await gateway.http.get(f"/v2/requests/{body['request_id']}")).json()
    assert polled["metrics"] == TIMES | {"cost": 0.04, "remaining_credits": 9.96}
