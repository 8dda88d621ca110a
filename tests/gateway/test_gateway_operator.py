"""`/v2/operator`: what the service does, for an operator's key alone; and draining its workers."""

from collections.abc import MutableMapping
from typing import Any

import jsonschema_rs
import pytest

from openkontext import __version__
from openkontext.contract import CODES
from tests.gateway.harness import Gateway, Worker, assert_error

OPERATOR = "/v2/operator"
CHANGES = [f"{OPERATOR}/drain", f"{OPERATOR}/resume", f"{OPERATOR}/workers/w0/drain", f"{OPERATOR}/workers/w0/resume"]


@pytest.fixture
def operated(gateway: Gateway) -> Gateway:
    """The gateway, asked with an operator's key that may do nothing else."""
    secret = gateway.new_key(
        gateway.new_account("ops", 0), may_operate=True, may_edit=False, may_read_history=False, may_manage=False
    )
    gateway.http.headers["x-api-key"] = secret
    return gateway


def report(gateway: Gateway, name: str = "w0", state: Any = "ready", **more: Any) -> None:
    gateway.services.store.report_worker(name, state=state, **more)


async def seen(gateway: Gateway) -> dict[str, Any]:
    response = await gateway.http.get(OPERATOR)
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    return body


def submitted(gateway: Gateway, **changes: Any) -> str:
    """A job of the account "someone", as a gateway would submit it."""
    values = {"price": 40_000, "weight": 1.0, "steps": 35} | changes
    parameters = {"prompt": "a secret prompt", "output_format": "png", "seed": 7}
    source = {"kind": "url", "url": "https://example.com/a-secret-address.png"}
    return gateway.services.store.submit(gateway.key, parameters, source, **values).job.id


@pytest.mark.parametrize(("method", "path"), [("GET", OPERATOR), *(("POST", path) for path in CHANGES)])
async def test_other_keys_may_not(gateway: Gateway, method: str, path: str):
    """One that may do everything else is told so, whether or not there is such a worker; nothing is drained."""
    report(gateway)
    for at in (path, path.replace("w0", "w1")):
        response = await gateway.http.request(method, at)
        assert "--operator" in assert_error(response, 403, "forbidden")["error"]
        del gateway.http.headers["x-api-key"]
        assert_error(await gateway.http.request(method, at), 401, "missing_key")
        gateway.http.headers["x-api-key"] = gateway.secret
    assert [False] == [worker.drain for worker in gateway.services.store.workers()]


async def test_an_operators_key_may_nothing_more(operated: Gateway):
    """It is a right beside the others, and brings none of them."""
    assert_error(await operated.http.get("/v2/requests"), 403, "forbidden")


async def test_nothing_yet(operated: Gateway):
    """A service that has done nothing: no times, and every hour of the day empty."""
    body = await seen(operated)
    nothing = {"p50": None, "p90": None, "p99": None, "samples": 0}
    assert body.pop("series")[-1] == {
        "at": "2027-01-15T08:00:00.000Z", "completed": 0, "failed": 0, "wait_p50": None, "run_p50": None,
    }  # fmt: skip
    assert body == {
        "workers": [],
        "queue": {"queued": 0, "running": 0, "limit": 1000, "oldest_seconds": None},
        "times": {"hours": 24, "wait": nothing, "run": nothing},
        "failures": [],
        "recent_failures": [],
        "draining": False,
        "version": __version__,
    }


async def test_workers_and_what_they_do(operated: Gateway):
    """Each with its device and model, and the job that it has, with its progress."""
    report(operated, host="here", pid=7, device="cpu", checkpoint="nano")
    report(operated, "w1", "loading")
    job = submitted(operated)
    operated.clock.advance(3)
    claim = Worker(operated.services, "w0").take()
    operated.services.store.beat(claim, step=4)
    busy, loading = (await seen(operated))["workers"]
    assert busy == {
        "id": "w0",
        "host": "here",
        "pid": 7,
        "device": "cpu",
        "checkpoint": "nano",
        "state": "busy",
        "message": None,
        "drain": False,
        "job": {"request_id": job, "step": 4, "steps": 35, "started_at": "2027-01-15T08:00:03.000Z"},
        "seen_at": "2027-01-15T08:00:00.000Z",
        "started_at": "2027-01-15T08:00:00.000Z",
        "alive": True,
    }
    assert ("loading", None, True) == (loading["state"], loading["job"], loading["alive"])
    operated.clock.advance(13)
    assert [False, False] == [worker["alive"] for worker in (await seen(operated))["workers"]]


async def test_the_queue_and_the_times(operated: Gateway):
    """What waits, since when, and what those before it waited and took."""
    submitted(operated)
    operated.clock.advance(2)
    claim = operated.worker.take()
    operated.clock.advance(5)
    operated.worker.complete(claim)
    submitted(operated)
    submitted(operated)
    operated.worker.take()
    operated.clock.advance(30)
    body = await seen(operated)
    assert body["queue"] == {"queued": 1, "running": 1, "limit": 1000, "oldest_seconds": 30.0}
    assert body["times"]["wait"] == {"p50": 2.0, "p90": 2.0, "p99": 2.0, "samples": 1}
    assert body["times"]["run"] == {"p50": 5.0, "p90": 5.0, "p99": 5.0, "samples": 1}
    last = {"at": "2027-01-15T08:00:00.000Z", "completed": 1, "failed": 0, "wait_p50": 2.0, "run_p50": 5.0}
    assert (24, last) == (len(body["series"]), body["series"][-1])


