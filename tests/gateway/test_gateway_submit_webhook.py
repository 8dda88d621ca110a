"""`?webhook=` of a v2 submit: checked at its place, and kept with the job."""

import pytest

from tests.gateway.harness import EDIT, RUN, SUBMIT, assert_error

HOOK = "https://example.com/hook?a=1"


async def post(gateway, webhook, path=SUBMIT, **changes):
    return await gateway.http.post(path, params={"webhook": webhook}, json=EDIT | changes)


async def test_it_is_kept_with_the_job(gateway):
    """With the address under which the client knows the server."""
    request_id = (await post(gateway, HOOK)).json()["request_id"]
    job = gateway.services.store.job(request_id, gateway.account.id)
    assert (job.webhook, job.base_url) == (HOOK, "http://gateway.test")
    other = (await gateway.submit())["request_id"]
    assert gateway.services.store.job(other, gateway.account.id).webhook is None


@pytest.mark.parametrize(
    "webhook",
    ["", "nonsense", "ftp://example.com", "http://10.0.0.1/hook", "http://[::1]/", "http://me:secret@example.com/"],
)
async def test_addresses_that_are_refused(gateway, webhook):
    """What could never be posted to is told at submit, and nothing is held."""
    assert "webhook" in assert_error(await post(gateway, webhook), 400, "bad_webhook")["error"]
    assert (gateway.balance, gateway.blobs) == (10, set())


async def test_a_private_receiver_that_is_allowed(start):
    """The operator may name hosts of the own network."""
    gateway = await start(webhook_allow_hosts="10.0.0.1")
    assert (await post(gateway, "http://10.0.0.1/hook")).status_code == 200


async def test_its_place(gateway):
    """It is one of the 400s: after the key and what the key may, before limits and credits."""
    for secret, status, code in (
        ("SG_0", 401, "invalid_key"),
        (gateway.new_key(may_edit=False), 403, "forbidden"),
        (gateway.new_key(gateway.new_account("poor", 0)), 400, "bad_webhook"),
    ):
        gateway.http.headers["x-api-key"] = secret
        assert_error(await post(gateway, "nonsense"), status, code)


async def test_parameters_come_first(gateway):
    """Of two that are wrong, the parameter is named."""
    assert_error(await post(gateway, "nonsense", promt="x"), 400, "invalid_parameter")


async def test_v1_has_none(gateway):
    """v1 answers itself: there the query means nothing."""
    gateway.services.draining = True
    assert_error(await post(gateway, "nonsense", RUN), 503, "draining")
