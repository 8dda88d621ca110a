"""The webhooks' routes: who is told, the log and its redelivery, and following the events live."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from standardwebhooks import Webhook

from openkontext.contract import Problem
from openkontext.gateway.webhooks import check_webhook, follow
from openkontext.settings import Settings
from openkontext.store import Delivery
from openkontext.store.receivers import MAX_ENDPOINTS
from tests.gateway.harness import EDIT, SUBMIT, Gateway, Live, assert_error, soon
from tests.receivers import receiving

ROUTE = "/v2/webhooks"
HOOK = "https://receiver.example/hook"
BOTH = ["request.completed", "request.failed"]


@pytest.fixture
async def gateway(start: Callable[..., Awaitable[Gateway]]) -> Gateway:
    """One that may post to the receivers of the tests, and to nobody else."""
    return await start(webhook_allow_hosts="127.0.0.1")


async def made(gateway: Gateway, **fields: Any) -> dict[str, Any]:
    """The answer to an accepted webhook."""
    response = await gateway.http.post(ROUTE, json={"url": HOOK} | fields)
    assert response.status_code == 201, response.text
    body: dict[str, Any] = response.json()
    return body


async def delivered(gateway: Gateway, count: int = 1) -> list[dict[str, Any]]:
    """The log, once so many deliveries of it were taken."""

    def all_done() -> bool:
        found: list[Delivery] = list(gateway.services.store.deliveries(gateway.account.id)[0])
        return len(found) == count and {each.state for each in found} == {"delivered"}

    await soon(all_done)
    log: list[dict[str, Any]] = (await gateway.http.get(f"{ROUTE}/deliveries")).json()["deliveries"]
    return log


async def test_a_webhook_is_made_listed_and_removed(gateway: Gateway):
    """Its secret is in the answer, and to be had again; the list has none."""
    webhook = await made(gateway)
    secret = webhook.pop("secret")
    assert {"id", "url", "types", "created_at"} == set(webhook)
    assert (HOOK, BOTH, "2027-01-15T08:00:00Z") == (webhook["url"], webhook["types"], webhook["created_at"])
    assert {"webhooks": [webhook]} == (await gateway.http.get(ROUTE)).json()
    assert {"secret": secret} == (await gateway.http.get(f"{ROUTE}/{webhook['id']}/secret")).json()
    assert 204 == (await gateway.http.delete(f"{ROUTE}/{webhook['id']}")).status_code
    assert {"webhooks": []} == (await gateway.http.get(ROUTE)).json()
    assert_error(await gateway.http.delete(f"{ROUTE}/{webhook['id']}"), 404, "not_found")


async def test_types_and_url_in_one_notation(gateway: Gateway):
    """A webhook may be of one type; its URL is kept as it will be asked."""
    webhook = await made(gateway, url="HTTPS://Receiver.Example:443", types=["request.failed"] * 2)
    assert ("https://receiver.example/", ["request.failed"]) == (webhook["url"], webhook["types"])


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "url is required"),
        ({"url": 1}, "url is required"),
        ({"url": HOOK, "types": []}, "types must be"),
        ({"url": HOOK, "types": "request.failed"}, "types must be"),
        ({"url": HOOK, "types": ["request.started"]}, "types must be"),
        ({"url": HOOK, "types": [["request.failed"]]}, "types must be"),
        ({"url": HOOK, "secret": "mine"}, "'secret' is not a parameter"),
    ],
)
async def test_wrong_fields(gateway: Gateway, fields: dict[str, Any], words: str):
    """Each is named, with what it should be."""
    body = assert_error(await gateway.http.post(ROUTE, json=fields), 400, "invalid_parameter")
    assert words in body["error"]


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("receiver.example", "must start with http:// or https://"),
        ("https://", "has no host"),
        ("https://me:secret@receiver.example/", "must not contain a user name or password"),
        ("https://receiver.example:25/", "has the port 25"),
        ("http://10.0.0.1/", "has a host without a public address: 10.0.0.1"),
        ("http://0x7f.1/", "has a host without a public address"),
        ("http://[::1]/", "has a host without a public address"),
        ("http://169.254.169.254/", "has a host without a public address"),
    ],
)
async def test_addresses_that_can_not_be(gateway: Gateway, url: str, words: str):
    """What could never be posted to is refused at once, for webhooks of the account and of a request."""
    for response in (
        await gateway.http.post(ROUTE, json={"url": url}),
        await gateway.http.post(SUBMIT, json=EDIT, params={"webhook": url}),
    ):
        assert words in assert_error(response, 400, "bad_webhook")["error"]
    assert [] == gateway.services.store.endpoints(gateway.account.id)


def test_an_operator_may_allow_what_is_private():
    """By name, as for pictures."""
    settings = Settings(webhook_allow_hosts=frozenset({"10.0.0.1:8080"}))
    assert "http://10.0.0.1:8080/a" == check_webhook("http://10.0.0.1:8080/a", settings)
    with pytest.raises(Problem, match="without a public address"):
        check_webhook("http://10.0.0.1/a", settings)


async def test_not_without_number(gateway: Gateway):
    """One more than an account may have is refused."""
    for _ in range(MAX_ENDPOINTS):
        await made(gateway)
    response = await gateway.http.post(ROUTE, json={"url": HOOK})
    assert "delete one first" in assert_error(response, 400, "bad_webhook")["error"]


CALLS = [
    ("GET", ROUTE),
    ("POST", ROUTE),
    ("DELETE", f"{ROUTE}/x"),
    ("GET", f"{ROUTE}/x/secret"),
    ("GET", f"{ROUTE}/secret"),
    ("GET", f"{ROUTE}/deliveries"),
    ("POST", f"{ROUTE}/deliveries/x/redeliver"),
    ("GET", f"{ROUTE}/events"),
]


@pytest.mark.parametrize(("method", "path"), CALLS)
async def test_who_may(gateway: Gateway, method: str, path: str):
    """Nobody without a key, and no key that may not manage the account."""
    assert_error(await gateway.http.request(method, path, headers={"x-api-key": ""}), 401, "missing_key")
    weak = {"x-api-key": gateway.new_key(may_manage=False)}
    assert_error(await gateway.http.request(method, path, headers=weak), 403, "forbidden")


async def test_other_accounts_see_nothing(gateway: Gateway):
    """Neither webhooks nor secrets nor deliveries."""
    with receiving() as receiver:
        webhook = await made(gateway, url=receiver.url)
        await gateway.completed()
        (delivery,) = await delivered(gateway)
    stranger = {"x-api-key": gateway.new_key(gateway.new_account("stranger"))}
    assert {"webhooks": []} == (await gateway.http.get(ROUTE, headers=stranger)).json()
    assert 0 == (await gateway.http.get(f"{ROUTE}/deliveries", headers=stranger)).json()["total"]
    for method, path in (
        ("GET", f"{ROUTE}/{webhook['id']}/secret"),
        ("DELETE", f"{ROUTE}/{webhook['id']}"),
        ("POST", f"{ROUTE}/deliveries/{delivery['id']}/redeliver"),
    ):
        assert_error(await gateway.http.request(method, path, headers=stranger), 404, "not_found")
    secrets = [(await gateway.http.get(f"{ROUTE}/secret", headers=headers)).json() for headers in ({}, stranger)]
    assert secrets[0] != secrets[1]


def without_input(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name != "input"}


async def test_a_request_tells_its_webhook(gateway: Gateway):
    """What is posted is what a poll answers, but for the input's address, signed with the account's secret."""
    gateway.clock.now = 1_700_000_000.0
    with receiving() as receiver:
        response = await gateway.http.post(SUBMIT, json=EDIT, params={"webhook": receiver.url})
        gateway.worker.complete()
        (delivery,) = await delivered(gateway)
    request_id = response.json()["request_id"]
    (got,) = receiver.received
    polled = (await gateway.http.get(f"/v2/requests/{request_id}")).json()
    assert without_input(polled) == json.loads(got.body)
    secret = (await gateway.http.get(f"{ROUTE}/secret")).json()["secret"]
    assert signed(secret, got.headers, got.body)
    assert {
        "id": delivery["id"],
        "webhook_id": None,
        "event_id": delivery["event_id"],
        "request_id": request_id,
        "type": "request.completed",
        "url": receiver.url,
        "state": "delivered",
        "attempts": 1,
        "created_at": "2023-11-14T22:13:20Z",
        "last_at": "2023-11-14T22:13:20Z",
        "last_status": 204,
        "last_error": None,
        "next_at": None,
    } == delivery


def signed(secret: str, headers: dict[str, str], body: str) -> bool:
    """Whether the signature is right, whatever the time."""
    sent = datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC)
    return Webhook(secret).sign(headers["webhook-id"], sent, body) == headers["webhook-signature"]


async def test_log_has_pages(gateway: Gateway):
    """Of all webhooks, or of one."""
    with receiving() as receiver:
        webhook = await made(gateway, url=receiver.url)
        for _ in range(3):
            await gateway.http.post(SUBMIT, json=EDIT, params={"webhook": receiver.url})
            gateway.worker.complete()
            gateway.clock.advance(1)
        log = await delivered(gateway, 6)
    page = (await gateway.http.get(f"{ROUTE}/deliveries", params={"page": 2, "per_page": 4})).json()
    assert {"deliveries": log[4:], "page": 2, "per_page": 4, "total": 6} == page
    own = (await gateway.http.get(f"{ROUTE}/deliveries", params={"webhook_id": webhook["id"]})).json()
    assert [each for each in log if each["webhook_id"] == webhook["id"]] == own["deliveries"]
    assert 3 == own["total"]


@pytest.mark.parametrize("query", ["page=0", "per_page=101", "page=x", "page=10000001"])
async def test_wrong_pages(gateway: Gateway, query: str):
    """They are 400, naming what is wrong."""
    body = assert_error(await gateway.http.get(f"{ROUTE}/deliveries?{query}"), 400, "invalid_parameter")
    assert query.partition("=")[0] in body["error"]


async def test_redelivery(gateway: Gateway):
    """A new delivery of the same message, until the request is erased."""
    with receiving() as receiver:
        body = (await gateway.http.post(SUBMIT, json=EDIT, params={"webhook": receiver.url})).json()
        gateway.worker.complete()
        (first,) = await delivered(gateway)
        path = f"{ROUTE}/deliveries/{first['id']}/redeliver"
        response = await gateway.http.post(path)
        assert (202, first["event_id"], "pending") == (
            response.status_code, response.json()["event_id"], response.json()["state"],
        )  # fmt: skip
        await delivered(gateway, 2)
    assert 1 == len({(got.headers["webhook-id"], got.body) for got in receiver.received})
    await gateway.http.delete(f"/v2/requests/{body['request_id']}")
    problem = assert_error(await gateway.http.post(path), 410, "result_expired")
    assert body["request_id"] == problem["request_id"]


def parsed(message: bytes) -> dict[str, str]:
    """The fields of a server-sent event."""
    return dict(line.split(": ", 1) for line in message.decode().splitlines() if line and not line.startswith(":"))


async def following(gateway: Gateway, after: int = 0) -> AsyncIterator[bytes]:
    """The events after one, behind the stream's first words."""
    secret = gateway.services.store.webhook_secret(gateway.account.id)
    stream = follow(gateway.services, gateway.key, secret, after, heartbeat=0.02)
    assert {"retry": "1000", "id": str(after)} == parsed(await anext(stream))
    return stream


