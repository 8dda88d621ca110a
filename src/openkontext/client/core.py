"""What both clients do on the wire: one request with its retries, its key and its errors."""

import re
import uuid
from collections.abc import Callable
from datetime import date
from typing import Any

import httpx

from .. import __version__
from ..contract import State
from .errors import MethodNotAllowed, NotFound, OpenkontextError, checked, json_object
from .images import Picture, local_picture
from .io import IO
from .retry import Patience
from .target import Target

MAX_RETRIES = 3
# How long a call waits in all for a server that refuses it and says when to come back.
MAX_WAIT_S = 60.0
CONNECT_TIMEOUT_S = 5.0
# How long the server works on a v1 request before it answers 504. To hang up earlier would lose the request's id, by
# which it could be had later; so this comes on top of what any other answer may take.
V1_WORK_S = 60.0
# A picture of more bytes is uploaded first, rather than sent as a data: URI, which makes it a third larger.
LARGE_BYTES = 1_000_000

_VISIBLE_ASCII = re.compile(r"[!-~]{1,255}")


def http_options(timeout: float) -> dict[str, Any]:
    """How both kinds of httpx client are set up; ``timeout`` in seconds."""
    return {
        "timeout": timeouts(timeout),
        "headers": {"user-agent": f"openkontext-python/{__version__}"},
    }


def timeouts(timeout: float, read: float | None = None) -> httpx.Timeout:
    """httpx's timeouts; ``read``, else ``timeout``, is how many seconds may pass without a byte of the answer."""
    return httpx.Timeout(timeout, connect=min(timeout, CONNECT_TIMEOUT_S), read=timeout if read is None else read)


