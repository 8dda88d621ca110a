"""Every way in which a server can answer badly: slowly, endlessly, brokenly, compressed, with bad certificates.

Each row is tried by both who ask where a client says. An input's URL must not be taken; a webhook's receiver has
answered as soon as its status and headers have come, whatever follows. None takes more time or memory than it may.
"""

import gzip
import socket
import ssl
import tracemalloc
import zlib
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.media.server_certificates import write_certificate
from tests.media.servers import Answer, Server, drip, pour, reset, response, serving
from tests.media.strangers import PUBLIC, ask_input, ask_webhook, in_time, names

pytestmark = pytest.mark.usefixtures("internet")

ASKING = {"input": ask_input, "webhook": ask_webhook}
EVIL = names(evil=[PUBLIC])
HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
ANSWERED = "status 200"
BAD_CERTIFICATE = "has a host whose certificate is not valid: {}"
NO_TLS = "has a host that does not speak TLS, or only an old one"
UNASKED = "was answered with {!r} compression, which was not asked for"
BROKEN = "was answered with broken HTTP: cut off, or not HTTP at all"
SILENT = "has a host that sent nothing for 0.15 seconds"
LATE = ("could not be fetched within 0.2 seconds", "did not answer within 0.2 seconds")
LARGE = "holds more than 0.1 MB"
MOST = "was answered with more than 0.45 MB"
HEADERS = "was answered with more than 32 KB of headers"
ZEROS = bytes(50_000_000)
BLANKS = b" " * 30_000


def until_told(connection: socket.socket, server: Server) -> None:
    """No answer at all."""
    server.stopping.wait()


def head_alone(connection: socket.socket, server: Server) -> None:
    """A body is announced and doesn't come."""
    connection.sendall(response(content_length="10"))
    server.stopping.wait()


def chunk_alone(connection: socket.socket, server: Server) -> None:
    """A chunk that is none, and then nothing."""
    connection.sendall(CHUNKED + b"-1\r\n")
    server.stopping.wait()


def compressed(coding: str, data: bytes) -> bytes:
    """An answer in a coding that was not asked for."""
    return response(data, content_encoding=coding)


def lengths(*lines: bytes) -> bytes:
    """An answer of 5 bytes with these headers."""
    return HEAD + b"".join(line + b"\r\n" for line in lines) + b"\r\n12345"


