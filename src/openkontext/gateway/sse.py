"""What every stream of server-sent events of the gateway has in common."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from fastapi.sse import EventSourceResponse
from starlette.types import Send

from .requests import NO_STORE

HEARTBEAT = 15.0
RECONNECT_MS = 1000
# X-Accel-Buffering: nginx would hold the events back until some kilobytes are together.
_HEADERS = NO_STORE | {"x-accel-buffering": "no"}


class EventStream(EventSourceResponse):
    """Ends its generator when the client goes, instead of leaving that to the garbage collector."""

    body_iterator: AsyncGenerator[bytes]

    def __init__(self, events: AsyncGenerator[bytes]) -> None:
        super().__init__(events, headers=_HEADERS)

    async def stream_response(self, send: Send) -> None:
        """Send the events until they end or the client goes."""
        async with aclosing(self.body_iterator):
            await super().stream_response(send)
