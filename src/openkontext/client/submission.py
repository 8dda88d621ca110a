"""A request that was submitted: what both kinds of job share."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any, Self

from ..contract import State, wire
from .core import Core
from .errors import InferenceFailed, OpenkontextError
from .events import Event
from .stream import Follower, OnProgress, tell

DEFAULT_POLL_INTERVAL_S = 1.0
DEFAULT_POLL_TIMEOUT_S = 600.0

_ACCEPTED = 202


@dataclass
class Submission:
    """A request's id and addresses as the server named them, and its answer to the submit (empty if taken up by id)."""

    request_id: str
    status_url: str
    response_url: str
    submit_response: dict[str, Any]
    _core: Core = field(repr=False, compare=False)

    @classmethod
    def _of(cls, core: Core, answer: dict[str, Any]) -> Self:
        return cls(answer["request_id"], answer["status_url"], answer["response_url"], answer, core)

    @classmethod
    def _by_id(cls, core: Core, request_id: str) -> Self:
        return cls(request_id, submit_response={}, _core=core, **wire.urls(core.target.root, request_id))

    def _follower(self, timeout: float, interval: float) -> Follower:
        return Follower(self._core, self.request_id, self.status_url, self.response_url, timeout, interval)

    def _events(self, timeout: float) -> AsyncGenerator[Event, None]:
        return self._follower(timeout, DEFAULT_POLL_INTERVAL_S).events()

    async def _wait(self, timeout: float, interval: float, on_progress: OnProgress | None) -> dict[str, Any]:
        follower = self._follower(timeout, interval)
        async with aclosing(follower.events() if on_progress else follower.polled()) as events:
            async for event in events:
                if on_progress:
                    await tell(on_progress, event)
        body = event.data
        _raise_if_failed(body)
        return body

    async def _cancel(self) -> bool:
        response = await self._core.delete(self.response_url)
        return response.status_code == _ACCEPTED

    async def _pin(self, pinned: bool) -> dict[str, Any]:
        return await self._core.pin(self.response_url, pinned=pinned)

    async def _download(self, path: str | PathLike[str] | None) -> bytes:
        body = await self._core.fetch(self.response_url)
        _raise_if_failed(body)
        if not body.get("output"):
            raise OpenkontextError(
                detail=f"there is no output yet, the request is {body.get('status')}: wait() for it first",
                request_id=self.request_id,
            )
        content = await self._core.download(body["output"])
        if path is not None:
            await self._core.io.call(partial(Path(path).write_bytes, content))
        return content


def _raise_if_failed(body: dict[str, Any]) -> None:
    if body.get("status") == State.FAILED:
        raise InferenceFailed(body.get("error"), body)
