"""Fetching a picture that a client names by URL, without lending the client our place in the network.

How a host is reached is in `outward`; redirects are followed here, each checked anew.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from openkontext.contract import Problem

from . import urls
from .outward import Deadline, Policy, Resolver, Unreachable, exchange, resolve
from .urls import Address
from .wire import Reply

# Beside a picture: TLS's certificates, headers, and the framing of chunks.
_BESIDE: Final = 250_000
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_HEADERS: Final = {
    "accept": "image/png, image/jpeg, image/webp, image/gif, image/*;q=0.5, */*;q=0.1",
    # Pictures are compressed already, and what isn't sent compressed can't be a compression bomb.
    "accept-encoding": "identity",
    "user-agent": "openkontext",
}


@dataclass(frozen=True)
class FetchPolicy(Policy):
    """What may be fetched; its times are for all redirects together."""

    max_bytes: int = 20_000_000
    max_redirects: int = 3


def fetch(
    url: str, policy: FetchPolicy, *, resolver: Resolver = resolve, clock: Callable[[], float] = time.monotonic
) -> bytes:
    """The bytes at ``url``, at most ``policy.max_bytes``; what they are is not looked at.

    Raises `Problem` ``fetch_failed``, saying what was wrong but no address that a name resolved to.
    """
    deadline = Deadline(policy, clock, "could not be fetched")
    address = _parsed(url)
    try:
        for _ in range(policy.max_redirects + 1):
            answer = _request(address, policy, resolver, deadline)
            if isinstance(answer, bytes):
                return answer
            address = answer
    except Unreachable as error:
        raise _failed(str(error)) from error
    raise _failed(f"is redirected more than {policy.max_redirects} times")


def _request(address: Address, policy: FetchPolicy, resolver: Resolver, deadline: Deadline) -> bytes | Address:
    """The body at ``address``, or where it redirects to. Raises for an answer that is neither."""
    # Room for a picture in small chunks, but not for a stream of framing with nothing in it.
    most = 2 * policy.max_bytes + _BESIDE
    with exchange("GET", address, resolver, deadline, _HEADERS, most=most) as reply:
        if reply.status in _REDIRECTS and "location" in reply.headers:
            return _redirect(address, reply.headers["location"])
        _check_head(reply, policy.max_bytes)
        return _body(reply.pieces(), policy.max_bytes)


def _parsed(url: str) -> Address:
    try:
        return urls.parse(url)
    except ValueError as error:
        raise _failed(str(error)) from error


def _redirect(address: Address, location: str) -> Address:
    try:
        target = urls.join(address, location)
    except ValueError as error:
        raise _failed(f"is redirected to one that {error}") from error
    if (address.scheme, target.scheme) == ("https", "http"):
        raise _failed("is redirected from https to http")
    return target


def _check_head(reply: Reply, max_bytes: int) -> None:
    if reply.status != 200:
        raise _failed(f"was answered with status {reply.status} instead of 200")
    encoding = reply.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        raise _failed(f"was answered with {encoding[:20]!r} compression, which was not asked for")
    # The parser has seen to it that this is a number, of 20 digits at most.
    if int(reply.headers.get("content-length", 0)) > max_bytes:
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


def _failed(what: str) -> Problem:
    return Problem("fetch_failed", f"the image's URL {what}")
