"""History, estimates, pins, models and credits: what is asked for, and that the answer is given as it is."""

import json
from datetime import UTC, date, datetime
from typing import Any

import httpx
import pytest

from openkontext import BadRequest, NotFound, OpenkontextError
from tests.client.parts import BASE, REQUEST_ID, Harness, Script

ANSWER = {"requests": [], "page": 1, "nested": {"credits": 12.5}}
JOB = f"{BASE}/v2/requests/{REQUEST_ID}"


@pytest.mark.parametrize(
    ("method", "expected"),
    [("models", f"GET {BASE}/v1/models"), ("credits", f"GET {BASE}/v1/get-user-credits")],
)
def test_answers_are_given_as_they_are(sdk: Harness, method: str, expected: str) -> None:
    """A GET, with the key; its JSON object."""
    script = Script(httpx.Response(200, json=ANSWER))
    assert ANSWER == sdk.call(getattr(sdk.client(script), method))
    assert [expected] == script.urls
    assert "SG_test" == script.requests[0].headers["x-api-key"]


@pytest.mark.parametrize(("method", "expected"), [("pin", f"POST {JOB}/pin"), ("unpin", f"DELETE {JOB}/pin")])
def test_a_result_is_pinned_and_let_go(sdk: Harness, method: str, expected: str) -> None:
    """Repeated after trouble, since pinning twice is pinning once; the answer is the result body."""
    script = Script(httpx.ReadError("reset"), httpx.Response(200, json=ANSWER))
    assert ANSWER == sdk.call(getattr(sdk.client(script).job(REQUEST_ID), method))
    assert [expected] * 2 == script.urls


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, {"page": "1", "per_page": "20"}),
        ({"page": 2, "per_page": 50}, {"page": "2", "per_page": "50"}),
        ({"status": "COMPLETED,FAILED"}, {"page": "1", "per_page": "20", "status": "COMPLETED,FAILED"}),
        (
            {"since": date(2026, 11, 22), "until": datetime(2026, 11, 22, 7, tzinfo=UTC)},
            {"page": "1", "per_page": "20", "from": "2026-11-22", "to": "2026-11-22T07:00:00+00:00"},
        ),
        ({"since": "2026-11-22"}, {"page": "1", "per_page": "20", "from": "2026-11-22"}),
    ],
    ids=str,
)
def test_the_history_is_filtered(sdk: Harness, filters: dict[str, Any], expected: dict[str, str]) -> None:
    """Each filter under the server's name for it, and none that isn't set."""
    script = Script(httpx.Response(200, json=ANSWER))
    assert ANSWER == sdk.call(sdk.client(script).history, **filters)
    assert ("/v2/requests", expected) == (script.requests[0].url.path, dict(script.requests[0].url.params))


def test_an_estimate_takes_what_a_submit_takes(sdk: Harness) -> None:
    """The same body; it runs nothing, so it has no Idempotency-Key and is repeated after trouble."""
    script = Script(httpx.Response(502), httpx.Response(200, json=ANSWER))
    assert ANSWER == sdk.call(sdk.client(script).estimate, "slug", input_image=b"GIF89a", prompt="snow")
    assert [f"POST {BASE}/v2/slug/estimate"] * 2 == script.urls
    assert {"input_image": "data:image/gif;base64,R0lGODlh", "prompt": "snow"} == json.loads(script.requests[1].content)
    assert "idempotency-key" not in script.requests[0].headers


def test_a_refused_estimate_is_the_submits_error(sdk: Harness) -> None:
    """The 400 that the submit would be."""
    with pytest.raises(BadRequest, match="seed must be"):
        sdk.call(sdk.client(Script(httpx.Response(400, json={"error": "seed must be"}))).estimate, "slug", seed="x")


def test_a_server_that_has_no_such_route_is_an_error(sdk: Harness) -> None:
    """What the hosted service lacks."""
    with pytest.raises(NotFound):
        sdk.call(sdk.client(Script(httpx.Response(404))).history)


@pytest.mark.parametrize("text", ["<html>Welcome</html>", "[]"])
def test_an_answer_that_is_no_object_is_an_error(sdk: Harness, text: str) -> None:
    """A proxy's page is not the account's data."""
    with pytest.raises(OpenkontextError, match="is the base URL right"):
        sdk.call(sdk.client(Script(httpx.Response(200, text=text))).credits)
