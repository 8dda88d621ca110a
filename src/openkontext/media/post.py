"""Posting to a receiver that a client names, by the rules of `outward`; a redirect is an answer like any other."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from . import urls
from .outward import Deadline, Policy, Resolver, Unreachable, exchange, resolve

# An answer is a status. Some of its body is read, since receivers don't like to be cut off, and dropped.
_READ_BYTES = 4096
# With TLS's certificates, headers, and the framing of chunks.
_MOST_BYTES = 250_000


@dataclass(frozen=True)
class Answer:
    """A receiver's HTTP status, and the seconds for which it asks to be left alone (``Retry-After``), or 0."""

    status: int
    retry_after: float


def post(
    url: str,
    content: bytes,
    headers: Mapping[str, str],
    policy: Policy,
    *,
    resolver: Resolver = resolve,
    clock: Callable[[], float] = time.monotonic,
) -> Answer:
    """Post ``content`` to ``url``, following no redirect.

    Raises `Unreachable` where there was no answer in time, or the address is not one to post to.
    """
    deadline = Deadline(policy, clock, "did not answer")
    try:
        address = urls.parse(url)
    except ValueError as error:
        raise Unreachable(str(error)) from error
    sent = {"accept-encoding": "identity", "content-length": str(len(content)), **headers}
    answer: Answer | None = None
    try:
        with exchange("POST", address, resolver, deadline, sent, content, most=_MOST_BYTES) as reply:
            answer = Answer(reply.status, _seconds(reply.headers.get("retry-after", "")))
            _drop_some(reply.pieces())
    except Unreachable:
        # Who gave a status has answered, whatever becomes of the rest.
        if answer is None:
            raise
    return answer


def _drop_some(pieces: Iterable[bytes]) -> None:
    size = 0
    for piece in pieces:
        size += len(piece)
        if size >= _READ_BYTES:
            return


def _seconds(retry_after: str) -> float:
    if retry_after.isdecimal():
        return float(retry_after)
    try:
        when = parsedate_to_datetime(retry_after)
    except (ValueError, OverflowError):
        return 0.0
    return max(0.0, when.timestamp() - time.time())
