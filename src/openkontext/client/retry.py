"""When a request may be sent again, and how long to wait before.

A request that may have reached the server is repeated only if doing it twice is the same as doing it once: an edit
that ran twice would be charged twice. An edit carries an Idempotency-Key, the same one each time that it is sent, by
which our server gives its answer again instead of running it again. The hosted service knows no such header (see
`Target.hosted`). So:

    what happened                            GET, DELETE,     an edit,         an edit,
                                             an upload        our server       hosted service
    no connection could be made              again            again            again: nothing was sent
    429 or 503 that says when to come back   again            again            again: it was refused
    connection broke, or timed out           again            again            never
    502, 503, 504                            again            again            never
    anything else                            never            never            never

After trouble it is sent again a number of times (``max_retries``), after pauses that grow. After a refusal it is sent
again when the server says, as often as that takes, while the waits of one call are no longer than ``max_wait`` in all.

A v1 edit's 504 says that it goes on. With its key, sending it again joins the wait for the same edit.
"""

import random
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 8.0

_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
BROKEN = (httpx.NetworkError, httpx.TimeoutException, httpx.RemoteProtocolError)
_REFUSED = (429, 503)
_PASSING = (502, 503, 504)


class Patience:
    """What one call has left of it: repeats after trouble, seconds of waiting after refusals."""

    def __init__(self, max_retries: int, max_wait: float, *, repeatable: bool) -> None:
        self._retries = max_retries
        self._seconds = max_wait
        self._repeatable = repeatable
        self._troubles = 0

    def pause(self, outcome: httpx.Response | httpx.TransportError) -> float | None:
        """Seconds to wait before sending again; None: leave it at this outcome."""
        if isinstance(outcome, httpx.Response) and outcome.status_code in _REFUSED:
            asked = asked_wait(outcome.status_code, outcome.headers)
            if asked is not None:
                return self._after_refusal(max(asked, FIRST_PAUSE_S))
        return self._after_trouble() if self._may_pass(outcome) else None

    def _after_refusal(self, asked: float) -> float | None:
        # Rather an error at once than one after a wait that was in vain.
        if asked > self._seconds:
            return None
        # On top of what was asked, so that those refused together don't come back together.
        pause = asked + random.random() * FIRST_PAUSE_S  # noqa: S311  # guards no secret
        self._seconds -= pause
        return pause

    def _after_trouble(self) -> float | None:
        if self._troubles >= self._retries:
            return None
        longest = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2**self._troubles)
        self._troubles += 1
        return random.uniform(longest / 2, longest)  # noqa: S311  # keeps clients apart, guards no secret

    def _may_pass(self, outcome: httpx.Response | httpx.TransportError) -> bool:
        if isinstance(outcome, httpx.Response):
            return self._repeatable and outcome.status_code in _PASSING
        return isinstance(outcome, _NOT_SENT) or (self._repeatable and isinstance(outcome, BROKEN))


def asked_wait(status: int, headers: Mapping[str, str]) -> float | None:
    """The seconds after which a server that refused wants to be asked again, if it says so: Retry-After, or the reset
    of a rate limit, which is all that the hosted service names."""
    seconds = retry_after(headers)
    moment = reset_at(headers) if seconds is None and status == 429 else None
    if moment is None:
        return seconds
    # By the server's clock where it shows it: ours may be wrong.
    return max(0.0, (moment - _date(headers)).total_seconds())


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds of a Retry-After header. Its other form, a date, is some proxy's, and means nothing sure: None."""
    return _whole(headers.get("retry-after"))


def reset_at(headers: Mapping[str, str]) -> datetime | None:
    """When a rate limit is lifted, in UTC, as ``x-rate-limit-reset-at-utc`` says."""
    try:
        moment = datetime.fromisoformat(headers["x-rate-limit-reset-at-utc"])
    except (KeyError, ValueError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def count_of(headers: Mapping[str, str], name: str) -> int | None:
    """The number in a header, if there is one."""
    number = _whole(headers.get(name))
    return None if number is None else int(number)


def _whole(text: str | None) -> float | None:
    text = (text or "").strip()
    return float(text) if text.isascii() and text.isdigit() else None


def _date(headers: Mapping[str, str]) -> datetime:
    try:
        date = parsedate_to_datetime(headers["date"])
    except (KeyError, ValueError):
        return datetime.now(UTC)
    return date if date.tzinfo else date.replace(tzinfo=UTC)
