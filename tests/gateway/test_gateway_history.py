"""The history of an account, and pins, which keep a result past its time."""

import pytest

from openkontext.gateway.janitor import Janitor
from tests.gateway.harness import EDIT, PICTURE, SUBMIT, TIMES, Gateway, assert_error, connect, data_uri, picture

PARAMETERS = {
    "prompt": "make it snow",
    "aspect_ratio": "match_input_image",
    "guidance": 7,
    "num_inference_steps": 4,
    "seed": 7,
    "output_format": "png",
    "output_quality": 90,
    "disable_safety_checker": False,
}


async def history(gateway: Gateway, query: str = "") -> dict:
    response = await gateway.http.get(f"/v2/requests{query}")
    assert response.status_code == 200, response.text
    assert response.headers["cache-control"] == "no-store"
    return response.json()


async def ids(gateway: Gateway, query: str = "") -> list[str]:
    return [entry["request_id"] for entry in (await history(gateway, query))["requests"]]


async def test_nothing_yet(gateway):
    """An account without requests has an empty first page."""
    assert await history(gateway) == {"requests": [], "page": 1, "per_page": 20, "total": 0}


async def test_entries(gateway):
    """Each says what was asked, what became of it and what it cost, newest first."""
    completed = await gateway.completed()
    gateway.clock.advance(10)
    failed = (await gateway.submit())["request_id"]
    gateway.worker.fail("blocked", "no")
    gateway.clock.advance(0.25)
    waiting = (await gateway.submit())["request_id"]
    common = {"parameters": PARAMETERS, "seed": "7", "pinned": False, "key_hint": gateway.secret[-4:]}
    expected = [
        {"request_id": waiting, "status": "QUEUED", "created_at": "2027-01-15T08:00:10.250Z", "ended_at": None},
        {"request_id": failed, "status": "FAILED", "created_at": "2027-01-15T08:00:10.000Z"},
        {"request_id": completed["request_id"], "status": "COMPLETED", "created_at": "2027-01-15T08:00:00.000Z"},
    ]
    expected[0] |= common | {"cost": 0.04, "started_at": None}
    expected[1] |= common | {"cost": 0.0, "code": "blocked", "error": "no", "metrics": TIMES}
    expected[2] |= common | {"cost": 0.04, "output": completed["output"], "metrics": completed["metrics"]}
    for ended in expected[1:]:
        ended |= {"started_at": ended["created_at"], "ended_at": ended["created_at"]}
    body = await history(gateway)
    inputs = [entry.pop("input") for entry in body["requests"]]
    assert body == {"requests": expected, "page": 1, "per_page": 20, "total": 3}
    assert inputs[2] == completed["input"]
    assert [(await gateway.http.get(url)).content for url in inputs] == [PICTURE] * 3


async def test_what_expired_or_was_erased(gateway):
    """Its row stays: id, times, state, cost, parameters; the output is gone, and so is the reason's text."""
    await gateway.completed()
    await gateway.submit()
    gateway.worker.fail("blocked", "no")
    gateway.clock.advance(3600)
    erased = (await gateway.completed())["request_id"]
    await gateway.http.delete(f"/v2/requests/{erased}")

    async def shown() -> list[tuple]:
        entries = (await history(gateway))["requests"]
        assert [entry["parameters"] for entry in entries] == [PARAMETERS] * 3
        gone = {"output", "input", "error", "metrics"}
        return [(entry["cost"], entry.get("code"), not gone.isdisjoint(entry)) for entry in entries]

    expected = [(0.04, None, False), (0.0, "blocked", False), (0.04, None, False)]
    assert sorted(await shown(), key=str) == sorted(expected, key=str)
    Janitor(gateway.services).tidy(expire=True)
    assert sorted(await shown(), key=str) == sorted(expected, key=str)


async def test_others_have_their_own(gateway):
    """An account sees its requests alone, by any of its keys."""
    mine = (await gateway.submit())["request_id"]
    async with connect(gateway.app, gateway.new_key(gateway.new_account("stranger"))) as http:
        assert (await http.get("/v2/requests")).json()["requests"] == []
    gateway.http.headers["x-api-key"] = gateway.new_key()
    assert await ids(gateway) == [mine]


