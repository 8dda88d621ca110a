"""Every failure answers {"error": …, "code": …}: one place turns exceptions into that shape."""

import math
import time

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match

from openkontext.contract import InvalidParameters, Problem, money
from openkontext.media.blobs import BlobsUnavailable
from openkontext.store import (
    Draining,
    IdempotencyConflict,
    InsufficientCredits,
    QueueFull,
    RateLimited,
    ResultExpired,
    StoreError,
    StoreUnavailable,
    TooManyWaiting,
)

from .limits import rate_limit_headers
from .services import services_of

log = structlog.get_logger(__name__)

_METHODS = ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT")


def problem_response(problem: Problem) -> Response:
    """The JSON answer of a problem."""
    return JSONResponse(problem.body(), problem.status, headers=problem.headers)


def refusal(error: StoreError, now: float) -> Problem:
    """The problem behind what the store refused at ``now``; what is no refusal is raised again."""
    match error:
        case IdempotencyConflict():
            text = "This Idempotency-Key was used with another body; send a new key with a new request"
            return Problem("idempotency_conflict", text)
        case ResultExpired():
            text = (
                f"This Idempotency-Key is of request {error.job_id}, whose result has expired; "
                "send a new key to run it again"
            )
            return Problem("result_expired", text, extra={"request_id": error.job_id})
        case InsufficientCredits():
            balance, price = money.spoken(error.balance), money.spoken(error.price)
            text = (
                f"Insufficient credits: the balance is {balance} and the price is {price}; add credits to the account"
            )
            return Problem("insufficient_credits", text)
        case QueueFull():
            text = "The queue is full; try again later"
            return Problem("queue_full", text, headers=_retry_after(error.retry_after))
        case Draining():
            text = "The server is shutting down; try again later"
            return Problem("draining", text, headers=_retry_after(error.retry_after))
    return _too_many(error, now)


def _too_many(error: StoreError, now: float) -> Problem:
    match error:
        case RateLimited():
            text = f"Rate limit of {error.limit} requests per minute reached; try again when the limit resets"
            headers = rate_limit_headers(error.limit, error.remaining, error.reset_at)
            return Problem("rate_limited", text, headers=headers | _retry_after(error.reset_at - now))
        case TooManyWaiting():
            text = f"This key has {error.limit} requests waiting, as many as it may; try again when one has been taken"
            headers = rate_limit_headers(None, None, now + error.retry_after)
            return Problem("too_many_waiting", text, headers=headers | _retry_after(error.retry_after))
    raise error


def _retry_after(seconds: float) -> dict[str, str]:
    return {"Retry-After": str(max(1, math.ceil(seconds)))}


def install(app: FastAPI) -> None:
    """Register the handlers."""
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(StoreUnavailable, _unavailable)
    app.add_exception_handler(BlobsUnavailable, _unavailable)
    app.add_exception_handler(Exception, _defect)


async def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return problem_response(error)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    path = request.url.path
    if error.status_code == 404:
        return problem_response(Problem("not_found", f"Nothing is at {path}"))
    if error.status_code == 405:
        allowed = _methods_at(request)
        text = f"{request.method} is not for {path}; use {' or '.join(allowed)}"
        return problem_response(Problem("method_not_allowed", text, headers={"Allow": ", ".join(allowed)}))
    return problem_response(Problem("invalid_parameter", str(error.detail)))


def _methods_at(request: Request) -> list[str]:
    """Of every route of the path; the router itself names those of the first alone."""

    def takes(method: str) -> bool:
        scope = dict(request.scope) | {"method": method}
        return any(route.matches(scope)[0] is Match.FULL for route in request.app.routes)

    return list(filter(takes, _METHODS))


async def _validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    problems = [f"{'.'.join(map(str, each['loc'][1:]))}: {each['msg']}" for each in error.errors()]
    return problem_response(InvalidParameters(problems))


async def _unavailable(request: Request, error: Exception) -> Response:
    log.error("unavailable", path=request.url.path, error=str(error))
    services_of(request).failed_at = time.monotonic()
    text = "The server's storage can't be used at the moment; nothing was accepted; try again later"
    return problem_response(Problem("unavailable", text, headers={"Retry-After": "5"}))


async def _defect(request: Request, error: Exception) -> Response:
    log.error("defect", path=request.url.path, exc_info=error)
    return problem_response(Problem("internal", "The server made a mistake; it has been logged"))
