"""A small Hugging Face on this machine: serves one folder as a repository, or refuses it, as the real one does."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

REPOSITORY = "someone/kontext"
COMMIT = "0123456789" * 4


class Hub(ThreadingHTTPServer):
    """What the hub holds and what it was asked."""

    def __init__(self, folder: Path | None, refusal: tuple[int, str] | None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder, self.refusal = folder, refusal
        self.asked: list[tuple[str, str | None]] = []

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_port}"


@contextmanager
def running(folder: Path | None = None, refusal: tuple[int, str] | None = None) -> Iterator[Hub]:
    """A hub that serves `folder` as REPOSITORY, or answers its files with (status, X-Error-Code)."""
    hub = Hub(folder, refusal)
    thread = Thread(target=hub.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield hub
    finally:
        hub.shutdown()
        thread.join()
        hub.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: Hub

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def _answer(self) -> None:
        self.server.asked.append((self.path, self.headers["authorization"]))
        if self.server.refusal:
            status, code = self.server.refusal
            self._send(status, b"", {"X-Error-Code": code})
        elif self.path.startswith(f"/api/models/{REPOSITORY}/revision/"):
            self._send(200, json.dumps({"id": REPOSITORY, "sha": COMMIT}).encode())
        elif self.path.startswith(f"/api/models/{REPOSITORY}/tree/"):
            self._send(200, json.dumps(self._tree()).encode())
        elif not self.path.startswith(f"/{REPOSITORY}/resolve/"):
            self._send(404, b"")
        else:
            self._file(self.path.removeprefix(f"/{REPOSITORY}/resolve/{COMMIT}/"))

    def _tree(self) -> list[dict[str, object]]:
        folder = self.server.folder
        files = [path for path in folder.rglob("*") if path.is_file()] if folder else []
        return [{"type": "file", "path": name(folder, p), "size": p.stat().st_size, "oid": "0" * 40} for p in files]

    def _file(self, path: str) -> None:
        body = (self.server.folder / path).read_bytes() if self.server.folder else b""
        self._send(200, body, {"ETag": f'"{path.replace("/", "-")}"', "X-Repo-Commit": COMMIT})

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for key, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)


def name(folder: Path | None, path: Path) -> str:
    """A file's path inside its repository."""
    return path.relative_to(folder or path).as_posix()
