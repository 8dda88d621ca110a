"""Every failure answers {"error": …, "code": …}: one place turns exceptions into that shape."""

import structlog
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.responses import Response

from openkontext.contract import Problem, money
from openkontext.media.blobs import BlobsUnavailable
from openkontext.store import InsufficientCredits, QueueFull, RateLimited, StoreUnavailable

from .limits import rate_limit_headers

log = structlog.get_logger(__name__)


def problem_response(problem: Problem) -> Response:
    """The JSON answer of a problem."""
    return JSONResponse(problem.body(), problem.status, headers=problem.headers)


def refused_submit(error: Exception) -> Problem:
    """The problem behind a refusal of the store's `submit`."""
    match error:
        case RateLimited():
            text = f"Rate limit of {error.limit} requests per minute reached; try again when the limit resets"
            return Problem("rate_limited", text, headers=rate_limit_headers(error.limit, 0, error.reset_at, retry=True))
        case InsufficientCredits():
            balance, price = money.spoken(error.balance), money.spoken(error.price)
            text = (
                f"Insufficient credits: the balance is {balance} and the price is {price}; add credits to the account"
            )
            return Problem("insufficient_credits", text)
        case QueueFull():
            headers = {"Retry-After": str(max(1, round(error.retry_after)))}
            return Problem("queue_full", "The queue is full; try again later", headers=headers)
    raise error


def install(app: FastAPI) -> None:
    """Register the handlers."""
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(HTTPException, _http)
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
        headers = dict(error.headers or {})
        return problem_response(Problem("method_not_allowed", f"{request.method} is not for {path}", headers=headers))
    return problem_response(Problem("invalid_parameter", str(error.detail)))


async def _unavailable(request: Request, error: Exception) -> Response:
    log.error("unavailable", path=request.url.path, error=str(error))
    text = "The server's storage can't be used at the moment; nothing was accepted; try again later"
    return problem_response(Problem("unavailable", text, headers={"Retry-After": "5"}))


async def _defect(request: Request, error: Exception) -> Response:
    log.error("defect", path=request.url.path, exc_info=error)
    return problem_response(Problem("internal", "The server made a mistake; it has been logged"))
