"""Posting: what arrives, what an answer is, and where nothing is posted to."""

import gc
import socket
import time
from email.utils import formatdate

import pytest

from openkontext.media.outward import Policy, Unreachable
from openkontext.media.post import Answer, post
from tests.media.servers import Server, serving
from tests.receivers import receiving

CLOSED = Policy()
HEADERS = {"content-type": "application/json", "webhook-id": "msg_1"}


def trusting(host: str, **settings: float) -> Policy:
    """A policy by which this private host may be posted to."""
    return Policy(allowed_hosts=frozenset({host}), **settings)


def refusal(url: str, policy: Policy = CLOSED, **options) -> str:
    """Why nothing could be posted."""
    with pytest.raises(Unreachable) as caught:
        post(url, b"{}", HEADERS, policy, **options)
    return str(caught.value)


def take_body(connection: socket.socket, server: Server) -> None:
    """Read the rest of the request: a connection closed with something unread may lose its answer."""
    if not server.requests[-1].endswith(b"{}"):
        connection.recv(2)


def test_what_arrives():
    """The bytes and headers as given, at the path and query of the URL."""
    with receiving() as receiver:
        answer = post(f"{receiver.url}?a=1", b'{"a": "\xc3\xbc"}', HEADERS, trusting(receiver.host))
    (got,) = receiver.received
    assert (Answer(204, 0.0), "POST", "/hook?a=1", '{"a": "ü"}') == (answer, got.method, got.path, got.body)
    assert HEADERS | {"host": receiver.host} == {name: got.headers[name] for name in (*HEADERS, "host")}


@pytest.mark.parametrize("status", [200, 301, 302, 303, 307, 308, 404, 410, 500])
def test_any_status_is_an_answer(status: int):
    """A redirect too: where it leads is never asked."""
    with receiving() as inside, receiving(lambda _: (status, {"location": inside.url})) as receiver:
        answer = post(receiver.url, b"{}", HEADERS, trusting("127.0.0.1"))
    assert (status, []) == (answer.status, inside.received)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("120", 120.0), ("0", 0.0), ("soon", 0.0), ("-5", 0.0), ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0), ("", 0.0)],
)
def test_retry_after(value: str, seconds: float):
    """Seconds, or a date; what can't be read, or is over, is no wait."""
    with receiving(lambda _: (503, {"retry-after": value})) as receiver:
        assert Answer(503, seconds) == post(receiver.url, b"{}", HEADERS, trusting(receiver.host))


def test_retry_after_a_date():
    """The seconds until then."""
    with receiving(lambda _: (429, {"retry-after": formatdate(time.time() + 600, usegmt=True)})) as receiver:
        answer = post(receiver.url, b"{}", HEADERS, trusting(receiver.host))
    assert 590 < answer.retry_after <= 600


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://127.1/",
        "http://0x7f000001/",
        "http://2130706433/",
        "http://[::1]/",
        "http://[::ffff:10.0.0.1]/",
        "http://10.0.0.1:8080/",
        "http://169.254.169.254/latest",
    ],
)
def test_private_addresses(url: str):
    """None is connected to, in whatever notation; not even the resolver is asked."""
    asked: list[str] = []

    def resolver(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["8.8.8.8"]

    assert "has a host without a public address" in refusal(url, resolver=resolver)
    assert [] == asked


@pytest.mark.parametrize("addresses", [["10.0.0.1"], ["8.8.8.8", "127.0.0.1"], []])
def test_names_of_private_addresses(addresses: list[str]):
    """A name must have public addresses only, and an unknown one is told in the same words."""
    message = refusal("https://inside.example/", resolver=lambda host, port: addresses)
    assert "has a host without a public address: inside.example" == message


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("ftp://a.example/", "must start with http:// or https://"),
        ("http://a.example:25/", "has the port 25; allowed are 80, 443 and those from 1024 up"),
        ("http://me:secret@a.example/", "must not contain a user name or password"),
    ],
)
def test_urls_that_can_not_be(url: str, words: str):
    """They are refused before anything is looked up."""
    assert words == refusal(url, resolver=lambda host, port: pytest.fail("looked up"))


def test_a_receiver_that_never_answers():
    """The policy's time is all it gets."""
    with receiving(slow=True) as receiver:
        policy = trusting(receiver.host, timeout_seconds=0.1)
        assert "did not answer within 0.1 seconds" == refusal(receiver.url, policy)
        assert 1 == len(receiver.received)


def test_time_that_ends_between_connecting_and_tls():
    """The connection is closed, not left to the garbage collector, which would warn of it."""
    times = iter([0.0, 0.0, 0.0])
    with receiving() as receiver:
        url = receiver.url.replace("http:", "https:")
        message = refusal(url, trusting(receiver.host), clock=lambda: next(times, 30.0))
    gc.collect()
    assert "did not answer within 20 seconds" == message


def test_nobody_there():
    """A port where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/"
        assert "has a host that refuses connections" == refusal(url, trusting("127.0.0.1"))


def test_a_body_without_an_end():
    """Some of it is read and dropped, and the connection closed: the status was all that mattered."""

    def answer(connection: socket.socket, server: Server) -> None:
        take_body(connection, server)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while not server.stopping.is_set():
            connection.sendall(b"x" * 1000)

    with serving(answer) as server:
        assert Answer(200, 0.0) == post(server.url, b"{}", HEADERS, trusting("localhost"))


def test_a_body_that_never_comes():
    """Who gave a status has answered."""

    def answer(connection: socket.socket, server: Server) -> None:
        connection.sendall(b"HTTP/1.1 202 Accepted\r\ncontent-length: 10\r\n\r\n")
        server.stopping.wait(20)

    with serving(answer) as server:
        policy = trusting("localhost", timeout_seconds=0.2)
        assert Answer(202, 0.0) == post(server.url, b"{}", HEADERS, policy)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"hello\r\n\r\n", "was answered with broken HTTP: cut off, or not HTTP at all"),
        (b"", "was answered with broken HTTP: cut off, or not HTTP at all"),
    ],
)
def test_an_answer_that_is_no_http(raw: bytes, words: str):
    """It is told as such."""

    def answer(connection: socket.socket, server: Server) -> None:
        take_body(connection, server)
        connection.sendall(raw)

    with serving(answer) as server:
        assert words == refusal(server.url, trusting("localhost"))


def test_answer_headers_that_are_strange():
    """Bytes beyond ASCII in an answer's header do no harm."""

    def answer(connection: socket.socket, server: Server) -> None:
        take_body(connection, server)
        connection.sendall(b"HTTP/1.1 200 OK\r\nx: \xff\r\nretry-after: \xb2\r\ncontent-length: 0\r\n\r\n")

    with serving(answer) as server:
        assert Answer(200, 0.0) == post(server.url, b"{}", HEADERS, trusting("localhost"))