class Core:
    """The wire, over either kind of `IO`."""

    def __init__(
        self,
        target: Target,
        io: IO,
        *,
        timeout: float,
        max_retries: int,
        max_wait: float,
        clock: Callable[[], float],
    ) -> None:
        self.target = target
        self.io = io
        self.clock = clock
        self.timeout = timeout
        self.max_retries = max_retries
        self._max_wait = max_wait
        self._takes_uploads = not target.hosted

    async def run_sync(self, slug: str, params: dict[str, Any], key: str | None) -> httpx.Response:
        """``POST /v1/{slug}``: the answer is the picture's bytes."""
        return await self._edit("v1", slug, params, key, timeout=timeouts(self.timeout, self.timeout + V1_WORK_S))

    async def submit(
        self, slug: str, params: dict[str, Any], key: str | None, webhook: str | None = None
    ) -> dict[str, Any]:
        """``POST /v2/{slug}``: the answer names the request and its addresses; ``webhook`` is told of its end."""
        response = await self._edit("v2", slug, params, key, query={"webhook": webhook} if webhook else None)
        answer = json_object(response)
        missing = [name for name in ("request_id", "status_url", "response_url") if not answer.get(name)]
        if missing:
            raise OpenkontextError(response.status_code, f"the server's answer lacks {', '.join(missing)}")
        return answer

    async def estimate(self, slug: str, params: dict[str, Any]) -> dict[str, Any]:
        """``POST /v2/{slug}/estimate``, which takes what a submit takes."""
        body = await self._prepared(params)
        return await self.ask("POST", "v2", slug.strip("/"), "estimate", json=body)

    async def history(
        self, *, page: int, per_page: int, status: str | None, since: date | str | None, until: date | str | None
    ) -> dict[str, Any]:
        """``GET /v2/requests``; a filter that is None is left out."""
        filters = {"status": status, "from": since, "to": until}
        given = {name: _plain(value) for name, value in filters.items() if value is not None}
        return await self.ask("GET", "v2", "requests", params={"page": page, "per_page": per_page} | given)

    async def ask(self, method: str, *path: str, **options: Any) -> dict[str, Any]:
        """The JSON object that answers a request which may be repeated, to an address of the server."""
        return _answered(await self.send(method, "/".join((self.target.root, *path)), repeatable=True, **options))

    async def fetch(self, url: str) -> dict[str, Any]:
        """A request's status or result body; an ended request's is one under any HTTP status (FAILED's is 422)."""
        response = await self.send("GET", url, repeatable=True)
        body = json_object(response)
        return body if body.get("status") in (State.COMPLETED, State.FAILED) else _answered(response)

    async def pin(self, url: str, *, pinned: bool) -> dict[str, Any]:
        """Keep a request past its retention, or no longer; its result body."""
        return _answered(await self.send("POST" if pinned else "DELETE", f"{url}/pin", repeatable=True))

    async def delete(self, url: str) -> httpx.Response:
        """``DELETE`` a request."""
        return checked(await self.send("DELETE", url, repeatable=True))

    async def download(self, url: str) -> bytes:
        """The file at an output's URL, which is its own secret and may lead to other servers: no key goes along."""
        request = self.io.http.build_request("GET", url)
        return checked(await self._exchange(request, repeatable=True, follow_redirects=True)).content

    async def upload(self, image: Any) -> str:
        """``POST /upload-asset`` of one picture: its URL. One that is a URL already stays it."""
        self.target.headers()
        picture = await self.io.call(lambda: local_picture(image))
        return image if picture is None else await self._upload(picture)

    async def send(self, method: str, url: str, *, repeatable: bool, **options: Any) -> httpx.Response:
        """The answer, whatever it is, to a request with the key."""
        options["headers"] = self.target.headers() | options.get("headers", {})
        request = self.io.http.build_request(method, self.target.own(url), **options)
        return await self._exchange(request, repeatable=repeatable, follow_redirects=False)

    async def _edit(
        self,
        version: str,
        slug: str,
        params: dict[str, Any],
        key: str | None,
        *,
        query: dict[str, str] | None = None,
        **options: Any,
    ) -> httpx.Response:
        headers = {"idempotency-key": _fresh_or(key)}
        body = await self._prepared(params)
        url = f"{self.target.root}/{version}/{slug.strip('/')}"
        repeatable = not self.target.hosted
        options |= {"params": query, "json": body, "headers": headers}
        return checked(await self.send("POST", url, repeatable=repeatable, **options))

    async def _prepared(self, params: dict[str, Any]) -> dict[str, Any]:
        """The parameters as they go on the wire: all verbatim, but for ``input_image``."""
        # Asked first: no key is known before any picture is read.
        self.target.headers()
        if "input_image" not in params:
            return params
        image = params["input_image"]
        picture = await self.io.call(lambda: local_picture(image))
        return params if picture is None else params | {"input_image": await self._reference(picture)}

    async def _reference(self, picture: Picture) -> str:
        """How a picture is named to the server: the URL of its upload if it is large, else a data: URI."""
        if picture.size > LARGE_BYTES and self._takes_uploads:
            try:
                return await self._upload(picture)
            except (NotFound, MethodNotAllowed):
                self._takes_uploads = False
        return await self.io.call(picture.data_uri)

    async def _upload(self, picture: Picture) -> str:
        with await self.io.call(picture.open) as file:
            # httpx sends the file piece by piece, and from its start again when it is repeated.
            parts = {"file": (picture.name, file)}
            # The same picture twice is one upload, so there is nothing that a repeat could spoil.
            answer = await self.ask("POST", "upload-asset", files=parts)
        match answer.get("file_urls"):
            case [str(url)]:
                return url
        raise OpenkontextError(detail="the server took the upload and named no URL for it")

    async def _exchange(self, request: httpx.Request, *, repeatable: bool, follow_redirects: bool) -> httpx.Response:
        """Send a request until it is answered, or not to be sent again."""
        patience = Patience(self.max_retries, self._max_wait, repeatable=repeatable)
        while True:
            outcome: httpx.Response | httpx.TransportError
            try:
                outcome = await self.io.send(request, follow_redirects=follow_redirects)
            except httpx.TransportError as error:
                outcome = error
            pause = patience.pause(outcome)
            if pause is None:
                break
            await self.io.sleep(pause)
        if isinstance(outcome, httpx.Response):
            return outcome
        # Not the whole URL: an output's is a secret, and notes end up in logs.
        origin = f"{request.url.scheme}://{request.url.netloc.decode()}"
        outcome.add_note(f"No answer from {origin}; base_url=… or OPENKONTEXT_BASE_URL sets the server's address.")
        raise outcome


def _answered(response: httpx.Response) -> dict[str, Any]:
    """The JSON object of a success."""
    body = json_object(checked(response))
    if not body:
        raise OpenkontextError(response.status_code, "the answer is no JSON object: is the base URL right?")
    return body


def _plain(value: date | str) -> str:
    return value.isoformat() if isinstance(value, date) else value


def _fresh_or(key: str | None) -> str:
    """The Idempotency-Key of one call: the caller's, or one that no other call has."""
    if key is not None and not _VISIBLE_ASCII.fullmatch(key):
        raise ValueError(f"idempotency_key must be 1 to 255 visible ASCII characters; got {key!r}")
    return key or str(uuid.uuid4())