async def test_pages(gateway):
    """Pages hold so many, and the total is of all."""
    made = []
    for _ in range(5):
        made.insert(0, (await gateway.submit())["request_id"])
        gateway.clock.advance(1)
    pages = [await history(gateway, f"?per_page=2&page={page}") for page in (1, 2, 3, 4)]
    assert [[each["request_id"] for each in page["requests"]] for page in pages] == [made[:2], made[2:4], made[4:], []]
    assert {(page["per_page"], page["total"]) for page in pages} == {(2, 5)}
    assert [page["page"] for page in pages] == [1, 2, 3, 4]


async def test_by_state(gateway):
    """One state, or several, in any case."""
    completed = (await gateway.completed())["request_id"]
    gateway.clock.advance(1)
    failed = (await gateway.submit())["request_id"]
    gateway.worker.fail()
    gateway.clock.advance(1)
    waiting = (await gateway.submit())["request_id"]
    assert await ids(gateway, "?status=COMPLETED") == [completed]
    assert await ids(gateway, "?status=failed,QUEUED") == [waiting, failed]
    assert (await history(gateway, "?status=PROCESSING"))["total"] == 0


async def test_by_code(gateway):
    """By why it failed: one reason or several."""
    failed = {}
    for code in ("blocked", "inference_failed", "blocked"):
        request_id = (await gateway.submit())["request_id"]
        failed.setdefault(code, []).insert(0, request_id)
        gateway.worker.fail(code)
        gateway.clock.advance(1)
    await gateway.completed()
    assert await ids(gateway, "?code=blocked") == failed["blocked"]
    assert len(await ids(gateway, "?code=blocked,inference_failed")) == 3
    assert await ids(gateway, "?code=cancelled") == []


async def test_by_parent(gateway):
    """Those that were made from one's output."""
    parent = await gateway.completed()
    children = [(await gateway.submit(input_image=parent["output"]))["request_id"] for _ in range(2)]
    assert set(await ids(gateway, f"?parent={parent['request_id']}")) == set(children)
    assert await ids(gateway, f"?parent={children[0]}") == []


async def test_by_words(gateway):
    """Words of the prompt, in any order and case; what stands in other parameters is not in the prompt."""
    snow = (await gateway.submit(prompt="Make it SNOW, 100% 'white'"))["request_id"]
    tree = (await gateway.submit(prompt='a "tree" \\ im Überfluss_'))["request_id"]
    expected = {
        "snow": [snow],
        "white+make": [snow],
        "100%25": [snow],
        "snow+tree": [],
        "%25": [snow],
        "_": [tree],
        '"tree"': [tree],
        "%5C": [tree],
        "%C3%BCBERFLUSS": [tree],
        "%C3%9CBERFLUSS": [tree],
        "png": [],
        "match_input_image": [],
        "tree%22": [tree],
        "m": [snow, tree],
    }
    found = {query: await ids(gateway, f"?q={query}") for query in expected}
    assert {query: set(each) for query, each in expected.items()} == {query: set(each) for query, each in found.items()}


@pytest.mark.parametrize(("form", "kind"), [("PNG", "png"), ("JPEG", "jpeg"), ("GIF", "gif"), ("WEBP", "webp")])
async def test_an_input_is_a_picture(gateway, form, kind):
    """A browser is told what it is, whatever was sent."""
    data = picture(form=form)
    body = await gateway.completed(input_image=data_uri(data, f"image/{kind}"))
    got, head = await gateway.http.get(body["input"]), await gateway.http.head(body["input"])
    assert (data, f"image/{kind}") == (got.content, got.headers["content-type"])
    assert (b"", f"image/{kind}", str(len(data))) == (
        head.content, head.headers["content-type"], head.headers["content-length"],
    )  # fmt: skip


