"""The two ways of doing input and output, behind one face, so that everything else is written once.

The core is coroutines that touch the world only through `IO`. Under `AsyncIO` they are awaited as usual. Under
`BlockingIO` no step of them ever suspends, so `settle` runs a whole coroutine in one go, without an event loop (and
therefore also inside one).
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol, TypeVar

import httpx

T = TypeVar("T")


class IO(Protocol):
    """What the core needs of the world."""

    @property
    def http(self) -> httpx.Client | httpx.AsyncClient:
        """The client that builds requests."""

    async def send(self, request: httpx.Request, *, follow_redirects: bool) -> httpx.Response:
        """Send a request and read the whole answer."""

    async def sleep(self, seconds: float) -> None:
        """Let time pass."""

    async def call(self, function: Callable[[], T]) -> T:
        """Call what takes a while: reads a file, encodes a picture."""


class BlockingIO:
    """Does each thing at once, in the calling thread."""

    def __init__(self, http: httpx.Client, sleep: Callable[[float], None]) -> None:
        self.http = http
        self._sleep = sleep

    async def send(self, request: httpx.Request, *, follow_redirects: bool) -> httpx.Response:
        return self.http.send(request, follow_redirects=follow_redirects)

    async def sleep(self, seconds: float) -> None:
        self._sleep(seconds)

    async def call(self, function: Callable[[], T]) -> T:
        return function()


class AsyncIO:
    """Leaves the event loop free meanwhile."""

    def __init__(self, http: httpx.AsyncClient, sleep: Callable[[float], Awaitable[None]]) -> None:
        self.http = http
        self._sleep = sleep

    async def send(self, request: httpx.Request, *, follow_redirects: bool) -> httpx.Response:
        return await self.http.send(request, follow_redirects=follow_redirects)

    async def sleep(self, seconds: float) -> None:
        await self._sleep(seconds)

    async def call(self, function: Callable[[], T]) -> T:
        return await asyncio.to_thread(function)


def settle(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine over `BlockingIO`."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    coroutine.close()
    raise RuntimeError("a blocking step suspended")
