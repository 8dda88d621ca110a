"""Code for the hosted service's official client runs on ours with the import changed."""

import dataclasses
import inspect
import json
from types import ModuleType
from typing import Any

import pytest
import segmind

import openkontext
from tests.client.parts import REQUEST_ID, SmallServer, addresses

NAMES = [
    "DEFAULT_POLL_INTERVAL_S",
    "DEFAULT_POLL_TIMEOUT_S",
    "AsyncJob",
    "InferenceFailed",
    "InferenceTimeout",
    "SegmindClient",
    "SegmindError",
    "run",
    "run_sync",
    "submit_async",
]
CALLABLES = [
    "run",
    "run_sync",
    "submit_async",
    "SegmindClient",
    "SegmindClient.run",
    "SegmindClient.run_sync",
    "SegmindClient.submit_async",
    "AsyncJob.status",
    "AsyncJob.result",
    "AsyncJob.wait",
    "SegmindError",
    "SegmindError.from_response",
    "SegmindError.to_dict",
    "InferenceFailed",
    "InferenceTimeout",
]
STATUS = f"/v2/requests/{REQUEST_ID}/status"
RESULT = f"/v2/requests/{REQUEST_ID}"


def find(module: ModuleType, path: str) -> Any:
    value: Any = module
    for name in path.split("."):
        value = getattr(value, name)
    return value


@pytest.mark.parametrize("name", NAMES)
def test_the_names_are_there(name: str) -> None:
    """Every name of theirs that we promise, of the same kind; constants have the same value."""
    theirs, ours = getattr(segmind, name), getattr(openkontext, name)
    assert type(theirs) is type(ours)
    if isinstance(theirs, float):
        assert theirs == ours
    assert name in openkontext.__all__


@pytest.mark.parametrize("path", CALLABLES)
def test_calls_take_what_theirs_take(path: str) -> None:
    """Same parameters, in the same places, with the same defaults (but for the server's address); more is allowed."""
    theirs = inspect.signature(find(segmind, path)).parameters
    ours = inspect.signature(find(openkontext, path)).parameters
    shapes = [{name: (p.kind, p.default) for name, p in side.items() if name != "base_url"} for side in (theirs, ours)]
    assert shapes[0] == {name: shape for name, shape in shapes[1].items() if name in shapes[0]}
    own = [name for name, p in ours.items() if name not in theirs and p.kind is p.KEYWORD_ONLY]
    assert list(theirs) == [name for name in ours if name not in own][: len(theirs)]


def test_errors_have_their_bases() -> None:
    """An except clause for theirs catches the same cases."""
    for name in ("InferenceFailed", "InferenceTimeout"):
        assert issubclass(getattr(openkontext, name), openkontext.SegmindError)


def test_a_jobs_public_fields_are_theirs() -> None:
    """The handle's attributes, in the same order."""
    theirs, ours = (
        [field.name for field in dataclasses.fields(module.AsyncJob) if not field.name.startswith("_")]
        for module in (segmind, openkontext)
    )
    assert theirs == ours


@pytest.fixture(params=[segmind, openkontext], ids=["theirs", "ours"])
def module(request: pytest.FixtureRequest, server: SmallServer) -> ModuleType:
    """Either package; the same program must see the same with both."""
    server.answers = {
        "/v2/slug": (200, json.dumps({"status": "QUEUED"} | addresses(server.url))),
        STATUS: (200, json.dumps({"status": "COMPLETED", "request_id": REQUEST_ID})),
        RESULT: (200, json.dumps({"status": "COMPLETED", "request_id": REQUEST_ID, "output": "http://o.test/x.png"})),
        "/v1/slug": (200, b"picture"),
    }
    return request.param


def client_of(module: ModuleType, server: SmallServer) -> Any:
    return module.SegmindClient(api_key="SG_0123456789abcdef", base_url=f"{server.url}/v1")


def test_success_is_the_same(module: ModuleType, server: SmallServer) -> None:
    """run, run_sync and submit_async send and give the same."""
    client = client_of(module, server)
    result = client.run("slug", prompt="snow", input_image="http://i.test/a.png", timeout=3)
    job = client.submit_async(slug="slug", prompt="snow")
    response = client.run_sync("slug", prompt="snow")
    assert "http://o.test/x.png" == result["output"] == job.wait(timeout=5, interval=0.1)["output"]
    assert (REQUEST_ID, "QUEUED", "COMPLETED") == (
        job.request_id,
        job.submit_response["status"],
        job.status()["status"],
    )
    assert (200, b"picture") == (response.status_code, response.content)
    assert ["POST /v2/slug", f"GET {STATUS}", f"GET {RESULT}"] == server.seen[:3]
    assert {"prompt": "snow", "input_image": "http://i.test/a.png", "timeout": 3} == json.loads(server.bodies[0])


def test_failure_is_the_same(module: ModuleType, server: SmallServer) -> None:
    """A FAILED job: the error of wait, and the bodies of status and result."""
    failed = {"status": "FAILED", "request_id": REQUEST_ID, "error": "blocked", "metrics": {"total_time": 0.2}}
    server.answers |= {STATUS: (422, json.dumps(failed)), RESULT: (422, json.dumps(failed))}
    job = client_of(module, server).submit_async("slug")
    with pytest.raises(module.InferenceFailed) as caught:
        job.wait()
    assert ("blocked", failed, None) == (caught.value.detail, caught.value.status_body, caught.value.status)
    assert [failed, failed] == [job.status(), job.result()]


def test_timeout_is_the_same(module: ModuleType, server: SmallServer) -> None:
    """A job that doesn't end."""
    server.answers |= {STATUS: (200, json.dumps({"status": "PROCESSING"}))}
    with pytest.raises(module.InferenceTimeout) as caught:
        client_of(module, server).submit_async("slug").wait(timeout=0, interval=0)
    assert (REQUEST_ID, True, None) == (caught.value.request_id, caught.value.elapsed_s >= 0, caught.value.status)


@pytest.mark.parametrize("call", ["run", "run_sync", "submit_async"])
def test_refusal_is_the_same(module: ModuleType, server: SmallServer, call: str) -> None:
    """An HTTP error: its status and detail, on the error and in its dictionary."""
    refusal = (406, json.dumps({"error": "no credits"}))
    server.answers |= {"/v1/slug": refusal, "/v2/slug": refusal}
    with pytest.raises(module.SegmindError) as caught:
        getattr(client_of(module, server), call)("slug")
    error = caught.value
    assert (406, "no credits", None) == (error.status, error.detail, error.title)
    assert {"status": 406, "detail": "no credits"}.items() <= error.to_dict().items()


def test_module_functions_read_the_environment(
    module: ModuleType, server: SmallServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The module's own functions run on a client with the hosted variable's key."""
    monkeypatch.setenv("SEGMIND_API_KEY", "SG_0123456789abcdef")
    monkeypatch.setenv("OPENKONTEXT_BASE_URL", f"{server.url}/v1")
    if module is segmind:
        monkeypatch.setattr("segmind._default_client", client_of(segmind, server))
    else:
        openkontext.client.default._client.cache_clear()
    assert "http://o.test/x.png" == module.run("slug", prompt="snow")["output"]
    assert b"picture" == module.run_sync("slug", prompt="snow").content
    assert REQUEST_ID == module.submit_async("slug", prompt="snow").request_id
