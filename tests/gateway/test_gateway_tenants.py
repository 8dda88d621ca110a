"""Every id of another account is unknown, on every route that there is; and nothing of an account can be guessed."""

import asyncio
import hashlib
import sqlite3
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing, closing
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from fastapi.sse import KEEPALIVE_COMMENT

from openkontext.gateway.webhooks import follow
from openkontext.store import Account
from tests.gateway.harness import EDIT, PICTURE, SUBMIT, Gateway, assert_error, connect, picture, soon
from tests.receivers import receiving

# Paths outside the OpenAPI document whose last part is not an account's id but a signed address.
SIGNED = {"/files/{key:path}"}
# Those of files that are the same for all.
STATIC = {"/static/{version}/{path:path}"}
# Parameters that name no account's thing.
PUBLIC = {"slug": "flux-kontext-dev"}
# Those of the whole service: an operator's key alone may ask, and every account's is told so, whatever the id.
OPERATORS = {"worker_id"}
WEBHOOKS = "/v2/webhooks"


@dataclass
class Tenants:
    """Ann, who has something of everything, and Bob, who has a key."""

    gateway: Gateway
    bob: Account
    # Of Ann's, by the name of the parameter that stands for one.
    ids: Mapping[str, Mapping[str, str]]

    @property
    def operations(self) -> list[tuple[str, str, str]]:
        """Method, path and parameter of every operation on something with an id."""
        found = []
        for path, operations in self.gateway.app.openapi()["paths"].items():
            names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
            known = PUBLIC.keys() | OPERATORS | self.ids.keys()
            assert set(names) <= known, f"this test has no id for {path}: add one of Ann's"
            for name in set(names) - PUBLIC.keys() - OPERATORS:
                found += [(method.upper(), path, name) for method in operations]
        return found

    def key(self, **options: Any) -> str:
        """The secret of another key of Bob's."""
        return self.gateway.new_key(self.bob, **options)

    def everything(self) -> tuple[list[str], dict[str, bytes]]:
        """All that is in the database and among the files."""
        with closing(sqlite3.connect(self.gateway.services.settings.data / "openkontext.db")) as database:
            rows = list(database.iterdump())
        return rows, {key: self.gateway.services.blobs.get(key) for key in self.gateway.blobs}


async def _requests(gateway: Gateway, hook: str) -> dict[str, str]:
    """The ids of requests that came to all that can become of one."""

    async def submitted(webhook: str = "") -> str:
        path = f"{SUBMIT}?webhook={hook}" if webhook else SUBMIT
        return str((await gateway.http.post(path, json=EDIT)).json()["request_id"])

    ids = {}
    for name in ("completed", "pinned", "erased"):
        ids[name] = await submitted(hook if name == "completed" else "")
        gateway.worker.complete()
    await gateway.http.post(f"/v2/requests/{ids['pinned']}/pin")
    await gateway.http.delete(f"/v2/requests/{ids['erased']}")
    ids["failed"] = await submitted()
    gateway.worker.fail()
    ids["cancelled"] = await submitted()
    await gateway.http.delete(f"/v2/requests/{ids['cancelled']}")
    ids["running"] = await submitted()
    gateway.services.store.beat(gateway.worker.take(), step=1, steps=4, preview="data:image/jpeg;base64,UFJFVklFVw==")
    ids["queued"] = await submitted()
    return ids


@pytest.fixture
async def tenants(start: Callable[..., Awaitable[Gateway]]) -> AsyncIterator[Tenants]:
    gateway = await start(webhook_allow_hosts="127.0.0.1")
    with receiving() as receiver:
        webhook = (await gateway.http.post(WEBHOOKS, json={"url": receiver.url})).json()["id"]
        requests = await _requests(gateway, receiver.url)
        store = gateway.services.store
        # So that nothing changes any more but by what a test does.
        await soon(lambda: {each.state for each in store.deliveries(gateway.account.id)[0]} <= {"delivered", "failed"})
        found, _ = store.deliveries(gateway.account.id, per_page=100)
        deliveries = {f"to {each.endpoint_id or 'the request'}, {each.id}": each.id for each in found}
        key, _ = store.create_key(gateway.account.id)
        ids = {"request_id": requests, "webhook_id": {"webhook": webhook}, "delivery_id": deliveries}
        ids |= {"key_id": {"another key": str(key.id)}}
        yield Tenants(gateway, gateway.new_account("bob"), ids)


def at(path: str, name: str, id: str) -> str:
    """The path with an id in it."""
    return path.format(**PUBLIC, **{name: id})


async def asked(http: httpx.AsyncClient, method: str, path: str, name: str, id: str) -> tuple[Any, ...]:
    """All that an answer tells, but for the id that was asked for."""
    response = await http.request(method, at(path, name, id))
    return response.status_code, response.headers, response.text.replace(id, "ID")


