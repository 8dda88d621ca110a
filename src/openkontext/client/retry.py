"""When a request may be sent again, and how long to wait before.

A request that may have reached the server is repeated only if doing it twice is the same as doing it once: an edit
that ran twice would be charged twice. So:

    what happened                            GET, DELETE      POST
    no connection could be made              again            again: nothing was sent
    429 or 503 with Retry-After              again            again: the server refused it
    connection broke, or timed out           again            never
    502, 503, 504                            again            never
    anything else                            never            never
"""

import random
from collections.abc import Mapping

import httpx

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 8.0
# A server that asks for more patience than this gets none: the caller should know instead of hanging.
LONGEST_RETRY_AFTER_S = 30.0

_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_BROKEN = (httpx.NetworkError, httpx.TimeoutException, httpx.RemoteProtocolError)
_REFUSED = (429, 503)
_PASSING = (502, 503, 504)
_IDEMPOTENT = ("GET", "DELETE")


def pause_before_retry(retries: int, method: str, outcome: httpx.Response | httpx.TransportError) -> float | None:
    """Seconds to wait before sending again, after ``retries`` repeats already; None: leave it at this outcome."""
    spread = random.random()  # noqa: S311  # keeps clients apart, guards no secret
    backoff = (0.5 + spread / 2) * min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2**retries)
    if isinstance(outcome, httpx.TransportError):
        again = isinstance(outcome, _NOT_SENT) or (method in _IDEMPOTENT and isinstance(outcome, _BROKEN))
        return backoff if again else None
    asked = retry_after(outcome.headers)
    if asked is not None and outcome.status_code in _REFUSED:
        # On top of what was asked, so that those refused together don't come back together.
        return asked + spread * FIRST_PAUSE_S if asked <= LONGEST_RETRY_AFTER_S else None
    return backoff if method in _IDEMPOTENT and outcome.status_code in _PASSING else None


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds of a Retry-After header. Its other form, a date, is some proxy's, and means nothing sure: None."""
    text = headers.get("retry-after", "").strip()
    return float(text) if text.isascii() and text.isdigit() else None
