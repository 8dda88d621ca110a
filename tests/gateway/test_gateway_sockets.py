"""What only shows on real sockets: clients that hang up, and bodies that don't end."""

import json
import socket
from collections.abc import Iterator

import httpx
import pytest

from tests.gateway.harness import EDIT, PICTURE, RUN, SUBMIT, Live, assert_error
from tests.service import eventually

MEGABYTE = b" " * 1_000_000


def raw(live: Live, path: str, body: bytes, *headers: str, secret: str | None = None) -> bytes:
    """The bytes of a POST."""
    chosen = (f"Host: 127.0.0.1:{live.port}", f"x-api-key: {secret or live.secret}", *headers)
    return "\r\n".join((f"POST {path} HTTP/1.1", *chosen, "", "")).encode() + body


def answer_to(connection: socket.socket) -> tuple[int, dict]:
    """Status and JSON body of the answer on a bare connection."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    while len(body) < length:
        body += connection.recv(65536)
    return int(head.split()[1]), json.loads(body)


def posted(live: Live) -> bytes:
    body = json.dumps(EDIT).encode()
    return raw(live, RUN, body, "content-type: application/json", f"content-length: {len(body)}")


def kinds(live: Live) -> list[str]:
    return [entry.kind for entry in live.services.store.ledger(live.account.id)]


def test_v1_over_a_socket(live):
    """The whole way on a real server."""
    with live.http() as http, live.connect() as connection:
        connection.sendall(posted(live))
        live.worker.complete()
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        assert http.get("/v1/get-user-credits").json() == {"credits": 9.96, "free-credits": 0.0}


def test_hanging_up_while_it_waits_cancels(live):
    """Nobody waits for it any more: a queued job ends at once, uncharged."""
    with live.connect() as connection:
        connection.sendall(posted(live))
        eventually(live.services.store.queue_depth)
    eventually(lambda: kinds(live) == ["grant", "hold", "release"])
    assert live.services.store.queue_depth() == 0


def test_hanging_up_while_it_runs_cancels(live):
    """A running job's worker is told to stop."""
    with live.connect() as connection:
        connection.sendall(posted(live))
        claim = live.worker.take()
        assert not live.services.store.beat(claim)
    eventually(lambda: live.services.store.beat(claim))
    live.services.store.fail(claim, code="cancelled", error="cancelled", metrics={})
    assert kinds(live) == ["grant", "hold", "release"]


def test_hanging_up_of_v2_cancels_nothing(live):
    """A v2 submit is accepted for good."""
    body = json.dumps(EDIT).encode()
    with live.connect() as connection:
        connection.sendall(raw(live, SUBMIT, body, "content-type: application/json", f"content-length: {len(body)}"))
        eventually(live.services.store.queue_depth)
    with live.http() as http:
        assert http.get("/healthz").status_code == 200
    assert kinds(live) == ["grant", "hold"]


def test_a_body_cut_short_is_not_accepted(live):
    """A client that is gone before its body is whole has submitted nothing."""
    body = json.dumps(EDIT).encode()
    with live.connect() as connection:
        connection.sendall(raw(live, SUBMIT, body[:-10], f"content-length: {len(body)}"))
    with live.http() as http:
        assert http.get("/healthz").status_code == 200
    assert (live.services.store.queue_depth(), kinds(live)) == (0, ["grant"])


def endless() -> Iterator[bytes]:
    yield b'{"prompt": "'
    while True:
        yield MEGABYTE


def test_an_endless_body_is_refused_while_it_streams(serve):
    """Without a Content-Length the limit holds all the same, and the answer comes before the end."""
    live = serve(max_body_mb=2)
    with live.http() as http:
        response = http.post(SUBMIT, content=endless(), headers={"content-type": "application/json"})
    assert "2 MB" in assert_error(response, 413, "payload_too_large")["error"]


def test_an_endless_form_is_refused_while_it_streams(serve):
    """A form is no way around the limit."""
    live = serve(max_body_mb=2)
    head = b'--a\r\nContent-Disposition: form-data; name="input_image"; filename="a.png"\r\n\r\n'

    def form() -> Iterator[bytes]:
        yield head
        yield from endless()

    with live.http() as http:
        response = http.post(SUBMIT, content=form(), headers={"content-type": "multipart/form-data; boundary=a"})
    assert_error(response, 413, "payload_too_large")


@pytest.mark.parametrize(("secret", "status", "code"), [(None, 413, "payload_too_large"), ("SG_0", 401, "invalid_key")])
def test_a_declared_length_is_enough(live, secret, status, code):
    """A body announced as too large is refused before a byte of it arrives, after the key."""
    with live.connect() as connection:
        connection.sendall(raw(live, SUBMIT, b"", "content-length: 99000000000", secret=secret))
        answered, body = answer_to(connection)
    assert (status, code) == (answered, body["code"])


def test_a_length_that_lies(live):
    """What comes after the announced length is no part of the body, and nothing is submitted."""
    with live.connect() as connection:
        connection.sendall(raw(live, SUBMIT, json.dumps(EDIT).encode(), "content-length: 10"))
        assert connection.recv(65536).startswith(b"HTTP/1.1 400 ")
    assert (live.services.store.queue_depth(), kinds(live)) == (0, ["grant"])


def test_a_wrong_key_is_told_at_once(live):
    """A huge body of somebody unknown isn't read: the key comes first."""
    with httpx.Client(base_url=live.url, headers={"x-api-key": "SG_0"}, timeout=30) as http:
        response = http.post(SUBMIT, content=MEGABYTE * 40)
        assert_error(response, 401, "invalid_key")


def test_one_connection_goes_on_after_a_refusal(live):
    """A refused request leaves its connection usable."""
    with live.http() as http:
        for _ in range(2):
            assert_error(http.post(SUBMIT, json=EDIT | {"seed": "x"}), 400, "invalid_parameter")
            assert http.post(SUBMIT, json=EDIT).status_code == 200


def test_files_over_a_socket(live):
    """The output streams from a real server, once by its address alone."""
    with live.http() as http:
        submitted = http.post(SUBMIT, json=EDIT).json()
        live.worker.complete()
        output = http.get(submitted["response_url"]).json()["output"]
    assert httpx.get(output).content == PICTURE
