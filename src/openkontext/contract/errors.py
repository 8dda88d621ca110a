"""What can go wrong, as a client sees it: one table of stable symbols and one exception.

Problem                 anything answered as {"error": …, "code": …}
 └── InvalidParameters  400, naming every parameter that is wrong
"""

from collections.abc import Sequence
from typing import Any

# code: (HTTP status, meaning). For a job that FAILED the status is what v1 answers; v2 always answers 422.
CODES: dict[str, tuple[int, str]] = {
    "invalid_http": (400, "the bytes are no HTTP/1.1 request, or could be read as two"),
    "invalid_json": (400, "the body is not a JSON object"),
    "invalid_form": (400, "the multipart form can't be read"),
    "invalid_parameter": (400, "a parameter is missing, unknown or has a wrong value"),
    "invalid_image": (400, "the input image can't be read"),
    "bad_webhook": (400, "the webhook's URL can't be used"),
    "fetch_failed": (400, "the input image's URL can't be fetched"),
    "missing_key": (401, "no x-api-key header"),
    "invalid_key": (401, "the key is wrong, expired or revoked"),
    "forbidden": (403, "the key may not do this"),
    "not_found": (404, "unknown slug, path or request"),
    "method_not_allowed": (405, "the path exists, the method doesn't"),
    "insufficient_credits": (406, "the balance is below the price"),
    "request_timeout": (408, "the request took too long to arrive"),
    "idempotency_conflict": (409, "the Idempotency-Key was used with another body"),
    "result_expired": (410, "the result has expired, or was erased or delivered meanwhile"),
    "payload_too_large": (413, "the body is too large"),
    "unsupported_media_type": (400, "neither JSON nor multipart/form-data"),
    "blocked": (422, "the safety checker blocked the prompt, the input image or the output image"),
    "cancelled": (422, "the request was cancelled"),
    "inference_failed": (422, "the model could not make the edit"),
    "queue_timeout": (422, "no worker took the request in time"),
    "safety_unavailable": (422, "the safety checker failed, so nothing is given out"),
    "rate_limited": (429, "too many requests for this key"),
    "too_many_waiting": (429, "this key has as many requests waiting as it may"),
    "head_too_large": (431, "the address and headers are too large"),
    "internal": (500, "a defect of the server"),
    "worker_lost": (502, "the workers that had the request died, and its attempts are used up"),
    "queue_full": (503, "too many requests are waiting"),
    "draining": (503, "the server is shutting down"),
    "overloaded": (503, "the server has as many connections, or large bodies under way, as it may"),
    "unavailable": (503, "storage can't be reached or is full"),
    "timeout": (504, "not finished in time; the request goes on and can be polled"),
}


class Problem(Exception):
    """An error with a stable ``code`` of `CODES`, and a message that says what is wrong and what to do.

    ``headers`` go with the HTTP answer (``Retry-After``, say), ``extra`` into its JSON body (``request_id``, say).
    """

    def __init__(
        self, code: str, message: str, *, headers: dict[str, str] | None = None, extra: dict[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.headers = headers or {}
        self.extra = extra or {}

    @property
    def status(self) -> int:
        """The HTTP status of this code."""
        return CODES[self.code][0]

    def body(self) -> dict[str, Any]:
        """The JSON body of the answer."""
        return {"error": self.message, "code": self.code} | self.extra


class InvalidParameters(Problem):
    """One or more parameters are wrong; ``problems`` has a sentence for each."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("invalid_parameter", "; ".join(problems))
        self.problems = tuple(problems)
