"""The key goes into its header and nowhere else: not into errors, representations, logs or other servers' requests."""

import logging
import pickle
import traceback
from typing import Any

import httpx
import pytest

from openkontext import AuthenticationError, OpenkontextError
from openkontext.client.target import Target
from tests.client.parts import Harness, SmallServer, addresses

KEY = "SG_0123456789abcdef0123456789abcdef"
REFUSALS = {401: "invalid_key", 404: "not_found", 422: "blocked", 429: "rate_limited", 500: "internal"}


def shown(error: BaseException) -> str:
    """All that a program shows of an error, with its notes and its causes."""
    parts = [str(error), repr(error), repr(error.args), "".join(traceback.format_exception(error))]
    return "\n".join([*parts, repr(pickle.dumps(error)) if isinstance(error, OpenkontextError) else ""])


def test_it_is_in_no_error(sdk: Harness, server: SmallServer, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever a server answers, or none does, and however much is logged."""
    caplog.set_level(logging.DEBUG)
    server.answers = {
        f"/v1/{status}": (status, f'{{"error": "no", "code": "{code}"}}') for status, code in REFUSALS.items()
    }
    client = sdk.client(base_url=server.url, api_key=KEY, max_retries=0)
    nobody = sdk.client(base_url="http://127.0.0.1:1", api_key=KEY, max_retries=0)
    errors: list[BaseException] = []
    for who, slug in ((client, str(status)) for status in REFUSALS):
        with pytest.raises(OpenkontextError) as refused:
            sdk.call(who.run_sync, slug, prompt="snow")
        errors.append(refused.value)
    with pytest.raises(httpx.TransportError) as unanswered:
        sdk.call(nobody.run_sync, "slug", prompt="snow")
    errors.append(unanswered.value)
    assert {KEY} == {headers["x-api-key"] for headers in server.headers}
    assert len(REFUSALS) + 1 == len(errors)
    assert [error for error in errors if KEY in shown(error)] == []
    assert "send_request_headers" in caplog.text
    assert KEY not in caplog.text


def test_it_is_in_no_representation(sdk: Harness, server: SmallServer) -> None:
    """Nor in what a debugger or a print shows of clients, requests and what they are made of."""
    server.answers = {"/v2/slug": (200, str(addresses(server.url)).replace("'", '"'))}
    client = sdk.client(base_url=server.url, api_key=KEY)
    job = sdk.call(client.submit_async, "slug", prompt="snow")
    things: list[Any] = [client, job, client.files, job._core, job._core.target, Target.of(KEY, None)]
    assert [thing for thing in things if KEY in f"{thing!r} {thing!s}"] == []


@pytest.mark.parametrize(
    "key", [f"{KEY}\n{KEY}", f"x-api-key: {KEY}", f"{KEY}\0", f"{KEY}é", f"{KEY}\r\nhost: evil.test"]
)
def test_what_no_header_carries_is_refused_unseen(sdk: Harness, server: SmallServer, key: str) -> None:
    """A file with two keys, say: before anything is sent, and without showing it."""
    with pytest.raises(AuthenticationError, match="characters that no key has") as refused:
        sdk.call(sdk.client(base_url=server.url, api_key=key).run_sync, "slug", prompt="snow")
    assert "invalid_key" == refused.value.code
    assert KEY not in shown(refused.value)
    assert [] == server.seen
