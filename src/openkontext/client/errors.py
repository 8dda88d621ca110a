"""What the server's answers become when they are not a success.

    OpenkontextError             .status .detail .code .request_id .moderation .headers .retry_after
     ├── BadRequest              400  a parameter or the picture is wrong; the detail names each (also 408, 431)
     ├── AuthenticationError     401  no key, or a wrong one
     ├── PermissionDenied        403  the key may not do this
     ├── NotFound                404  unknown slug or request, or its result has expired
     ├── MethodNotAllowed        405  the address is right, the method isn't: most likely a wrong base URL
     ├── InsufficientCredits     406  the balance is below the price
     ├── Conflict                409  an Idempotency-Key was used before, with another body
     ├── Gone                    410  the result was there and has expired
     ├── PayloadTooLarge         413  the body or the picture is too large
     ├── Unprocessable           422  v1: the job ran and failed, or was blocked or cancelled
     ├── RateLimited             429  .reset_at .limit .remaining
     ├── ServerError             5xx  a defect of the server
     │    ├── BadGateway         502  v1: no worker could finish it
     │    ├── ServiceUnavailable 503  the queue is full, or the server is shutting down
     │    └── GatewayTimeout     504  v1: not done in time; it goes on, see `Client.job(error.request_id)`
     ├── InferenceFailed              v2: the job is FAILED; .status_body
     └── InferenceTimeout             v2: waiting took too long; the job goes on; .elapsed_s

Trouble with the connection itself stays httpx's own: everything under `httpx.TransportError`.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import httpx

from . import retry


class OpenkontextError(Exception):
    """The base of all errors.

    ``status`` is the HTTP status of the refusal, None where no answer was refused; ``detail`` says what is wrong and
    what to do; ``code`` is the server's stable symbol for it (``invalid_parameter``, …); ``request_id`` names the
    request where there is one; ``moderation`` is why the safety checker blocked it (code ``blocked``): its ``stage``
    (``prompt``, ``input`` or ``output``), ``category``, ``score`` and ``threshold``; ``headers`` are the answer's.
    """

    # The hosted client has this attribute, and never sets it either.
    title: str | None = None

    def __init__(
        self,
        status: int | None = None,
        detail: str | None = None,
        *,
        code: str | None = None,
        request_id: str | None = None,
        moderation: dict[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, detail)
        self.status = status
        self.detail = detail
        self.code = code
        self.request_id = request_id
        self.moderation = moderation
        self.headers = httpx.Headers(headers)

    @classmethod
    def from_response(cls, response: httpx.Response) -> "OpenkontextError":
        """The error that an unsuccessful answer stands for: of the class that its HTTP status has in the tree."""
        status = response.status_code
        body = json_object(response)
        fallback = ServerError if status >= 500 else OpenkontextError
        return _BY_STATUS.get(status, fallback)(
            status,
            _text(body.get("error")) or _bare_detail(response),
            code=_text(body.get("code")),
            request_id=_text(body.get("request_id")) or response.headers.get("x-request-id"),
            moderation=_object(body.get("moderation")),
            headers=response.headers,
        )

    @property
    def retry_after(self) -> float | None:
        """Seconds after which the server wants to be asked again, if it said so."""
        return retry.retry_after(self.headers)

    def to_dict(self) -> dict[str, Any]:
        """The error as plain values: status, detail, code, request_id."""
        return {"status": self.status, "detail": self.detail, "code": self.code, "request_id": self.request_id}

    def __str__(self) -> str:
        label = " ".join(str(part) for part in (self.status, self.code) if part is not None)
        request = f" (request {self.request_id})" if self.request_id else ""
        return ": ".join(filter(None, [label, self.detail])) + request

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={value!r}" for name, value in self.to_dict().items())
        return f"{type(self).__name__}({values})"


class BadRequest(OpenkontextError):
    """400: a parameter or the input picture is wrong."""


class AuthenticationError(OpenkontextError):
    """401: no API key, or a wrong, expired or revoked one."""


class PermissionDenied(OpenkontextError):
    """403: the key may not do this."""


class NotFound(OpenkontextError):
    """404: an unknown slug or request, or one whose result has expired."""


class MethodNotAllowed(OpenkontextError):
    """405: the address exists, the method doesn't."""


