"""OpenAI's images edit as its clients send it, and what they rely on in an error."""

import asyncio
from typing import Any

import httpx

from openkontext.contract import CODES
from tests.gateway.harness import PICTURE, Gateway, data_uri

EDITS = "/v1/images/edits"
FORM = {"prompt": "make it snow"}
BODY = {"prompt": "make it snow", "image": data_uri(PICTURE)}


def bearer(gateway: Gateway, secret: str = "") -> Gateway:
    gateway.http.headers.pop("x-api-key", None)
    gateway.http.headers["authorization"] = f"Bearer {secret or gateway.secret}"
    return gateway


def post(gateway: Gateway, files: Any = None, headers: Any = None, **fields: Any) -> asyncio.Task[httpx.Response]:
    """A form with one picture, on its way."""
    parts = files or {"image": ("a.png", PICTURE, "image/png")}
    return asyncio.create_task(gateway.http.post(EDITS, data=FORM | fields, files=parts, headers=headers))


async def work(gateway: Gateway, jobs: int = 1, endings: Any = None) -> list[Any]:
    """What the worker took, each completed unless told otherwise."""
    claims = []
    for index in range(jobs):
        claims.append(await asyncio.to_thread((endings or {}).get(index, gateway.worker.complete)))
    return claims


async def edited(gateway: Gateway, jobs: int = 1, **fields: Any) -> tuple[httpx.Response, list[Any]]:
    """The answer to a form, and the claims of its jobs."""
    answer = post(gateway, **fields)
    claims = await work(gateway, jobs)
    response = await answer
    assert response.status_code == 200, response.text
    return response, claims


def assert_openai_error(
    response: httpx.Response, status: int, code: str, *, kind: str = "invalid_request_error", param: str | None = None
) -> dict[str, Any]:
    """The failure has OpenAI's shape, with these. Returns what is under `error`."""
    assert response.headers["content-type"] == "application/json", response.text
    body: dict[str, Any] = response.json()
    assert list(body) == ["error"], response.text
    error: dict[str, Any] = body["error"]
    assert (status, code, kind, param) == (response.status_code, error["code"], error["type"], error["param"]), error
    assert code in CODES.keys() | {"model_not_found", "moderation_blocked"}
    assert isinstance(error["message"], str)
    assert error["message"].strip()
    assert response.headers["x-should-retry"] in ("true", "false")
    assert "Traceback" not in response.text
    return error
