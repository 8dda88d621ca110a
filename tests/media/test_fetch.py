"""Fetching against real servers: what works, every way a server can misbehave, and every way into a private network."""

import gzip
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from openkontext.contract import Problem
from openkontext.media.fetch import FetchPolicy, Resolver, fetch
from tests.media.servers import Server, drip, pour, reset, response, serving

BODY = b"\x89PNG, or so it says"
CLOSED = FetchPolicy(timeout_seconds=20)
CERTIFICATE = Path(__file__).with_name("pictures.test.pem")
TLS_POLICY = FetchPolicy(allowed_hosts=frozenset({"pictures.test", "other.test", "localhost", "127.0.0.1"}))


def trusting(*servers: Server, **settings: float) -> FetchPolicy:
    """A policy that allows ``servers`` by the name in their URL."""
    hosts = frozenset(f"localhost:{server.port}" for server in servers)
    return replace(FetchPolicy(allowed_hosts=hosts), **settings)


def refusal(url: str, policy: FetchPolicy, **options: Resolver) -> str:
    """The message with which a fetch fails, which it does long before a test's patience ends."""
    started = time.monotonic()
    with pytest.raises(Problem) as caught:
        fetch(url, policy, **options)
    assert ("fetch_failed", 400) == (caught.value.code, caught.value.status)
    assert caught.value.message.startswith("the image's URL ")
    assert time.monotonic() - started < 4
    return caught.value.message.removeprefix("the image's URL ")


def resolving(*addresses: str) -> Resolver:
    """A resolver that finds ``addresses`` for every name."""
    return lambda host, port: list(addresses)


@pytest.fixture
def tls() -> ssl.SSLContext:
    """A server's TLS with a certificate for ``pictures.test``, which nobody trusts by default."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    return context


@pytest.fixture
def authority(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trust that certificate, as an operator with an authority of their own would."""
    monkeypatch.setenv("SSL_CERT_FILE", os.fspath(CERTIFICATE))


def test_a_body_comes_as_it_is() -> None:
    """The bytes, and a request that says no more than it must."""
    with serving(response(BODY)) as server:
        assert BODY == fetch(server.url + "?x=%20y#z", trusting(server))
    lines = server.requests[0].decode().split("\r\n")
    assert "GET /a.png?x=%20y HTTP/1.1" == lines[0]
    names = sorted(line.split(":")[0].lower() for line in lines[1:] if line)
    assert ["accept", "accept-encoding", "connection", "host", "user-agent"] == names
    assert f"host: localhost:{server.port}" in [line.lower() for line in lines]


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n"
        + BODY[:3]
        + b"\r\n10\r\n"
        + BODY[3:]
        + b"\r\n0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\n\r\n" + BODY,
        b"HTTP/1.1 100 Continue\r\n\r\n" + response(BODY),
        response(BODY, content_encoding="identity", content_type="text/html"),
        response(BODY) + b"more than the length says",
    ],
    ids=["chunked", "until it closes", "after a 100", "identity", "too long"],
)
def test_every_framing(answer: bytes) -> None:
    """However HTTP frames a body, it is the same."""
    with serving(answer) as server:
        assert BODY == fetch(server.url, trusting(server))


def test_size_limit_to_the_byte() -> None:
    """The limit itself is allowed."""
    with serving(response(BODY)) as server:
        assert BODY == fetch(server.url, trusting(server, max_bytes=len(BODY)))
        assert "holds more than 1.8e-05 MB" == refusal(server.url, trusting(server, max_bytes=len(BODY) - 1))


