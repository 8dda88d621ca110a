"""Connections that mean harm: what isn't HTTP, heads and bodies without end, clients that dawdle, too many of them."""

import json
import select
import socket
import struct
import threading
from contextlib import ExitStack
from random import Random

import pytest

from openkontext.gateway.protocol import MAX_FIELDS, MAX_HEAD, MAX_PIPELINED
from tests.gateway.harness import EDIT, SUBMIT, Live
from tests.gateway.test_gateway_sockets import answer_to, posted, raw
from tests.service import eventually

MANGLED = 400
WEDGES = (b"\r\n", b"\r\n\r\n", b"\n", b"\x00", b": ", b"chunked", b"9" * 20, b" ")
HOST = b"Host: gateway.test\r\n"
POST = b"POST /v2/flux-kontext-dev HTTP/1.1\r\n" + HOST
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n"
HEALTH = b"GET /healthz HTTP/1.1\r\n" + HOST

NOT_HTTP = {
    "a TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a version of the future": b"GET /healthz HTTP/9.9\r\n" + HOST + b"\r\n",
    "no version": b"GET /healthz\r\n\r\n",
    "a method of one's own": b"SNOW /healthz HTTP/1.1\r\n" + HOST + b"\r\n",
    "a proxy's request": b"CONNECT gateway.test:443 HTTP/1.1\r\n" + HOST + b"\r\n",
    "bytes in the address": b"GET /\xff\xfe HTTP/1.1\r\n" + HOST + b"\r\n",
    "a space in the address": b"GET /a b HTTP/1.1\r\n" + HOST + b"\r\n",
    "bare line feeds": b"GET /healthz HTTP/1.1\nHost: gateway.test\n\n",
    "a folded field": HEALTH + b"X-One: a\r\n b\r\n\r\n",
    "a space before the colon": HEALTH + b"X-One : a\r\n\r\n",
    "a zero in a value": HEALTH + b"X-One: a\x00b\r\n\r\n",
    "no colon": HEALTH + b"X-One\r\n\r\n",
    "no host": b"GET /healthz HTTP/1.1\r\n\r\n",
    "two hosts": HEALTH + b"Host: other.test\r\n\r\n",
    "length and chunks": CHUNKED + b"Content-Length: 3\r\n\r\n0\r\n\r\n",
    "chunks and length": POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "the same length twice": POST + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    "a list of lengths": POST + b"Content-Length: 3, 3\r\n\r\nabc",
    "a length with a sign": POST + b"Content-Length: +3\r\n\r\nabc",
    "a negative length": POST + b"Content-Length: -3\r\n\r\nabc",
    "a hexadecimal length": POST + b"Content-Length: 0x3\r\n\r\nabc",
    "a length beyond numbers": POST + b"Content-Length: 99999999999999999999\r\n\r\n",
    "an unknown coding": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "a hidden coding": POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "chunks twice": CHUNKED + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "compressed chunks": POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunks and more": POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "chunks in HTTP/1.0": b"POST /healthz HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a chunk size that overflows": CHUNKED + b"\r\nFFFFFFFFFFFFFFFFFF\r\nabc",
    "a negative chunk": CHUNKED + b"\r\n-3\r\nabc\r\n0\r\n\r\n",
    "a chunk size with a prefix": CHUNKED + b"\r\n0x3\r\nabc\r\n0\r\n\r\n",
    "a chunk that is longer than it says": CHUNKED + b"\r\n3\r\nabcdef\r\n0\r\n\r\n",
    "chunks with bare line feeds": CHUNKED + b"\r\n3\nabc\n0\n\n",
}

TOO_LARGE = {
    "an address": b"GET /" + b"a" * MAX_HEAD + b" HTTP/1.1\r\n" + HOST + b"\r\n",
    "a query": b"GET /?" + b"a" * MAX_HEAD + b" HTTP/1.1\r\n" + HOST + b"\r\n",
    "a method": b"G" * 2 * MAX_HEAD,
    "a value": HEALTH + b"X-One: " + b"a" * MAX_HEAD + b"\r\n\r\n",
    "a value without end": HEALTH + b"X-One: " + b"a" * 2 * MAX_HEAD,
    "a name without end": HEALTH + b"a" * 2 * MAX_HEAD,
    "many fields": HEALTH + b"a:b\r\n" * MAX_FIELDS + b"\r\n",
    "large fields": HEALTH + (b"a: " + b"b" * 8000 + b"\r\n") * 9 + b"\r\n",
    "blank lines": b"\r\n" * MAX_HEAD,
}


