"""Money and limits: what is held, taken and given back, and how refusals tell of it."""

from tests.gateway.harness import EDIT, SUBMIT, assert_error


async def credits(gateway) -> dict:
    return (await gateway.http.get("/v1/get-user-credits")).json()


async def test_credits_are_held_then_taken(gateway):
    """The price is off the balance from the submit on, and stays off once the edit is there."""
    balances = [await credits(gateway)]
    await gateway.submit()
    balances.append(await credits(gateway))
    gateway.worker.complete()
    balances.append(await credits(gateway))
    assert balances == [{"credits": value, "free-credits": 0.0} for value in (10.0, 9.96, 9.96)]
    entries = gateway.services.store.ledger(gateway.account.id)
    assert [(entry.kind, entry.amount) for entry in entries] == [("grant", 10_000_000), ("hold", -40_000), ("take", 0)]


async def test_credits_are_given_back(gateway):
    """A failure costs nothing."""
    await gateway.submit()
    gateway.worker.fail()
    assert (await credits(gateway))["credits"] == 10.0
    assert gateway.services.store.verify_ledger() == []


async def test_credits_are_the_accounts(gateway):
    """Keys of an account share its balance; other accounts have their own."""
    await gateway.submit()
    gateway.http.headers["x-api-key"] = gateway.new_key()
    assert (await credits(gateway))["credits"] == 9.96
    gateway.http.headers["x-api-key"] = gateway.new_key(gateway.new_account("another", 1))
    assert (await credits(gateway))["credits"] == 0.000001


async def test_insufficient_credits(gateway):
    """A 406 names the balance and the price; nothing is kept."""
    gateway.http.headers["x-api-key"] = gateway.new_key(gateway.new_account("poor", 39_999))
    error = assert_error(await gateway.http.post(SUBMIT, json=EDIT), 406, "insufficient_credits")["error"]
    assert "0.039999" in error
    assert "0.04" in error.replace("0.039999", "")
    assert gateway.blobs == set()


async def test_the_last_credits_can_be_spent(gateway):
    """A balance of just the price is enough, once."""
    gateway.http.headers["x-api-key"] = gateway.new_key(gateway.new_account("exact", 40_000))
    assert (await gateway.http.post(SUBMIT, json=EDIT)).status_code == 200
    error = assert_error(await gateway.http.post(SUBMIT, json=EDIT), 406, "insufficient_credits")["error"]
    assert "balance is 0 " in error


async def test_a_free_service(start):
    """With a price of 0 nobody needs credits."""
    gateway = await start(price=0)
    gateway.http.headers["x-api-key"] = gateway.new_key(gateway.new_account("poor", 0))
    assert (await gateway.completed())["metrics"]["cost"] == 0


async def test_the_rate_limit(gateway):
    """A limited key counts down, is refused with the time of its next turn, and gets it then."""
    gateway.http.headers["x-api-key"] = gateway.new_key(rpm=2)
    accepted = [await gateway.http.post(SUBMIT, json=EDIT) for _ in range(2)]
    names = ("x-rate-limit-limit", "x-rate-limit-remaining", "x-rate-limit-reset-at-utc")
    told = [[response.headers[name] for name in names] for response in accepted]
    assert told == [["2", "1", "2027-01-15T08:00:30Z"], ["2", "0", "2027-01-15T08:01:00Z"]]
    refused = await gateway.http.post(SUBMIT, json=EDIT)
    assert "2 requests per minute" in assert_error(refused, 429, "rate_limited")["error"]
    assert [refused.headers[name] for name in names] == ["2", "0", "2027-01-15T08:00:30Z"]
    assert refused.headers["Retry-After"] == "30"
    gateway.clock.advance(30)
    assert (await gateway.http.post(SUBMIT, json=EDIT)).status_code == 200
    assert_error(await gateway.http.post(SUBMIT, json=EDIT), 429, "rate_limited")


async def test_retry_after_is_never_too_early(gateway):
    """Seconds are rounded up: who waits as told is let in."""
    gateway.http.headers["x-api-key"] = gateway.new_key(rpm=7)
    for _ in range(7):
        await gateway.submit()
    for _ in range(3):
        refused = await gateway.http.post(SUBMIT, json=EDIT)
        gateway.clock.advance(float(refused.headers["Retry-After"]))
        await gateway.submit()


async def test_polls_are_not_limited(gateway):
    """The limit is on submits: a key without one left may poll."""
    gateway.http.headers["x-api-key"] = gateway.new_key(rpm=1)
    submitted = await gateway.submit()
    assert [(await gateway.http.get(submitted["status_url"])).status_code for _ in range(5)] == [200] * 5
