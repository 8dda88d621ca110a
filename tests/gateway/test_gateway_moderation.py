"""Who may turn the safety checker off, in every way that it can be asked for."""

import pytest

from tests.gateway.harness import EDIT, PICTURE, RUN, SUBMIT, assert_error

FILE = ("input_image", ("a.png", PICTURE, "image/png"))
# As forms may write it.
SPELLINGS = ("true", "True", "TRUE", "1", "yes", "on", " true ")


@pytest.mark.parametrize("path", [RUN, SUBMIT, f"{SUBMIT}/estimate"])
async def test_a_key_that_may_not(gateway, path):
    """403 for what means yes, in JSON and in forms; what is no boolean is a 400, and nothing is accepted."""
    gateway.http.headers["x-api-key"] = gateway.new_key(may_disable_safety=False)
    assert_error(await gateway.http.post(path, json=EDIT | {"disable_safety_checker": True}), 403, "forbidden")
    statuses = {}
    for spelling in SPELLINGS:
        parts = [FILE, ("prompt", (None, "make it snow")), ("disable_safety_checker", (None, spelling))]
        statuses[spelling] = (await gateway.http.post(path, files=parts)).status_code
    assert {400, 403} == set(statuses.values()), statuses
    assert 403 == statuses["true"]
    assert 0 == gateway.services.store.queue_depth()


async def test_a_key_that_may(gateway):
    """It reaches the worker, and stays in the history."""
    await gateway.submit(disable_safety_checker=True)
    assert gateway.worker.take().parameters["disable_safety_checker"] is True
    (entry,) = (await gateway.http.get("/v2/requests")).json()["requests"]
    assert entry["parameters"]["disable_safety_checker"] is True


async def test_no_way_around_by_a_query(gateway):
    """What a body may not say, an address doesn't say either."""
    gateway.http.headers["x-api-key"] = gateway.new_key(may_disable_safety=False)
    await gateway.http.post(f"{SUBMIT}?disable_safety_checker=true", json=EDIT)
    await gateway.http.post(SUBMIT, json=EDIT, headers={"disable_safety_checker": "true"})
    assert 2 == gateway.services.store.queue_depth()
    for _ in range(2):
        assert gateway.worker.take().parameters["disable_safety_checker"] is False