async def test_every_route_with_every_id(tenants: Tenants):
    """With another account's key, each answers as for an id that never was; nothing is changed by it."""
    key, count = tenants.key(), 0
    everything = tenants.everything()
    async with connect(tenants.gateway.app, key) as http:
        for method, path, name in tenants.operations:
            expected = await asked(http, method, path, name, str(uuid.uuid4()))
            assert expected[0] == 404, f"{method} {path}"
            for what, id in tenants.ids[name].items():
                assert expected == await asked(http, method, path, name, id), f"{method} {path}, {what}"
                count += 1
    assert everything == tenants.everything()
    assert count >= 57


async def test_every_route_without_a_good_key(tenants: Tenants):
    """Whether an id is anybody's can't be told without a key: a wrong, expired, revoked or missing one is 401 alike."""
    gateway = tenants.gateway
    revoked, expired = gateway.new_key(), gateway.new_key(expires_at=gateway.clock() - 1)
    keys = gateway.services.store.keys(gateway.account.id)
    gateway.services.store.revoke_key(next(each.id for each in keys if each.hint == revoked[-4:]))
    everything = tenants.everything()
    for method, path, name in tenants.operations:
        answers = {}
        for secret in (revoked, expired, gateway.secret[:-1], gateway.secret.lower(), f"Bearer {gateway.secret}"):
            async with connect(gateway.app, secret) as http:
                for id in (*tenants.ids[name].values(), str(uuid.uuid4())):
                    status, _, text = await asked(http, method, path, name, id)
                    answers[status, text] = f"{method} {path}"
        assert [(401, True)] == [(status, "wrong, expired or revoked" in text) for status, text in answers]
        async with connect(gateway.app) as http:
            texts = {(await asked(http, method, path, name, id))[2] for id in tenants.ids[name].values()}
        assert texts == {'{"error":"Missing x-api-key in header","code":"missing_key"}'}
    assert everything == tenants.everything()


async def test_the_ids_are_real(tenants: Tenants):
    """With the account's own key each operation finds something, or the tests before this one would prove nothing."""
    gateway = tenants.gateway
    order = {"GET": 0, "POST": 1, "DELETE": 2}
    for method, path, name in sorted(tenants.operations, key=lambda each: (order[each[0]], -len(each[1]))):
        for id in tenants.ids[name].values():
            response = await gateway.http.request(method, at(path, name, id))
            if response.is_success:
                break
        assert response.is_success, f"{method} {path}: {response.text}"


async def test_no_route_is_left_out(tenants: Tenants):
    """What isn't in the document isn't walked: it is known by name, and opened by a signature or is anybody's."""
    routers = [each.original_router for each in tenants.gateway.app.routes if hasattr(each, "original_router")]
    routes = [route for router in routers for route in router.routes]
    hidden = {route.path for route in routes if "{" in route.path and not route.include_in_schema}
    assert SIGNED | STATIC == hidden
    assert len(routes) > 20


async def test_lists_and_filters(tenants: Tenants):
    """What lists something lists what is one's own, whatever is filtered by."""
    webhook, completed = tenants.ids["webhook_id"]["webhook"], tenants.ids["request_id"]["completed"]
    async with connect(tenants.gateway.app, tenants.key()) as http:
        lists = {
            "/v2/requests": {"requests": [], "page": 1, "per_page": 20, "total": 0},
            "/v2/requests?status=COMPLETED,FAILED": {"requests": [], "page": 1, "per_page": 20, "total": 0},
            WEBHOOKS: {"webhooks": []},
            f"{WEBHOOKS}/deliveries": {"deliveries": [], "page": 1, "per_page": 20, "total": 0},
            f"{WEBHOOKS}/deliveries?webhook_id={webhook}": {"deliveries": [], "page": 1, "per_page": 20, "total": 0},
            f"/v2/requests?parent={completed}": {"requests": [], "page": 1, "per_page": 20, "total": 0},
            "/v2/requests?q=snow": {"requests": [], "page": 1, "per_page": 20, "total": 0},
            "/v1/get-user-credits": {"credits": 10.0, "free-credits": 0.0},
        }
        assert lists == {path: (await http.get(path)).json() for path in lists}
        secret = (await http.get(f"{WEBHOOKS}/secret")).json()["secret"]
        account = (await http.get("/v2/account")).json()
        entries = (await http.get("/v2/account/ledger")).json()["entries"]
        usage = (await http.get("/v2/account/usage")).json()["totals"]
        keys = (await http.get("/v2/account/keys")).json()["keys"]
    assert ("bob", 0, [account["key"]]) == (account["account"], usage["requests"], keys)
    assert [("grant", 10.0)] == [(entry["kind"], entry["balance"]) for entry in entries]
    assert secret != tenants.gateway.services.store.webhook_secret(tenants.gateway.account.id)


