"""One HTTP/1.1 answer from a stranger: every wait, byte and header of it is bounded, in plain text and in TLS.

The parser is llhttp, in C: h11's regular expressions can be had to think about one long line for minutes, with the
interpreter locked and no deadline that helps (0.16: 13 seconds for a header of 40 kB of blanks, 41 for one of 80).
"""

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Final, Protocol, TypeVar

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

MAX_HEAD: Final = 32_768
_PIECE: Final = 16_384
_T = TypeVar("_T")


class BadReply(Exception):
    """What is wrong with an answer, as the end of the sentence "the URL …"."""


class Stream(Protocol):
    """What an answer comes over."""

    def send(self, data: bytes) -> None:
        """Send all of it."""

    def receive(self) -> bytes:
        """What came, at least a byte and at most `_PIECE`; nothing at the end."""


class Wire:
    """A connected socket. ``patience`` gives the seconds for the next wait; at most ``limit`` bytes are received.

    Raises `OSError`, of which `TimeoutError` is one, and `BadReply` at the limit.
    """

    def __init__(self, connection: socket.socket, patience: Callable[[], float], limit: int) -> None:
        self._connection = connection
        self._patience = patience
        self._limit = limit
        self._left = limit

    def send(self, data: bytes) -> None:
        """Send all of it, or what is taken: who refuses half a request may have answered it."""
        self._connection.settimeout(self._patience())
        with suppress(BrokenPipeError, ConnectionResetError):
            self._connection.sendall(data)

    def receive(self) -> bytes:
        """What came, at least a byte; nothing at the end."""
        self._connection.settimeout(self._patience())
        data = self._connection.recv(_PIECE)
        self._left -= len(data)
        if self._left < 0:
            raise BadReply(f"was answered with more than {self._limit / 1e6:g} MB")
        return data


class Secured:
    """TLS over a wire, with a host of this name.

    The TLS library is given what was received, and no socket: from one of its own it reads records that hold nothing
    (tickets, new keys) for as long as they come, past any deadline (a read of at most 1 ms took 5 seconds).
    """

    def __init__(self, wire: Wire, context: ssl.SSLContext, host: str) -> None:
        self._wire = wire
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self._do(self._tls.do_handshake)

    def send(self, data: bytes) -> None:
        """Send all of it."""
        while data:
            data = data[self._do(partial(self._tls.write, data)) :]

    def receive(self) -> bytes:
        """What came, at least a byte; nothing at the end, said or not."""
        try:
            return self._do(partial(self._tls.read, _PIECE))
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return b""

    def _do(self, step: Callable[[], _T]) -> _T:
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                pass
            finally:
                # Alerts too: they tell the other side what was wrong.
                self._wire.send(self._outgoing.read())
            if received := self._wire.receive():
                self._incoming.write(received)
            else:
                self._incoming.write_eof()


class Reply:
    """An answer: ``status`` and ``headers`` (names in lower case, repeated ones joined), then `pieces` of its body.

    Answers that precede it (1xx) are skipped, and count towards its `MAX_HEAD`. Raises `BadReply`, and as streams do.
    """

    def __init__(self, stream: Stream) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self._stream = stream
        self._body = bytearray()
        self._headed = self._ended = self._broken = False
        self._parser = HttpResponseParser(self)
        size = 0
        while not self._headed:
            size += self._more()
            if size > MAX_HEAD and not self._headed:
                raise BadReply(f"was answered with more than {MAX_HEAD // 1024} KB of headers")
        if self.headers.get("transfer-encoding", "chunked").lower() != "chunked":
            raise BadReply("was answered with a transfer encoding that was not asked for")

    def pieces(self) -> Iterator[bytes]:
        """The body as it comes."""
        while True:
            if self._body:
                piece, self._body = bytes(self._body), bytearray()
                yield piece
            if self._ended:
                return
            if self._broken:
                raise _broken()
            self._more()

    def _more(self) -> int:
        data = self._stream.receive()
        if not data:
            self._close()
            return 0
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            if not self._headed:
                raise _broken() from error
            # For who reads on; what follows an answer's end is nobody's business.
            self._broken = not self._ended
        return len(data)

    def _close(self) -> None:
        """The other side sends no more: which is how an answer ends that doesn't say where it does."""
        framed = "content-length" in self.headers or "transfer-encoding" in self.headers
        if not self._headed or (framed and not self._ended):
            raise _broken()
        self._ended = True

    def on_message_begin(self) -> None:
        """Called by the parser, as all of these."""
        if not self._headed:
            self.headers.clear()

    def on_header(self, name: bytes, value: bytes) -> None:
        """A field of the head; those after the body are dropped."""
        if not self._headed:
            key, text = name.decode("latin-1").lower(), value.decode("latin-1")
            self.headers[key] = f"{self.headers[key]}, {text}" if key in self.headers else text

    def on_headers_complete(self) -> None:
        """The end of a head, of an answer or of one that precedes it."""
        if not self._headed:
            self.status = self._parser.get_status_code()
            self._headed = self.status >= 200 or self.status == 101

    def on_body(self, piece: bytes) -> None:
        """Some of the body, without its framing."""
        if self._headed and not self._ended:
            self._body += piece

    def on_message_complete(self) -> None:
        """The end of an answer that said where it ends."""
        self._ended = self._headed


def _broken() -> BadReply:
    return BadReply("was answered with broken HTTP: cut off, or not HTTP at all")
