"""A small web server on loopback: pictures by URL, and traps."""

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from PIL import Image, ImageDraw


def picture(width: int = 300, height: int = 200, form: str = "PNG", **options: object) -> bytes:
    """A yellow ellipse on blue, encoded."""
    image = Image.new("RGB", (width, height), "#3366aa")
    ImageDraw.Draw(image).ellipse((width * 0.3, height * 0.2, width * 0.7, height * 0.8), fill="#ffcc00")
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        status, kind, body = {
            "/picture.png": (200, "image/png", picture()),
            "/text.png": (200, "image/png", b"this is no picture"),
            "/truncated.png": (200, "image/png", picture()[:-40]),
            "/wide.png": (200, "image/png", picture(900, 100)),
        }.get(self.path, (404, "text/plain", b"nothing here"))
        if self.path == "/redirect-to-private.png":
            self.send_response(302)
            self.send_header("location", "http://127.0.0.2:9/picture.png")
            self.end_headers()
            return
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Silence."""


@contextmanager
def picture_server() -> Iterator[str]:
    """Serve on a free port of 127.0.0.1; gives the address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()
