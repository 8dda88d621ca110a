"""Every failure has one shape, whatever it is and wherever it happens."""

import dataclasses
import sqlite3
from typing import Any

import pytest

from openkontext.gateway import create_app
from openkontext.gateway.watch import Watcher
from openkontext.media.blobs import Blobs, BlobsUnavailable
from openkontext.store import Store, StoreSettings
from tests.gateway.harness import BASE, EDIT, RUN, SUBMIT, Clock, assert_error, connect

ID = "6f0e4f0e-7a53-4d0a-9d0a-2f6f3f8f9b11"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/nowhere"),
        ("GET", "/account/nowhere"),
        ("GET", "/static/0/nowhere.js"),
        ("GET", "/redoc"),
        ("POST", "/v3/flux-kontext-dev"),
        ("POST", "/v2/flux-kontext-dev/"),
        ("POST", "/v2/no-such-model"),
        ("POST", "/v1/requests"),
        ("POST", "/v2/no-such-model/estimate"),
        ("POST", "/v2/flux-kontext-dev/nothing"),
        ("GET", "/v2/no-such-model"),
        ("GET", "/v1/models/no-such-model"),
        ("GET", "/v2/requests/"),
        ("GET", f"/v2/requests/{ID}/nothing"),
        ("GET", f"/v1/requests/{ID}/status"),
        ("GET", f"/v2/requests/{ID}"),
        ("GET", "/files/"),
        ("GET", "/files/outputs/x/1.png"),
        ("GET", "/%ff%fe"),
        ("OPTIONS", "/nowhere"),
    ],
)
async def test_nothing_is_there(gateway, method, path):
    """404s of routes, models, requests and files look alike."""
    assert_error(await gateway.http.request(method, path, json=EDIT), 404, "not_found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", SUBMIT, "GET, POST"),
        ("GET", RUN, "POST"),
        ("OPTIONS", SUBMIT, "GET, POST"),
        ("PATCH", f"/v2/requests/{ID}", "DELETE, GET"),
        ("POST", f"/v2/requests/{ID}", "DELETE, GET"),
        ("DELETE", f"/v1/requests/{ID}", "GET"),
        ("DELETE", f"/v2/requests/{ID}/status", "GET"),
        ("POST", "/healthz", "GET"),
        ("DELETE", "/files/outputs/x/1.png", "GET, HEAD"),
        ("GET", f"{SUBMIT}/estimate", "POST"),
        ("PUT", "/v2/requests", "GET, POST"),
        ("GET", f"/v2/requests/{ID}/pin", "DELETE, POST"),
        ("PUT", "/v1/models", "GET, POST"),
    ],
)
async def test_the_wrong_method(gateway, method, path, allowed):
    """A 405 names every method that the path has."""
    response = await gateway.http.request(method, path)
    assert_error(response, 405, "method_not_allowed")
    assert response.headers["allow"] == allowed


GUARDED = [
    ("POST", SUBMIT),
    ("POST", RUN),
    ("GET", f"/v2/requests/{ID}"),
    ("GET", f"/v1/requests/{ID}"),
    ("GET", f"/v2/requests/{ID}/status"),
    ("DELETE", f"/v2/requests/{ID}"),
    ("GET", "/v1/get-user-credits"),
    ("POST", f"{SUBMIT}/estimate"),
    ("GET", "/v2/requests"),
    ("POST", f"/v2/requests/{ID}/pin"),
    ("DELETE", f"/v2/requests/{ID}/pin"),
]


@pytest.mark.parametrize(("method", "path"), GUARDED)
async def test_without_the_right_key(gateway, method, path):
    """No key, an empty one, a bearer token and any wrong one are 401, on every route of an account."""
    async with connect(gateway.app) as http:
        missing = [{}, {"x-api-key": ""}, {"authorization": f"Bearer {gateway.secret}"}]
        for headers in missing:
            body = assert_error(await http.request(method, path, headers=headers), 401, "missing_key")
            assert body["error"] == "Missing x-api-key in header"
        for secret in ("SG_0000000000000000", gateway.secret[:-1], gateway.secret.lower(), "é".encode(), b"\xff\xfe"):
            assert_error(await http.request(method, path, headers={"x-api-key": secret}), 401, "invalid_key")


class BrokenStore(Store):
    """A store with a defect."""

    def job(self, job_id: str, account_id: int) -> Any:
        raise RuntimeError("secret-detail of /etc/openkontext")