async def test_a_picture_of_elsewhere_has_no_address_here(gateway):
    """An input that came by URL isn't kept: where it is, its owner knows."""
    completed = await gateway.completed(input_image="https://example.com/a.png")
    [entry] = (await history(gateway))["requests"]
    assert ("input" in completed, "input" in entry, "output" in entry) == (False, False, True)


async def test_looking_at_the_history_delivers_nothing(gateway):
    """What is delivered once has no address in a list that pages show pictures of, and its input has none at all."""
    own = gateway.new_key(retention=0)
    async with connect(gateway.app, own) as http:
        request_id = (await http.post(SUBMIT, json=EDIT)).json()["request_id"]
        [waiting] = (await history(gateway))["requests"]
        gateway.worker.complete()
        [entry] = (await history(gateway))["requests"]
        body = (await http.get(f"/v2/requests/{request_id}")).json()
    assert [("input" in each, "output" in each) for each in (waiting, entry, body)] == [
        (False, False), (False, False), (False, True),
    ]  # fmt: skip
    assert (await gateway.http.get(body["output"])).content == PICTURE
    assert gateway.blobs == set()


async def test_an_input_lives_as_long_as_its_request(gateway):
    """Its address ends with the request's; of one that waits, not before it could have ended and expired."""
    waiting = (await gateway.submit())["request_id"]
    [entry] = (await history(gateway))["requests"]
    gateway.clock.advance(3000)
    gateway.worker.complete()
    gateway.clock.advance(3599)
    assert (await gateway.http.get(entry["input"])).content == PICTURE
    body = (await gateway.http.get(f"/v2/requests/{waiting}")).json()
    assert (await gateway.http.get(body["input"])).content == PICTURE
    gateway.clock.advance(1)
    assert (await gateway.http.get(body["input"])).status_code == 404
    Janitor(gateway.services).tidy(expire=True)
    assert (await gateway.http.get(entry["input"])).status_code == 404


async def test_by_time(gateway):
    """From a day or moment on, to the end of a day or before a moment, by UTC unless another zone is named."""
    first = (await gateway.submit())["request_id"]
    gateway.clock.advance(86_400)
    second = (await gateway.submit())["request_id"]
    # The first at 2027-01-15T08:00:00Z, the second a day later.
    expected = {
        "from=2027-01-15": [second, first],
        "from=2027-01-16": [second],
        "to=2027-01-15": [first],
        "to=2027-01-16": [second, first],
        "to=2027-01-14": [],
        "from=2027-01-15T08:00:00Z": [second, first],
        "from=2027-01-15T08:00:00.001Z": [second],
        "from=2027-01-15T08:00:01": [second],
        "from=2027-01-15T09:00:01%2B01:00": [second],
        "to=2027-01-15T08:00:00Z": [],
        "to=2027-01-15T08:00:01Z": [first],
        "from=2027-01-15&to=2027-01-15": [first],
        "from=2027-01-17&to=2027-01-15": [],
        "from=0001-01-01T00:00:00%2B23:59&to=9999-12-31": [second, first],
    }
    assert expected == {query: await ids(gateway, f"?{query}") for query in expected}


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("page=0", "page must be an integer from 1"),
        ("page=-1", "page"),
        ("page=1.0", "page"),
        ("page=", "page"),
        ("page=99999999999999999999", "page"),
        ("page=%D9%A1", "page"),
        ("per_page=0", "per_page must be an integer from 1 to 100"),
        ("per_page=101", "per_page"),
        ("status=DONE", "QUEUED, PROCESSING, COMPLETED, FAILED"),
        ("status=", "status"),
        ("status=FAILED,", "status"),
        ("from=yesterday", "from must be a date (2026-11-22)"),
        ("to=2026-13-01", "to must be a date"),
        ("to=2026-02-30", "to must be a date"),
        ("from=2026-11-22T07:00:00+01:00", "from must be"),
        ("from=1700000000", "from"),
        ("state=FAILED", "known are page, per_page, status, code, parent, q, from, to"),
        ("page=1&page=2", "page is given twice"),
        ("code=broken", "code must be one or more error codes"),
        ("code=", "code"),
        ("parent=", "parent must be the id of a request"),
        ("parent=%25", "parent"),
        ("q=", "q must be 1 to 10 words of a prompt"),
        ("q=+%20", "q must"),
        ("q=a+b+c+d+e+f+g+h+i+j+k", "q must"),
        (f"q={'a' * 201}", "q must"),
    ],
)
async def test_questions_that_are_refused(gateway, query, words):
    """What can't be meant is a 400 that names what is allowed."""
    assert words in assert_error(await gateway.http.get(f"/v2/requests?{query}"), 400, "invalid_parameter")["error"]


