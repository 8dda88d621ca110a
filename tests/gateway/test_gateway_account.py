"""The account behind a key: balance, ledger and usage."""

from datetime import date

import pytest

from openkontext.contract import InvalidParameters
from openkontext.gateway.account import read_days
from tests.gateway.harness import EDIT, SUBMIT, assert_error, connect

DAY = 86_400
NOTHING = {"requests": 0, "completed": 0, "failed": 0, "cost": 0.0, "gpu_seconds": 0.0, "failures": {}}


async def get(gateway, path: str) -> dict:
    response = await gateway.http.get(path)
    assert response.status_code == 200, response.text
    assert response.headers["cache-control"] == "no-store"
    return response.json()


async def test_the_account(gateway):
    """Who it is, what it can spend, what is held, and what the key that asks may do."""
    await gateway.completed()
    await gateway.submit()
    key = gateway.key
    expected = {
        "account": "someone",
        "created_at": "2027-01-15T08:00:00.000Z",
        "credits": 9.92,
        "held": 0.04,
        "spent_today": 0.04,
        "session": False,
        "key": {
            "id": key.id,
            "hint": gateway.secret[-4:],
            "label": "",
            "may_edit": True,
            "may_read_history": True,
            "may_disable_safety": True,
            "may_manage": True,
            "may_operate": False,
            "rpm": None,
            "max_running": None,
            "max_queued": 100,
            "retention": None,
            "created_at": "2027-01-15T08:00:00.000Z",
            "expires_at": None,
            "revoked_at": None,
        },
    }
    assert expected == await get(gateway, "/v2/account")


async def test_what_was_spent_today(gateway):
    """It begins anew at midnight, UTC; what failed cost nothing, and what waits is held."""
    await gateway.completed()
    await gateway.submit()
    gateway.worker.fail()
    assert (await get(gateway, "/v2/account"))["spent_today"] == 0.04
    # The clock stands at 8 in the morning.
    gateway.clock.advance(16 * 3600)
    assert (await get(gateway, "/v2/account"))["spent_today"] == 0.0


async def test_any_key_may_know_its_account(gateway):
    """But not what was spent by others, unless it may read the history."""
    gateway.http.headers["x-api-key"] = gateway.new_key(may_read_history=False, may_edit=False, may_manage=False)
    account = await get(gateway, "/v2/account")
    assert ("spent_today" in account, account["credits"], account["key"]["may_edit"]) == (False, 10.0, False)


async def test_the_ledger(gateway):
    """Every entry with the balance after it, newest first."""
    completed = (await gateway.completed())["request_id"]
    gateway.clock.advance(10)
    failed = (await gateway.submit())["request_id"]
    gateway.worker.fail()
    body = await get(gateway, "/v2/account/ledger")
    shown = [(each["kind"], each["amount"], each["balance"], each["request_id"]) for each in body["entries"]]
    assert [
        ("release", 0.04, 9.96, failed),
        ("hold", -0.04, 9.92, failed),
        ("take", 0.0, 9.96, completed),
        ("hold", -0.04, 9.96, completed),
        ("grant", 10.0, 10.0, None),
    ] == shown
    assert body["entries"][0]["created_at"] == "2027-01-15T08:00:10.000Z"
    assert (1, 20, 5) == (body["page"], body["per_page"], body["total"])


async def test_pages_of_the_ledger(gateway):
    """Pages follow one another without a gap, each with the right balances; one past the end is empty."""
    for _ in range(3):
        await gateway.submit()
    whole = (await get(gateway, "/v2/account/ledger"))["entries"]
    pages = [(await get(gateway, f"/v2/account/ledger?per_page=3&page={page}"))["entries"] for page in (1, 2, 3)]
    assert [whole[:3], whole[3:], []] == pages


