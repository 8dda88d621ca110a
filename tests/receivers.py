"""A webhook's receiver on the loopback: it keeps what it gets, and answers as a test says, or not before it says so."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Received:
    """A request, the names of its headers in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: str


Answer = tuple[int, Mapping[str, str]]


class Receiver:
    """What a running receiver got; the answers of a slow one wait for ``released``."""

    def __init__(self, answer: Callable[[Received], Answer], *, slow: bool) -> None:
        self.received: list[Received] = []
        self.released = threading.Event()
        if not slow:
            self.released.set()
        self.answer = answer
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    @property
    def host(self) -> str:
        """Its host and port, as allow lists name it."""
        return f"127.0.0.1:{self._server.server_port}"

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://{self.host}/hook"

    def close(self) -> None:
        """End, with the answers that are still waiting."""
        self.released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"])).decode()
                headers = {name.lower(): value for name, value in self.headers.items()}
                got = Received(self.command, self.path, headers, body)
                receiver.received.append(got)
                status, answered = receiver.answer(got)
                receiver.released.wait()
                try:
                    self.send_response(status)
                    for name, value in answered.items():
                        self.send_header(name, value)
                    self.end_headers()
                except OSError:
                    # Who posted gave up.
                    pass

            do_GET = do_POST

            def log_message(self, format: str, *args: object) -> None:
                """Keep quiet."""

        return Handler


def took(_: Received) -> Answer:
    """The answer of one that took it."""
    return 204, {}


@contextmanager
def receiving(answer: Callable[[Received], Answer] = took, *, slow: bool = False) -> Iterator[Receiver]:
    """A receiver, as long as the block lasts."""
    receiver = Receiver(answer, slow=slow)
    try:
        yield receiver
    finally:
        receiver.close()