REFUSED = {
    "404": (response(b"no", "404 Not Found"), "was answered with status 404 instead of 200"),
    "403 without reason": (response(b"no", "403 "), "status 403"),
    "500": (response(b"no", "500 Oops"), "status 500"),
    "204": (b"HTTP/1.1 204 No Content\r\n\r\n", "status 204"),
    "206": (response(BODY, "206 Partial Content"), "status 206"),
    "304": (b"HTTP/1.1 304 Not Modified\r\n\r\n", "status 304"),
    "a redirect to nowhere": (response(b"", "302 Found"), "status 302"),
    "gzip": (response(gzip.compress(bytes(50_000_000)), content_encoding="gzip"), "'gzip' compression"),
    "two compressions": (response(BODY, content_encoding="br, gzip"), "'br, gzip' compression"),
    "a length too long": (response(BODY, content_length="100"), "broken HTTP: cut off"),
    "a length that is none": (response(BODY, content_length="many"), "broken HTTP"),
    "a length of 5,000 digits": (response(BODY, content_length="9" * 5000), "broken HTTP"),
    "two lengths": (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", "broken HTTP"),
    "half a chunk": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nabc", "broken HTTP"),
    "no HTTP": (b"SSH-2.0-OpenSSH_9.9\r\n", "broken HTTP"),
    "nothing": (b"", "broken HTTP"),
    "half a header": (b"HTTP/1.1 200 OK\r\nContent-", "broken HTTP"),
    "endless headers": (b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 50_000, "more than 32 KB of headers"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_answers(name: str) -> None:
    """Each way to answer badly has its words."""
    answer, words = REFUSED[name]
    with serving(answer) as server:
        assert words in refusal(server.url, trusting(server))


def announce_much(connection: socket.socket, server: Server) -> None:
    """Say that a huge body follows, and send none of it."""
    connection.sendall(response(content_length="20000001"))
    server.stopping.wait()


CHUNK = b"10000\r\n" + bytes(65536) + b"\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        announce_much,
        pour(b"HTTP/1.1 200 OK\r\n\r\n", bytes(65536)),
        pour(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", CHUNK),
        pour(b"HTTP/1.1 200 OK\r\nContent-Length: 9999999999999999999\r\n\r\n", bytes(65536)),
    ],
    ids=["announced", "endless", "endless chunks", "announced and endless"],
)
def test_a_body_too_large_is_cut(answer: Callable[[socket.socket, Server], None]) -> None:
    """Too much is refused as soon as it is announced, or at the limit."""
    with serving(answer) as server:
        assert "holds more than 20 MB" == refusal(server.url, trusting(server))


SLOW = {
    "says nothing": drip(b"", b""),
    "drips headers": drip(b"HTTP/1.1 200 OK\r\nx: ", b"y"),
    "drips body": drip(b"HTTP/1.1 200 OK\r\n\r\n", b"y"),
    "drips chunks": drip(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\ny\r\n"),
    "goes on with 100": drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
}


@pytest.mark.parametrize("name", SLOW)
def test_slow_servers_meet_the_deadline(name: str) -> None:
    """No server keeps a fetch longer than the deadline, however it spreads its bytes."""
    with serving(SLOW[name]) as server:
        assert "could not be fetched within 0.2 seconds" == refusal(server.url, trusting(server, timeout_seconds=0.2))


def test_slow_tls_meets_the_deadline() -> None:
    """Nor in the handshake."""
    with serving(drip(b"\x16\x03\x03\x40\x00", b"\0")) as server:
        url = server.url.replace("http:", "https:")
        assert "could not be fetched within 0.2 seconds" == refusal(url, trusting(server, timeout_seconds=0.2))


@pytest.mark.usefixtures("authority")
def test_a_slow_body_in_tls_meets_the_deadline(tls: ssl.SSLContext) -> None:
    """Nor after the handshake."""
    with serving(SLOW["drips body"], tls) as server:
        policy = replace(TLS_POLICY, timeout_seconds=0.5)
        message = refusal(f"https://pictures.test:{server.port}/", policy, resolver=resolving("127.0.0.1"))
    assert "could not be fetched within 0.5 seconds" == message


def test_slow_redirects_meet_the_deadline() -> None:
    """The deadline is for all redirects together."""
    with serving(response(b"", "302 Found", location="/again")) as server, pytest.raises(Problem) as caught:
        # Each answer takes 8 seconds: the third is late.
        fetch(server.url, trusting(server), clock=lambda: 8.0 * len(server.requests))
    assert len(server.requests) <= 3
    assert "the image's URL could not be fetched within 20 seconds" == caught.value.message


def test_slow_names_meet_the_deadline() -> None:
    """Nor does a resolver that hangs, whose own time-outs no program can set."""
    asked = threading.Event()

    def hang(host: str, port: int) -> list[str]:
        asked.wait(60)
        return []

    message = refusal("http://slow.example/", replace(CLOSED, timeout_seconds=0.1), resolver=hang)
    asked.set()
    assert "has a host whose name could not be looked up in time: slow.example" == message


def test_silence_is_shorter_than_the_deadline() -> None:
    """A server that stops sending is given up before the whole time is spent."""
    with serving(drip(b"HTTP/1.1 200 OK\r\n\r\nab", b"")) as server:
        assert "has a host that sent nothing for 0.1 seconds" == refusal(server.url, trusting(server, read_seconds=0.1))


def test_a_host_that_does_not_answer() -> None:
    """A connection that is never accepted is given up, too."""
    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        # Two fill the queue of a listener that accepts none; the system then ignores the next.
        for waiting in (first, second):
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        host = f"127.0.0.1:{full.getsockname()[1]}"
        policy = FetchPolicy(allowed_hosts=frozenset({host}), connect_seconds=0.1)
        assert "has a host that did not answer within 0.1 seconds" == refusal(f"http://{host}/", policy)


def test_a_closed_port() -> None:
    """A refused connection says so."""
    with serving(b"") as server:
        pass
    assert "has a host that refuses connections" == refusal(server.url, trusting(server))


def test_a_connection_that_is_reset() -> None:
    """So does one that breaks."""
    with serving(reset) as server:
        assert "has a host that dropped the connection" == refusal(server.url, trusting(server))


PRIVATE = [
    "127.0.0.1",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "127.1",
    "127.0.1",
    "0",
    "2130706433",
    "0x7f000001",
    "0x7f.1",
    "0177.0.0.1",
    "017700000001",
    "[::1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::127.0.0.1]",
    "[64:ff9b::127.0.0.1]",
    "[2002:7f00:1::]",
    "１２７.0.0.1",
    "127。0。0。1",
]


@pytest.mark.parametrize("host", PRIVATE)
def test_no_notation_of_loopback_is_reached(host: str) -> None:
    """Whatever the system's resolver makes of a host, a server on this machine is not asked."""
    with serving(response(BODY)) as server:
        message = refusal(f"http://{host}:{server.port}/", CLOSED)
    assert message.startswith("has a host without a public address: ")
    assert [] == server.requests


@pytest.mark.parametrize(
    "addresses",
    [
        [],
        ["10.0.0.8"],
        ["169.254.169.254"],
        ["8.8.8.8", "127.0.0.1"],
        ["2606:4700::1", "::1"],
        ["fe80::1%eth0"],
        ["junk"],
    ],
)
def test_names_of_private_addresses(addresses: list[str]) -> None:
    """One private address among those of a name is enough; and an unknown name reads the same as a private one."""
    message = refusal("http://intranet.example/", CLOSED, resolver=resolving(*addresses))
    assert "has a host without a public address: intranet.example" == message


def test_a_name_that_does_not_exist() -> None:
    """The system's resolver says no, and so do we, in the words for private names."""
    assert "has a host without a public address: nowhere.invalid" == refusal("http://nowhere.invalid/", CLOSED)


def test_a_redirect_into_the_private_network_is_refused() -> None:
    """The target is checked as the first address was, and never asked."""
    with serving(response(BODY)) as inner:
        for location in (f"http://127.0.0.1:{inner.port}/", f"//0x7f.1:{inner.port}/", inner.url):
            with serving(response(b"", "302 Found", location=location)) as outer:
                assert "has a host without a public address" in refusal(outer.url, trusting(outer))
    assert [] == inner.requests


REDIRECTS = {
    "file:///etc/passwd": "is redirected to one that must start with http",
    "http://user:pass@localhost/": "is redirected to one that must not contain a user name",
    "http://local host/": "is redirected to one that has a space",
    "http://localhost:99999/": "is redirected to one that has a host or port",
}


@pytest.mark.parametrize("location", REDIRECTS)
def test_bad_redirects(location: str) -> None:
    """A redirect is held to the rules of a URL."""
    with serving(response(b"", "302 Found", location=location)) as server:
        assert REDIRECTS[location] in refusal(server.url, trusting(server))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_followed(status: int) -> None:
    """Each kind, relative and absolute, to another server and up to the limit."""

    def hop(connection: socket.socket, server: Server) -> None:
        steps = len(server.requests)
        location = ["", "/two", f"http://localhost:{server.port}/three", last.url][steps]
        connection.sendall(response(b"elsewhere", f"{status} Moved", location=location))

    with serving(response(BODY)) as last, serving(hop) as server:
        assert BODY == fetch(server.url, trusting(server, last))
    assert [b"/a.png", b"/two", b"/three"] == [request.split()[1] for request in server.requests]


def test_redirect_loops_end() -> None:
    """After three."""
    with serving(response(b"", "302 Found", location="/a.png")) as server:
        assert "is redirected more than 3 times" == refusal(server.url, trusting(server))
    assert 4 == len(server.requests)


def test_the_checked_address_is_the_one_connected_to() -> None:
    """The name goes into the Host header only: a second answer of its resolver is never asked for."""
    answers = iter([["127.0.0.1"], ["127.0.0.2"]])
    with serving(response(BODY)) as server:
        policy = FetchPolicy(allowed_hosts=frozenset({"pictures.test"}))
        url = f"http://pictures.test:{server.port}/"
        assert BODY == fetch(url, policy, resolver=lambda host, port: next(answers))
    assert [["127.0.0.2"]] == list(answers)
    assert f"host: pictures.test:{server.port}\r\n".encode() in server.requests[0].lower()


def test_a_name_that_changes_its_mind(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that is public when checked and loopback when connected to: the connection goes to the public address."""
    answers = iter([["8.8.8.8"], ["127.0.0.1"]])
    tried: list[tuple[str, int]] = []

    def record(address: tuple[str, int], *_: object, **__: object) -> socket.socket:
        tried.append(address)
        raise ConnectionRefusedError

    # The one place where a test must not do the real thing: it would connect to a stranger.
    monkeypatch.setattr(socket, "create_connection", record)
    message = refusal("http://rebind.example:8080/", CLOSED, resolver=lambda host, port: next(answers))
    assert ("has a host that refuses connections", [("8.8.8.8", 8080)]) == (message, tried)


def test_the_next_address_is_tried() -> None:
    """Of several addresses the first that answers serves."""
    with serving(response(BODY)) as server:
        policy = FetchPolicy(allowed_hosts=frozenset({f"two.test:{server.port}"}))
        url = f"http://two.test:{server.port}/"
        assert BODY == fetch(url, policy, resolver=resolving("::1", "127.0.0.2", "127.0.0.1"))


ALLOWED = {
    "127.0.0.1": True,
    "127.0.0.1:{port}": True,
    "127.0.0.1:1": False,
    "localhost": False,
    "localhost:{port}": False,
    "127.0.0.1.": False,
    "": False,
}


@pytest.mark.parametrize("host", ALLOWED)
def test_hosts_allowed_by_name(host: str) -> None:
    """A host is allowed by what stands in the URL, with its port or with all, and not by what it resolves to."""
    with serving(response(BODY)) as server:
        policy = FetchPolicy(allowed_hosts=frozenset({host.format(port=server.port)}))
        url = f"http://127.0.0.1:{server.port}/"
        if ALLOWED[host]:
            assert BODY == fetch(url, policy)
        else:
            assert "without a public address" in refusal(url, policy)


def test_allowed_ipv6_hosts() -> None:
    """They are named in brackets, as in a URL."""
    with serving(b"") as server:
        pass
    hosts = ["[::1]", f"[::1]:{server.port}", "::1", f"::1:{server.port}"]
    policies = [FetchPolicy(allowed_hosts=frozenset({host})) for host in hosts]
    messages = [refusal(f"http://[::1]:{server.port}/", policy) for policy in policies]
    closed, forbidden = "has a host that refuses connections", "has a host without a public address: ::1"
    assert [closed, closed, forbidden, forbidden] == messages


@pytest.mark.parametrize("port", [1, 22, 25, 445, 1023])
def test_ports_of_other_services(port: int) -> None:
    """Ports where something else than HTTP listens are refused before the name is looked up."""
    message = refusal(f"http://public.example:{port}/", CLOSED, resolver=resolving())
    assert f"has the port {port}; allowed are 80, 443 and those from 1024 up" == message


def test_bad_urls() -> None:
    """What `check_url` refuses at submit is refused here, too."""
    assert "must start with http:// or https://" == refusal("ftp://host/", CLOSED)


def test_the_environment_has_no_say(monkeypatch: pytest.MonkeyPatch) -> None:
    """Proxies of the environment, which would connect where they like, are not used."""
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with serving(response(BODY)) as server:
        assert BODY == fetch(server.url, trusting(server))


@pytest.mark.usefixtures("authority")
def test_tls_is_with_the_name(tls: ssl.SSLContext) -> None:
    """The name is sent and the certificate checked against it, though the connection goes to a checked address."""
    names: list[str | None] = []
    tls.sni_callback = lambda socket, name, context: names.append(name)
    with serving(response(BODY), tls) as server:
        url = f"https://pictures.test:{server.port}/"
        assert BODY == fetch(url, TLS_POLICY, resolver=resolving("127.0.0.1"))
    assert ["pictures.test"] == names


@pytest.mark.usefixtures("authority")
@pytest.mark.parametrize("host", ["other.test", "127.0.0.1"])
def test_a_certificate_of_another_name(tls: ssl.SSLContext, host: str) -> None:
    """A certificate for another name is refused, and so is one when the host is an address."""
    with serving(response(BODY), tls) as server:
        message = refusal(f"https://{host}:{server.port}/", TLS_POLICY, resolver=resolving("127.0.0.1"))
    assert message.startswith("has a host whose certificate is not valid: ")
    assert [] == server.requests


def test_an_unknown_authority(tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch) -> None:
    """A certificate that nobody vouches for is refused."""
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    with serving(response(BODY), tls) as server:
        message = refusal(f"https://pictures.test:{server.port}/", TLS_POLICY, resolver=resolving("127.0.0.1"))
    assert message.startswith("has a host whose certificate is not valid: ")
    assert [] == server.requests


def test_certificates_that_are_missing_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the operator has set wrong is a defect that names the file, not the fault of the client's host."""
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere.pem")
    with pytest.raises(FileNotFoundError):
        fetch("https://pictures.test/", TLS_POLICY, resolver=resolving("127.0.0.1"))


def test_no_tls_at_all() -> None:
    """A server that speaks plain HTTP on an https address is told apart from a bad certificate."""
    with serving(response(BODY)) as server:
        url = server.url.replace("http:", "https:")
        assert "has a host that does not speak TLS, or only an old one" == refusal(url, trusting(server))
