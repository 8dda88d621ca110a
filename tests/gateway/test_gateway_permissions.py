"""What a key may do: 403 for the rest, at its place in the order of checks."""

import pytest

from tests.gateway.harness import EDIT, RUN, SUBMIT, assert_error

ID = "6f0e4f0e-7a53-4d0a-9d0a-2f6f3f8f9b11"
EDITING = [
    ("POST", SUBMIT),
    ("POST", RUN),
    ("POST", f"{SUBMIT}/estimate"),
    ("DELETE", f"/v2/requests/{ID}"),
    ("POST", f"/v2/requests/{ID}/pin"),
    ("DELETE", f"/v2/requests/{ID}/pin"),
]


@pytest.mark.parametrize(("method", "path"), EDITING)
async def test_a_key_that_may_not_edit(gateway, method, path):
    """Neither makes, changes, nor erases requests; nothing is read of its body, and nothing is kept."""
    gateway.http.headers["x-api-key"] = gateway.new_key(may_edit=False)
    response = await gateway.http.request(method, path, json={"promt": "wrong as well"})
    assert "may not" in assert_error(response, 403, "forbidden")["error"]
    assert (gateway.balance, gateway.blobs) == (10, set())


async def test_a_key_that_may_not_edit_may_look(gateway):
    """It polls the account's requests, and reads balance and history."""
    submitted = await gateway.submit()
    gateway.http.headers["x-api-key"] = gateway.new_key(may_edit=False)
    for path in (submitted["response_url"], submitted["status_url"], "/v1/get-user-credits", "/v2/requests"):
        assert (await gateway.http.get(path)).status_code == 200


async def test_a_key_that_may_not_read_the_history(gateway):
    """It edits and polls, but gets no list, whatever is wrong with its question."""
    gateway.http.headers["x-api-key"] = gateway.new_key(may_read_history=False)
    assert (await gateway.completed())["status"] == "COMPLETED"
    for path in ("/v2/requests", "/v2/requests?page=0"):
        assert "history" in assert_error(await gateway.http.get(path), 403, "forbidden")["error"]


@pytest.mark.parametrize("path", [SUBMIT, RUN, f"{SUBMIT}/estimate"])
async def test_the_order(start, path):
    """403 comes after 401 and before 413 and 400."""
    gateway = await start(max_body_mb=0.001)
    secret = gateway.new_key(may_edit=False)
    body = EDIT | {"prompt": "x" * 2000, "promt": "x"}
    assert_error(await gateway.http.post(path, json=body, headers={"x-api-key": "SG_0"}), 401, "invalid_key")
    assert_error(await gateway.http.post(path, json=body, headers={"x-api-key": secret}), 403, "forbidden")
    assert_error(await gateway.http.post(path, json=body), 413, "payload_too_large")


async def test_the_safety_checker_by_estimate(gateway):
    """An estimate is refused as the submit would be."""
    gateway.http.headers["x-api-key"] = gateway.new_key(may_disable_safety=False)
    for path in (SUBMIT, f"{SUBMIT}/estimate"):
        response = await gateway.http.post(path, json=EDIT | {"disable_safety_checker": True})
        assert_error(response, 403, "forbidden")
