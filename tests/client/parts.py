"""What the client's tests are made of: prepared answers, a real small server, and both clients called alike."""

import asyncio
import inspect
import threading
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

from openkontext import AsyncClient, Client

BASE = "http://server.test:9000"
REQUEST_ID = "6f0e4f0e-7a53-4d0a-9d0a-2f6f3f8f9b11"


class Script:
    """An httpx transport's handler that plays prepared outcomes, one a request; the last one is repeated."""

    def __init__(self, *outcomes: httpx.Response | Exception) -> None:
        self.outcomes = list(outcomes)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        outcome = self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]
        if isinstance(outcome, Exception):
            raise outcome
        # A new one each time, since httpx binds a response to the first client that gives it out.
        return httpx.Response(outcome.status_code, headers=outcome.headers, content=outcome.content)

    @property
    def urls(self) -> list[str]:
        """What was asked for, in order."""
        return [f"{request.method} {request.url}" for request in self.requests]


class Time:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.sleeps: list[float] = []

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.now += seconds

    async def async_sleep(self, seconds: float) -> None:
        self.sleep(seconds)


class Harness:
    """Makes clients of one kind, and calls them the same way whichever kind it is."""

    def __init__(self, kind: str, runner: asyncio.Runner) -> None:
        self.kind = kind
        self.time = Time()
        self._runner = runner
        self._made: list[Any] = []

    def client(self, script: Script | None = None, **options: Any) -> Any:
        """A client over a script, or over the network without one; waits pass in `time`."""
        blocking = self.kind == "blocking"
        options = {"api_key": "SG_test", "base_url": BASE, "clock": self.time.clock} | options
        options.setdefault("sleep", self.time.sleep if blocking else self.time.async_sleep)
        if script is not None:
            options["transport"] = httpx.MockTransport(script)
        self._made.append((Client if blocking else AsyncClient)(**options))
        return self._made[-1]

    def call(self, function: Any, *args: Any, **params: Any) -> Any:
        """The function's result, awaited if it has to be."""
        result = function(*args, **params)
        return self._runner.run(result) if inspect.iscoroutine(result) else result

    def close(self) -> None:
        for client in self._made:
            self.call(client.close if self.kind == "blocking" else client.aclose)


class SmallServer(ThreadingHTTPServer):
    """A real HTTP server that answers from ``answers``: path → (status, JSON text or bytes), or how to fail.

    A list of answers is played one a request; ``"hang"`` never answers, ``"drop"`` closes the connection,
    ``("late", seconds, answer)`` takes its time, ``("events", bytes…)`` is a stream of events, which is closed at its
    end, or broken off by a ``None``.
    """

    daemon_threads = True

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.answers: dict[str, Any] = {}
        self.seen: list[str] = []
        self.bodies: list[bytes] = []
        self.headers: list[Message] = []
        self.release = threading.Event()
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def close(self) -> None:
        self.release.set()
        self.shutdown()
        self._thread.join()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: SmallServer

    def _answer(self) -> None:
        self.server.seen.append(f"{self.command} {self.path}")
        self.server.headers.append(self.headers)
        self.server.bodies.append(self.rfile.read(int(self.headers.get("content-length", 0))))
        answer = self.server.answers[self.path]
        if isinstance(answer, list):
            answer = answer.pop(0)
        if answer == "hang":
            self.server.release.wait(30)
        if answer[0] == "late":
            _, seconds, answer = answer
            self.server.release.wait(seconds)
        if isinstance(answer, str):
            self.close_connection = True
        elif answer[0] == "events":
            self._stream(answer[1:])
        else:
            self._whole(*answer)

    def _whole(self, status: int, body: str | bytes) -> None:
        data = body if isinstance(body, bytes) else body.encode()
        self.send_response(status)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _stream(self, pieces: tuple[bytes | None, ...]) -> None:
        self.protocol_version = "HTTP/1.1"
        self.send_response(200)
        self.send_header("content-type", "text/event-stream; charset=utf-8")
        self.send_header("transfer-encoding", "chunked")
        self.send_header("connection", "close")
        self.end_headers()
        try:
            for piece in pieces:
                if piece is None:
                    return
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            self.wfile.write(b"0\r\n\r\n")
        except ConnectionError:
            pass  # the client may hang up when it likes

    do_GET = do_POST = do_DELETE = _answer

    def log_message(self, *_: object) -> None:
        """Says nothing."""


def addresses(base: str = BASE) -> dict[str, str]:
    """What a submit's answer names."""
    response = f"{base}/v2/requests/{REQUEST_ID}"
    return {"request_id": REQUEST_ID, "status_url": f"{response}/status", "response_url": response}


def submitted(base: str = BASE) -> httpx.Response:
    """A submit's answer."""
    return httpx.Response(200, json={"status": "QUEUED"} | addresses(base))


def state(name: str, **more: Any) -> httpx.Response:
    """A status or result body."""
    return httpx.Response(422 if name == "FAILED" else 200, json={"status": name, "request_id": REQUEST_ID} | more)