# The answer; what becomes of an input, and of a webhook, the same unless given.
TABLE: dict[str, tuple[bytes | Answer, str] | tuple[bytes | Answer, str, str]] = {
    # Slow. Drops come every 10 ms, soon enough for every timeout but the last.
    "never answers": (until_told, SILENT),
    "sends the head alone": (head_alone, SILENT, ANSWERED),
    "drips before the head": (drip(b"", b"\r\n"), *LATE),
    "drips the status line": (drip(b"HTTP/1.1 200 ", b"O"), *LATE),
    "drips a header": (drip(HEAD + b"x: ", b"y"), *LATE),
    "drips headers": (drip(HEAD, b"x: y\r\n"), *LATE),
    "drips answers before the answer": (drip(b"", b"HTTP/1.1 102 Processing\r\n\r\n"), *LATE),
    "drips a body": (drip(HEAD + b"\r\n", b"y"), LATE[0], ANSWERED),
    "drips chunks": (drip(CHUNKED, b"1\r\ny\r\n"), LATE[0], ANSWERED),
    "drips a chunk's extension": (drip(CHUNKED + b"1;", b"y"), LATE[0], ANSWERED),
    "drips trailers": (drip(CHUNKED + b"0\r\n", b"x: y\r\n"), LATE[0], ANSWERED),
    # Endless, as fast as it goes.
    "endless blank lines": (pour(b"", b"\r\n" * 10_000), HEADERS),
    "endless answers before the answer": (pour(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000), HEADERS),
    "an endless status line": (pour(b"HTTP/1.1 200 ", b"O" * 60_000), HEADERS),
    "an endless header's name": (pour(HEAD, b"x" * 60_000), HEADERS),
    "an endless header": (pour(HEAD + b"x: ", b"y" * 60_000), HEADERS),
    "endless headers": (pour(HEAD, b"x: y\r\n" * 10_000), HEADERS),
    "an endless body": (pour(HEAD + b"\r\n", bytes(60_000)), LARGE, ANSWERED),
    "an endless body of HTTP/1.0": (pour(b"HTTP/1.0 200 OK\r\n\r\n", bytes(60_000)), LARGE, ANSWERED),
    "an endless chunk": (pour(CHUNKED + b"fffffffffffffff\r\n", bytes(60_000)), LARGE, ANSWERED),
    "endless chunks": (pour(CHUNKED, b"1000\r\n" + bytes(4096) + b"\r\n"), LARGE, ANSWERED),
    "endless chunks of a byte": (pour(CHUNKED, b"1\r\ny\r\n" * 10_000), MOST, ANSWERED),
    "chunks with long extensions": (pour(CHUNKED, b"1;x=" + b"y" * 60_000 + b"\r\ny\r\n"), MOST, ANSWERED),
    "an endless chunk's extension": (pour(CHUNKED + b"1;x=", b"y" * 60_000), MOST, ANSWERED),
    "an endless chunk's size": (pour(CHUNKED, b"0" * 60_000), MOST, ANSWERED),
    "endless trailers": (pour(CHUNKED + b"0\r\n", b"x: y\r\n" * 10_000), MOST, ANSWERED),
    # What a parser could think about for minutes.
    "a header of blanks": (HEAD + b"x:" + BLANKS + b"\0\r\n\r\n", BROKEN),
    "a chunk's extension of blanks": (CHUNKED + b"5;" + BLANKS + b"\n\r\nhello\r\n", BROKEN, ANSWERED),
    "ten thousand folded lines": (HEAD + b"x: y\r\n" + b" \r\n" * 10_000 + b"\r\n", BROKEN),
    "one header eight thousand times": (HEAD + b"a:\r\n" * 8000 + b"content-length: 200001\r\n\r\n", LARGE, ANSWERED),
    "a wait of many digits": (HEAD + b"retry-after: " + b"9" * 30_000 + b"\r\n\r\n", "0 bytes", ANSWERED),
    "a date of many brackets": (HEAD + b"retry-after: " + b"(" * 30_000 + b"\r\n\r\n", "0 bytes", ANSWERED),
    # Lengths.
    "a length too long": (lengths(b"content-length: 6"), BROKEN, ANSWERED),
    "a length too short": (lengths(b"content-length: 4"), "4 bytes", ANSWERED),
    "a negative length": (lengths(b"content-length: -5"), BROKEN),
    "a length with a plus": (lengths(b"content-length: +5"), BROKEN),
    "a length in hexadecimal": (lengths(b"content-length: 0x5"), BROKEN),
    "a list of lengths": (lengths(b"content-length: 5, 5"), BROKEN),
    "two lengths": (lengths(b"content-length: 5", b"content-length: 4"), BROKEN),
    "an empty length": (lengths(b"content-length:"), BROKEN),
    "a huge length": (lengths(b"content-length: 9999999999999999999"), LARGE, ANSWERED),
    "a length beyond 64 bits": (lengths(b"content-length: 99999999999999999999"), BROKEN),
    "a length of 30,000 digits": (lengths(b"content-length: " + b"9" * 30_000), BROKEN),
    "a length and chunks": (lengths(b"content-length: 5", b"transfer-encoding: chunked"), BROKEN),
    "a negative chunk": (CHUNKED + b"-1\r\ny\r\n", BROKEN, ANSWERED),
    "a negative chunk, alone": (chunk_alone, BROKEN, ANSWERED),
    "a chunk beyond 64 bits": (CHUNKED + b"fffffffffffffffff\r\ny", BROKEN, ANSWERED),
    "a chunk too short": (CHUNKED + b"5\r\nab\r\n0\r\n\r\n", BROKEN, ANSWERED),
    "no last chunk": (CHUNKED + b"1\r\ny\r\n", BROKEN, ANSWERED),
    # Compression that was not asked for: nothing is ever unpacked.
    "a gzip bomb": (compressed("gzip", gzip.compress(ZEROS)), UNASKED.format("gzip"), ANSWERED),
    "a deflate bomb": (compressed("deflate", zlib.compress(ZEROS)), UNASKED.format("deflate"), ANSWERED),
    "br": (compressed("br", b"\x8b"), UNASKED.format("br"), ANSWERED),
    "zstd": (compressed("zstd", b"\x28"), UNASKED.format("zstd"), ANSWERED),
    "gzip twice": (compressed("gzip, gzip", b""), UNASKED.format("gzip, gzip"), ANSWERED),
    "gzip behind identity": (
        HEAD + b"content-encoding: gzip\r\ncontent-encoding: identity\r\n\r\n",
        UNASKED.format("gzip, identity"),
        ANSWERED,
    ),
    "gzip for the transfer": (
        HEAD + b"transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "was answered with a transfer encoding that was not asked for",
    ),
    # No HTTP, or another.
    "nothing": (b"", BROKEN),
    "a reset": (reset, "has a host that dropped the connection"),
    "HTTP/0.9": (b"<html>hello</html>", BROKEN),
    "SSH": (b"SSH-2.0-OpenSSH_9.9\r\n", BROKEN),
    "SMTP": (b"220 mail.example ESMTP\r\n", BROKEN),
    "HTTP/2": (b"\0\0\x12\4\0\0\0\0\0" + bytes(18), BROKEN),
    "bytes at random": (bytes(range(256)) * 40, BROKEN),
    "a TLS alert": (b"\x15\x03\x01\0\x02\x02\x46", BROKEN),
    "HTTP/9.9": (b"HTTP/9.9 200 OK\r\n\r\n", BROKEN),
    "a status of two digits": (b"HTTP/1.1 20 OK\r\n\r\n", BROKEN),
    "a status of five digits": (b"HTTP/1.1 20000 OK\r\n\r\n", BROKEN),
    "the status 000": (b"HTTP/1.1 000 OK\r\n\r\nhello", BROKEN),
    "a switch of protocols": (
        b"HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: x\r\n\r\nx",
        "was answered with status 101 instead of 200",
        "status 101",
    ),
    "a header without a name": (HEAD + b": x\r\n\r\n", BROKEN),
    "a header with a zero byte": (HEAD + b"x: a\0b\r\n\r\n", BROKEN),
    "half a head": (HEAD + b"content-", BROKEN),
    "a second answer": (response(b"one") + response(b"two, longer"), "3 bytes", ANSWERED),
}  # fmt: skip