async def test_events_of_another(tenants: Tenants):
    """Who follows an account's events from the first on sees none of another's."""
    services = tenants.gateway.services
    bob = services.store.authenticate(tenants.key())
    assert bob is not None
    async with aclosing(follow(services, bob, "whsec_" + "A" * 32, 0, heartbeat=0.01)) as events:
        assert b"id: 0" in await anext(events)
        assert [KEEPALIVE_COMMENT] * 2 == [await anext(events), await anext(events)]


async def test_another_accounts_idempotency_key(tenants: Tenants):
    """It names a request of one's own account alone."""
    header = {"idempotency-key": "the-same-for-both"}
    first = (await tenants.gateway.http.post(SUBMIT, json=EDIT, headers=header)).json()
    async with connect(tenants.gateway.app, tenants.key()) as http:
        second = await http.post(SUBMIT, json=EDIT, headers=header)
        other = await http.post(SUBMIT, json=EDIT | {"seed": 8}, headers={"idempotency-key": "another"})
    assert [200, 200] == [second.status_code, other.status_code]
    assert "idempotency-replayed" not in second.headers
    assert first["request_id"] != second.json()["request_id"]


async def test_another_accounts_picture_as_input(tenants: Tenants):
    """A signed address is good for whoever has it, says nothing of where it is from, and is nothing unsigned."""
    gateway = tenants.gateway
    completed = tenants.ids["request_id"]["completed"]
    output = (await gateway.http.get(f"/v2/requests/{completed}")).json()["output"]
    async with connect(gateway.app, tenants.key()) as http:
        body = (await http.post(SUBMIT, json=EDIT | {"input_image": output})).json()
        [entry] = (await http.get("/v2/requests")).json()["requests"]
        bare = [output.partition("?")[0], output[:-1], f"http://gateway.test/files/inputs/{completed}?expires=1"]
        for url in bare:
            for path in (SUBMIT, f"{SUBMIT}/estimate"):
                assert_error(await http.post(path, json=EDIT | {"input_image": url}), 400, "invalid_image")
    assert (body["request_id"], None) == (entry["request_id"], entry.get("parent_request_id"))


async def test_every_file_needs_its_address(tenants: Tenants):
    """Names of files open nothing, whoever asks: not those of inputs, outputs, uploads, nor of what is beside them."""
    gateway = tenants.gateway
    await gateway.http.post("/upload-asset", files={"a": picture()})
    files = sorted(gateway.blobs)
    assert {"inputs", "outputs", "uploads"} == {key.partition("/")[0] for key in files}
    beside = ["secret", "api-key", "openkontext.db", "../secret", "..%2fsecret", "%2e%2e/openkontext.db", ".", ""]
    for secret in (gateway.secret, tenants.key(), ""):
        async with connect(gateway.app, secret) as http:
            for key in (*files, *beside):
                for query in (
                    "",
                    "?expires=9999999999",
                    "?expires=9999999999&signature=",
                    f"?x-api-key={gateway.secret}",
                ):
                    assert (await http.get(f"/files/{key}{query}")).status_code == 404, key


async def test_nothing_is_guessable(tenants: Tenants):
    """Ids are random; an upload's address can't be told from what is in it, nor that another has uploaded the same."""
    gateway = tenants.gateway
    # But for those of keys, whose numbers open nothing.
    ids = [id for name, kind in tenants.ids.items() if name != "key_id" for id in kind.values()]
    assert {4} == {uuid.UUID(id).version for id in ids}
    urls = []
    async with connect(gateway.app, tenants.key()) as bob:
        for http in (gateway.http, bob):
            urls += (await http.post("/upload-asset", files={"a": PICTURE})).json()["urls"]
    digest = hashlib.sha256(PICTURE).hexdigest()
    tokens = [url.partition("/files/uploads/")[2].partition(f"/{digest}.png")[0] for url in urls]
    assert ([32, 32], 2) == ([len(token) for token in tokens], len(set(tokens)))
    # A preview is in the database for its owner's stream, and has no address.
    preview = b"PREVIEW"
    assert [key for key in gateway.blobs if preview in gateway.services.blobs.get(key)] == []


async def test_many_at_once_stay_apart(tenants: Tenants):
    """What is cached for one key is not shown to another that asks for the same at the same moment."""
    gateway, completed = tenants.gateway, tenants.ids["request_id"]["completed"]
    async with connect(gateway.app, tenants.key()) as bob:
        for _ in range(5):
            path = f"/v2/requests/{completed}"
            answers = await asyncio.gather(*(http.get(path) for http in (gateway.http, bob) * 4))
            assert [200, 404] * 4 == [answer.status_code for answer in answers]
            gateway.services.store.webhook_secret(gateway.new_account(str(uuid.uuid4())).id)
