"""Replay: a request once more, as it was."""

import pytest

from openkontext.gateway.janitor import Janitor
from tests.gateway.harness import EDIT, PICTURE, SUBMIT, assert_error, connect


def path(body: dict) -> str:
    return f"/v2/requests/{body['request_id']}/replay"


async def replayed(gateway, body: dict, **headers: str) -> dict:
    response = await gateway.http.post(path(body), headers=headers)
    assert response.status_code == 200, response.text
    assert response.headers["x-request-id"] == response.json()["request_id"]
    return response.json()


async def test_the_same_again(gateway):
    """A new request, of the same picture and parameters, charged like any."""
    first = await gateway.completed(seed=-1, guidance=3.5, prompt='a "é" \n b')
    second = await replayed(gateway, first)
    entries = (await gateway.http.get("/v2/requests")).json()["requests"]
    assert first["request_id"] != second["request_id"]
    assert (9.92, {"request_id", "status", "poll_url", "status_url", "response_url"}) == (gateway.balance, set(second))
    assert entries[0]["parameters"] == entries[1]["parameters"]
    claim = gateway.worker.take()
    assert {"kind": "blob", "key": f"inputs/{second['request_id']}"} == claim.input
    assert PICTURE == gateway.services.blobs.get(claim.input["key"])
    gateway.worker.complete(claim)
    assert (await gateway.http.get(f"/v2/requests/{second['request_id']}")).json()["seed"] == first["seed"]


async def test_each_has_its_own_picture(gateway):
    """The first may be erased; the second, and a third of it, go on."""
    first = await gateway.completed()
    second = await replayed(gateway, first)
    await gateway.http.delete(f"/v2/requests/{first['request_id']}")
    gateway.worker.complete()
    third = await replayed(gateway, second)
    assert PICTURE == gateway.services.blobs.get(f"inputs/{third['request_id']}")


async def test_whatever_became_of_it(gateway):
    """One that failed or still waits can be repeated too."""
    failed = await gateway.submit()
    gateway.worker.fail()
    await replayed(gateway, failed)
    waiting = await gateway.submit()
    await replayed(gateway, waiting)


async def test_a_picture_of_elsewhere(gateway):
    """It is fetched again from where it was."""
    first = await gateway.submit(input_image="https://example.com/a.png")
    second = await replayed(gateway, first)
    claims = {claim.job_id: claim.input for claim in (gateway.worker.take(), gateway.worker.take())}
    assert {"kind": "url", "url": "https://example.com/a.png"} == claims[second["request_id"]]


@pytest.mark.parametrize("end", ["erased", "expired", "tidied"])
async def test_once_the_picture_is_gone(gateway, end):
    """There is nothing to repeat: 410, with the id."""
    first = await gateway.completed()
    if end == "erased":
        await gateway.http.delete(f"/v2/requests/{first['request_id']}")
    else:
        gateway.clock.advance(3600)
    if end == "tidied":
        Janitor(gateway.services).tidy(expire=True)
    error = assert_error(await gateway.http.post(path(first)), 410, "result_expired")
    assert error["request_id"] == first["request_id"]
    assert gateway.balance == 9.96


async def test_when_the_file_is_lost(gateway):
    """A picture that the storage lost is gone too, and nothing is charged."""
    first = await gateway.completed()
    gateway.services.blobs.delete([f"inputs/{first['request_id']}"])
    assert_error(await gateway.http.post(path(first)), 410, "result_expired")
    assert gateway.balance == 9.96


async def test_of_what_is_delivered_once(gateway):
    """It is kept for that alone: another key of the account gets no copy of it, before the end or after."""
    once = gateway.new_key(retention=0)
    first = (await gateway.http.post(SUBMIT, json=EDIT, headers={"x-api-key": once})).json()
    assert_error(await gateway.http.post(path(first)), 410, "result_expired")
    gateway.worker.complete()
    assert_error(await gateway.http.post(path(first)), 410, "result_expired")


async def test_sending_it_twice(gateway):
    """An Idempotency-Key stands for one replay; of another request, it is a conflict."""
    first, other = await gateway.completed(), await gateway.completed(seed=8)
    answers = [await gateway.http.post(path(first), headers={"idempotency-key": "again"}) for _ in range(2)]
    assert 1 == len({answer.json()["request_id"] for answer in answers})
    assert [None, "true"] == [answer.headers.get("idempotency-replayed") for answer in answers]
    conflict = await gateway.http.post(path(other), headers={"idempotency-key": "again"})
    assert_error(conflict, 409, "idempotency_conflict")
    two = [("idempotency-key", "a"), ("idempotency-key", "b")]
    assert_error(await gateway.http.post(path(first), headers=two), 400, "invalid_parameter")


async def test_it_is_limited_like_a_submit(gateway):
    """By rate, by what waits, by credits, and by permissions, those of the key that asks."""
    first = await gateway.completed(disable_safety_checker=True)
    store, url = gateway.services.store, path(first)
    refused = [
        ({"may_edit": False}, 403, "forbidden"),
        ({"may_disable_safety": False}, 403, "forbidden"),
        ({"rpm": 1}, 429, "rate_limited"),
        ({"max_queued": 1}, 429, "too_many_waiting"),
    ]
    for options, status, code in refused:
        async with connect(gateway.app, gateway.new_key(**options)) as http:
            if status == 429:
                assert 200 == (await http.post(url)).status_code
            assert_error(await http.post(url), status, code)
    poor = gateway.new_account("poor", 40_000)
    gateway.http.headers["x-api-key"] = store.create_key(poor.id)[1]
    assert_error(await gateway.http.post(path(await gateway.submit())), 406, "insufficient_credits")


async def test_while_the_server_shuts_down(gateway):
    """Nothing new is taken in."""
    first = await gateway.completed()
    gateway.services.draining = True
    assert_error(await gateway.http.post(path(first)), 503, "draining")


async def test_others_requests(gateway):
    """Another account's is as unknown as one that isn't there, also once it is erased."""
    first = await gateway.completed()
    async with connect(gateway.app, gateway.new_key(gateway.new_account("stranger"))) as http:
        assert_error(await http.post(path(first)), 404, "not_found")
        await gateway.http.delete(f"/v2/requests/{first['request_id']}")
        assert_error(await http.post(path(first)), 404, "not_found")
    assert_error(await gateway.http.post("/v2/requests/x/replay"), 404, "not_found")
    async with connect(gateway.app) as http:
        assert_error(await http.post(path(first)), 401, "missing_key")


async def test_the_address_is_as_good_as_the_server_is_reached(gateway):
    """Whatever host the client names, the picture is our own."""
    body = (await gateway.http.post(SUBMIT, json=EDIT)).json()
    answer = await gateway.http.post(path(body), headers={"host": "other.test:8443"})
    assert answer.json()["poll_url"].startswith("http://other.test:8443/v1/requests/")