@pytest.mark.parametrize("asking", ASKING)
@pytest.mark.parametrize("name", TABLE)
def test_bad_answers(name: str, asking: str) -> None:
    """Each has its sentence, in its time."""
    check(name, *TABLE[name], asking=asking, scheme="http")


def check(name: str, answer: Answer, *sentences: str, asking: str, scheme: str) -> None:
    """The last of the sentences is a webhook's."""
    limits = {"timeout_seconds": 0.2} if "drips" in name else {}
    with serving(answer, host=PUBLIC) as server:
        said = in_time(ASKING[asking], f"{scheme}://evil.example:{server.port}/", resolver=EVIL, **limits)
    assert sentences[0 if asking == "input" else -1] == said


@pytest.mark.parametrize(
    "name", ["endless headers", "an endless header", "an endless body", "endless chunks of a byte", "endless trailers"]
)
@pytest.mark.parametrize("asking", ASKING)
def test_memory_stays_bounded(name: str, asking: str) -> None:
    """An endless answer costs no more than its limit, a few times over: the piece, the whole and its copy."""
    with serving(TABLE[name][0], host=PUBLIC) as server:
        tracemalloc.start()
        ASKING[asking](f"http://evil.example:{server.port}/", resolver=EVIL)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 600_000


def test_a_receiver_is_not_read_to_the_end() -> None:
    """A few kB of its answer are, and what would come after that isn't waited for."""

    def answer(connection: socket.socket, server: Server) -> None:
        connection.sendall(HEAD + b"\r\n" + bytes(5000))
        server.stopping.wait()

    with serving(answer, host=PUBLIC) as server:
        url = f"http://evil.example:{server.port}/"
        assert ANSWERED == in_time(ask_webhook, url, resolver=EVIL, timeout_seconds=20.0, read_seconds=20.0)