async def test_following_events(gateway: Gateway):
    """What happened since, then what happens: each signed, numbered, and as it would be posted."""
    first = await gateway.completed()
    stream = await following(gateway)
    message = parsed(await anext(stream))
    data = json.loads(message["data"])
    told = (message["id"], message["event"], json.loads(data["body"]))
    assert ("1", "request.completed", without_input(first)) == told
    assert signed(gateway.services.store.webhook_secret(gateway.account.id), data["headers"], data["body"])
    assert b": ping\n\n" == await anext(stream)
    await gateway.submit()
    gateway.worker.fail()
    while not (message := parsed(await anext(stream))):
        pass
    assert ("2", "request.failed") == (message["id"], message["event"])
    later = await following(gateway, after=1)
    assert message == parsed(await anext(later))


async def test_erased_events_are_passed_over(gateway: Gateway):
    """There is nothing to tell of them."""
    first = await gateway.completed()
    await gateway.http.delete(f"/v2/requests/{first['request_id']}")
    second = await gateway.completed()
    message = parsed(await anext(await following(gateway)))
    assert without_input(second) == json.loads(json.loads(message["data"])["body"])


@pytest.mark.parametrize("end", ["drain", "revoke", "expire"])
async def test_following_ends(gateway: Gateway, end: str):
    """When the server drains, and when the key is good no more."""
    stream = await following(gateway)
    assert b": ping\n\n" == await anext(stream)
    if end == "drain":
        gateway.services.draining = True
    elif end == "revoke":
        gateway.services.store.revoke_key(gateway.key.id)
    else:
        store = gateway.services.store
        key, _ = store.create_key(gateway.account.id, expires_at=store.clock() + 5)
        stream = follow(gateway.services, key, "whsec_AAAA", 0, heartbeat=0.02)
        await anext(stream)
        gateway.clock.advance(5)
    async with asyncio.timeout(20):
        assert [] == [parsed(message) async for message in stream if parsed(message)]