async def test_failures(operated: Gateway):
    """By code, and the latest with whose they were and why; once its words are gone, with those of its code."""
    job = submitted(operated)
    operated.worker.fail("inference_failed", "The model could not make this edit")
    body = await seen(operated)
    assert body["failures"] == [{"code": "inference_failed", "count": 1}]
    latest = {
        "request_id": job,
        "account": "someone",
        "code": "inference_failed",
        "error": "The model could not make this edit",
        "ended_at": "2027-01-15T08:00:00.000Z",
    }
    assert body["recent_failures"] == [latest]
    operated.clock.advance(3601)
    expected = [latest | {"error": CODES["inference_failed"][1]}]
    assert (await seen(operated))["recent_failures"] == expected


async def test_no_content_is_shown(operated: Gateway):
    """Neither prompts, nor addresses of pictures, nor keys, whatever became of the edits."""
    for end in (operated.worker.complete, operated.worker.fail, operated.worker.take):
        submitted(operated)
        end()
    submitted(operated)
    text = (await operated.http.get(OPERATOR)).text
    for secret in ("secret", "example.com", "/files/", operated.key.hint):
        assert secret not in text


async def test_a_worker_is_drained(operated: Gateway, logs: list[MutableMapping[str, Any]]):
    """It is draining while it has a job, drained after, and gets no other; the log tells of it; then it resumes."""
    report(operated)
    worker = Worker(operated.services, "w0")
    submitted(operated)
    claim = worker.take()
    response = await operated.http.post(f"{OPERATOR}/workers/w0/drain")
    assert (202, "draining", True) == (response.status_code, response.json()["state"], response.json()["drain"])
    assert {"event": "workers drained", "workers": ["w0"]}.items() <= logs[-1].items()
    worker.complete(claim)
    submitted(operated)
    assert (await seen(operated))["workers"][0]["state"] == "drained"
    assert operated.services.store.claim("w0") is None
    response = await operated.http.post(f"{OPERATOR}/workers/w0/resume")
    assert (202, "ready", False) == (response.status_code, response.json()["state"], response.json()["drain"])
    assert operated.services.store.claim("w0") is not None


async def test_all_workers_are_drained(operated: Gateway):
    """Those that there are; `draining` says that no worker takes jobs, for that reason."""
    report(operated, "a")
    report(operated, "b")
    await operated.http.post(f"{OPERATOR}/workers/a/drain")
    assert (await seen(operated))["draining"] is False
    response = await operated.http.post(f"{OPERATOR}/drain")
    assert (202, ["drained"] * 2) == (response.status_code, [each["state"] for each in response.json()["workers"]])
    assert (await seen(operated))["draining"] is True
    report(operated, "c")
    assert (await seen(operated))["draining"] is False
    response = await operated.http.post(f"{OPERATOR}/resume")
    assert ["ready"] * 3 == [each["state"] for each in response.json()["workers"]]


@pytest.mark.parametrize("change", ["drain", "resume"])
async def test_an_unknown_worker(operated: Gateway, change: str):
    """A name that is another's now, or was never anyone's."""
    response = await operated.http.post(f"{OPERATOR}/workers/w9/{change}")
    assert "'w9'" in assert_error(response, 404, "not_found")["error"]


async def test_readiness(start, open_services):
    """With all that could take jobs drained the service is unready, and says so; with one left it is not."""
    services = open_services()
    services.wants_worker = True
    gateway = await start(services)
    report(gateway, "a")
    report(gateway, "b", "busy")
    services.store.drain("a")
    assert (await gateway.http.get("/readyz")).status_code == 200
    services.store.drain()
    body = assert_error(await gateway.http.get("/readyz"), 503, "unavailable")
    assert body["error"] == "Not ready: its workers are drained"
    report(gateway, "c", "loading")
    body = assert_error(await gateway.http.get("/readyz"), 503, "unavailable")
    assert body["error"] == "Not ready: a worker is loading the model"
    services.store.drain("b", wanted=False)
    assert (await gateway.http.get("/readyz")).status_code == 200


async def test_bodies_are_as_described(operated: Gateway):
    """By the OpenAPI document."""
    document = operated.app.openapi()

    def check(path: str, method: str, response: Any) -> None:
        described = document["paths"][path][method]["responses"][str(response.status_code)]
        schema = described["content"]["application/json"]["schema"]
        jsonschema_rs.validate(schema | {"components": document["components"]}, response.json())

    report(operated)
    submitted(operated)
    operated.worker.fail()
    submitted(operated)
    Worker(operated.services, "w0").take()
    check(OPERATOR, "get", await operated.http.get(OPERATOR))
    one = f"{OPERATOR}/workers/{{worker_id}}/drain"
    check(one, "post", await operated.http.post(one.format(worker_id="w0")))
    check(one, "post", await operated.http.post(one.format(worker_id="w1")))
    check(f"{OPERATOR}/drain", "post", await operated.http.post(f"{OPERATOR}/drain"))
