"""A server on the loopback that answers each connection as a test says: well, badly or never."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

Answer = Callable[[socket.socket, "Server"], None]


class Server:
    """What a running server has seen, and the event that tells its answers to end."""

    def __init__(self, answer: Answer, context: ssl.SSLContext | None, host: str, port: int) -> None:
        self._answer = answer
        self._context = context
        every = host == "::"
        family = socket.AF_INET6 if every else socket.AF_INET
        self._listener = socket.create_server((host, port), family=family, dualstack_ipv6=every)
        self.port: int = self._listener.getsockname()[1]
        self.requests: list[bytes] = []
        self.stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    @property
    def url(self) -> str:
        """Its address, by a name that the system resolves."""
        return f"http://localhost:{self.port}/a.png"

    def run(self) -> None:
        """Accept until `stop`."""
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """End every answer that is still going on."""
        self.stopping.set()
        # A close alone would leave `accept` waiting.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(10)

    def _serve(self, connection: socket.socket) -> None:
        # Clients that give up in the middle are what many tests are about.
        with suppress(OSError), connection:
            plain = self._context.wrap_socket(connection, server_side=True) if self._context else connection
            with plain:
                head = b""
                # A client that greets in TLS, whose records start with 22, waits for an answer before it says more.
                while b"\r\n\r\n" not in head and not head.startswith(b"\x16") and (more := plain.recv(4096)):
                    head += more
                self.requests.append(head)
                self._answer(plain, self)


@contextmanager
def serving(
    answer: Answer | bytes, context: ssl.SSLContext | None = None, *, host: str = "127.0.0.1", port: int = 0
) -> Iterator[Server]:
    """A server that sends ``answer``, or does what it says, and closes; ``::`` is every address of this machine."""
    reply = answer if callable(answer) else lambda connection, _: connection.sendall(answer)
    server = Server(reply, context, host, port)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.stop()
        thread.join(10)


def pour(head: bytes, piece: bytes) -> Answer:
    """An answer that never ends."""

    def answer(connection: socket.socket, server: Server) -> None:
        connection.sendall(head)
        while not server.stopping.is_set():
            connection.sendall(piece)

    return answer


def drip(head: bytes, drop: bytes) -> Answer:
    """An answer that comes in drops, each soon enough for any timeout between two of them."""

    def answer(connection: socket.socket, server: Server) -> None:
        connection.sendall(head)
        while not server.stopping.wait(0.01):
            connection.sendall(drop)

    return answer


def reset(connection: socket.socket, server: Server) -> None:
    """No answer: the connection is aborted."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


def response(body: bytes = b"", status: str = "200 OK", **headers: str) -> bytes:
    """An HTTP answer; its length is right unless given."""
    headers = {"content_length": str(len(body))} | headers
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""]).encode() + body