@pytest.mark.parametrize(
    ("headers", "query"), [({"last-event-id": "x"}, ""), ({"last-event-id": "9" * 30}, ""), ({}, "?after=-1")]
)
async def test_events_after_nonsense(gateway: Gateway, headers: dict[str, str], query: str):
    """An id that can't be one is 400."""
    assert_error(await gateway.http.get(f"{ROUTE}/events{query}", headers=headers), 400, "invalid_parameter")


def test_listening_over_http(live: Live):
    """From now on over a real connection, and from the last id when it comes back; the signature is today's."""

    def complete(http: Any) -> str:
        request_id: str = http.post(SUBMIT, json=EDIT).json()["request_id"]
        live.worker.complete()
        return request_id

    def read(lines: Any) -> tuple[str, dict[str, Any]]:
        fields = dict(next(lines).split(": ", 1) for _ in range(3))
        return fields["id"], json.loads(fields["data"])

    with live.http() as http:
        complete(http)
        webhook = Webhook(http.get(f"{ROUTE}/secret").json()["secret"])
        with http.stream("GET", f"{ROUTE}/events") as response:
            assert "text/event-stream" in response.headers["content-type"]
            lines = (line for line in response.iter_lines() if line and not line.startswith((":", "retry")))
            assert next(lines).startswith("id: ")
            second = complete(http)
            last, data = read(lines)
        assert second == webhook.verify(data["body"], data["headers"])["request_id"]
        third = complete(http)
        with http.stream("GET", f"{ROUTE}/events", headers={"last-event-id": last}) as response:
            lines = (line for line in response.iter_lines() if line and not line.startswith((":", "retry")))
            assert f"id: {last}" == next(lines)
            _, data = read(lines)
        assert third == json.loads(data["body"])["request_id"]
