"""The checks of a submit come in the contract's order: of all that is wrong, the first answers."""

from itertools import chain, combinations
from typing import Any

import pytest

from tests.gateway.harness import EDIT, RUN, SUBMIT, assert_error

# 403 hangs on what the body asks for, so a body that is too large to be read is 413 even if it asks for too much.
ORDER = {
    401: "invalid_key",
    413: "payload_too_large",
    403: "forbidden",
    400: "invalid_parameter",
    409: "idempotency_conflict",
    429: "rate_limited",
    406: "insufficient_credits",
    503: "queue_full",
}
BODIES: dict[int, dict[str, Any]] = {
    413: {"prompt": "x" * 60_000},
    403: {"disable_safety_checker": True},
    400: {"promt": "a typo"},
    409: {"seed": 8},
}
USED = {"Idempotency-Key": "used"}
SUBSETS = list(chain.from_iterable(combinations(ORDER, size) for size in range(1, len(ORDER) + 1)))


@pytest.fixture
async def secrets(start):
    """A gateway whose queue is full, and a key for every standing: limit used up or not, broke or not.

    Both accounts have used an Idempotency-Key.
    """
    gateway = await start(max_body_mb=0.05, queue_limit=1)
    rich, poor = gateway.new_account("rich"), gateway.new_account("poor", 40_000)
    keys = {
        frozenset(): gateway.new_key(rich, may_disable_safety=False),
        frozenset({429}): gateway.new_key(rich, rpm=1, may_disable_safety=False),
        frozenset({406}): gateway.new_key(poor, may_disable_safety=False),
        frozenset({429, 406}): gateway.new_key(poor, rpm=1, may_disable_safety=False),
    }
    for spent in (frozenset({429}), frozenset({429, 406})):
        gateway.http.headers["x-api-key"] = keys[spent]
        assert (await gateway.http.post(SUBMIT, json=EDIT, headers=USED)).status_code == 200
        gateway.worker.take()
    gateway.http.headers["x-api-key"] = keys[frozenset()]
    await gateway.submit()
    return gateway, keys


@pytest.mark.parametrize("path", [SUBMIT, RUN])
async def test_the_first_that_is_wrong_answers(secrets, path):
    """Every combination of faults has the answer of its earliest one, and leaves nothing behind."""
    gateway, keys = secrets
    before = gateway.blobs
    for faults in SUBSETS:
        secret = "SG_wrong" if 401 in faults else keys[frozenset(faults) & {429, 406}]
        changes = {name: value for fault in faults for name, value in BODIES.get(fault, {}).items()}
        headers = {"x-api-key": secret} | (USED if 409 in faults else {})
        response = await gateway.http.post(path, json=EDIT | changes, headers=headers)
        first = next(status for status in ORDER if status in faults)
        assert_error(response, first, ORDER[first])
    assert gateway.blobs == before


async def test_too_large_comes_before_what_kind_it_is(start):
    """A body that is too large is that first, whatever its content type."""
    gateway = await start(max_body_mb=0.05)
    for kind in (
        "application/json",
        "text/plain",
        "multipart/form-data; boundary=a",
        "application/x-www-form-urlencoded",
    ):
        response = await gateway.http.post(SUBMIT, content=b"x" * 60_000, headers={"content-type": kind})
        assert_error(response, 413, "payload_too_large")


async def test_the_key_comes_before_the_slug(gateway):
    """Who has no key doesn't learn which models there are."""
    response = await gateway.http.post("/v2/no-such-model", json=EDIT, headers={"x-api-key": ""})
    assert_error(response, 401, "missing_key")
    assert (
        "no-such-model"
        in assert_error(await gateway.http.post("/v1/no-such-model", json=EDIT), 404, "not_found")["error"]
    )


async def test_a_key_that_may_disables_the_checker(gateway):
    """The permission is the key's."""
    assert (await gateway.http.post(SUBMIT, json=EDIT | {"disable_safety_checker": True})).status_code == 200


async def test_refused_submits_do_not_use_up_the_limit(gateway):
    """Only an accepted submit takes a token."""
    gateway.http.headers["x-api-key"] = gateway.new_key(rpm=1)
    for _ in range(3):
        assert_error(await gateway.http.post(SUBMIT, json=EDIT | {"seed": "x"}), 400, "invalid_parameter")
    assert (await gateway.http.post(SUBMIT, json=EDIT)).status_code == 200
    assert_error(await gateway.http.post(SUBMIT, json=EDIT), 429, "rate_limited")