@dataclass(frozen=True)
class Authority:
    """An authority that is trusted, and the folder of the certificates that it, or nobody, vouches for."""

    folder: Path

    def context(self, name: str) -> ssl.SSLContext:
        """A server's TLS with one of them."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / f"{name}.pem")
        return context


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    folder = tmp_path_factory.mktemp("certificates")
    signer = write_certificate(folder / "authority.pem", "authority.example")
    other = write_certificate(folder / "other authority.pem", "other.example")
    write_certificate(folder / "expired.pem", "evil.example", days=-1, signer=signer)
    write_certificate(folder / "of another name.pem", "good.example", signer=signer)
    write_certificate(folder / "of a name within.pem", "*.evil.example", signer=signer)
    write_certificate(folder / "by another authority.pem", "evil.example", signer=other)
    write_certificate(folder / "by itself.pem", "evil.example")
    leaf = write_certificate(folder / "good.pem", "evil.example", signer=signer)
    write_certificate(folder / "by one that is none.pem", "evil.example", signer=leaf)
    write_certificate(folder / "huge.pem", "evil.example", *(f"{n:050}.example" for n in range(4000)), signer=signer)
    return Authority(folder)


CERTIFICATES = {
    "expired": BAD_CERTIFICATE.format("certificate has expired"),
    "of another name": BAD_CERTIFICATE.format("Hostname mismatch, certificate is not valid for 'evil.example'."),
    "of a name within": BAD_CERTIFICATE.format("Hostname mismatch, certificate is not valid for 'evil.example'."),
    "by another authority": BAD_CERTIFICATE.format("unable to get local issuer certificate"),
    "by itself": BAD_CERTIFICATE.format("self-signed certificate"),
    "by one that is none": BAD_CERTIFICATE.format("unable to get local issuer certificate"),
    "huge": NO_TLS,
}


@pytest.mark.parametrize("asking", ASKING)
@pytest.mark.parametrize("name", CERTIFICATES)
def test_bad_certificates(name: str, asking: str, certificates: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is asked for where they are, and nothing is sent."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.folder / "authority.pem"))
    with serving(response(b"taken"), certificates.context(name), host=PUBLIC) as server:
        said = in_time(ASKING[asking], f"https://evil.example:{server.port}/", resolver=EVIL)
    assert (CERTIFICATES[name], []) == (said, server.requests)


@pytest.mark.parametrize("asking", ASKING)
def test_a_good_certificate(asking: str, certificates: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the others would be, were they not bad."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.folder / "authority.pem"))
    with serving(response(b"taken"), certificates.context("good"), host=PUBLIC) as server:
        said = in_time(ASKING[asking], f"https://evil.example:{server.port}/", resolver=EVIL)
    assert {"input": "5 bytes", "webhook": ANSWERED}[asking] == said


def test_a_redirect_out_of_tls(certificates: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks by https is not given what anybody on the way could have put there, whatever follows."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.folder / "authority.pem"))
    with serving(response(b"taken"), host=PUBLIC) as plain:
        answer = response(b"", "302 Found", location=f"http://evil.example:{plain.port}/")
        with serving(answer, certificates.context("good"), host=PUBLIC) as server:
            said = ask_input(f"https://evil.example:{server.port}/", resolver=EVIL)
        with serving(response(b"", "302 Found", location=f"//evil.example:{plain.port}/"), host=PUBLIC) as server:
            followed = ask_input(f"http://evil.example:{server.port}/", resolver=EVIL)
    assert ("is redirected from https to http", "5 bytes", 1) == (said, followed, len(plain.requests))


@pytest.mark.parametrize("asking", ASKING)
def test_endless_tickets(asking: str, certificates: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    """TLS's own messages, which never end and hold nothing, count towards the bytes that may come."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.folder / "authority.pem"))
    context = certificates.context("good")
    context.num_tickets = 1_000_000_000
    with serving(response(b"taken"), context, host=PUBLIC) as server:
        url = f"https://evil.example:{server.port}/"
        said = ASKING[asking](url, resolver=EVIL, max_bytes=0, timeout_seconds=20.0)
    assert "was answered with more than 0.25 MB" == said


HANDSHAKES: dict[str, tuple[bytes | Answer, str] | tuple[bytes | Answer, str, str]] = {
    "never greets": (until_told, SILENT),
    "drips a greeting": (drip(b"\x16\x03\x03\x40\x00", b"\0"), *LATE),
    "a greeting without end": (pour(b"\x16\x03\x03\x40\x00", bytes(60_000)), NO_TLS),
    "plain HTTP": (response(b"taken"), NO_TLS),
    "an alert": (b"\x15\x03\x03\0\x02\x02\x28", NO_TLS),
    "alerts without end": (pour(b"", b"\x15\x03\x03\0\x02\x01\x5a" * 1000), NO_TLS),
    "closes": (b"", NO_TLS),
    "resets": (reset, "has a host that dropped the connection"),
}


@pytest.mark.parametrize("asking", ASKING)
@pytest.mark.parametrize("name", HANDSHAKES)
def test_bad_handshakes(name: str, asking: str) -> None:
    """TLS that never comes to be."""
    check(name, *HANDSHAKES[name], asking=asking, scheme="https")
