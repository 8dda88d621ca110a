"""The account of a key: what it has, what it spent, and on what."""

from collections import Counter
from datetime import UTC, date, datetime
from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse
from starlette.responses import Response

from openkontext.contract import InvalidParameters, money
from openkontext.store import Key
from openkontext.store.accounts import Overview
from openkontext.store.history import DayUsage
from openkontext.store.ledger import Booked

from .auth import authenticate, permitted
from .keys import key_body
from .openapi import KEY, answers, errors
from .requests import NO_STORE, page_of
from .services import services_of
from .times import day, iso

router = APIRouter(tags=["account"])

_USUAL_DAYS = 30
_MOST_DAYS = 366
_ERRORS = errors(401, 429, 500, 503)


@router.get("/v2/account", openapi_extra=KEY, responses={200: answers("The account", "Account"), **_ERRORS})
async def account(request: Request) -> Response:
    """The key's account and balance, and what the key may do."""
    key = await authenticate(request)
    overview = await to_thread.run_sync(services_of(request).store.overview, key.account_id)
    # Who was let in without the header came by a page's cookie.
    body = _overview(key, overview) | {"session": "x-api-key" not in request.headers}
    return JSONResponse(body, headers=NO_STORE)


@router.get(
    "/v2/account/ledger",
    openapi_extra=KEY,
    responses={200: answers("A page of the books, newest first", "Ledger"), **_ERRORS, **errors(400, 403)},
)
async def ledger(
    request: Request,
    page: Annotated[int, Query(ge=1, le=1_000_000)] = 1,
    per_page: Annotated[int, Query(ge=1, le=100)] = 20,
) -> Response:
    """Every change of the balance: grants, prices held at a submit, then taken, or released for what failed."""
    key = await permitted(request, "history")
    store = services_of(request).store
    booked, total = await to_thread.run_sync(lambda: store.ledger_page(key.account_id, page=page, per_page=per_page))
    return page_of("entries", [_entry(each) for each in booked], page=page, per_page=per_page, total=total)


@router.get(
    "/v2/account/usage",
    openapi_extra=KEY,
    responses={200: answers("Every day of the span, oldest first", "Usage"), **_ERRORS, **errors(400, 403)},
)
async def usage(
    request: Request,
    first: Annotated[str | None, Query(alias="from", description="The first day, UTC.")] = None,
    last: Annotated[str | None, Query(alias="to", description="The last day, UTC; today, if left out.")] = None,
) -> Response:
    """What the account's requests came to, by the UTC day of their submit: 30 days if none are named, 366 at most."""
    key = await permitted(request, "history")
    store = services_of(request).store
    begin, end = read_days(first, last, datetime.fromtimestamp(store.clock(), UTC).date())
    days = await to_thread.run_sync(store.daily_usage, key.account_id, begin, end)
    body = {"from": begin.isoformat(), "to": end.isoformat(), "days": [_day(each) for each in days]}
    return JSONResponse(body | {"totals": _totals(days)}, headers=NO_STORE)


def read_days(first: str | None, last: str | None, today: date) -> tuple[date, date]:
    """The first and last day that are asked for. Raises `InvalidParameters`."""
    try:
        end = today if last is None else day("to", last)
        usual = date.fromordinal(max(1, end.toordinal() - _USUAL_DAYS + 1))
        begin = usual if first is None else day("from", first)
    except ValueError as error:
        raise InvalidParameters([str(error)]) from None
    if begin > end:
        raise InvalidParameters([f"from ({begin}) must not be after to ({end})"])
    if (end - begin).days >= _MOST_DAYS:
        raise InvalidParameters(
            [f"from and to must be at most {_MOST_DAYS} days apart; ask for one year after another"]
        )
    return begin, end


def _overview(key: Key, overview: Overview) -> dict[str, Any]:
    account = overview.account
    body = {
        "account": account.name,
        "created_at": iso(account.created_at),
        "credits": money.wire(account.balance),
        "held": money.wire(overview.held),
        "key": key_body(key),
    }
    return body | ({"spent_today": money.wire(overview.spent_today)} if key.may_read_history else {})


def _entry(booked: Booked) -> dict[str, Any]:
    entry = booked.entry
    return {
        "id": entry.id,
        "kind": entry.kind,
        "amount": money.wire(entry.amount),
        "balance": money.wire(booked.balance),
        "request_id": entry.job_id,
        "created_at": iso(entry.created_at),
    }


def _day(usage: DayUsage) -> dict[str, Any]:
    return {"day": usage.day.isoformat()} | _totals([usage])


def _totals(days: list[DayUsage]) -> dict[str, Any]:
    failures = sum((Counter(each.failures) for each in days), Counter())
    return {
        "requests": sum(each.requests for each in days),
        "completed": sum(each.completed for each in days),
        "failed": sum(each.failed for each in days),
        "cost": money.wire(sum(each.cost for each in days)),
        "gpu_seconds": round(sum((each.gpu_seconds for each in days), 0.0), 3),
        "failures": dict(failures.most_common()),
    }
