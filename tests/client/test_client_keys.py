"""The Idempotency-Key of an edit: one for all that one call sends, and never the same for two calls."""

import uuid

import httpx
import pytest

from openkontext import Conflict, Gone
from tests.client.parts import Harness, Script, submitted

METHODS = ["run_sync", "submit_async"]


@pytest.mark.parametrize("method", METHODS)
def test_each_call_has_a_key_of_its_own(sdk: Harness, method: str) -> None:
    """A random UUID, so that the same edit may be asked for twice."""
    script = Script(submitted())
    client = sdk.client(script)
    for _ in range(2):
        sdk.call(getattr(client, method), "slug", prompt="snow")
    keys = [request.headers["idempotency-key"] for request in script.requests]
    assert 2 == len(set(keys))
    assert [4, 4] == [uuid.UUID(key).version for key in keys]


@pytest.mark.parametrize("method", METHODS)
def test_a_key_may_be_chosen(sdk: Harness, method: str) -> None:
    """It goes into the header and not into the edit, which has no parameter of that name."""
    script = Script(submitted())
    sdk.call(getattr(sdk.client(script), method), "slug", idempotency_key="order-7/snow", prompt="snow")
    assert ("order-7/snow", b'{"prompt":"snow"}') == (
        script.requests[0].headers["idempotency-key"],
        script.requests[0].content,
    )


def test_run_takes_a_key_too(sdk: Harness) -> None:
    """run submits with it; what follows only looks, and has none."""
    done = httpx.Response(200, json={"status": "COMPLETED"})
    script = Script(submitted(), done)
    sdk.call(sdk.client(script).run, "slug", idempotency_key="order-7")
    assert ["order-7", None, None] == [request.headers.get("idempotency-key") for request in script.requests]


@pytest.mark.parametrize("key", ["", "a b", "a\n", "é", "x" * 256])
def test_a_key_that_no_header_carries_is_refused(sdk: Harness, key: str) -> None:
    """Before anything is sent, and not replaced by another."""
    script = Script(submitted())
    with pytest.raises(ValueError, match="idempotency_key must be 1 to 255 visible ASCII characters"):
        sdk.call(sdk.client(script).submit_async, "slug", idempotency_key=key)
    assert [] == script.requests


@pytest.mark.parametrize(
    ("status", "code", "error"), [(409, "idempotency_conflict", Conflict), (410, "result_expired", Gone)]
)
def test_what_is_wrong_with_a_key_is_said(sdk: Harness, status: int, code: str, error: type[Conflict | Gone]) -> None:
    """The server's words, under an error of its own."""
    script = Script(httpx.Response(status, json={"error": "the key was used before", "code": code}))
    with pytest.raises(error, match=f"{status} {code}: the key was used before"):
        sdk.call(sdk.client(script).submit_async, "slug", idempotency_key="order-7")
    assert 1 == len(script.requests)
