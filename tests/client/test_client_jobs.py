"""Submitting, waiting, results, cancelling and downloading, over prepared answers."""

import asyncio
import json
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest

from openkontext import Client, InferenceFailed, InferenceTimeout, NotFound, OpenkontextError, SegmindError
from openkontext.client.io import settle
from tests.client.parts import BASE, REQUEST_ID, Harness, Script, addresses, state, submitted

SLUG = "flux-kontext-dev"
STATUS = f"GET {BASE}/v2/requests/{REQUEST_ID}/status"
RESULT = f"GET {BASE}/v2/requests/{REQUEST_ID}"


def test_run_submits_polls_and_returns_the_result(sdk: Harness) -> None:
    """The whole way: one submit, a status each second until the end, then the result body."""
    done = state("COMPLETED", output="http://o.test/x.png")
    script = Script(submitted(), state("QUEUED"), state("PROCESSING"), state("COMPLETED"), done)
    result = sdk.call(sdk.client(script).run, SLUG, prompt="snow")
    assert done.json() == result
    assert [f"POST {BASE}/v2/{SLUG}", STATUS, STATUS, STATUS, RESULT] == script.urls
    assert [1.0, 1.0] == sdk.time.sleeps


def test_parameters_go_out_verbatim(sdk: Harness) -> None:
    """Every parameter is the model's, also those named like an option of waiting."""
    params = {"prompt": "é", "timeout": 3, "interval": None, "seed": -1, "guidance": 2.5, "mystery": [True, {"a": 1}]}
    script = Script(submitted())
    sdk.call(sdk.client(script).submit_async, SLUG, **params)
    assert params == json.loads(script.requests[0].content)


def test_a_webhook_is_named_in_the_address(sdk: Harness) -> None:
    """It is no parameter of the model's: the body is as without one."""
    script = Script(submitted())
    sdk.call(sdk.client(script).submit_async, SLUG, prompt="snow", webhook="https://a.test/b?c=d&e")
    assert [{"webhook": "https://a.test/b?c=d&e"}] == [dict(request.url.params) for request in script.requests]
    assert {"prompt": "snow"} == json.loads(script.requests[0].content)


def test_a_job_shows_what_the_server_named(sdk: Harness) -> None:
    """The handle carries the submit's answer and addresses."""
    answer = submitted()
    job = sdk.call(sdk.client(Script(answer)).submit_async, SLUG, prompt="snow")
    assert addresses() | {"submit_response": answer.json()} == {
        name: getattr(job, name) for name in ("request_id", "status_url", "response_url", "submit_response")
    }


def test_run_sync_gives_the_raw_response_and_time_to_make_it(sdk: Harness) -> None:
    """v1 answers the picture itself; the server's 60 s of work come on top of the client's own timeout."""
    script = Script(httpx.Response(200, content=b"picture", headers={"x-seed-value": "7"}))
    response = sdk.call(sdk.client(script, timeout=12.0).run_sync, SLUG, prompt="snow")
    assert (b"picture", "7") == (response.content, response.headers["x-seed-value"])
    assert [f"POST {BASE}/v1/{SLUG}"] == script.urls
    assert {"connect": 5.0, "read": 72.0, "write": 12.0, "pool": 12.0} == script.requests[0].extensions["timeout"]


def test_other_requests_have_the_plain_timeout(sdk: Harness) -> None:
    """A submit is answered at once, so the client's timeout holds for it."""
    script = Script(submitted())
    sdk.call(sdk.client(script, timeout=2.0).submit_async, SLUG)
    assert {"connect": 2.0, "read": 2.0, "write": 2.0, "pool": 2.0} == script.requests[0].extensions["timeout"]


def test_failed_is_an_error_with_the_whole_body(sdk: Harness) -> None:
    """FAILED comes as HTTP 422; waiting turns it into InferenceFailed without another request."""
    failed = state("FAILED", error="blocked: 0.98", code="blocked", metrics={"inference_time": 0.1})
    script = Script(submitted(), failed)
    with pytest.raises(InferenceFailed) as caught:
        sdk.call(sdk.client(script).run, SLUG, prompt="snow")
    error = caught.value
    assert ("blocked: 0.98", "blocked", REQUEST_ID, failed.json(), None) == (
        error.detail,
        error.code,
        error.request_id,
        error.status_body,
        error.status,
    )
    assert 2 == len(script.requests)
    assert isinstance(error, SegmindError)


def test_failed_is_a_plain_body_to_who_looks(sdk: Harness) -> None:
    """status() and result() give the FAILED body though it comes as 422."""
    failed = state("FAILED", error="no")
    job = sdk.client(Script(failed)).job(REQUEST_ID)
    assert [failed.json(), failed.json()] == [sdk.call(job.status), sdk.call(job.result)]


def test_waiting_ends_at_its_deadline(sdk: Harness) -> None:
    """The last pause is cut at the deadline, a last look is taken there, and the error has the id and the time."""
    script = Script(state("PROCESSING"))
    job = sdk.client(script).job(REQUEST_ID)
    with pytest.raises(InferenceTimeout) as caught:
        sdk.call(job.wait, timeout=5, interval=2)
    assert (REQUEST_ID, 5.0) == (caught.value.request_id, caught.value.elapsed_s)
    assert [2, 2, 1] == sdk.time.sleeps
    assert [STATUS] * 4 == script.urls