async def test_a_defect_tells_nothing(gateway, logs):
    """What we did wrong is logged; the client gets a 500 without any of it."""
    broken = BrokenStore.open(gateway.services.settings.database)
    app = create_app(dataclasses.replace(gateway.services, store=broken, watcher=Watcher(broken)))
    async with connect(app, gateway.secret) as http:
        response = await http.get(f"/v2/requests/{ID}")
    broken.close()
    assert_error(response, 500, "internal")
    assert "secret-detail" not in response.text
    entry = next(entry for entry in logs if entry["event"] == "defect")
    logs.remove(entry)
    assert "secret-detail" in str(entry["exc_info"])


async def test_parameters_that_the_framework_checks(gateway):
    """Were a route to leave its checks to the framework, the error's shape would be ours all the same."""

    async def typed(number: int) -> None:
        """Never called here."""

    gateway.app.add_api_route("/typed/{number}", typed)
    assert "number" in assert_error(await gateway.http.get("/typed/x"), 400, "invalid_parameter")["error"]


async def test_a_locked_store(gateway):
    """A store that can't be written is a 503 that says when to come back; nothing is left behind, reads go on."""
    impatient = StoreSettings(busy_timeout_seconds=0.05)
    store = Store.open(gateway.services.settings.database, clock=Clock(), settings=impatient)
    app = create_app(dataclasses.replace(gateway.services, store=store, watcher=Watcher(store)))
    lock = sqlite3.connect(gateway.services.settings.data / "openkontext.db", isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    async with connect(app, gateway.secret) as http:
        for path in (SUBMIT, RUN):
            response = await http.post(path, json=EDIT)
            assert_error(response, 503, "unavailable")
            assert response.headers["Retry-After"] == "5"
        assert (await http.get("/v1/get-user-credits")).status_code == 200
        lock.execute("ROLLBACK")
        assert (await http.post(SUBMIT, json=EDIT)).status_code == 200
    lock.close()
    store.close()
    assert len(gateway.blobs) == 1


class FullBlobs(Blobs):
    """Storage without room."""

    def __init__(self) -> None:
        """There is nothing behind it."""

    def put(self, key: str, data: bytes) -> None:
        raise BlobsUnavailable(key, "is full", "/secret/path: no space left on device")


async def test_a_full_disk(gateway):
    """A picture that can't be stored is a 503; the path isn't the client's business, and nothing is held."""
    gateway.services.blobs = FullBlobs()
    response = await gateway.http.post(SUBMIT, json=EDIT)
    assert_error(response, 503, "unavailable")
    assert "secret" not in response.text
    assert response.headers["Retry-After"] == "5"
    assert gateway.balance == 10


async def test_the_queue_is_full(start):
    """Too many that wait are a 503 that says when to come back; the picture isn't kept."""
    gateway = await start(queue_limit=1)
    first = await gateway.submit()
    response = await gateway.http.post(SUBMIT, json=EDIT)
    assert_error(response, 503, "queue_full")
    assert int(response.headers["Retry-After"]) >= 1
    assert {f"inputs/{first['request_id']}"} == gateway.blobs


async def test_no_cross_origin_access(gateway):
    """CORS is off: no page of another origin may read an answer."""
    response = await gateway.http.get("/healthz", headers={"origin": "https://example.com"})
    assert [name for name in response.headers if name.startswith("access-control")] == []


async def test_health(gateway):
    """Alive means answering; ready means that an edit would be taken."""
    assert (await gateway.http.get("/healthz")).json() == {"status": "ok"}
    assert (await gateway.http.get("/readyz")).json() == {"status": "ready"}
    gateway.services.draining = True
    assert "shutting down" in assert_error(await gateway.http.get("/readyz"), 503, "unavailable")["error"]
    assert (await gateway.http.get("/healthz")).status_code == 200


async def test_ready_with_a_worker(gateway):
    """Of `serve`, ready means a loaded worker that was seen lately; else the reason is given."""
    gateway.services.wants_worker = True
    report = gateway.services.store.report_worker

    async def reason() -> str | None:
        response = await gateway.http.get("/readyz")
        return None if response.status_code == 200 else assert_error(response, 503, "unavailable")["error"]

    assert await reason() == "Not ready: no worker is running"
    report("one", state="loading")
    assert await reason() == "Not ready: a worker is loading the model"
    report("one", state="crashed", message="out of memory")
    assert await reason() == "Not ready: the worker keeps crashing: out of memory"
    report("one", state="ready")
    assert await reason() is None
    gateway.clock.advance(20)
    assert await reason() == "Not ready: no worker is running"


async def test_the_shape_of_a_problem_on_the_base_url(gateway):
    """Errors look the same by whatever name the server is reached."""
    assert_error(await gateway.http.get(f"{BASE}:8080/nowhere"), 404, "not_found")
