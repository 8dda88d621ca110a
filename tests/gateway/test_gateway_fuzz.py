"""Any request that the OpenAPI document allows, and many that it doesn't, get an answer of a known shape."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode

from openkontext.contract import SLUG
from tests.gateway.harness import EDIT, PICTURE, SUBMIT, Live, assert_error

KNOWN = {200, 202, 204}
OPERATIONS = [
    ("POST", "/v1/{slug}"),
    ("POST", "/v2/{slug}"),
    ("GET", "/v1/get-user-credits"),
    ("GET", "/v1/requests/{request_id}"),
    ("GET", "/v2/requests/{request_id}"),
    ("GET", "/v2/requests/{request_id}/status"),
    ("DELETE", "/v2/requests/{request_id}"),
    ("GET", "/healthz"),
    ("GET", "/readyz"),
]


@pytest.fixture
def fuzzed(serve: Callable[..., Live]) -> Live:
    """A service where v1 doesn't wait and nothing costs, with a request in every state."""
    live = serve(sync_timeout=0.01, price=0)
    with live.http() as http:
        for ending in (live.worker.complete, live.worker.fail, live.worker.take, lambda: None):
            http.post(SUBMIT, json=EDIT).raise_for_status()
            ending()
    return live


def send(live: Live, case: Any) -> httpx.Response:
    """The answer to a generated request."""
    answer = case.call(base_url=live.url, headers={"x-api-key": live.secret})
    headers = [(name, value) for name, values in answer.headers.items() for value in values]
    return httpx.Response(answer.status_code, headers=headers, content=answer.content)


def check(response: httpx.Response, documented: dict[str, Any]) -> None:
    """It is no defect, its status is documented, and an error has our shape."""
    assert response.status_code < 500 or response.status_code in (503, 504), response.text
    assert {str(response.status_code), "default"} & set(documented)
    if response.status_code not in KNOWN:
        assert_error(response, response.status_code, response.json()["code"])


def aim(live: Live, case: Any, request_id: str) -> None:
    """Point it to something that is there: by chance nearly every path, key and picture leads nowhere."""
    places = {"slug": SLUG, "request_id": request_id}
    case.path_parameters |= {name: places[name] for name in case.path_parameters}
    case.headers["x-api-key"] = live.secret
    if isinstance(case.body, dict) and "input_image" in case.body:
        text = isinstance(case.body["input_image"], str)
        case.body["input_image"] = EDIT["input_image"] if text else PICTURE


def explore(live: Live, operation: Any, mode: GenerationMode, ids: list[str]) -> None:
    """Send what an operation's description allows, or what it doesn't, half the time to where something is."""

    @settings(
        max_examples=12,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode), request_id=st.sampled_from(ids), known=st.booleans())
    def ask(case: Any, request_id: str, known: bool) -> None:
        if known:
            aim(live, case, request_id)
        check(send(live, case), operation.definition.raw["responses"])

    ask()


def test_every_operation_is_tried(fuzzed):
    """The list above is all there is."""
    with fuzzed.http() as http:
        paths = http.get("/openapi.json").json()["paths"]
    assert sorted(OPERATIONS) == sorted((method.upper(), path) for path in paths for method in paths[path])


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=lambda mode: mode.value)
def test_whatever_is_asked(fuzzed, mode):
    """No request is a 500, and no error of another shape."""
    with fuzzed.http() as http:
        schema = schemathesis.openapi.from_dict(http.get("/openapi.json").json())
    ids = [entry.job_id for entry in fuzzed.services.store.ledger(fuzzed.account.id) if entry.kind == "hold"]
    for method, path in OPERATIONS:
        # There is no wrong way to ask what takes no parameters.
        if mode is GenerationMode.POSITIVE or "{" in path:
            explore(fuzzed, schema[path][method], mode, ids)
