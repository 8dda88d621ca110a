"""Following a request until it ends: by the server's stream of events where it has one, else by polling."""

import inspect
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import httpx

from ..contract import State
from .core import Core, timeouts
from .errors import InferenceTimeout
from .events import Event
from .io import EVENT_STREAM, is_event_stream
from .retry import BROKEN
from .sse import Parser

OnProgress = Callable[[Event], object]

# The server says something every few seconds. After this long without a byte the connection is taken for dead.
SILENCE_S = 45.0
# However little time is left, the server gets this long to answer at all.
SHORTEST_S = 1.0
# Before the next connection, unless the server names another time.
RECONNECT_S = 1.0


@dataclass
class Follower:
    """One request followed for up to ``timeout`` seconds from now; polled, if need be, every ``interval``.

    Its generators end after the event that is ``done``, and raise `InferenceTimeout`.
    """

    core: Core
    request_id: str
    status_url: str
    response_url: str
    timeout: float
    interval: float
    _parser: Parser = field(default_factory=Parser)
    _start: float = field(init=False)

    def __post_init__(self) -> None:
        self._start = self.core.clock()

    async def events(self) -> AsyncGenerator[Event, None]:
        """All that the server tells of it; where it has no stream, or none that lasts, what polling shows."""
        for source in (self._streamed, self.polled):
            async with aclosing(source()) as events:
                async for event in events:
                    yield event
                    if event.result:
                        return

    async def polled(self) -> AsyncGenerator[Event, None]:
        """A ``status`` event for each change that polling shows, then ``done``."""
        seen = None
        while True:
            body = await self.core.fetch(self.status_url)
            state = body.get("status")
            if state in (State.COMPLETED, State.FAILED):
                yield Event("done", body if state == State.FAILED else await self.core.fetch(self.response_url))
                return
            if state != seen:
                yield Event("status", {"status": state})
            seen = state
            await self._pause(self.interval)

    async def _streamed(self) -> AsyncGenerator[Event, None]:
        """The events of as many connections as it takes; ends early where they lead to nothing."""
        in_vain = 0
        while in_vain <= self.core.max_retries and (response := await self._connect()):
            in_vain += 1
            try:
                async with aclosing(self._received(response)) as events:
                    async for event in events:
                        in_vain = 0
                        yield event
                        if event.ends_stream:
                            return
            except BROKEN:
                pass  # the next connection goes on after the last event that came
            await self._pause(RECONNECT_S if self._parser.retry is None else self._parser.retry)

    async def _connect(self) -> httpx.Response | None:
        headers = {"accept": EVENT_STREAM, "cache-control": "no-store"}
        if self._parser.last_id:
            headers["last-event-id"] = self._parser.last_id
        timeout = timeouts(self.core.timeout, min(SILENCE_S, max(self._left, SHORTEST_S)))
        url = f"{self.response_url}/events"
        try:
            response = await self.core.send("GET", url, repeatable=True, headers=headers, timeout=timeout)
        except httpx.ReadTimeout:
            self._check()  # it was the time left that was short
            raise
        # Whatever else the answer is: polling works everywhere, and says what is wrong where it doesn't.
        return response if is_event_stream(response) else None

    async def _received(self, response: httpx.Response) -> AsyncGenerator[Event, None]:
        self._parser.connect()
        async with aclosing(self.core.io.chunks(response)) as chunks:
            async for chunk in chunks:
                for message in self._parser.feed(chunk):
                    if event := Event.of(message):
                        yield event
                self._check()

    @property
    def _left(self) -> float:
        return self.timeout - (self.core.clock() - self._start)

    def _check(self) -> None:
        if self._left <= 0:
            raise InferenceTimeout(self.request_id, self.timeout - self._left)

    async def _pause(self, seconds: float) -> None:
        self._check()
        await self.core.io.sleep(min(seconds, self._left))


async def tell(on_progress: OnProgress, event: Event) -> None:
    """Call it; await what it gives back if that is to be awaited."""
    outcome: Any = on_progress(event)
    if inspect.isawaitable(outcome):
        await outcome
