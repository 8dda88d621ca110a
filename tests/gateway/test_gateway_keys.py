"""Keys stop working the moment they should."""

from openkontext.store import Store
from tests.gateway.harness import EDIT, SUBMIT, assert_error


async def test_a_revoked_key(gateway):
    """A key revoked by another process is refused at the very next request, however often it was good before."""
    submitted = await gateway.submit()
    for _ in range(3):
        assert (await gateway.http.get(submitted["status_url"])).status_code == 200
    elsewhere = Store.open(gateway.services.settings.database)
    elsewhere.revoke_key(gateway.key.id)
    elsewhere.close()
    assert_error(await gateway.http.get(submitted["status_url"]), 401, "invalid_key")
    assert_error(await gateway.http.post(SUBMIT, json=EDIT), 401, "invalid_key")


async def test_an_expired_key(gateway):
    """A key's time runs out though nothing else changes."""
    gateway.http.headers["x-api-key"] = gateway.new_key(expires_at=gateway.clock() + 60)
    submitted = await gateway.submit()
    for seconds, status in ((0, 200), (59, 200), (1, 401)):
        gateway.clock.advance(seconds)
        assert (await gateway.http.get(submitted["status_url"])).status_code == status


async def test_another_key_of_the_account(gateway):
    """Requests are the account's: its other keys see them."""
    submitted = await gateway.submit()
    gateway.http.headers["x-api-key"] = gateway.new_key()
    assert (await gateway.http.get(submitted["response_url"])).status_code == 200


async def test_a_wrong_key_made_right(gateway):
    """A refusal is not remembered longer than it is true."""
    secret = "SG_" + "0" * 32
    gateway.http.headers["x-api-key"] = secret
    assert_error(await gateway.http.get("/v1/get-user-credits"), 401, "invalid_key")
    gateway.http.headers["x-api-key"] = gateway.new_key()
    assert (await gateway.http.get("/v1/get-user-credits")).status_code == 200
