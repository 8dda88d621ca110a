"""Answers that are no success, as exceptions."""

import pickle
from datetime import UTC, datetime

import httpx
import pytest

import openkontext
from openkontext import InferenceFailed, InferenceTimeout, OpenkontextError, RateLimited
from openkontext.contract import CODES
from tests.client.parts import Harness, Script, state, submitted

EXPECTED = {
    400: "BadRequest",
    401: "AuthenticationError",
    403: "PermissionDenied",
    404: "NotFound",
    405: "MethodNotAllowed",
    406: "InsufficientCredits",
    409: "Conflict",
    410: "Gone",
    413: "PayloadTooLarge",
    418: "OpenkontextError",
    422: "Unprocessable",
    429: "RateLimited",
    500: "ServerError",
    502: "BadGateway",
    503: "ServiceUnavailable",
    504: "GatewayTimeout",
    507: "ServerError",
}

VERDICT = {"stage": "prompt", "category": "undressing", "score": 1.0, "threshold": 1.0}


@pytest.mark.parametrize(("status", "name"), EXPECTED.items())
def test_each_status_has_its_error(sdk: Harness, status: int, name: str) -> None:
    """The class is the status's, and it carries all that the answer said."""
    body = {"error": "what is wrong", "code": "symbol", "request_id": "id-1"}
    with pytest.raises(OpenkontextError) as caught:
        sdk.call(sdk.client(Script(httpx.Response(status, json=body))).run_sync, "slug")
    error = caught.value
    assert getattr(openkontext, name) is type(error)
    assert {"status": status, "detail": "what is wrong", "code": "symbol", "request_id": "id-1"} == error.to_dict()
    assert f"{status} symbol: what is wrong (request id-1)" == str(error)


def test_every_status_of_the_contract_is_typed() -> None:
    """No status that the server answers with falls back to the base class."""
    statuses = {status for status, _ in CODES.values()}
    kinds = {status: type(OpenkontextError.from_response(httpx.Response(status))) for status in statuses}
    assert {} == {status: kind for status, kind in kinds.items() if kind is OpenkontextError}


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    """Every error is drawn in the module's docstring, under its base, with its status."""
    drawn = openkontext.client.errors.__doc__ or ""
    for status, name in EXPECTED.items():
        if name not in ("OpenkontextError", "ServerError"):
            assert f"── {name} {status}" in " ".join(drawn.split()), name
    for name in openkontext.__all__:
        value = getattr(openkontext, name)
        if isinstance(value, type) and issubclass(value, OpenkontextError) and name == value.__name__:
            assert name in drawn


@pytest.mark.parametrize(
    ("body", "expected"),
    [({"moderation": VERDICT}, VERDICT), ({}, None), ({"moderation": None}, None), ({"moderation": "nsfw"}, None)],
)
def test_a_block_says_by_which_score(sdk: Harness, body: dict[str, object], expected: dict[str, object] | None) -> None:
    """v1's error and v2's alike; None where there is none, or nothing that can be read."""
    blocked = state("FAILED", error="no", code="blocked", **body)
    for call, answers in (("run_sync", [blocked]), ("run", [submitted(), blocked])):
        with pytest.raises(OpenkontextError) as caught:
            sdk.call(getattr(sdk.client(Script(*answers)), call), "slug")
        assert ("blocked", expected) == (caught.value.code, caught.value.moderation)


def test_the_id_comes_from_the_header_too(sdk: Harness) -> None:
    """v1 names its request in a header."""
    answer = httpx.Response(422, json={"error": "blocked"}, headers={"x-request-id": "id-2"})
    with pytest.raises(openkontext.Unprocessable) as caught:
        sdk.call(sdk.client(Script(answer)).run_sync, "slug")
    assert "id-2" == caught.value.request_id


@pytest.mark.parametrize("body", ["<html>Bad Gateway</html>", "", "[1]", '"text"', "\xff"])
def test_an_answer_without_json_is_still_an_error(body: str) -> None:
    """A proxy's page doesn't hide the status behind a decoding error."""
    error = OpenkontextError.from_response(httpx.Response(502, content=body.encode("latin-1")))
    assert (502, "Bad Gateway, and no JSON body that says why: is the base URL right?") == (error.status, error.detail)


def test_a_redirect_is_refused_and_explained(sdk: Harness) -> None:
    """Following it would hand the key to another address; the error names that address."""
    script = Script(httpx.Response(301, headers={"location": "https://other.test/v2/slug"}))
    with pytest.raises(OpenkontextError, match=r"redirects to https://other.test/v2/slug"):
        sdk.call(sdk.client(script).submit_async, "slug")
    assert 1 == len(script.requests)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-22T07:00:00Z", datetime(2026, 11, 22, 7, tzinfo=UTC)),
        ("2026-11-22T07:00:00", datetime(2026, 11, 22, 7, tzinfo=UTC)),
        ("tomorrow", None),
        (None, None),
    ],
)
def test_a_rate_limit_says_when_it_ends(text: str | None, expected: datetime | None) -> None:
    """The header's time in UTC, or None where there is none to be read."""
    headers = {"retry-after": "40"} | ({"x-rate-limit-reset-at-utc": text} if text else {})
    error = OpenkontextError.from_response(httpx.Response(429, json={"error": "slow"}, headers=headers))
    assert isinstance(error, RateLimited)
    assert (expected, 40.0) == (error.reset_at, error.retry_after)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"x-rate-limit-limit": "60", "x-rate-limit-remaining": "0"}, (60, 0)),
        ({}, (None, None)),
        ({"x-rate-limit-limit": "many", "x-rate-limit-remaining": "-1"}, (None, None)),
    ],
)
def test_a_rate_limit_says_how_much_it_is(headers: dict[str, str], expected: tuple[int | None, int | None]) -> None:
    """Whole numbers, or None where there is none to be read."""
    error = OpenkontextError.from_response(httpx.Response(429, json={"error": "slow"}, headers=headers))
    assert isinstance(error, RateLimited)
    assert expected == (error.limit, error.remaining)


@pytest.mark.parametrize(
    "error",
    [
        OpenkontextError.from_response(httpx.Response(429, json={"error": "slow", "code": "rate_limited"})),
        InferenceFailed("no", {"status": "FAILED", "request_id": "id-3", "code": "blocked", "moderation": VERDICT}),
        OpenkontextError.from_response(httpx.Response(422, json={"error": "no", "moderation": VERDICT})),
        InferenceTimeout("id-4", 1.5),
        OpenkontextError(),
    ],
    ids=repr,
)
def test_errors_cross_process_borders(error: OpenkontextError) -> None:
    """Pickling, as a process pool does it, keeps class and contents."""
    copy = pickle.loads(pickle.dumps(error))
    assert (type(error), vars(error), str(error)) == (type(copy), vars(copy), str(copy))


def test_an_error_is_readable() -> None:
    """str is a line for people, repr names the class and its values."""
    error = OpenkontextError(406, "the balance is 0.01, the price 0.04", code="insufficient_credits")
    assert "406 insufficient_credits: the balance is 0.01, the price 0.04" == str(error)
    assert "OpenkontextError(status=418, detail=None, code=None, request_id=None)" == repr(OpenkontextError(418))
    assert "not ended after 1.5 s; it goes on, so wait again or cancel it (request id-4)" == str(
        InferenceTimeout("id-4", 1.5)
    )