async def test_usage_by_day(gateway):
    """Each day of the span, also those without a request, and the sum of them all."""
    await gateway.completed()
    gateway.clock.advance(2 * DAY)
    for code in ("blocked", "blocked", "inference_failed"):
        await gateway.submit()
        gateway.worker.fail(code)
    await gateway.submit()
    body = await get(gateway, "/v2/account/usage?from=2027-01-14&to=2027-01-17")
    first = NOTHING | {"requests": 1, "completed": 1, "cost": 0.04, "gpu_seconds": 3.1}
    failures = {"blocked": 2, "inference_failed": 1}
    third = NOTHING | {"requests": 4, "failed": 3, "gpu_seconds": 9.3, "failures": failures}
    assert [
        {"day": "2027-01-14"} | NOTHING,
        {"day": "2027-01-15"} | first,
        {"day": "2027-01-16"} | NOTHING,
        {"day": "2027-01-17"} | third,
    ] == body["days"]
    total = {"requests": 5, "completed": 1, "failed": 3, "cost": 0.04, "gpu_seconds": 12.4, "failures": failures}
    assert total == body["totals"]


async def test_usage_of_the_last_days(gateway):
    """Of a month, if nothing is said; of the days up to one, or from one to today."""
    expected = {
        "": ("2026-12-17", "2027-01-15", 30),
        "?to=2026-12-31": ("2026-12-02", "2026-12-31", 30),
        "?from=2027-01-15": ("2027-01-15", "2027-01-15", 1),
        "?from=2026-01-15": ("2026-01-15", "2027-01-15", 366),
        "?from=0001-01-01&to=0001-01-01": ("0001-01-01", "0001-01-01", 1),
        "?to=9999-12-31": ("9999-12-02", "9999-12-31", 30),
    }
    bodies = {query: await get(gateway, f"/v2/account/usage{query}") for query in expected}
    found = {query: (body["from"], body["to"], len(body["days"])) for query, body in bodies.items()}
    assert expected == found


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("usage?from=2027-01-16", "must not be after"),
        ("usage?from=2026-01-14", "at most 366 days"),
        ("usage?from=yesterday", "from must be a date"),
        ("usage?to=2027-02-30", "to must be a date"),
        ("usage?from=1700000000", "from must be a date"),
        ("usage?from=", "from must be a date"),
        ("usage?from=2027-01-15T08:00:00Z", "from must be a date"),
        ("ledger?page=0", "page"),
        ("ledger?page=1000001", "page"),
        ("ledger?per_page=101", "per_page"),
        ("ledger?per_page=x", "per_page"),
    ],
)
async def test_questions_that_are_refused(gateway, path, words):
    """What can't be meant is a 400 that names what is allowed."""
    assert words in assert_error(await gateway.http.get(f"/v2/account/{path}"), 400, "invalid_parameter")["error"]


def test_the_first_days_there_are():
    """There is no day before the first of the calendar."""
    assert (date.min, date(1, 1, 5)) == read_days(None, "0001-01-05", date(2027, 1, 15))
    with pytest.raises(InvalidParameters):
        read_days("0001-01-01", None, date(2027, 1, 15))


@pytest.mark.parametrize("path", ["ledger", "usage"])
async def test_permission(gateway, path):
    """The books and the usage are of the history."""
    async with connect(gateway.app, gateway.new_key(may_read_history=False)) as http:
        error = assert_error(await http.get(f"/v2/account/{path}"), 403, "forbidden")["error"]
    assert "read the history" in error


async def test_they_are_the_accounts_own(gateway):
    """Others' money and requests are nobody's business."""
    await gateway.completed()
    stranger = gateway.new_account("stranger", 1_000_000)
    async with connect(gateway.app, gateway.new_key(stranger)) as http:
        assert (await http.post(SUBMIT, json=EDIT)).status_code == 200
        account, ledger, usage = [(await http.get(f"/v2/account{path}")).json() for path in ("", "/ledger", "/usage")]
    assert (0.96, 0.04, 0.0) == (account["credits"], account["held"], account["spent_today"])
    assert ["hold", "grant"] == [entry["kind"] for entry in ledger["entries"]]
    assert (1, 0) == (usage["totals"]["requests"], usage["totals"]["completed"])
