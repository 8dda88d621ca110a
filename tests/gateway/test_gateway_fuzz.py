"""Any request that the OpenAPI document allows, and many that it doesn't, get an answer of a known shape."""

import socket
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode

from openkontext.contract import SLUG
from tests.gateway.harness import EDIT, PICTURE, SUBMIT, Live, assert_error

KNOWN = {200, 201, 202, 204}
OPERATIONS = [
    ("POST", "/v1/{slug}"),
    ("POST", "/v2/{slug}"),
    ("POST", "/v2/{slug}/estimate"),
    ("GET", "/v1/models"),
    ("GET", "/v1/models/{slug}"),
    ("GET", "/v2/{slug}"),
    ("GET", "/v1/get-user-credits"),
    ("GET", "/v2/requests"),
    ("POST", "/v2/requests/{request_id}/pin"),
    ("DELETE", "/v2/requests/{request_id}/pin"),
    ("GET", "/v1/requests/{request_id}"),
    ("GET", "/v2/requests/{request_id}"),
    ("GET", "/v2/requests/{request_id}/status"),
    ("DELETE", "/v2/requests/{request_id}"),
    ("GET", "/v2/requests/{request_id}/events"),
    ("POST", "/v2/requests/{request_id}/replay"),
    ("GET", "/v2/account"),
    ("GET", "/v2/account/ledger"),
    ("GET", "/v2/account/usage"),
    ("GET", "/v2/account/keys"),
    ("POST", "/v2/account/keys"),
    ("DELETE", "/v2/account/keys/{key_id}"),
    ("GET", "/v2/operator"),
    ("POST", "/v2/operator/drain"),
    ("POST", "/v2/operator/resume"),
    ("POST", "/v2/operator/workers/{worker_id}/drain"),
    ("POST", "/v2/operator/workers/{worker_id}/resume"),
    ("GET", "/v2/webhooks"),
    ("POST", "/v2/webhooks"),
    ("DELETE", "/v2/webhooks/{webhook_id}"),
    ("GET", "/v2/webhooks/secret"),
    ("GET", "/v2/webhooks/{webhook_id}/secret"),
    ("GET", "/v2/webhooks/deliveries"),
    ("POST", "/v2/webhooks/deliveries/{delivery_id}/redeliver"),
    ("GET", "/v2/webhooks/events"),
    ("POST", "/upload-asset"),
    ("POST", "/v1/images/edits"),
    ("GET", "/healthz"),
    ("GET", "/readyz"),
]


@pytest.fixture
def fuzzed(serve: Callable[..., Live], monkeypatch: pytest.MonkeyPatch) -> Live:
    """A service where v1 doesn't wait and nothing costs, with a request in every state and an event on its way."""
    look_up = socket.getaddrinfo

    def here(host: Any, *arguments: Any, **options: Any) -> Any:
        # Webhooks go to made-up places; nothing of that leaves this machine.
        if host not in ("127.0.0.1", b"127.0.0.1", None):
            raise socket.gaierror(socket.EAI_NONAME, "no such host")
        return look_up(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", here)
    live = serve(sync_timeout=0.01, price=0)
    with live.http() as http:
        http.post("/v2/webhooks", json={"url": "http://example.com/hook"}).raise_for_status()
        for ending in (live.worker.complete, live.worker.fail, live.worker.take, lambda: None):
            http.post(SUBMIT, json=EDIT).raise_for_status()
            ending()
    return live


def send(live: Live, case: Any) -> httpx.Response:
    """The answer to a generated request; of a stream that was begun, its head."""
    arguments = case.as_transport_kwargs(base_url=live.url, headers={"x-api-key": live.secret})
    with requests.request(**arguments, stream=True, timeout=30) as answer:
        endless = answer.headers.get("content-type", "").startswith("text/event-stream")
        headers = list(answer.headers.items())
        return httpx.Response(answer.status_code, headers=headers, content=b"" if endless else answer.content)


def check(response: httpx.Response, documented: dict[str, Any], path: str) -> None:
    """It is no defect, its status is documented, and an error has our shape, or OpenAI's where that is right."""
    assert response.status_code < 500 or response.status_code in (503, 504), response.text
    assert {str(response.status_code), "default"} & set(documented)
    if response.status_code in KNOWN:
        return
    if path == "/v1/images/edits":
        assert {"message", "type", "code", "param"} <= set(response.json()["error"])
    else:
        assert_error(response, response.status_code, response.json()["code"])


def places(live: Live) -> list[dict[str, Any]]:
    """What is there, by the names that paths have for it: one of each request."""
    store = live.services.store
    [delivery, *_], _ = store.deliveries(live.account.id)
    [webhook] = store.endpoints(live.account.id)
    key, _ = store.create_key(live.account.id)
    store.report_worker("worker", state="ready")
    common = {"slug": SLUG, "webhook_id": webhook.id, "delivery_id": delivery.id, "key_id": key.id}
    common["worker_id"] = "worker"
    return [common | {"request_id": entry.job.id} for entry in store.history(live.account.id).entries]


def aim(live: Live, case: Any, there: dict[str, Any]) -> None:
    """Point it to something that is there: by chance nearly every path, key and picture leads nowhere."""
    case.path_parameters |= {name: there[name] for name in case.path_parameters}
    case.headers["x-api-key"] = live.secret
    case.headers["authorization"] = f"Bearer {live.secret}"
    if isinstance(case.body, dict):
        image = PICTURE if case.media_type == "multipart/form-data" else EDIT["input_image"]
        images = {"input_image": image, "image": image, "data_urls": [EDIT["input_image"]]}
        case.body |= {name: images[name] for name in set(images) & set(case.body)}


def explore(live: Live, operation: Any, mode: GenerationMode, places: list[dict[str, Any]]) -> None:
    """Send what an operation's description allows, or what it doesn't, half the time to where something is."""

    @settings(
        max_examples=10,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode), there=st.sampled_from(places), known=st.booleans())
    def ask(case: Any, there: dict[str, Any], known: bool) -> None:
        if known:
            aim(live, case, there)
        check(send(live, case), operation.definition.raw["responses"], operation.path)

    ask()


def test_every_operation_is_tried(fuzzed):
    """The list above is all there is."""
    with fuzzed.http() as http:
        paths = http.get("/openapi.json").json()["paths"]
    assert sorted(OPERATIONS) == sorted((method.upper(), path) for path in paths for method in paths[path])


# The server's threads draw random numbers meanwhile, and hypothesis takes those for its own.
@pytest.mark.filterwarnings("ignore:Do not use the `random` module inside strategies")
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=lambda mode: mode.value)
def test_whatever_is_asked(fuzzed, mode):
    """No request is a 500, and no error of another shape."""
    with fuzzed.http() as http:
        schema = schemathesis.openapi.from_dict(http.get("/openapi.json").json())
    there = places(fuzzed)
    for method, path in OPERATIONS:
        operation = schema[path][method]
        # There is no wrong way to ask what takes no parameters, or no key and any name.
        if mode is GenerationMode.POSITIVE or {"parameters", "security"} <= set(operation.definition.raw):
            explore(fuzzed, operation, mode, there)