def said_to(live: Live, data: bytes) -> bytes:
    """All that the server says to ``data`` until it closes."""
    with live.connect() as connection:
        connection.sendall(data)
        return rest_of(connection)


def rest_of(connection: socket.socket) -> bytes:
    pieces = []
    while piece := connection.recv(65536):
        pieces.append(piece)
    return b"".join(pieces)


def refusal(answer: bytes) -> tuple[int, str | None]:
    """Status and code of the one answer."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"\r\nconnection: close" in head.lower()
    return int(head.split()[1]), json.loads(body).get("code")


def untouched(live: Live) -> bool:
    """Nothing was submitted, and the server goes on."""
    with live.http() as http:
        return http.get("/healthz").status_code == 200 and live.services.store.queue_depth() == 0


def test_what_is_not_http_is_refused(live):
    """Every way to be read as two requests, or as none, is a 400 in the service's shape, and the connection's end."""
    answers = {name: refusal(said_to(live, data)) for name, data in NOT_HTTP.items()}
    assert dict.fromkeys(NOT_HTTP, (400, "invalid_http")) == answers
    assert untouched(live)


def mangled(random: Random) -> bytes:
    """Requests, some of them good, cut, doubled, swapped and with other bytes in them."""
    body = json.dumps(EDIT).encode()[:200]
    whole = [HEALTH + b"\r\n", CHUNKED + b"\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)]
    data = bytearray(b"".join(random.choices([*whole, *NOT_HTTP.values()], k=random.randint(1, 3))))
    for _ in range(random.randint(0, 6)):
        place = random.randrange(len(data))
        kind = random.randrange(4)
        if kind == 0:
            data[place] = random.randrange(256)
        elif kind == 1:
            del data[place : place + random.randint(1, 20)]
        elif kind == 2:
            data[place:place] = random.choice(WEDGES)
        else:
            data[place:place] = data[place : place + random.randint(1, 200)]
        data = data or bytearray(b" ")
    return bytes(data)


def test_mangled_requests_do_no_harm(live):
    """Whatever comes: all that is said to it is answers of this service, and it goes on."""
    random = Random(5)
    for _ in range(MANGLED):
        with live.connect() as connection:
            connection.sendall(mangled(random))
            connection.shutdown(socket.SHUT_WR)
            assert rest_of(connection).count(b"HTTP/1.1 5") == 0
    assert untouched(live)
    assert len(live.server.connections) <= 1


def test_a_head_has_bounds(live):
    """A flood of headers, or one without end, is a 431 before it fills anything."""
    answers = {name: refusal(said_to(live, data))[1] for name, data in TOO_LARGE.items()}
    # llhttp itself knows that no method is so long.
    assert {name: "invalid_http" if name == "a method" else "head_too_large" for name in TOO_LARGE} == answers
    assert untouched(live)


@pytest.mark.parametrize(
    "flood",
    [b"0\r\n" + b"x-one: " + b"a" * 65536, b"0\r\n" + b"a:b\r\n" * 14000, b"3;" + b"a" * 65536],
    ids=["one trailer", "many trailers", "an extension"],
)
def test_beside_a_body_there_are_bounds_too(live, flood):
    """Trailers and the extensions of chunks don't count as a body, and have an end all the same."""
    with live.connect() as connection:
        connection.sendall(raw(live, SUBMIT, b"", "transfer-encoding: chunked"))
        connection.sendall(flood)
        for _ in range(8):
            connection.sendall(flood[-65000:])
        assert answer_to(connection)[0] in (400, 431)
    assert untouched(live)


def test_trailers_are_no_headers(live):
    """What comes after a body can't say who asks, or that it was asked before."""
    body = json.dumps(EDIT).encode()
    chunks = b"%x\r\n%s\r\n0\r\n" % (len(body), body)
    kind = ("content-type: application/json", "transfer-encoding: chunked")
    for _ in range(2):
        with live.connect() as connection:
            connection.sendall(raw(live, SUBMIT, chunks + b"Idempotency-Key: once\r\n\r\n", *kind))
            assert answer_to(connection)[0] == 200
    assert live.services.store.queue_depth() == 2
    with live.connect() as connection:
        late = CHUNKED + b"\r\n" + chunks + f"x-api-key: {live.secret}\r\n\r\n".encode()
        connection.sendall(late)
        status, said = answer_to(connection)
        assert (401, "missing_key") == (status, said["code"])


def test_a_body_in_the_smallest_pieces(live):
    """A chunk for every byte is slow work, and the same request."""
    body = json.dumps(EDIT).encode()
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"
    with live.connect() as connection:
        connection.sendall(raw(live, SUBMIT, chunks, "content-type: application/json", "transfer-encoding: chunked"))
        assert answer_to(connection)[0] == 200


