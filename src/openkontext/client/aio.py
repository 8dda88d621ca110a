"""The client for asyncio: the blocking one's methods, to be awaited."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from os import PathLike
from typing import Any, Self

import httpx

from .core import MAX_RETRIES, Core, http_options
from .io import AsyncIO
from .submission import DEFAULT_POLL_INTERVAL_S, DEFAULT_POLL_TIMEOUT_S, Submission
from .target import Target


class AsyncClientJob(Submission):
    """A request submitted by an `AsyncClient`."""

    async def status(self) -> dict[str, Any]:
        """As `Job.status`."""
        return await self._core.fetch(self.status_url)

    async def wait(
        self, timeout: float = DEFAULT_POLL_TIMEOUT_S, interval: float = DEFAULT_POLL_INTERVAL_S
    ) -> dict[str, Any]:
        """As `Job.wait`. Cancelling the task ends the waiting only, not the request."""
        return await self._wait(timeout, interval)

    async def result(self) -> dict[str, Any]:
        """As `Job.result`."""
        return await self._core.fetch(self.response_url)

    async def cancel(self) -> bool:
        """As `Job.cancel`: an ended request's result is erased."""
        return await self._cancel()

    async def download(self, path: str | PathLike[str] | None = None) -> bytes:
        """As `Job.download`."""
        return await self._download(path)


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
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        target = Target.of(api_key, base_url)
        self.api_key, self.base_url, self.timeout = target.api_key, target.root, timeout
        self._http = httpx.AsyncClient(transport=transport, **http_options(timeout))
        io = AsyncIO(self._http, sleep)
        self._core = Core(target, io, timeout=timeout, max_retries=max_retries, clock=clock)

    async def run(self, slug: str, **params: Any) -> dict[str, Any]:
        """As `Client.run`."""
        job = await self.submit_async(slug, **params)
        return await job.wait()

    async def run_sync(self, slug: str, **params: Any) -> httpx.Response:
        """As `Client.run_sync`. Cancelling the task hangs up, and so cancels the edit."""
        return await self._core.run_sync(slug, params)

    async def submit_async(self, slug: str, **params: Any) -> AsyncClientJob:
        """As `Client.submit_async`."""
        return AsyncClientJob._of(self._core, await self._core.submit(slug, params))

    def job(self, request_id: str) -> AsyncClientJob:
        """As `Client.job`."""
        return AsyncClientJob._by_id(self._core, request_id)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
