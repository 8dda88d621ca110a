"""Connecting to a host that a client names, without lending the client our place in the network.

The name is resolved here, every address it has must be public, and the connection goes to the address that was checked:
a second look-up, which could answer differently, never happens.
"""

import functools
import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import certifi

from .addresses import is_ours, is_public
from .urls import Address
from .wire import BadReply, Reply, Secured, Wire

Resolver = Callable[[str, int], list[str]]

# A name may have thousands of addresses, and our attempts to connect are not for others to aim.
_TRIED: Final = 8
# What a machine offers here it offers to everybody; other ports may be for its own network, behind a firewall.
_WEB_PORTS: Final = (80, 443)


class Unreachable(Exception):
    """What is wrong with a URL or its host, as the end of the sentence "the URL …"; no address that a name has."""


@dataclass(frozen=True)
class Policy:
    """What may be reached.

    ``allowed_hosts`` are trusted though private: ``name`` (any port) or ``name:port``, addresses too; IPv6 in brackets.
    Any other host must have public addresses only, and a port of 80, 443 or from 1024 up (mail and shells are below);
    this machine's own public addresses count as such with the ports 80 and 443.
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

    def cap(self, seconds: float) -> float:
        """``seconds``, or what is left if that is less. Raises `TimeoutError` when nothing is left."""
        left = self._end - self._clock()
        if left <= 0:
            raise TimeoutError
        return min(seconds, left)

    def silence(self) -> float:
        """How long the other side may say nothing now. Raises as `cap` does."""
        return self.cap(self.policy.read_seconds)

    def what_ran_out(self) -> str:
        """Which of the times ended, in words."""
        if self._clock() >= self._end:
            return f"{self._late} within {self.policy.timeout_seconds:g} seconds"
        return f"has a host that sent nothing for {self.policy.read_seconds:g} seconds"


def check(address: Address, policy: Policy) -> None:
    """Refuse what could never be reached, as far as that can be told without looking anything up.

    Raises `Unreachable`.
    """
    if policy.allows_private(address):
        return
    if address.port not in _WEB_PORTS and address.port < 1024:
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
    content: bytes = b"",
    *,
    most: int,
) -> Iterator[Reply]:
    """One request to ``address``, and its answer, whatever that is; its body is still to be read within the block.

    ``most``: the bytes that may be received, all framing and TLS included. No proxy, cookie or password of the
    environment is used.

    Raises `Unreachable`, from the block too, where the connection breaks or the time runs out.
    """
    sent = {"host": address.authority, "connection": "close", **headers}
    lines = [f"{method} {address.target} HTTP/1.1", *(f"{name}: {value}" for name, value in sent.items()), "", ""]
    # Before the host has a part in it: what is wrong with the certificates here is nothing that it did.
    context = _ssl_context(_authorities()) if address.scheme == "https" else None
    try:
        with _connected(_checked_addresses(address, resolver, deadline), address.port, deadline) as connection:
            wire = Wire(connection, deadline.silence, most)
            stream = Secured(wire, context, address.host) if context else wire
            stream.send("\r\n".join(lines).encode("ascii") + content)
            yield Reply(stream)
    except TimeoutError as error:
        raise Unreachable(deadline.what_ran_out()) from error
    except BadReply as error:
        raise Unreachable(str(error)) from error
    except OSError as error:
        raise Unreachable(_what_broke(error)) from error


def _connected(addresses: list[str], port: int, deadline: Deadline) -> socket.socket:
    """A connection to the first of ``addresses`` that answers; no name is looked up any more."""
    failure = Unreachable("has a host that refuses connections")
    seconds = deadline.policy.connect_seconds
    for address in addresses:
        try:
            return socket.create_connection((address, port), deadline.cap(seconds))
        except TimeoutError:
            # Which of the two times it was is for `cap` to tell: it raises if nothing is left.
            deadline.cap(seconds)
            failure = Unreachable(f"has a host that did not answer within {seconds:g} seconds")
        except OSError:
            pass
    raise failure


def _authorities() -> str:
    # SSL_CERT_FILE, OpenSSL's own variable, is how operators with an authority of their own say so.
    return os.environ.get("SSL_CERT_FILE") or certifi.where()


@functools.cache
def _ssl_context(bundle: str) -> ssl.SSLContext:
    # Kept: reading the bundle takes 20 ms and more.
    return ssl.create_default_context(cafile=bundle)


def _checked_addresses(address: Address, resolver: Resolver, deadline: Deadline) -> list[str]:
    """The IP addresses that may be connected to for ``address``."""
    check(address, deadline.policy)
    found = _resolve_in_time(address, resolver, deadline)
    if not found or not (deadline.policy.allows_private(address) or _may_reach(found, address.port)):
        raise _not_public(address)
    return found[:_TRIED]


def _may_reach(found: list[str], port: int) -> bool:
    """Whether anybody on the internet could reach all of ``found``: not through a firewall of this machine, either."""
    return all(map(is_public, found)) and (port in _WEB_PORTS or not any(map(is_ours, found)))


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
    thread.join(deadline.cap(deadline.policy.timeout_seconds))
    if not found:
        raise Unreachable(f"has a host whose name could not be looked up in time: {address.host}")
    return found[0]


def _what_broke(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"has a host whose certificate is not valid: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return "has a host that does not speak TLS, or only an old one"
    return "has a host that dropped the connection"
