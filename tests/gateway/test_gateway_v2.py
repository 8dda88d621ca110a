"""v2: submit, poll, fetch and cancel, field by field."""

import uuid
from typing import Any

import pytest

from openkontext.contract import SEED_MAX
from openkontext.store import Store
from tests.gateway.harness import BASE, EDIT, PICTURE, SUBMIT, TIMES, Gateway, assert_error, connect

ADDRESSES = ("/v2/requests/{}", "/v1/requests/{}", "/v2/requests/{}/status")


def addresses(request_id: str) -> dict[str, str]:
    response = f"{BASE}/v2/requests/{request_id}"
    return {"status_url": f"{response}/status", "response_url": response}


async def polled(gateway: Gateway, request_id: str) -> list[tuple[int, Any]]:
    """Status and body of the three addresses of a request."""
    answers = [await gateway.http.get(address.format(request_id)) for address in ADDRESSES]
    return [(answer.status_code, answer.json()) for answer in answers]


async def test_submit_answers_with_the_addresses_to_poll(gateway):
    """A submit is QUEUED under a UUID4, and names absolute addresses."""
    body = await gateway.submit()
    request_id = body["request_id"]
    expected = {"request_id": request_id, "status": "QUEUED", "poll_url": f"{BASE}/v1/requests/{request_id}"}
    assert expected | addresses(request_id) == body
    assert uuid.UUID(request_id).version == 4
    assert str(uuid.UUID(request_id)) == request_id


async def test_submit_tells_of_the_rate_limit(gateway):
    """The answer's headers name the request and when the limit resets; an unlimited key has no more to say."""
    response = await gateway.http.post(SUBMIT, json=EDIT)
    assert response.headers["x-request-id"] == response.json()["request_id"]
    assert response.headers["x-rate-limit-reset-at-utc"] == "2027-01-15T08:00:00Z"
    assert "x-rate-limit-limit" not in response.headers


async def test_what_the_worker_gets(gateway):
    """The worker gets every parameter, defaults filled in, and the picture as a blob."""
    await gateway.submit()
    claim = gateway.worker.take()
    defaults = {"aspect_ratio": "match_input_image", "guidance": 7, "output_format": "png", "output_quality": 90}
    expected = {"prompt": "make it snow", "num_inference_steps": 4, "seed": 7, "disable_safety_checker": False}
    assert defaults | expected == claim.parameters
    assert {"kind": "blob", "key": f"inputs/{claim.job_id}"} == claim.input
    assert gateway.services.blobs.get(claim.input["key"]) == PICTURE


async def test_waiting_and_running(gateway):
    """Until it ends, all three addresses answer the same light body."""
    request_id = (await gateway.submit())["request_id"]
    body = {"status": "QUEUED", "request_id": request_id, "metrics": {}} | addresses(request_id)
    assert await polled(gateway, request_id) == [(200, body)] * 3
    gateway.worker.take()
    assert await polled(gateway, request_id) == [(200, body | {"status": "PROCESSING"})] * 3


async def test_completed(gateway):
    """The full body has output, seed, prompt and metrics; the light one the inference time alone."""
    request_id = (await gateway.submit())["request_id"]
    gateway.worker.complete()
    full, older, light = await polled(gateway, request_id)
    output = full[1]["output"]
    image = {"url": output, "content_type": "image/png", "file_name": f"{request_id}.png"}
    expected = {
        "status": "COMPLETED",
        "request_id": request_id,
        "output": output,
        "images": [image | {"file_size": str(len(PICTURE))}],
        "seed": "7",
        "prompt": "make it snow",
        "metrics": TIMES | {"cost": 0.04, "remaining_credits": 9.96},
        "input": full[1]["input"],
    }
    assert full == (200, expected)
    assert older == full
    assert light == (200, {"status": "COMPLETED", "request_id": request_id, "metrics": {"inference_time": 3.1}})
    assert output.startswith(f"{BASE}/files/outputs/{request_id}/1.png?")
    assert full[1]["input"].startswith(f"{BASE}/files/inputs/{request_id}?")


async def test_a_result_is_a_snapshot(gateway):
    """It reads the same each time, to the byte, whatever time and other requests do to the balance."""
    first = await gateway.submit()
    gateway.worker.complete()
    before = (await gateway.http.get(first["response_url"])).content
    gateway.clock.advance(1000)
    await gateway.completed()
    assert (await gateway.http.get(first["response_url"])).content == before
    gateway.services.store.add_credits(gateway.account.id, 5)
    assert (await gateway.http.get(first["poll_url"])).content == before


async def test_a_retry_stays_processing_and_is_counted(gateway):
    """A lost worker's job is never QUEUED again; the result tells of the retry, which others don't have."""
    request_id = (await gateway.submit())["request_id"]
    gateway.worker.take()
    gateway.clock.advance(16)
    assert (await polled(gateway, request_id))[2][1]["status"] == "PROCESSING"
    gateway.worker.complete()
    full = (await polled(gateway, request_id))[0][1]
    assert full["metrics"]["retry_count"] == 1
    assert "retry_count" not in (await gateway.completed())["metrics"]


async def test_failed_is_422_everywhere_and_free(gateway):
    """A FAILED request says why on all three addresses, without cost or credits."""
    request_id = (await gateway.submit())["request_id"]
    gateway.worker.fail("inference_failed", "it broke")
    expected = {"status": "FAILED", "request_id": request_id, "error": "it broke", "code": "inference_failed"}
    assert await polled(gateway, request_id) == [(422, expected | {"metrics": TIMES})] * 3
    assert_error(await gateway.http.get(f"/v2/requests/{request_id}"), 422, "inference_failed")


