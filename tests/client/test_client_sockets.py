"""Both clients over real sockets, against a small real server: slow, broken and absent ones."""

import json
import socket
from typing import Any

import httpx
import pytest

from tests.client.parts import REQUEST_ID, Harness, SmallServer, addresses
from tests.service import eventually

PATH = f"/v2/requests/{REQUEST_ID}"


def body(name: str, **more: Any) -> tuple[int, str]:
    return 200, json.dumps({"status": name, "request_id": REQUEST_ID} | more)


def test_an_edit_over_the_network(sdk: Harness, server: SmallServer) -> None:
    """Submit, poll, result and download, with everything real but the model."""
    server.answers = {
        "/v2/slug": (200, json.dumps({"status": "QUEUED"} | addresses(server.url))),
        f"{PATH}/status": [body("PROCESSING"), body("COMPLETED")],
        PATH: body("COMPLETED", output=f"{server.url}/x.png"),
        "/x.png": (200, b"picture"),
    }
    job = sdk.call(sdk.client(base_url=server.url).submit_async, "slug", input_image=b"GIF89a", prompt="snow")
    assert f"{server.url}/x.png" == sdk.call(job.wait)["output"]
    assert b"picture" == sdk.call(job.download)
    assert {"input_image": "data:image/gif;base64,R0lGODlh", "prompt": "snow"} == json.loads(server.bodies[0])


def test_an_edit_survives_a_bad_moment(sdk: Harness, server: SmallServer) -> None:
    """A hang, a broken connection and a 503, then the answer: each time with the same key, by which it is one edit."""
    answer = (200, json.dumps(addresses(server.url)))
    server.answers = {"/v2/slug": ["hang", "drop", (503, "{}"), answer]}
    job = sdk.call(sdk.client(base_url=server.url, timeout=0.2).submit_async, "slug", input_image=b"GIF89a")
    assert REQUEST_ID == job.request_id
    assert ["POST /v2/slug"] * 4 == server.seen
    assert 1 == len({headers["idempotency-key"] for headers in server.headers})
    assert 1 == len(set(server.bodies))


def test_an_edit_without_an_answer_is_given_up(sdk: Harness, server: SmallServer) -> None:
    """A server that hangs on and on is believed after the repeats."""
    server.answers = {"/v2/slug": "hang"}
    with pytest.raises(httpx.ReadTimeout):
        sdk.call(sdk.client(base_url=server.url, timeout=0.05, max_retries=1).submit_async, "slug")
    # The server may have been too busy to look at what was given up.
    eventually(lambda: len(server.seen) == 2)
    assert ["POST /v2/slug"] * 2 == server.seen


def test_looking_survives_a_bad_moment(sdk: Harness, server: SmallServer) -> None:
    """A hang, a broken connection and a 503, then the answer."""
    server.answers = {f"{PATH}/status": ["hang", "drop", (503, "{}"), body("QUEUED")]}
    job = sdk.client(base_url=server.url, timeout=0.2).job(REQUEST_ID)
    assert "QUEUED" == sdk.call(job.status)["status"]
    assert [f"GET {PATH}/status"] * 4 == server.seen


def test_v1_may_take_longer_than_the_timeout(sdk: Harness, server: SmallServer) -> None:
    """The server's work on the picture comes on top."""
    server.answers = {"/v1/slug": ("late", 0.4, (200, b"picture"))}
    response = sdk.call(sdk.client(base_url=server.url, timeout=0.1).run_sync, "slug")
    assert b"picture" == response.content


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_no_server_is_said_after_three_repeats(sdk: Harness) -> None:
    """A refused connection is tried four times in all, and the error says where."""
    port = free_port()
    with pytest.raises(httpx.ConnectError) as caught:
        sdk.call(sdk.client(base_url=f"http://127.0.0.1:{port}").submit_async, "slug")
    assert 3 == len(sdk.time.sleeps)
    assert f"No answer from http://127.0.0.1:{port};" in caught.value.__notes__[0]


def test_an_edit_waits_for_a_server_that_is_starting(sdk: Harness) -> None:
    """Nothing was sent while there was no server, so the edit is sent when there is one: once."""
    port = free_port()
    servers: list[SmallServer] = []

    def start(_: float) -> None:
        servers.append(SmallServer(port))
        servers[0].answers = {"/v2/slug": (200, json.dumps(addresses()))}

    async def async_start(_: float) -> None:
        start(_)

    client = sdk.client(base_url=f"http://127.0.0.1:{port}", sleep=start if sdk.kind == "blocking" else async_start)
    try:
        assert REQUEST_ID == sdk.call(client.submit_async, "slug").request_id
        assert [["POST /v2/slug"]] == [server.seen for server in servers]
    finally:
        for server in servers:
            server.close()