class InsufficientCredits(OpenkontextError):
    """406: the balance is below the price."""


class Conflict(OpenkontextError):
    """409: an ``idempotency_key`` that was used before, with other parameters: choose another for another edit."""


class Gone(OpenkontextError):
    """410: the edit that this ``idempotency_key`` was first sent with ran, and its result has expired.

    Another key runs it again, and charges it again.
    """


class PayloadTooLarge(OpenkontextError):
    """413: the body or the picture is too large."""


class Unprocessable(OpenkontextError):
    """422: a synchronous request ran and failed, or was blocked or cancelled."""


class RateLimited(OpenkontextError):
    """429: too many requests for this key, or too many of its requests are waiting (code ``too_many_waiting``)."""

    @property
    def reset_at(self) -> datetime | None:
        """When the limit is lifted, in UTC, if the server said so."""
        return retry.reset_at(self.headers)

    @property
    def limit(self) -> int | None:
        """How many requests a minute the key may make, if the server said so."""
        return retry.count_of(self.headers, "x-rate-limit-limit")

    @property
    def remaining(self) -> int | None:
        """How many of them are left, if the server said so."""
        return retry.count_of(self.headers, "x-rate-limit-remaining")


class ServerError(OpenkontextError):
    """5xx: a defect of the server."""


class BadGateway(ServerError):
    """502: no worker could finish the request."""


class ServiceUnavailable(ServerError):
    """503: the queue is full, or the server is shutting down."""


class GatewayTimeout(ServerError):
    """504: a synchronous request was not done in time. It goes on: `Client.job` takes it up by its ``request_id``."""


class InferenceFailed(OpenkontextError):
    """A v2 request is FAILED: it errored, was blocked by the safety checker, or was cancelled. Nothing was charged.

    ``detail`` and ``code`` say why; ``status_body`` is the server's body, with metrics.
    """

    def __init__(self, detail: str | None, status_body: dict[str, Any]) -> None:
        super().__init__(
            detail=detail,
            code=_text(status_body.get("code")),
            request_id=_text(status_body.get("request_id")),
            moderation=_object(status_body.get("moderation")),
        )
        # What pickle calls the class with again, in a process pool for one.
        self.args = (detail, status_body)
        self.status_body = status_body


class InferenceTimeout(OpenkontextError):
    """`Job.wait` gave up before the request ended. It goes on: wait again, or take it up by `Client.job`."""

    request_id: str

    def __init__(self, request_id: str, elapsed_s: float) -> None:
        detail = f"not ended after {elapsed_s:.1f} s; it goes on, so wait again or cancel it"
        super().__init__(detail=detail, request_id=request_id)
        self.args = (request_id, elapsed_s)
        self.elapsed_s = elapsed_s


_BY_STATUS: dict[int, type[OpenkontextError]] = {
    400: BadRequest,
    401: AuthenticationError,
    403: PermissionDenied,
    404: NotFound,
    405: MethodNotAllowed,
    406: InsufficientCredits,
    408: BadRequest,
    409: Conflict,
    410: Gone,
    413: PayloadTooLarge,
    422: Unprocessable,
    429: RateLimited,
    431: BadRequest,
    502: BadGateway,
    503: ServiceUnavailable,
    504: GatewayTimeout,
}


def checked(response: httpx.Response) -> httpx.Response:
    """The response, if it is a success (2xx); raises the error that it stands for otherwise."""
    # A redirect is no success: following it would hand the key to whatever address it names.
    if response.is_success:
        return response
    raise OpenkontextError.from_response(response)


def json_object(response: httpx.Response) -> dict[str, Any]:
    """The body's JSON object, empty if it is anything else."""
    try:
        body = response.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _object(value: Any) -> dict[str, Any] | None:
    return value if isinstance(value, dict) else None


def _bare_detail(response: httpx.Response) -> str:
    if response.has_redirect_location:
        return f"the server redirects to {response.headers['location']}: use that address as the base URL"
    return f"{response.reason_phrase or 'refused'}, and no JSON body that says why: is the base URL right?"