def test_a_silent_connection_is_closed(serve):
    """Who says nothing is told nothing."""
    assert said_to(serve(header_timeout=0.2), b"") == b""


@pytest.mark.parametrize("start", [b"GET /healthz HT", HEALTH, b"\r\n", HEALTH + b"\r\n" + HEALTH])
def test_a_head_that_dawdles(serve, start):
    """The time of a head is bounded, on a connection that was good before too."""
    answers = said_to(serve(header_timeout=0.2), start)
    assert answers.endswith(b'"code": "request_timeout"}')
    assert answers.count(b"HTTP/1.1 200 ") == start.count(b"\r\n\r\n")


def test_a_head_that_trickles(serve):
    """A byte now and then is no way to keep a connection."""
    live = serve(header_timeout=0.2)
    stop = threading.Event()

    def trickle(connection: socket.socket) -> None:
        while not stop.wait(0.05):
            connection.sendall(b"a")

    with live.connect() as connection:
        connection.sendall(HEALTH)
        thread = threading.Thread(target=trickle, args=(connection,))
        thread.start()
        assert answer_to(connection)[1]["code"] == "request_timeout"
        stop.set()
        thread.join()


@pytest.mark.parametrize("framing", ["content-length: 1000000", "transfer-encoding: chunked"])
def test_a_body_that_dawdles(serve, framing):
    """The time of a body is bounded, and nothing is submitted."""
    live = serve(body_timeout=0.2)
    with live.connect() as connection:
        connection.sendall(raw(live, SUBMIT, b"1\r\n{\r\n", framing, "content-type: application/json"))
        status, body = answer_to(connection)
        assert (408, "request_timeout") == (status, body["code"])
        assert connection.recv(1) == b""
    assert untouched(live)


def test_slow_bodies_fill_no_memory(live, monkeypatch):
    """All large bodies that are under way have a limit together; small ones pass, and it's over when they are."""
    monkeypatch.setattr("openkontext.gateway.limits.MOST_UNDER_WAY", 3_000_000)
    start = raw(live, SUBMIT, b" " * 2_500_000, "content-length: 3000000", "content-type: application/json")
    with live.http() as http:
        with live.connect() as slow, live.connect() as other:
            slow.sendall(start)
            other.sendall(start)
            status, body = first_answer(slow, other)
            assert (503, "overloaded") == (status, body["code"])
            assert http.post(SUBMIT, json=EDIT).status_code == 200
        eventually(lambda: len(live.server.connections) == 1)
        assert http.post(SUBMIT, content=b" " * 2_500_000 + json.dumps(EDIT).encode()).status_code == 200


def first_answer(*connections: socket.socket) -> tuple[int, dict]:
    """That of whichever is answered."""
    readable, _, _ = select.select(connections, [], [], 30)
    return answer_to(readable[0])


def test_an_answer_is_not_lost_to_one_who_still_sends(serve):
    """Closed at once, the connection would be reset, and the answer with it."""
    live = serve(max_body_mb=1)
    with live.connect() as connection:
        connection.sendall(raw(live, SUBMIT, b"", "content-length: 9000000", "content-type: application/json"))
        # Without reading once.
        connection.sendall(b" " * 9_000_000)
        answer = rest_of(connection)
    assert (413, "payload_too_large") == refusal(answer)


def test_the_body_of_a_refused_request_has_an_end(live, monkeypatch):
    """A wrong key's body may take a moment to end, not for ever."""
    monkeypatch.setattr("openkontext.gateway.protocol.LINGER", 0.2)
    with live.connect() as connection:
        connection.sendall(raw(live, SUBMIT, b" ", "content-length: 9000000", secret="SG_0"))
        assert answer_to(connection)[0] == 401
        assert connection.recv(1) == b""


def large_answer(live: Live) -> bytes:
    """The request of an answer that is larger than what a system keeps for a client."""
    job = live.services.blobs
    job.put("outputs/large/1.png", b"a" * 20_000_000)
    address = live.services.signer.sign("outputs/large/1.png", int(live.services.store.clock()) + 3600)
    return f"GET {address} HTTP/1.1\r\nHost: 127.0.0.1:{live.port}\r\n\r\n".encode()


def test_a_client_that_does_not_read(serve):
    """An answer that nobody takes is not kept for ever."""
    live = serve(body_timeout=0.5)
    with live.connect() as connection:
        connection.sendall(large_answer(live))
        assert connection.recv(12) == b"HTTP/1.1 200"
        eventually(lambda: not len(live.server.connections), within=20)