def test_waiting_no_time_looks_once(sdk: Harness) -> None:
    """A timeout of 0 is one look."""
    script = Script(state("QUEUED"))
    with pytest.raises(InferenceTimeout):
        sdk.call(sdk.client(script).job(REQUEST_ID).wait, timeout=0)
    assert ([STATUS], []) == (script.urls, sdk.time.sleeps)


def test_a_vanished_request_is_not_found(sdk: Harness) -> None:
    """Waiting for a request that the server doesn't know any more ends at once."""
    gone = httpx.Response(404, json={"error": "unknown request", "code": "not_found"})
    script = Script(submitted(), state("QUEUED"), gone)
    with pytest.raises(NotFound, match="404 not_found: unknown request"):
        sdk.call(sdk.client(script).run, SLUG)
    assert 3 == len(script.requests)


@pytest.mark.parametrize(("status", "expected"), [(202, True), (204, False)])
def test_cancel_says_whether_there_was_something_to_stop(sdk: Harness, status: int, expected: bool) -> None:
    """202: it will stop; 204: it had ended, and is erased."""
    script = Script(httpx.Response(status))
    assert expected is sdk.call(sdk.client(script).job(REQUEST_ID).cancel)
    assert [f"DELETE {BASE}/v2/requests/{REQUEST_ID}"] == script.urls


def test_download_fetches_and_writes_the_output(sdk: Harness, tmp_path: Path) -> None:
    """The picture's bytes, followed to where the server keeps them, also into a file."""
    script = Script(
        state("COMPLETED", output="http://files.test/a.png"),
        httpx.Response(307, headers={"location": "http://bucket.test/b.png"}),
        httpx.Response(200, content=b"picture"),
    )
    data = sdk.call(sdk.client(script).job(REQUEST_ID).download, tmp_path / "out.png")
    assert (b"picture", b"picture") == (data, (tmp_path / "out.png").read_bytes())
    assert [RESULT, "GET http://files.test/a.png", "GET http://bucket.test/b.png"] == script.urls


def test_download_sends_no_key_to_where_the_output_lies(sdk: Harness) -> None:
    """An output's URL is its own secret: the key stays with the server."""
    script = Script(state("COMPLETED", output="http://files.test/a.png"), httpx.Response(200, content=b"x"))
    sdk.call(sdk.client(script).job(REQUEST_ID).download)
    assert ["SG_test", None] == [request.headers.get("x-api-key") for request in script.requests]


def test_download_before_the_end_says_to_wait(sdk: Harness) -> None:
    """No output yet is an error that names what to do, and writes nothing."""
    with pytest.raises(OpenkontextError, match=r"is PROCESSING: wait\(\) for it first"):
        sdk.call(sdk.client(Script(state("PROCESSING"))).job(REQUEST_ID).download)


def test_download_of_a_failed_request_is_its_failure(sdk: Harness) -> None:
    """There is no output to download, and the error says why."""
    with pytest.raises(InferenceFailed, match="out of memory"):
        sdk.call(sdk.client(Script(state("FAILED", error="out of memory"))).job(REQUEST_ID).download)


@pytest.mark.parametrize("answer", [{}, {"request_id": "1", "status_url": BASE}, []])
def test_a_submit_without_addresses_is_an_error(sdk: Harness, answer: Any) -> None:
    """A 200 that names no request is no success: nothing could be polled."""
    with pytest.raises(OpenkontextError, match=r"lacks .*response_url"):
        sdk.call(sdk.client(Script(httpx.Response(200, json=answer))).submit_async, SLUG)


def test_a_status_that_is_no_json_is_an_error(sdk: Harness) -> None:
    """A proxy's page under the status URL is not polled until the deadline."""
    script = Script(httpx.Response(200, text="<html>Welcome</html>"))
    with pytest.raises(OpenkontextError, match="is the base URL right"):
        sdk.call(sdk.client(script).job(REQUEST_ID).wait)
    assert 1 == len(script.requests)


def test_pictures_are_read_beside_the_event_loop() -> None:
    """Under asyncio another thread reads and encodes the picture; the blocking client uses its own."""

    class Picture:
        def read(self) -> bytes:
            readers.append(threading.get_ident())
            return b"\xff\xd8\xff"

    readers: list[int] = []
    for kind in ("blocking", "asyncio"):
        with asyncio.Runner() as runner:
            sdk = Harness(kind, runner)
            sdk.call(sdk.client(Script(submitted())).submit_async, SLUG, input_image=Picture())
            sdk.close()
    assert [True, False] == [reader == threading.get_ident() for reader in readers]


def test_clients_close(sdk: Harness) -> None:
    """A client is a context; after it, nothing can be sent."""
    client = sdk.client(Script(submitted()))

    async def use() -> None:
        async with client:
            await client.submit_async(SLUG)

    if sdk.kind == "asyncio":
        sdk.call(use)
    else:
        with client:
            client.submit_async(SLUG)
    with pytest.raises(RuntimeError, match="closed"):
        sdk.call(client.submit_async, SLUG)


def test_the_blocking_client_works_inside_an_event_loop() -> None:
    """A notebook's cells run in a loop, and the blocking client starts none."""

    async def cell() -> str:
        with Client("SG_test", BASE, transport=httpx.MockTransport(Script(submitted()))) as client:
            return client.submit_async(SLUG).request_id

    assert REQUEST_ID == asyncio.run(cell())


def test_a_blocking_step_may_not_suspend() -> None:
    """A step that needs a loop is an error at once, not a result that never comes."""
    with pytest.raises(RuntimeError, match="suspended"):
        settle(asyncio.sleep(0))
