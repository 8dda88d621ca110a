"""A key without retention: a result is delivered once, then erased; no prompt is kept."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from openkontext.contract import Problem
from openkontext.gateway.delivery import sent_once
from openkontext.gateway.janitor import Janitor
from openkontext.media.blobs import BlobsUnavailable
from openkontext.store import StoreUnavailable
from tests.gateway.harness import EDIT, PICTURE, RUN, Gateway, assert_error, connect, soon


@pytest.fixture
async def fleeting(gateway) -> Gateway:
    """The gateway, asked with a key of retention 0."""
    gateway.http.headers["x-api-key"] = gateway.new_key(retention=0)
    return gateway


async def test_a_download_erases(fleeting):
    """Once its file was sent, the request and all its files are gone."""
    body = await fleeting.completed()
    for _ in range(2):
        assert (await fleeting.http.get(f"/v2/requests/{body['request_id']}")).json() == body
    async with connect(fleeting.app) as anybody:
        assert (await anybody.get(body["output"])).content == PICTURE
        assert_error(await anybody.get(body["output"]), 404, "not_found")
    for address in ("/v2/requests/{}", "/v1/requests/{}", "/v2/requests/{}/status"):
        assert_error(await fleeting.http.get(address.format(body["request_id"])), 404, "not_found")
    assert fleeting.blobs == set()
    assert fleeting.services.store.expire() == []
    assert fleeting.balance == 9.96


async def test_a_look_erases_nothing(fleeting):
    """HEAD is no delivery."""
    body = await fleeting.completed()
    for _ in range(2):
        head = await fleeting.http.head(body["output"])
        assert (200, b"", str(len(PICTURE))) == (head.status_code, head.content, head.headers["content-length"])
    assert (await fleeting.http.get(body["output"])).content == PICTURE


async def test_no_cache_keeps_what_is_delivered_once(fleeting, monkeypatch):
    """What is erased here is not to stay in a browser; nor while it can't be known that it may."""
    kept = await fleeting.completed()
    for method in ("HEAD", "GET"):
        response = await fleeting.http.request(method, kept["output"])
        assert (200, "no-store") == (response.status_code, response.headers["cache-control"])
    unknown = await fleeting.completed()

    def locked(_: str) -> bool:
        raise StoreUnavailable("database", "locked")

    with monkeypatch.context() as patched:
        patched.setattr(fleeting.services.store, "delivered_once", locked)
        response = await fleeting.http.get(unknown["output"])
    assert (PICTURE, "no-store") == (response.content, response.headers["cache-control"])


async def test_v1_erases(fleeting):
    """v1's answer is the delivery."""
    answer = asyncio.create_task(fleeting.http.post(RUN, json=EDIT))
    await asyncio.to_thread(fleeting.worker.complete)
    response = await answer
    assert (200, PICTURE, "image/png") == (response.status_code, response.content, response.headers["content-type"])
    assert response.headers["content-length"] == str(len(PICTURE))
    request_id = response.headers["x-request-id"]
    assert_error(await fleeting.http.get(f"/v2/requests/{request_id}"), 404, "not_found")
    assert fleeting.blobs == set()


async def test_a_v1_replay_after_delivery(fleeting):
    """What was delivered can't be replayed: 410, and no second charge."""
    headers = {"Idempotency-Key": "once"}
    answer = asyncio.create_task(fleeting.http.post(RUN, json=EDIT, headers=headers))
    await asyncio.to_thread(fleeting.worker.complete)
    assert (await answer).content == PICTURE
    assert_error(await fleeting.http.post(RUN, json=EDIT, headers=headers), 410, "result_expired")
    assert (fleeting.balance, fleeting.blobs) == (9.96, set())


async def test_two_that_wait_for_one_delivery(fleeting):
    """Of two v1 calls with one key each gets the picture or is told that it is gone, never a defect."""
    headers = {"Idempotency-Key": "once"}
    answers = [asyncio.create_task(fleeting.http.post(RUN, json=EDIT, headers=headers)) for _ in range(4)]
    await asyncio.to_thread(fleeting.worker.complete)
    found = [(answer.status_code, answer.content == PICTURE) for answer in await asyncio.gather(*answers)]
    assert (200, True) in found
    assert set(found) <= {(200, True), (410, False)}