async def test_all_that_is_wrong_is_named(gateway):
    """One answer names every mistake."""
    error = assert_error(await gateway.http.get("/v2/requests?page=0&per_page=0&sort=x"), 400, "invalid_parameter")
    assert [name in error["error"] for name in ("page must", "per_page must", "'sort'")] == [True] * 3


async def test_a_pinned_result_stays(gateway):
    """A pinned request outlives its retention, file and all; unpinned, its time begins anew."""
    request_id = (await gateway.completed())["request_id"]
    pinned = await gateway.http.post(f"/v2/requests/{request_id}/pin")
    assert (200, "COMPLETED") == (pinned.status_code, pinned.json()["status"])
    gateway.clock.advance(100_000)
    Janitor(gateway.services).tidy(expire=True)
    body = (await gateway.http.get(f"/v2/requests/{request_id}")).json()
    assert body == pinned.json()
    assert (await gateway.http.get(body["output"])).content == PICTURE
    assert [entry["pinned"] for entry in (await history(gateway))["requests"]] == [True]
    unpinned = await gateway.http.delete(f"/v2/requests/{request_id}/pin")
    gateway.clock.advance(3599)
    assert (await gateway.http.get(unpinned.json()["output"])).content == PICTURE
    gateway.clock.advance(1)
    assert_error(await gateway.http.get(f"/v2/requests/{request_id}"), 404, "not_found")
    Janitor(gateway.services).tidy(expire=True)
    assert gateway.blobs == set()


async def test_pins_can_be_repeated(gateway):
    """Pinning or unpinning twice is fine, and a pinned request can still be erased."""
    request_id = (await gateway.completed())["request_id"]
    for method in ("POST", "POST", "DELETE", "DELETE", "POST"):
        assert (await gateway.http.request(method, f"/v2/requests/{request_id}/pin")).status_code == 200
    assert (await gateway.http.delete(f"/v2/requests/{request_id}")).status_code == 204
    assert gateway.blobs == set()


@pytest.mark.parametrize("method", ["POST", "DELETE"])
async def test_what_can_not_be_pinned(gateway, method):
    """What isn't there is a 404; what isn't completed, or is delivered but once, is a 400 that says so."""
    foreign = await gateway.completed()
    async with connect(gateway.app, gateway.new_key(gateway.new_account("stranger"))) as http:
        assert_error(await http.request(method, f"/v2/requests/{foreign['request_id']}/pin"), 404, "not_found")
    assert_error(await gateway.http.request(method, "/v2/requests/x/pin"), 404, "not_found")
    gateway.clock.advance(3600)
    expired = await gateway.http.request(method, f"/v2/requests/{foreign['request_id']}/pin")
    assert_error(expired, 404, "not_found")
    request_id = (await gateway.submit())["request_id"]
    for state, step in (("QUEUED", gateway.worker.fail), ("FAILED", lambda: None)):
        refused = await gateway.http.request(method, f"/v2/requests/{request_id}/pin")
        assert state in assert_error(refused, 400, "invalid_parameter")["error"]
        step()


async def test_what_is_delivered_once_can_not_be_pinned(gateway):
    """A key without retention keeps nothing."""
    gateway.http.headers["x-api-key"] = gateway.new_key(retention=0)
    request_id = (await gateway.completed())["request_id"]
    refused = await gateway.http.post(f"/v2/requests/{request_id}/pin")
    assert "delivered once" in assert_error(refused, 400, "invalid_parameter")["error"]
