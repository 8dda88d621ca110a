"""The client for asyncio: the blocking one's methods, to be awaited."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from datetime import date
from os import PathLike
from typing import Any, Self

import httpx

from .core import MAX_RETRIES, MAX_WAIT_S, Core, http_options
from .events import Event
from .io import AsyncIO
from .stream import OnProgress
from .submission import DEFAULT_POLL_INTERVAL_S, DEFAULT_POLL_TIMEOUT_S, Submission
from .target import Target


class AsyncClientJob(Submission):
    """A request submitted by an `AsyncClient`."""

    async def status(self) -> dict[str, Any]:
        """As `Job.status`."""
        return await self._core.fetch(self.status_url)

    async def wait(
        self,
        timeout: float = DEFAULT_POLL_TIMEOUT_S,
        interval: float = DEFAULT_POLL_INTERVAL_S,
        on_progress: OnProgress | None = None,
    ) -> dict[str, Any]:
        """As `Job.wait`; what ``on_progress`` gives back is awaited if it can be.

        Cancelling the task ends the waiting only, not the request.
        """
        return await self._wait(timeout, interval, on_progress)

    def stream(self, timeout: float = DEFAULT_POLL_TIMEOUT_S) -> AsyncGenerator[Event, None]:
        """As `Job.stream`, for ``async for``."""
        return self._events(timeout)

    async def result(self) -> dict[str, Any]:
        """As `Job.result`."""
        return await self._core.fetch(self.response_url)

    async def cancel(self) -> bool:
        """As `Job.cancel`: an ended request's result is erased."""
        return await self._cancel()

    async def pin(self) -> dict[str, Any]:
        """As `Job.pin`."""
        return await self._pin(True)

    async def unpin(self) -> dict[str, Any]:
        """As `Job.unpin`."""
        return await self._pin(False)

    async def download(self, path: str | PathLike[str] | None = None) -> bytes:
        """As `Job.download`."""
        return await self._download(path)


class AsyncFiles:
    """A client's uploads. Methods and errors are `Files`'."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def upload(self, file: Any) -> str:
        """As `Files.upload`."""
        return await self._core.upload(file)

    async def upload_many(self, files: Iterable[Any]) -> list[str]:
        """As `Files.upload_many`."""
        return [await self.upload(file) for file in files]


class AsyncClient:
    """A connection to a server, for asyncio. Arguments, methods and errors are `Client`'s."""

    def __init__(
        self,
        api_key: str | None = None,
        base_url: str | None = None,
        timeout: float = 30.0,
        transport: httpx.AsyncBaseTransport | None = None,
        *,
        max_retries: int = MAX_RETRIES,
        max_wait: float = MAX_WAIT_S,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        target = Target.of(api_key, base_url)
        self.api_key, self.base_url, self.timeout = target.api_key, target.root, timeout
        self._http = httpx.AsyncClient(transport=transport, **http_options(timeout))
        io = AsyncIO(self._http, sleep)
        self._core = Core(target, io, timeout=timeout, max_retries=max_retries, max_wait=max_wait, clock=clock)
        self.files = AsyncFiles(self._core)

    async def run(
        self,
        slug: str,
        *,
        idempotency_key: str | None = None,
        on_progress: OnProgress | None = None,
        **params: Any,
    ) -> dict[str, Any]:
        """As `Client.run`; what ``on_progress`` gives back is awaited if it can be."""
        job = await self.submit_async(slug, idempotency_key=idempotency_key, **params)
        return await job.wait(on_progress=on_progress)

    async def run_sync(self, slug: str, *, idempotency_key: str | None = None, **params: Any) -> httpx.Response:
        """As `Client.run_sync`. Cancelling the task ends the waiting only, not the request."""
        return await self._core.run_sync(slug, params, idempotency_key)

    async def submit_async(
        self, slug: str, *, idempotency_key: str | None = None, webhook: str | None = None, **params: Any
    ) -> AsyncClientJob:
        """As `Client.submit_async`."""
        return AsyncClientJob._of(self._core, await self._core.submit(slug, params, idempotency_key, webhook))

    async def estimate(self, slug: str, **params: Any) -> dict[str, Any]:
        """As `Client.estimate`."""
        return await self._core.estimate(slug, params)

    def job(self, request_id: str) -> AsyncClientJob:
        """As `Client.job`."""
        return AsyncClientJob._by_id(self._core, request_id)

    async def history(
        self,
        page: int = 1,
        per_page: int = 20,
        status: str | None = None,
        since: date | str | None = None,
        until: date | str | None = None,
    ) -> dict[str, Any]:
        """As `Client.history`."""
        return await self._core.history(page=page, per_page=per_page, status=status, since=since, until=until)

    async def models(self) -> dict[str, Any]:
        """As `Client.models`."""
        return await self._core.ask("GET", "v1", "models")

    async def credits(self) -> dict[str, Any]:
        """As `Client.credits`."""
        return await self._core.ask("GET", "v1", "get-user-credits")

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
