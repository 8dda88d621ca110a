"""The two ways of doing input and output, behind one face, so that everything else is written once.

The core is coroutines that touch the world only through `IO`. Under `AsyncIO` they are awaited as usual. Under
`BlockingIO` no step of them ever suspends, so `settle` runs a whole coroutine in one go, without an event loop (and
therefore also inside one), and `each` an asynchronous generator.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator
from typing import Any, Protocol, TypeVar

import httpx

EVENT_STREAM = "text/event-stream"

T = TypeVar("T")


class IO(Protocol):
    """What the core needs of the world."""

    @property
    def http(self) -> httpx.Client | httpx.AsyncClient:
        """The client that builds requests."""

    async def send(self, request: httpx.Request, *, follow_redirects: bool) -> httpx.Response:
        """Send a request and read the whole answer, but for an event stream's, which is left to `chunks`."""

    def chunks(self, response: httpx.Response) -> AsyncGenerator[bytes, None]:
        """The body of an answer as it arrives; closing the generator hangs up."""

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
        response = self.http.send(request, follow_redirects=follow_redirects, stream=True)
        if not is_event_stream(response):
            response.read()
        return response

    async def chunks(self, response: httpx.Response) -> AsyncGenerator[bytes, None]:
        try:
            for chunk in response.iter_bytes():
                yield chunk
        finally:
            response.close()

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
        response = await self.http.send(request, follow_redirects=follow_redirects, stream=True)
        if not is_event_stream(response):
            await response.aread()
        return response

    async def chunks(self, response: httpx.Response) -> AsyncGenerator[bytes, None]:
        try:
            async for chunk in response.aiter_bytes():
                yield chunk
        finally:
            await response.aclose()

    async def sleep(self, seconds: float) -> None:
        await self._sleep(seconds)

    async def call(self, function: Callable[[], T]) -> T:
        return await asyncio.to_thread(function)


def is_event_stream(response: httpx.Response) -> bool:
    """Whether an answer is the stream of events that was asked for, whose end may be far off."""
    kind: str = response.headers.get("content-type", "")
    found = response.is_success and kind.partition(";")[0].strip().lower() == EVENT_STREAM
    return found and response.request.headers["accept"] == EVENT_STREAM


def settle(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine over `BlockingIO`."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    coroutine.close()
    raise RuntimeError("a blocking step suspended")


def each(items: AsyncGenerator[T, None]) -> Generator[T, None, None]:
    """The items of an asynchronous generator over `BlockingIO`."""

    async def following() -> T:
        return await anext(items)

    try:
        while True:
            try:
                item = settle(following())
            except StopAsyncIteration:
                return
            yield item
    finally:
        settle(items.aclose())