def test_a_large_answer_is_not_cut(live, monkeypatch):
    """Some clients send a blank line behind a request: that they still send must not cost them the answer's end."""
    monkeypatch.setattr("openkontext.gateway.protocol.LINGER", 0.1)
    monkeypatch.setattr(live.services.blobs, "get", lambda key: b"a" * 20_000_000)
    with live.connect() as connection:
        connection.sendall(posted(live).replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1))
        claim = live.worker.take()
        (served,) = live.server.server_state.connections
        connection.sendall(b"\r\n")
        eventually(lambda: served._part == "head")
        live.worker.complete(claim)
        eventually(served.transport._transport.is_closing)
        answer = rest_of(connection)
    assert 20_000_000 == len(answer.partition(b"\r\n\r\n")[2])


def test_pipelined_requests_are_answered_in_order(live):
    """Several at once are fine, whatever follows them."""
    paths = [f"/nowhere/{number}" for number in range(MAX_PIPELINED)]
    asked = b"".join(f"GET {path} HTTP/1.1\r\n".encode() + HOST + b"\r\n" for path in paths)
    answers = said_to(live, asked + b"nonsense\r\n\r\n")
    places = [answers.index(f'{path}"'.encode()) for path in paths]
    assert sorted(places) == places
    assert answers.count(b"HTTP/1.1 ") == len(paths)


def test_an_answer_goes_to_its_own_request(live):
    """What can't be read behind a good request is no reason to refuse that one."""
    with live.connect() as connection:
        connection.sendall(posted(live) + NOT_HTTP["a proxy's request"])
        live.worker.complete(live.worker.take())
        assert rest_of(connection).startswith(b"HTTP/1.1 200")


def test_a_flood_of_pipelined_requests(live):
    """A thousand in one read don't fill the memory: the first are answered, and then the connection ends."""
    answers = said_to(live, (HEALTH + b"\r\n") * 1000)
    assert answers.count(b"HTTP/1.1 200 OK") == 1 + MAX_PIPELINED
    assert answers.count(b"HTTP/1.1 ") == 1 + MAX_PIPELINED


def test_another_protocol_is_not_spoken(live):
    """Who asks for HTTP/2 or a WebSocket gets the answer in HTTP/1.1, once."""
    for kind in (b"h2c", b"websocket"):
        asked = HEALTH + b"Connection: Upgrade\r\nUpgrade: " + kind + b"\r\n\r\n"
        answers = said_to(live, asked + HEALTH + b"\r\n")
        assert answers.count(b"HTTP/1.1 200 OK") == 1


def test_idle_connections_lock_nobody_out(serve):
    """Of too many connections the one goes that has been idle for longest, never one with a request."""
    live = serve(max_connections=4)
    with ExitStack() as stack:
        busy, *idle = [stack.enter_context(asked(live)) for _ in range(4)]
        # The edit begins when the request before it was answered.
        busy.sendall(HEALTH + b"\r\n" + posted(live))
        assert answer_to(busy)[0] == 200
        claim = live.worker.take()
        newer = [stack.enter_context(asked(live)) for _ in range(5)]
        assert [b""] * 5 == [connection.recv(1) for connection in (idle + newer)[:5]]
        live.worker.complete(claim)
        assert busy.recv(12) == b"HTTP/1.1 200"
        assert len(live.server.connections) == 4


def test_a_connection_that_broke_is_forgotten(live):
    """Reset by its client, it isn't kept for as long as an idle one may stay."""
    with asked(live) as connection:
        (kept,) = live.server.server_state.connections
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    eventually(lambda: not len(live.server.connections))
    eventually(lambda: kept.timeout_keep_alive_task is None)


def asked(live: Live) -> socket.socket:
    """A connection on which one request was answered."""
    connection = live.connect()
    connection.sendall(HEALTH + b"\r\n")
    assert answer_to(connection)[0] == 200
    return connection


def test_when_all_are_busy_the_newest_is_refused(serve, monkeypatch):
    """With a request on every connection, one more is told to come back; of very many more, not each."""
    monkeypatch.setattr("openkontext.gateway.protocol.MAX_TOLD", 1)
    live = serve(max_connections=1)
    with live.connect() as busy:
        busy.sendall(posted(live))
        claim = live.worker.take()
        with live.connect() as told:
            told.sendall(b"G")
            assert said_to(live, b"") == b""
            answer = rest_of(told)
        assert (503, "overloaded") == refusal(answer)
        assert b"\r\nRetry-After: 5\r\n" in answer
        live.worker.complete(claim)
        assert busy.recv(12) == b"HTTP/1.1 200"