async def test_a_block_has_its_score(gateway):
    """What the safety checker blocked is FAILED, with its verdict beside the reason."""
    request_id = (await gateway.submit())["request_id"]
    verdict = {"stage": "output", "category": "nsfw", "score": 0.97, "threshold": 0.8}
    gateway.worker.fail("blocked", "blocked", moderation=verdict)
    assert [body["moderation"] for _, body in await polled(gateway, request_id)] == [verdict] * 3


async def test_warnings_are_shown_only_if_there_are_any(gateway):
    """A result's warnings are a list of sentences."""
    request_id = (await gateway.submit())["request_id"]
    gateway.worker.complete(warnings=("the prompt was cut",))
    assert (await polled(gateway, request_id))[0][1]["warnings"] == ["the prompt was cut"]
    assert "warnings" not in await gateway.completed()


@pytest.mark.parametrize("blank", [None, "", -1])
async def test_a_blank_seed_is_drawn_and_reported(gateway, blank):
    """A seed left blank is another each time, and the result says which."""
    seeds = {(await gateway.completed(seed=blank))["seed"] for _ in range(3)}
    assert len(seeds) == 3
    assert all(0 <= int(seed) <= SEED_MAX for seed in seeds)


async def test_bounds_of_the_seed_survive(gateway):
    """The largest seed comes back digit by digit, since it is a text."""
    assert (await gateway.completed(seed=SEED_MAX))["seed"] == "9223372036854775807"


async def test_polls_are_not_stored(gateway):
    """No cache may keep a poll's answer."""
    request_id = (await gateway.submit())["request_id"]
    answers = [await gateway.http.get(address.format(request_id)) for address in ADDRESSES]
    gateway.worker.fail()
    answers += [await gateway.http.get(address.format(request_id)) for address in ADDRESSES]
    assert [answer.headers["cache-control"] for answer in answers] == ["no-store"] * 6


async def test_ids_that_lead_nowhere(gateway):
    """Unknown, malformed, another account's, erased and expired ids are 404 on every route, all alike."""
    stranger = gateway.new_account("stranger")
    expired = (await gateway.completed())["request_id"]
    gateway.clock.advance(3600)
    erased = (await gateway.completed())["request_id"]
    assert (await gateway.http.delete(f"/v2/requests/{erased}")).status_code == 204
    foreign = (await gateway.submit())["request_id"]
    malformed = ("x", "%00", "a" * 2000, "'--", "%F0%9F%92%A9", str(uuid.uuid4()).upper())
    async with connect(gateway.app, gateway.new_key(stranger)) as other:
        tried = [(other, foreign), *((gateway.http, name) for name in (expired, erased, str(uuid.uuid4()), *malformed))]
        for http, request_id in tried:
            for address in ADDRESSES:
                assert_error(await http.get(address.format(request_id)), 404, "not_found")
            assert_error(await http.delete(f"/v2/requests/{request_id}"), 404, "not_found")
    assert (await gateway.http.get(f"/v2/requests/{foreign}")).status_code == 200


async def test_cancel_while_it_waits(gateway):
    """A queued request is cancelled at once: FAILED, not charged."""
    request_id = (await gateway.submit())["request_id"]
    response = await gateway.http.delete(f"/v2/requests/{request_id}")
    assert (202, {"request_id": request_id, "status": "FAILED"}) == (response.status_code, response.json())
    for status, body in await polled(gateway, request_id):
        assert (422, "FAILED", "cancelled") == (status, body["status"], body["code"])
        assert set(body["metrics"]) == set(TIMES)
    assert gateway.balance == 10
    assert gateway.services.store.claim("worker") is None


async def test_cancel_while_it_runs(gateway):
    """A running request's worker is told; whatever it made of it then, the request is FAILED."""
    request_id = (await gateway.submit())["request_id"]
    claim = gateway.worker.take()
    response = await gateway.http.delete(f"/v2/requests/{request_id}")
    assert (202, {"request_id": request_id, "status": "PROCESSING"}) == (response.status_code, response.json())
    assert gateway.services.store.beat(claim)
    assert (await gateway.http.delete(f"/v2/requests/{request_id}")).status_code == 202
    gateway.worker.complete(claim)
    assert_error(await gateway.http.get(f"/v2/requests/{request_id}"), 422, "cancelled")
    assert gateway.balance == 10


async def test_erase_an_ended_one(gateway):
    """Erasing an ended request takes its files along, and leaves its cost in the books."""
    body = await gateway.completed()
    other = await gateway.completed()
    response = await gateway.http.delete(f"/v2/requests/{body['request_id']}")
    assert (204, b"") == (response.status_code, response.content)
    assert {key for key in gateway.blobs if body["request_id"] in key} == set()
    assert_error(await gateway.http.get(body["output"]), 404, "not_found")
    assert (await gateway.http.get(other["output"])).content == PICTURE
    assert gateway.balance == 9.92
    assert gateway.services.store.expire() == []


async def test_a_change_by_another_process_shows_at_the_next_poll(gateway):
    """The gateway's cache is exact: nothing stale, whoever changes the store."""
    request_id = (await gateway.submit())["request_id"]
    elsewhere = Store.open(gateway.services.settings.database, clock=gateway.clock)
    try:
        states = [(await polled(gateway, request_id))[2][1]["status"]]
        claim = elsewhere.claim("elsewhere")
        states.append((await polled(gateway, request_id))[2][1]["status"])
        elsewhere.fail(claim, code="inference_failed", error="it broke", metrics=TIMES)
        states.append((await polled(gateway, request_id))[2][1]["status"])
        assert states == ["QUEUED", "PROCESSING", "FAILED"]
    finally:
        elsewhere.close()
