"""The connections: uvicorn's, with bounds on what a client may send, how slowly, and how many of them there may be.

             first byte of a head          the head is whole        the body is whole
    idle ─────────────────────────▶ in a head ─────────────▶ in a body ─────────────▶ answered ──▶ idle
     │ 75 s, or too many and            │ header_timeout: 408    │ body_timeout: 408     │ nothing is taken
     ▼ the longest idle                 ▼ too large: 431         ▼                       ▼ for body_timeout
   closed                             closed                   closed                  closed

A new connection is in a head at once. What can't be read as HTTP, or in two ways (request smuggling), is answered 400
in the service's own shape.
"""

import asyncio
import json
from http import HTTPStatus
from typing import Any, Literal

import httptools
import structlog
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from openkontext.contract import Problem
from openkontext.settings import Settings

from .headers import USUAL

log = structlog.get_logger(__name__)

# llhttp itself has no bound: a head without end would fill the memory.
MAX_HEAD = 64 * 1024
MAX_FIELDS = 100
# Requests that wait behind the one that is being answered, all of which came in one read.
MAX_PIPELINED = 16
# Bytes a second.
LEAST_PACE = 16_000
# Seconds in which a client that still sends can find out that it was answered; closed at once, the answer may be lost.
LINGER = 2.0
# Connections beyond the limit that are told so, which takes as long; each is an open file.
MAX_TOLD = 100

_HEADERS = USUAL | {"content-type": "application/json", "connection": "close"}


class Connections:
    """All connections of a gateway: those without a request, the longest idle first, and those with one."""

    def __init__(self, settings: Settings, limit: int) -> None:
        self.settings = settings
        self._limit = limit
        self._all: set[Connection] = set()
        # A dictionary keeps the order of insertion.
        self._idle: dict[Connection, None] = {}

    def __len__(self) -> int:
        return len(self._all)

    def enter(self, connection: "Connection") -> None:
        """A new one; where there are too many, the longest idle goes, so that idle ones lock nobody out."""
        self._all.add(connection)
        if len(self._all) <= self._limit:
            self.rest(connection)
        elif oldest := next(iter(self._idle), None):
            self.rest(connection)
            oldest.hang_up()
        elif len(self._all) > self._limit + MAX_TOLD:
            connection.hang_up()
        else:
            text = f"The server has {self._limit} connections, as many as it may; try again later"
            connection.refuse(Problem("overloaded", text, headers={"Retry-After": "5"}))

    def leave(self, connection: "Connection") -> None:
        """It is closed, or about to be."""
        self._all.discard(connection)
        self._idle.pop(connection, None)

    def rest(self, connection: "Connection") -> None:
        """It has no request from now on."""
        self._idle[connection] = None

    def work(self, connection: "Connection") -> None:
        """It has one."""
        self._idle.pop(connection, None)

    def check(self) -> None:
        """End those whose time is up; to be called several times a second."""
        for connection in list(self._all):
            try:
                connection.check()
            except Exception as error:
                # A defect that one connection meets must not end the server's main loop.
                log.error("connection", exc_info=error)


