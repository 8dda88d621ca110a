"""Waiting for accepted requests to end, for the routes that answer only then."""

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Any, TypeVar

from fastapi import Request

from openkontext.contract import CODES, Problem, State
from openkontext.store import Job

from .requests import state_of
from .services import Services

Value = TypeVar("Value")
# A job that ended, and its result.
Ended = tuple[Job, dict[str, Any]]


class Gone(Exception):
    """The client hung up."""


async def unless_gone(request: Request, work: Awaitable[Value]) -> Value:
    """The outcome of ``work``, or `Gone` when the client hangs up first."""
    working = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_hung_up(request))
    try:
        await asyncio.wait({working, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise Gone
        return working.result()
    finally:
        working.cancel()
        gone.cancel()


async def all_ended(services: Services, account_id: int, job_ids: Sequence[str]) -> list[Ended]:
    """The jobs and their results, in order, when all are COMPLETED; those that ended, as soon as one of them FAILED.

    Raises `Problem`: 504 when they aren't in time, or never will be since the server drains; 404 for an erased one.
    """

    async def read() -> list[Ended] | None:
        jobs = [await state_of(services, job_id, account_id) for job_id in job_ids]
        ended = [(job, result) for job, result in jobs if result is not None]
        if len(ended) == len(jobs) or any(job.state is State.FAILED for job, _ in ended):
            return ended
        if services.draining and any(job.state is State.QUEUED for job, _ in jobs):
            raise unfinished(services, job_ids)
        return None

    found = await services.watcher.until(read, services.settings.sync_timeout)
    if found is None:
        raise unfinished(services, job_ids)
    return found


def unfinished(services: Services, job_ids: Sequence[str]) -> Problem:
    """The 504 of accepted jobs that go on."""
    reason = "The server is shutting down" if services.draining else "The request is not finished in time"
    where = " and ".join(f"/v2/requests/{job_id}" for job_id in job_ids)
    text = f"{reason}; it goes on, don't send it again: poll {where}"
    return Problem("timeout", text, headers={"x-request-id": job_ids[0]}, extra={"request_id": job_ids[0]})


def failed(job: Job, result: dict[str, Any], headers: dict[str, str]) -> Problem:
    """The problem that a FAILED job's ``result`` tells of."""
    code = result["code"] if result["code"] in CODES else "inference_failed"
    extra = {"request_id": job.id} | {name: result[name] for name in ("moderation",) if name in result}
    return Problem(code, result["error"], headers=headers, extra=extra)


def erased(request_id: str) -> Problem:
    """The 410 of a result that was gone before it could be sent."""
    text = f"The result of request {request_id} was erased, or sent to another, before it could be sent here"
    return Problem("result_expired", text, extra={"request_id": request_id})


async def _hung_up(request: Request) -> None:
    # The body has been read, so all that can still arrive is the disconnect.
    while (await request.receive())["type"] != "http.disconnect":
        pass
