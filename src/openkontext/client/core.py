"""What both clients do on the wire: one request with its retries, its key and its errors."""

from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Any

import httpx

from .. import __version__
from ..contract import State
from .errors import OpenkontextError, checked, json_object
from .images import encode_parameters
from .io import IO
from .retry import pause_before_retry
from .target import Target

MAX_RETRIES = 3
CONNECT_TIMEOUT_S = 5.0
# How long the server works on a v1 request before it answers 504. To hang up earlier would cancel the edit, and lose
# the request's id, by which it could be had later; so this comes on top of what any other answer may take.
V1_WORK_S = 60.0


def http_options(timeout: float) -> dict[str, Any]:
    """How both kinds of httpx client are set up; ``timeout`` in seconds."""
    return {
        "timeout": httpx.Timeout(timeout, connect=min(timeout, CONNECT_TIMEOUT_S)),
        "headers": {"user-agent": f"openkontext-python/{__version__}"},
    }


class Core:
    """The wire, over either kind of `IO`."""

    def __init__(self, target: Target, io: IO, *, timeout: float, max_retries: int, clock: Callable[[], float]) -> None:
        self.target = target
        self.io = io
        self.clock = clock
        self._v1_timeout = httpx.Timeout(timeout, connect=min(timeout, CONNECT_TIMEOUT_S), read=timeout + V1_WORK_S)
        self._max_retries = max_retries

    async def run_sync(self, slug: str, params: dict[str, Any]) -> httpx.Response:
        """``POST /v1/{slug}``: the answer is the picture's bytes."""
        return await self._post("v1", slug, params, timeout=self._v1_timeout)

    async def submit(self, slug: str, params: dict[str, Any]) -> dict[str, Any]:
        """``POST /v2/{slug}``: the answer names the request and its addresses."""
        response = await self._post("v2", slug, params)
        answer = json_object(response)
        missing = [name for name in ("request_id", "status_url", "response_url") if not answer.get(name)]
        if missing:
            raise OpenkontextError(response.status_code, f"the server's answer lacks {', '.join(missing)}")
        return answer

    async def fetch(self, url: str) -> dict[str, Any]:
        """A request's status or result body; an ended request's is one under any HTTP status (FAILED's is 422)."""
        response = await self._send("GET", url)
        body = json_object(response)
        if body.get("status") in (State.COMPLETED, State.FAILED):
            return body
        checked(response)
        if not body:
            raise OpenkontextError(response.status_code, "the answer is no JSON object: is the base URL right?")
        return body

    async def delete(self, url: str) -> httpx.Response:
        """``DELETE`` a request."""
        return checked(await self._send("DELETE", url))

    async def download(self, url: str) -> bytes:
        """The file at an output's URL, which is its own secret and may lead to other servers: no key goes along."""
        request = self.io.http.build_request("GET", url)
        return checked(await self._exchange(request, follow_redirects=True)).content

    async def _post(self, version: str, slug: str, params: dict[str, Any], **options: Any) -> httpx.Response:
        # Asked first: no key is known before any picture is encoded.
        self.target.headers()
        body = await self.io.call(partial(encode_parameters, params))
        url = f"{self.target.root}/{version}/{slug.strip('/')}"
        return checked(await self._send("POST", url, json=body, **options))

    async def _send(self, method: str, url: str, **options: Any) -> httpx.Response:
        request = self.io.http.build_request(method, self.target.own(url), headers=self.target.headers(), **options)
        return await self._exchange(request, follow_redirects=False)

    async def _exchange(self, request: httpx.Request, *, follow_redirects: bool) -> httpx.Response:
        """Send a request until it is answered, or not to be sent again."""
        for retries in count():
            outcome: httpx.Response | httpx.TransportError
            try:
                outcome = await self.io.send(request, follow_redirects=follow_redirects)
            except httpx.TransportError as error:
                outcome = error
            pause = pause_before_retry(retries, request.method, outcome)
            if pause is None or retries >= self._max_retries:
                break
            await self.io.sleep(pause)
        if isinstance(outcome, httpx.Response):
            return outcome
        # Not the whole URL: an output's is a secret, and notes end up in logs.
        origin = f"{request.url.scheme}://{request.url.netloc.decode()}"
        outcome.add_note(f"No answer from {origin}; base_url=… or OPENKONTEXT_BASE_URL sets the server's address.")
        raise outcome
