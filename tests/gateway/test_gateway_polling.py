"""Limits on what makes no job: polls, counted by each gateway for itself; and on jobs that wait."""

import pytest

from openkontext.gateway import polling
from openkontext.gateway.polling import PollLimit
from openkontext.store import RateLimited
from tests.gateway.harness import EDIT, RUN, SUBMIT, assert_error, connect

NAMES = ("x-rate-limit-limit", "x-rate-limit-remaining", "x-rate-limit-reset-at-utc", "Retry-After")


@pytest.mark.parametrize("path", ["/v2/requests/{}/status", "/v2/requests/{}", "/v1/requests/{}", "/v2/requests"])
async def test_too_many_polls(start, path):
    """A key's polls run out, come back with time, and say when; it may submit all the while."""
    gateway = await start(poll_limit=2)
    address = path.format((await gateway.submit())["request_id"])
    assert [(await gateway.http.get(address)).status_code for _ in range(3)] == [200, 200, 429]
    refused = await gateway.http.get("/v1/get-user-credits")
    assert_error(refused, 429, "rate_limited")
    assert ["2", "0", "2027-01-15T08:00:30Z", "30"] == [refused.headers[name] for name in NAMES]
    await gateway.submit()
    gateway.clock.advance(30)
    assert [(await gateway.http.get(address)).status_code for _ in range(2)] == [200, 429]


async def test_polls_are_each_keys_own(start):
    """Another key, of the same account too, has a limit of its own; wrong ones use up nobody's."""
    gateway = await start(poll_limit=1)
    for _ in range(3):
        assert_error(await gateway.http.get("/v2/requests", headers={"x-api-key": "SG_0"}), 401, "invalid_key")
    assert [(await gateway.http.get("/v2/requests")).status_code for _ in range(2)] == [200, 429]
    async with connect(gateway.app, gateway.new_key()) as http:
        assert (await http.get("/v2/requests")).status_code == 200


async def test_an_estimate_is_a_poll(start):
    """It takes a poll and no submit; one that is refused takes neither."""
    gateway = await start(poll_limit=1)
    gateway.http.headers["x-api-key"] = gateway.new_key(rpm=1)
    assert_error(await gateway.http.post(f"{SUBMIT}/estimate", json={}), 400, "invalid_parameter")
    assert (await gateway.http.post(f"{SUBMIT}/estimate", json=EDIT)).status_code == 200
    assert_error(await gateway.http.post(f"{SUBMIT}/estimate", json=EDIT), 429, "rate_limited")
    await gateway.submit()


async def test_no_limit_on_polls(start):
    """0 is no limit."""
    gateway = await start(poll_limit=0)
    assert {(await gateway.http.get("/v1/get-user-credits")).status_code for _ in range(20)} == {200}


def test_the_key_that_polled_longest_ago_is_forgotten(monkeypatch):
    """The memory has a bound: of many keys the busy ones stay limited."""
    monkeypatch.setattr(polling, "_MANY", 2)
    limit = PollLimit(1)
    for key in (1, 2, 3):
        limit.spend(key, 0.0)
    for key in (2, 3):
        with pytest.raises(RateLimited):
            limit.spend(key, 0.0)
    limit.spend(1, 0.0)


@pytest.mark.parametrize("path", [SUBMIT, RUN])
async def test_too_many_waiting(gateway, path):
    """A key with as many requests waiting as it may is told so, and when to come back; others are not held up."""
    gateway.http.headers["x-api-key"] = gateway.new_key(max_queued=2)
    for _ in range(2):
        await gateway.submit()
    refused = await gateway.http.post(path, json=EDIT)
    assert "2 requests waiting" in assert_error(refused, 429, "too_many_waiting")["error"]
    assert refused.headers["Retry-After"] == "10"
    assert refused.headers["x-rate-limit-reset-at-utc"] == "2027-01-15T08:00:10Z"
    assert len(gateway.blobs) == 2
    async with connect(gateway.app, gateway.new_key()) as http:
        assert (await http.post(SUBMIT, json=EDIT)).status_code == 200
    gateway.worker.take()
    await gateway.submit()


async def test_a_cancel_is_a_poll(start):
    """Whatever makes no request is counted, so that nothing writes to the store without a limit."""
    gateway = await start(poll_limit=1)
    unknown = "/v2/requests/00000000-0000-4000-8000-000000000000"
    assert_error(await gateway.http.delete(unknown), 404, "not_found")
    assert_error(await gateway.http.delete(unknown), 429, "rate_limited")