class Connection(HttpToolsProtocol):
    """One client's connection."""

    transport: "_Outlet"

    def __init__(self, connections: Connections, **uvicorn: Any) -> None:
        super().__init__(**uvicorn)
        self._connections = connections
        self._settings = connections.settings
        self._part: Literal["head", "body"] | None = "head"
        # Seconds that this part has taken of the client's own time, and when that was last looked at.
        self._taken, self._looked = 0.0, 0.0
        self._head, self._body, self._beside = 0, 0, 0
        self._begun, self._moved = False, False
        self._problem: Problem | None = None
        # Nothing that still arrives is looked at.
        self._deaf = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        outlet = _Outlet(transport, self)
        super().connection_made(outlet)
        self._looked = self.loop.time()
        self._connections.enter(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.leave(self)
        super().connection_lost(exc)
        # uvicorn leaves it where the connection broke, and with it all of this in memory for as long.
        self._unset_keepalive_if_required()

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return
        self._unset_keepalive_if_required()
        self._moved = False
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # There is no other protocol here: the request is answered, and what follows it isn't read.
            self._end_after(self.cycle)
        except httptools.HttpParserError as error:
            self.refuse(self._problem or _unreadable(error))
        else:
            self._measure(len(data))

    def _measure(self, size: int) -> None:
        """Bound what is neither a body nor a whole head: a field without end, blank lines, trailers, extensions."""
        self._beside = 0 if self._moved else self._beside + size
        if self._beside > MAX_HEAD:
            self.refuse(_too_large())
        elif self._part is None and not self._moved:
            self._begin("head")

    def _begin(self, part: Literal["head", "body"] | None) -> None:
        self._part = part
        self._taken, self._looked = 0.0, self.loop.time()

    # What the parser finds

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head, self._begun = 0, True
        if self._part is None:
            self._begin("head")

    def on_url(self, url: bytes) -> None:
        self._count_head(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        # After the head these are trailers, and the app has read the headers already.
        if self._part == "head":
            self._count_head(len(name) + len(value))
            super().on_header(name, value)

    def _count_head(self, size: int) -> None:
        self._head += size
        if self._head > MAX_HEAD or len(self.headers) >= MAX_FIELDS:
            self._give_up(_too_large())

    def _give_up(self, problem: Problem) -> None:
        self._problem = problem
        # The parser stops where its callback raises, and `data_received` answers.
        raise ValueError(problem.code)

    def on_headers_complete(self) -> None:
        self._check_framing()
        if len(self.pipeline) >= MAX_PIPELINED:
            self._give_up(Problem("invalid_http", "Too many requests were sent without waiting for an answer"))
        # Raises for an address that is none, and then what came is still a head.
        super().on_headers_complete()
        self._moved, self._begun = True, False
        self._body = 0
        self._begin("body")
        self._connections.work(self)

    def _check_framing(self) -> None:
        """Refuse what another server before us might take for something else."""
        version = self.parser.get_http_version()
        hosts = sum(name == b"host" for name, _ in self.headers)
        if hosts > 1 or (hosts == 0 and version != "1.0"):
            self._give_up(Problem("invalid_http", f"A request must have one Host header; this one has {hosts}"))
        codings = [value.strip().lower() for name, value in self.headers if name == b"transfer-encoding"]
        if codings and (codings != [b"chunked"] or version == "1.0"):
            self._give_up(Problem("invalid_http", "The only Transfer-Encoding here is chunked, in HTTP/1.1"))

    def on_body(self, body: bytes) -> None:
        self._moved = True
        self._body += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._moved = True
        self._begin(None)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.cycle.response_complete and not self.transport.is_closing():
            self._connections.rest(self)
        if self._part == "body":
            # The rest of a body that nobody wants gets no more than a moment.
            self._begin("body")

    # How it ends

    def check(self) -> None:
        """End the connection if its time is up."""
        now = self.loop.time()
        passed, self._looked = now - self._looked, now
        if self.transport.stalled(passed) > self._settings.body_timeout:
            self.transport.abort()
        elif self._part and not self.flow.read_paused:
            # While the app holds the client up, it is not the client that is slow.
            self._taken += passed
            if self._taken > self._allowed():
                self._time_out()

    def _allowed(self) -> float:
        if self._part == "head":
            return self._settings.header_timeout
        if self.cycle.response_complete:
            return LINGER
        return self._settings.body_timeout + self._body / LEAST_PACE

    def _time_out(self) -> None:
        silent = self._part == "head" and not (self._begun or self._beside)
        if silent or (self._part == "body" and self.cycle.response_complete):
            self.hang_up()
        else:
            text = f"The {self._part} of the request took too long to arrive, so the server stopped waiting for it"
            self.refuse(Problem("request_timeout", text))

    def refuse(self, problem: Problem) -> None:
        """Answer ``problem`` to what can't be taken any further, if that answer can be told from others; then close."""
        cycle = self.cycle
        if cycle is None or cycle.response_complete:
            self._answer(problem)
        elif self._part != "body":
            # The requests before it are whole and get their answers, the last of which ends the connection.
            self._end_after(cycle)
        elif self.pipeline or cycle.response_started:
            self.hang_up()
        else:
            # The app is told that nothing more comes; what it says to that goes nowhere.
            cycle.disconnected = True
            cycle.message_event.set()
            self._answer(problem)

    def _answer(self, problem: Problem) -> None:
        status = HTTPStatus(problem.status)
        body = json.dumps(problem.body()).encode()
        headers = _HEADERS | {"content-length": str(len(body))} | problem.headers
        lines = [f"HTTP/1.1 {status} {status.phrase}", *(f"{name}: {value}" for name, value in headers.items())]
        self.transport.write("\r\n".join((*lines, "", "")).encode() + body)
        self._part = self._part or "head"
        self.transport.close()

    def _end_after(self, cycle: Any) -> None:
        self._deaf, self._part = True, None
        if cycle.response_complete:
            self.hang_up()
        else:
            cycle.keep_alive = False

    def hang_up(self) -> None:
        """Close at once, with nothing more to say."""
        self._deaf, self._part = True, None
        self._connections.work(self)
        self._unset_keepalive_if_required()
        self.transport.close()

    def shutdown(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.hang_up()
        else:
            self.cycle.keep_alive = False

    def linger(self, transport: asyncio.Transport) -> bool:
        """Whether to wait with closing: the client still sends, and would lose the answer."""
        if self._part is None or self._deaf:
            return False
        self._deaf, self._part = True, None
        self._connections.work(self)
        self.flow.resume_reading()
        transport.write_eof()
        # Not `abort`: a large answer may still be on its way, and `check` sees to it that it is taken.
        self.loop.call_later(LINGER, transport.close)
        return True


class _Outlet(asyncio.Transport):
    """The transport as uvicorn sees it: closes once the client can have read the answer, and knows when it doesn't."""

    def __init__(self, transport: asyncio.Transport, connection: Connection) -> None:
        super().__init__()
        self._transport = transport
        self._connection = connection
        self._lingers = False
        self._written, self._drained, self._stalled = 0, 0, 0.0

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._transport.get_extra_info(name, default)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._written += len(data)
        self._transport.write(data)

    def stalled(self, passed: float) -> float:
        """Seconds since the client last took some of what waits for it, ``passed`` of them since the last call."""
        waiting = self._transport.get_write_buffer_size()
        moved = self._written - waiting > self._drained
        self._drained = self._written - waiting
        self._stalled = 0.0 if moved or not waiting else self._stalled + passed
        return self._stalled

    def pause_reading(self) -> None:
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def is_closing(self) -> bool:
        return self._lingers or self._transport.is_closing()

    def close(self) -> None:
        if self.is_closing():
            return
        self._lingers = self._connection.linger(self._transport)
        if not self._lingers:
            self._transport.close()

    def abort(self) -> None:
        self._transport.abort()


def _unreadable(error: httptools.HttpParserError) -> Problem:
    # Our own callbacks fail at an address that is none: CONNECT's, say.
    reason = "the address is none" if isinstance(error, httptools.HttpParserCallbackError) else error
    return Problem("invalid_http", f"This can't be read as a request of HTTP/1.1: {reason}")


def _too_large() -> Problem:
    text = f"The head of a request may have {MAX_HEAD // 1024} KB and {MAX_FIELDS} fields; this one is larger"
    return Problem("head_too_large", text)
