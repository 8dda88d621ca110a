"""The history: what an account asked for, long after results are gone; and pins, which keep them."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from anyio import to_thread
from fastapi import APIRouter, Request
from starlette.responses import Response

from openkontext.contract import CODES, InvalidParameters, State, money
from openkontext.store import HistoryEntry, Job

from .auth import permitted
from .openapi import HISTORY_QUERY, KEY, POLL_ERRORS, answers, errors
from .requests import full_response, input_url, output_url, page_of, state_of
from .services import services_of
from .times import iso, iso_or_none, span

router = APIRouter(tags=["v2"])

_PER_PAGE = 20
_MOST_PER_PAGE = 100
# Far beyond any history, and below where databases stop counting.
_LAST_PAGE = 1_000_000
_LONGEST_SEARCH = 200
_MOST_WORDS = 10


@router.get(
    "/v2/requests",
    openapi_extra=KEY | {"parameters": HISTORY_QUERY},
    responses={200: answers("A page of the history, newest first", "History"), **errors(400, 401, 403, 429, 500, 503)},
)
async def history(request: Request) -> Response:
    """The account's requests, also those whose results have expired."""
    key = await permitted(request, "history")
    query = read_query(request.query_params.multi_items())
    page = await to_thread.run_sync(lambda: services_of(request).store.history(key.account_id, **query))
    entries = [_entry(request, each) for each in page.entries]
    return page_of("requests", entries, page=query["page"], per_page=query["per_page"], total=page.total)


@router.post("/v2/requests/{request_id}/pin", openapi_extra=KEY, responses={
    200: answers("Pinned: it is kept until it is unpinned or erased", "Result"), **errors(400, 403), **POLL_ERRORS
})  # fmt: skip
async def pin(request: Request, request_id: str) -> Response:
    """Keep a completed request past its retention; its output gets a new address, the old one ends when it would."""
    return await _set_pin(request, request_id, pinned=True)


@router.delete("/v2/requests/{request_id}/pin", openapi_extra=KEY, responses={
    200: answers("Unpinned: its retention begins anew", "Result"), **errors(400, 403), **POLL_ERRORS
})  # fmt: skip
async def unpin(request: Request, request_id: str) -> Response:
    """Let a pinned request expire, counted from now."""
    return await _set_pin(request, request_id, pinned=False)


async def _set_pin(request: Request, request_id: str, *, pinned: bool) -> Response:
    key = await permitted(request, "edit")
    services = services_of(request)
    change = services.store.pin if pinned else services.store.unpin
    changed = await to_thread.run_sync(change, request_id, key.account_id)
    job, result = await state_of(services, request_id, key.account_id)
    if changed is None:
        reason = "is delivered once, by its key's retention" if job.retention == 0 else f"is {job.state.value}"
        raise InvalidParameters([f"request {request_id} {reason}; only a COMPLETED one that is kept can be pinned"])
    return full_response(request, job, result)


def read_query(items: list[tuple[str, str]]) -> dict[str, Any]:
    """The arguments of the store's `history` from a query string. Raises `InvalidParameters` for all that is wrong."""
    query: dict[str, Any] = {"page": 1, "per_page": _PER_PAGE}
    problems = []
    for name, text in items:
        try:
            query |= _READERS[name](text) if name in _READERS else _unknown(name)
        except ValueError as error:
            problems.append(str(error))
    problems += [f"{name} is given twice" for name in _READERS if [each for each, _ in items].count(name) > 1]
    if problems:
        raise InvalidParameters(problems)
    return query


def _number(name: str, most: int, text: str) -> dict[str, int]:
    if not re.fullmatch(r"[0-9]{1,7}", text) or not 1 <= int(text) <= most:
        raise ValueError(f"{name} must be an integer from 1 to {most:,}; got {text[:40]!r}")
    return {name: int(text)}


def _states(text: str) -> dict[str, list[State]]:
    names = [name.strip().upper() for name in text.split(",")]
    if not set(names) <= set(State):
        raise ValueError(f"status must be one or more of {', '.join(State)}, joined by commas; got {text[:40]!r}")
    return {"states": [State(name) for name in names]}


def _since(text: str) -> dict[str, float]:
    return {"since": span("from", text)[0]}


def _until(text: str) -> dict[str, float]:
    return {"until": span("to", text)[1]}


def _codes(text: str) -> dict[str, list[str]]:
    codes = [code.strip() for code in text.split(",")]
    if not set(codes) <= set(CODES):
        raise ValueError(f"code must be one or more error codes, joined by commas; got {text[:40]!r}")
    return {"codes": codes}


def _parent(text: str) -> dict[str, str]:
    if not re.fullmatch(r"[0-9a-f-]{36}", text):
        raise ValueError(f"parent must be the id of a request; got {text[:40]!r}")
    return {"parent_id": text}


def _words(text: str) -> dict[str, list[str]]:
    words = text.split()
    if not 1 <= len(words) <= _MOST_WORDS or len(text) > _LONGEST_SEARCH:
        raise ValueError(f"q must be 1 to {_MOST_WORDS} words of a prompt, {_LONGEST_SEARCH} characters at most")
    return {"words": words}


def _unknown(name: str) -> dict[str, Any]:
    raise ValueError(f"{name[:40]!r} is not a filter; known are {', '.join(_READERS)}")


_READERS: dict[str, Callable[[str], dict[str, Any]]] = {
    "page": lambda text: _number("page", _LAST_PAGE, text),
    "per_page": lambda text: _number("per_page", _MOST_PER_PAGE, text),
    "status": _states,
    "code": _codes,
    "parent": _parent,
    "q": _words,
    "from": _since,
    "to": _until,
}


def _entry(request: Request, entry: HistoryEntry) -> dict[str, Any]:
    job, result = entry.job, entry.result
    body: dict[str, Any] = {
        "request_id": job.id,
        "status": job.state.value,
        "created_at": iso(job.created_at),
        "started_at": iso_or_none(job.started_at),
        "ended_at": iso_or_none(job.ended_at),
        "cost": 0.0 if job.state is State.FAILED else money.wire(job.price),
        "parameters": entry.parameters,
        # As text too: JavaScript's numbers don't hold all of its digits.
        "seed": str(entry.parameters["seed"]),
        "pinned": job.pinned,
        "key_hint": entry.key_hint,
    }
    known = {"parent_request_id": job.parent_id, "code": job.code, "input": input_url(request, job, entry.input)}
    if result is not None:
        known |= _outcome(request, job, result)
    return body | {name: value for name, value in known.items() if value is not None}


def _outcome(request: Request, job: Job, result: Mapping[str, Any]) -> dict[str, Any]:
    known = {"metrics": result["metrics"]}
    if job.state is State.FAILED:
        return known | {"error": result["error"], "moderation": result.get("moderation")}
    # A page that shows the history's pictures must not be to whom one was delivered.
    return known if job.retention == 0 else known | {"output": output_url(request, job, dict(result))}
