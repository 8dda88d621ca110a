"""A server of events that does as it is told, and a receiver to forward them to."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks import Webhook

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLjSw"
KEY = "SG_0123456789abcdef"
REVOKED = {"error": "The x-api-key is wrong, expired or revoked", "code": "invalid_key"}

Answer = str | tuple[int, dict[str, Any]] | Callable[[], None]


def event(number: int, *, secret: str = SECRET) -> str:
    """An event of a completed request as the gateway sends it; request and id are named by the number."""
    body = json.dumps({"status": "COMPLETED", "request_id": f"request-{number}"}, separators=(",", ":"))
    now = datetime.fromtimestamp(int(time.time()), UTC)
    headers = {"webhook-id": f"msg_{number}", "webhook-timestamp": str(int(now.timestamp()))}
    headers["webhook-signature"] = Webhook(secret).sign(f"msg_{number}", now, body)
    data = json.dumps({"headers": headers, "body": body})
    return f"id: {number}\nevent: request.completed\ndata: {data}\n\n"


class Server(ThreadingHTTPServer):
    """Answers each connection to the events with the next of ``answers``, and once there is none, as to a revoked key.

    An answer is the text of a stream, a refusal, or something to be done while the stream is open.
    """

    daemon_threads = True

    def __init__(self, *answers: Answer) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers = list(answers)
        self.last_ids: list[str | None] = []
        self.posted: list[tuple[dict[str, str], bytes]] = []
        self.url = f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        if self.headers["x-api-key"] != KEY:
            self._refuse(401, REVOKED)
        elif self.path == "/v2/webhooks/secret":
            self._refuse(200, {"secret": SECRET})
        else:
            self.server.last_ids.append(self.headers["last-event-id"])
            self._stream(self.server.answers.pop(0) if self.server.answers else (401, REVOKED))

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.posted.append(({name.lower(): value for name, value in self.headers.items()}, body))
        self._refuse(204, {})

    def log_message(self, *_: object) -> None:
        """Nothing: the output is the command's."""

    def _stream(self, answer: Answer) -> None:
        if isinstance(answer, tuple):
            return self._refuse(*answer)
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        self.wfile.write(b"retry: 1\n\n")
        if callable(answer):
            return answer()
        self.wfile.write(answer.encode())

    def _refuse(self, status: int, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode() if body else b""
        self.send_response(status)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@contextmanager
def serving(*answers: Answer) -> Iterator[Server]:
    """A running server."""
    with Server(*answers) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
