"""Connecting to a host that a client names, without lending the client our place in the network.

The name is resolved here, every address it has must be public, and the connection goes to the address that was checked:
a second look-up, which could answer differently, never happens.
"""

import functools
import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import certifi
import httpcore

from .addresses import is_public
from .urls import Address

Resolver = Callable[[str, int], list[str]]


class Unreachable(Exception):
    """What is wrong with a URL or its host, as the end of the sentence "the URL …"; no address that a name has."""


@dataclass(frozen=True)
class Policy:
    """What may be reached.

    ``allowed_hosts`` are trusted though private: ``name`` (any port) or ``name:port``, addresses too; IPv6 in brackets.
    Any other host must have public addresses only, and a port of 80, 443 or from 1024 up (mail and shells are below).
    ``timeout_seconds`` is for all of it, name look-ups included; ``connect_seconds`` for one address to answer,
    ``read_seconds`` for one silence.
    """

    allowed_hosts: frozenset[str] = frozenset()
    timeout_seconds: float = 20.0
    connect_seconds: float = 5.0
    read_seconds: float = 10.0

    def allows_private(self, address: Address) -> bool:
        """Whether ``address``'s host is named in ``allowed_hosts``."""
        host = f"[{address.host}]" if ":" in address.host else address.host
        return not {host, f"{host}:{address.port}"}.isdisjoint(map(str.lower, self.allowed_hosts))


def resolve(host: str, port: int) -> list[str]:
    """The IP addresses of ``host`` by the system's resolver, which also reads every odd notation of an address."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class Deadline:
    """The time that is left of all that is asked for under one policy; ``late`` says what then didn't happen."""

    def __init__(self, policy: Policy, clock: Callable[[], float], late: str) -> None:
        self.policy = policy
        self._late = late
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
            return f"{self._late} within {self.policy.timeout_seconds:g} seconds"
        if isinstance(error, httpcore.ConnectTimeout):
            return f"has a host that did not answer within {self.policy.connect_seconds:g} seconds"
        return f"has a host that sent nothing for {self.policy.read_seconds:g} seconds"


def check(address: Address, policy: Policy) -> None:
    """Refuse what could never be reached, as far as that can be told without looking anything up.

    Raises `Unreachable`.
    """
    if policy.allows_private(address):
        return
    if address.port not in (80, 443) and address.port < 1024:
        raise Unreachable(f"has the port {address.port}; allowed are 80, 443 and those from 1024 up")
    literal = _literal(address.host)
    if literal and not is_public(literal):
        raise _not_public(address)


@contextmanager
def exchange(
    method: str,
    address: Address,
    resolver: Resolver,
    deadline: Deadline,
    headers: Mapping[str, str],
    content: bytes | None = None,
) -> Iterator[httpcore.Response]:
    """One request to ``address``, and its answer, whatever that is; its body is still to be read within the block.

    Raises `Unreachable`, from the block too, where the connection breaks or the time runs out.
    """
    url = httpcore.URL(scheme=address.scheme, host=address.host, port=address.port, target=address.target)
    seconds = deadline.policy.read_seconds
    timeouts = {"connect": deadline.policy.connect_seconds, "read": seconds, "write": seconds}
    sent = [("host", address.authority), *headers.items()]
    try:
        backend = _PinnedBackend(_checked_addresses(address, resolver, deadline), deadline)
        # A pool of httpcore and not httpx: no proxies, cookies, redirects or decoding that would have to be turned off.
        with (
            httpcore.ConnectionPool(ssl_context=_authorities(address), network_backend=backend) as pool,
            pool.stream(method, url, headers=sent, content=content, extensions={"timeout": timeouts}) as response,
        ):
            yield response
    except httpcore.TimeoutException as error:
        raise Unreachable(deadline.what_ran_out(error)) from error
    except (httpcore.NetworkError, httpcore.ProtocolError) as error:
        raise Unreachable(_what_broke(error)) from error


class _PinnedBackend(httpcore.NetworkBackend):
    """Connects to the addresses that were checked, whatever the name in the URL; TLS still verifies that name."""

    def __init__(self, addresses: list[str], deadline: Deadline) -> None:
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

    def __init__(self, stream: httpcore.NetworkStream, deadline: Deadline) -> None:
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
        try:
            left = self._deadline.cap(timeout)
        except httpcore.TimeoutException:
            # Nobody else would: httpcore counts on a failed `start_tls` having closed its stream.
            self.close()
            raise
        return _BoundedStream(self._stream.start_tls(ssl_context, server_hostname, left), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _authorities(address: Address) -> ssl.SSLContext | None:
    if address.scheme == "http":
        return None
    # SSL_CERT_FILE, OpenSSL's own variable, is how operators with an authority of their own say so.
    return _ssl_context(os.environ.get("SSL_CERT_FILE") or certifi.where())


@functools.cache
def _ssl_context(bundle: str) -> ssl.SSLContext:
    # Kept: reading the bundle takes 20 ms and more.
    return ssl.create_default_context(cafile=bundle)


def _checked_addresses(address: Address, resolver: Resolver, deadline: Deadline) -> list[str]:
    """The IP addresses that may be connected to for ``address``."""
    check(address, deadline.policy)
    found = _resolve_in_time(address, resolver, deadline)
    if not found or not (deadline.policy.allows_private(address) or all(map(is_public, found))):
        raise _not_public(address)
    return found


def _not_public(address: Address) -> Unreachable:
    # One message for unknown and for private names: two would let clients list the names of our network.
    return Unreachable(f"has a host without a public address: {address.host}")


def _literal(host: str) -> str | None:
    """The address that ``host`` is by itself, in any notation that resolvers read (``127.1``, ``0x7f000001``)."""
    if ":" in host:
        return host
    try:
        return socket.inet_ntoa(socket.inet_aton(host))
    except OSError:
        return None


def _resolve_in_time(address: Address, resolver: Resolver, deadline: Deadline) -> list[str]:
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
        raise Unreachable(f"has a host whose name could not be looked up in time: {address.host}")
    return found[0]


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