async def test_erased_while_v1_waits(gateway):
    """A result that its owner erased before v1 could send it is a 410 that names the request."""
    answer = asyncio.create_task(gateway.http.post(RUN, json=EDIT))
    claim = await asyncio.to_thread(gateway.worker.take)
    gateway.services.blobs.delete([f"inputs/{claim.job_id}"])
    body = {"output": {"key": "outputs/x/1.png", "content_type": "image/png", "file_name": "x", "file_size": 1}}
    metrics = {"inference_time": 1.0, "queue_time": 0.0, "total_time": 1.0}
    gateway.services.store.finish(claim, body | {"seed": 7, "prompt": "x", "metrics": metrics})
    assert assert_error(await answer, 410, "result_expired")["request_id"] == claim.job_id


async def test_no_prompt_is_kept(fleeting):
    """The history of such a key has no prompt once the request has ended, failed ones included."""
    await fleeting.completed()
    await fleeting.submit()
    fleeting.worker.fail()
    entries = (await fleeting.http.get("/v2/requests")).json()["requests"]
    assert ["prompt" in entry["parameters"] for entry in entries] == [False, False]


async def test_what_nobody_fetched(fleeting):
    """A result that is never fetched goes when the service's own retention ends."""
    await fleeting.completed()
    fleeting.clock.advance(3600)
    Janitor(fleeting.services).tidy(expire=True)
    assert fleeting.blobs == set()


async def test_other_keys_results_stay(gateway):
    """With any retention a result can be fetched again and again, for that time."""
    gateway.http.headers["x-api-key"] = gateway.new_key(retention=10)
    body = await gateway.completed()
    assert [(await gateway.http.get(body["output"])).status_code for _ in range(3)] == [200] * 3
    gateway.clock.advance(10)
    assert_error(await gateway.http.get(body["output"]), 404, "not_found")


async def test_an_aborted_download_erases_nothing(live):
    """Who hangs up in the middle can come back for it."""
    large = bytes(range(256)) * 4096 * 32
    _, secret = live.services.store.create_key(live.account.id, rpm=None, retention=0)
    with httpx.Client(base_url=live.url, headers={"x-api-key": secret}, timeout=30) as http:
        request_id = http.post("/v2/flux-kontext-dev", json=EDIT).json()["request_id"]
        key = live.worker.complete().job_id
        live.services.blobs.put(f"outputs/{key}/1.png", large)
        output = http.get(f"/v2/requests/{request_id}").json()["output"]
        assert http.head(output).headers["content-length"] == str(len(large))
        for _ in range(3):
            with http.stream("GET", output) as response:
                assert next(response.iter_raw(1000))
        assert http.get(output).content == large
        await soon(lambda: live.services.store.job(request_id, live.account.id) is None)
        assert http.get(output).status_code == 404


async def test_storage_that_fails_afterwards(fleeting, logs):
    """The client has its picture: what can't be deleted now is logged, and left to the janitor."""
    body = await fleeting.completed()
    delete = fleeting.services.blobs.delete

    def refuse(keys: object) -> None:
        raise BlobsUnavailable("x", "can't be reached", "")

    fleeting.services.blobs.delete = refuse  # type: ignore[method-assign]
    assert (await fleeting.http.get(body["output"])).content == PICTURE
    assert [entry["event"] for entry in logs] == ["delivered"]
    fleeting.services.blobs.delete = delete  # type: ignore[method-assign]
    Janitor(fleeting.services).tidy(expire=True)
    assert fleeting.blobs == set()


async def test_a_file_that_breaks_off(fleeting):
    """A file that can't be read to its end was not delivered."""
    request_id = (await fleeting.completed())["request_id"]

    async def broken() -> AsyncIterator[bytes]:
        yield b"half"
        raise Problem("unavailable", "gone")

    with pytest.raises(Problem):
        async for _ in sent_once(fleeting.services, request_id, broken()):
            pass
    assert (await fleeting.http.get(f"/v2/requests/{request_id}")).status_code == 200
