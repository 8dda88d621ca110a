"""Fetching a picture that a client names by URL, without lending the client our place in the network.

The name is resolved here, every address it has must be public, and the connection goes to the address that was checked:
a second look-up, which could answer differently, never happens. Redirects are followed here too, each checked anew.
"""

import functools
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

import certifi
import httpcore

from openkontext.contract import Problem

from . import urls
from .addresses import is_public
from .urls import Address

Resolver = Callable[[str, int], list[str]]

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_HEADERS: Final = (
    ("accept", "image/png, image/jpeg, image/webp, image/gif, image/*;q=0.5, */*;q=0.1"),
    # Pictures are compressed already, and what isn't sent compressed can't be a compression bomb.
    ("accept-encoding", "identity"),
    ("connection", "close"),
    ("user-agent", "openkontext"),
)


@dataclass(frozen=True)
class FetchPolicy:
    """What may be fetched.

    ``allowed_hosts`` are trusted though private: ``name`` (any port) or ``name:port``, addresses too; IPv6 in brackets.
    Any other host must have public addresses only, and a port of 80, 443 or from 1024 up (mail and shells are below).
    ``timeout_seconds`` is for all of it, redirects and name look-ups included; ``connect_seconds`` for one address to
    answer, ``read_seconds`` for one silence.
    """

    allowed_hosts: frozenset[str] = frozenset()
    max_bytes: int = 20_000_000
    timeout_seconds: float = 20.0
    connect_seconds: float = 5.0
    read_seconds: float = 10.0
    max_redirects: int = 3

    def allows_private(self, address: Address) -> bool:
        """Whether ``address``'s host is named in ``allowed_hosts``."""
        host = f"[{address.host}]" if ":" in address.host else address.host
        return not {host, f"{host}:{address.port}"}.isdisjoint(map(str.lower, self.allowed_hosts))


def resolve(host: str, port: int) -> list[str]:
    """The IP addresses of ``host`` by the system's resolver, which also reads every odd notation of an address."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def fetch(
    url: str, policy: FetchPolicy, *, resolver: Resolver = resolve, clock: Callable[[], float] = time.monotonic
) -> bytes:
    """The bytes at ``url``, at most ``policy.max_bytes``; what they are is not looked at.

    Raises `Problem` ``fetch_failed``, saying what was wrong but no address that a name resolved to.
    """
    deadline = _Deadline(policy, clock)
    address = _parsed(url)
    try:
        for _ in range(policy.max_redirects + 1):
            answer = _request(address, policy, resolver, deadline)
            if isinstance(answer, bytes):
                return answer
            address = answer
    except httpcore.TimeoutException as error:
        raise _failed(deadline.what_ran_out(error)) from error
    except (httpcore.NetworkError, httpcore.ProtocolError) as error:
        raise _failed(_what_broke(error)) from error
    raise _failed(f"is redirected more than {policy.max_redirects} times")


class _Deadline:
    """The time that is left of one fetch."""

    def __init__(self, policy: FetchPolicy, clock: Callable[[], float]) -> None:
        self._policy = policy
        self._clock = clock
        self._end = clock() + policy.timeout_seconds

    def cap(self, seconds: float | None) -> float:
        """``seconds``, or what is left if that is less. Raises `httpcore.TimeoutException` when nothing is left."""
        left = self._end - self._clock()
        if left <= 0:
            raise httpcore.ReadTimeout
        return left if seconds is None else min(seconds, left)

    def what_ran_out(self, error: httpcore.TimeoutException) -> str:
        """Which of the times ended in ``error``, in words."""
        if self._clock() >= self._end:
            return f"could not be fetched within {self._policy.timeout_seconds:g} seconds"
        if isinstance(error, httpcore.ConnectTimeout):
            return f"has a host that did not answer within {self._policy.connect_seconds:g} seconds"
        return f"has a host that sent nothing for {self._policy.read_seconds:g} seconds"


class _PinnedBackend(httpcore.NetworkBackend):
    """Connects to the addresses that were checked, whatever the name in the URL; TLS still verifies that name."""

    def __init__(self, addresses: list[str], deadline: _Deadline) -> None:
        self._addresses = addresses
        self._deadline = deadline
        self._sockets = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to the first address that answers, whatever ``host`` is."""
        failure: httpcore.ConnectError | httpcore.ConnectTimeout = httpcore.ConnectError()
        for address in self._addresses:
            try:
                stream = self._sockets.connect_tcp(address, port, self._deadline.cap(timeout))
                return _BoundedStream(stream, self._deadline)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure


class _BoundedStream(httpcore.NetworkStream):
    """A connection on which no wait goes past the deadline, however many small ones there are."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: _Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._deadline.cap(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._deadline.cap(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        stream = self._stream.start_tls(ssl_context, server_hostname, self._deadline.cap(timeout))
        return _BoundedStream(stream, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _request(address: Address, policy: FetchPolicy, resolver: Resolver, deadline: _Deadline) -> bytes | Address:
    """The body at ``address``, or where it redirects to. Raises for an answer that is neither."""
    backend = _PinnedBackend(_checked_addresses(address, policy, resolver, deadline), deadline)
    # A pool of httpcore and not httpx: no proxies, cookies, redirects or decoding that would have to be turned off.
    with httpcore.ConnectionPool(ssl_context=_authorities(address), network_backend=backend) as pool:
        url = httpcore.URL(scheme=address.scheme, host=address.host, port=address.port, target=address.target)
        headers = [("host", address.authority), *_HEADERS]
        seconds = policy.read_seconds
        timeouts = {"connect": policy.connect_seconds, "read": seconds, "write": seconds}
        with pool.stream("GET", url, headers=headers, extensions={"timeout": timeouts}) as response:
            fields = {name.lower(): value.decode("latin-1") for name, value in response.headers}
            if response.status in _REDIRECTS and b"location" in fields:
                return _redirect(address, fields[b"location"])
            _check_answer(response.status, fields, policy.max_bytes)
            return _body(response.iter_stream(), policy.max_bytes)


def _authorities(address: Address) -> ssl.SSLContext | None:
    if address.scheme == "http":
        return None
    # SSL_CERT_FILE, OpenSSL's own variable, is how operators with an authority of their own say so.
    return _ssl_context(os.environ.get("SSL_CERT_FILE") or certifi.where())


@functools.cache
def _ssl_context(bundle: str) -> ssl.SSLContext:
    # Kept: reading the bundle takes 20 ms and more.
    return ssl.create_default_context(cafile=bundle)


def _checked_addresses(address: Address, policy: FetchPolicy, resolver: Resolver, deadline: _Deadline) -> list[str]:
    """The IP addresses that may be connected to for ``address``."""
    trusted = policy.allows_private(address)
    if not trusted and address.port not in (80, 443) and address.port < 1024:
        raise _failed(f"has the port {address.port}; allowed are 80, 443 and those from 1024 up")
    found = _resolve_in_time(address, resolver, deadline)
    if not found or not (trusted or all(map(is_public, found))):
        # One message for unknown and for private names: two would let clients list the names of our network.
        raise _failed(f"has a host without a public address: {address.host}")
    return found


def _resolve_in_time(address: Address, resolver: Resolver, deadline: _Deadline) -> list[str]:
    """What ``resolver`` finds; nothing for a name that doesn't exist."""
    found: list[list[str]] = []

    def look_up() -> None:
        try:
            found.append(resolver(address.host, address.port))
        except (OSError, UnicodeError):
            found.append([])

    # The system's resolver knows no deadline, hence a thread, which ends by itself when the resolver gives up.
    thread = threading.Thread(target=look_up, name="resolve", daemon=True)
    thread.start()
    thread.join(deadline.cap(None))
    if not found:
        raise _failed(f"has a host whose name could not be looked up in time: {address.host}")
    return found[0]


def _parsed(url: str) -> Address:
    try:
        return urls.parse(url)
    except ValueError as error:
        raise _failed(str(error)) from error


def _redirect(address: Address, location: str) -> Address:
    try:
        return urls.join(address, location)
    except ValueError as error:
        raise _failed(f"is redirected to one that {error}") from error


def _check_answer(status: int, fields: dict[bytes, str], max_bytes: int) -> None:
    if status != 200:
        raise _failed(f"was answered with status {status} instead of 200")
    encoding = fields.get(b"content-encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        raise _failed(f"was answered with {encoding[:20]!r} compression, which was not asked for")
    length = fields.get(b"content-length", "0")
    if length.isdecimal() and int(length) > max_bytes:
        raise _too_large(max_bytes)


def _body(pieces: Iterable[bytes], max_bytes: int) -> bytes:
    body = bytearray()
    for piece in pieces:
        body += piece
        if len(body) > max_bytes:
            raise _too_large(max_bytes)
    return bytes(body)


def _too_large(max_bytes: int) -> Problem:
    return _failed(f"holds more than {max_bytes / 1e6:g} MB")


def _what_broke(error: Exception) -> str:
    # httpcore gives the cause as its first argument, and hides it from the traceback.
    cause = error.args[0] if error.args else None
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"has a host whose certificate is not valid: {cause.verify_message}"
    if isinstance(cause, ssl.SSLError):
        return "has a host that does not speak TLS, or only an old one"
    if isinstance(error, httpcore.ConnectError):
        return "has a host that refuses connections"
    if isinstance(error, httpcore.ProtocolError):
        return "was answered with broken HTTP: cut off, or not HTTP at all"
    return "has a host that dropped the connection"


def _failed(what: str) -> Problem:
    return Problem("fetch_failed", f"the image's URL {what}")
