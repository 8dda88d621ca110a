"""Wake-ups: one thread follows the store's change counter, so that waiting costs nothing while nothing changes."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, TypeVar

import structlog
from anyio import to_thread

from openkontext.store import Store, StoreUnavailable

log = structlog.get_logger(__name__)

Value = TypeVar("Value")

_CACHE_SIZE = 4096
# Seconds between the polls underneath the wake-ups, for when the store's counter can't be read.
SLOW_POLL = 1.0


class Watcher:
    """Tells coroutines when the store changed, and caches reads for as long as it didn't.

    The cache is exact, not timed: the change counter is read at every look-up, so a revoked key
    or an erased request is gone at the next poll, whichever process did it.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._stopping = threading.Event()
        self._changed = asyncio.Event()
        self._thread: threading.Thread | None = None
        self._cache: dict[Hashable, asyncio.Task[Any]] = {}
        self._cached_at: int | None = None

    def start(self) -> None:
        """Begin to follow the store; wake-ups arrive on the running event loop."""
        loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._follow, args=(loop,), name="watcher", daemon=True)
        self._thread.start()

    async def stop(self) -> None:
        """End the thread and wake whoever still waits."""
        self._stopping.set()
        if self._thread:
            await to_thread.run_sync(self._thread.join)
        self.wake()

    @property
    def change(self) -> asyncio.Event:
        """Set at the next change. Take it before a read: a change that arrives while that runs must not be missed."""
        return self._changed

    def wake(self) -> None:
        """Have everyone who waits look again."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def until(self, read: Callable[[], Awaitable[Value | None]], timeout: float) -> Value | None:
        """Call ``read`` now and after every change until it gives a value, or None after ``timeout`` seconds."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        while True:
            changed = self.change
            value = await read()
            left = deadline - loop.time()
            if value is not None or left <= 0:
                return value
            await set_within(changed, min(left, SLOW_POLL))

    async def cached(self, key: Hashable, load: Callable[[], Value]) -> Value:
        """What ``load`` returns, run in a thread unless it ran for ``key`` since the store's last change.

        Who asks while it runs shares its outcome.
        """
        version = self._store.version()
        if version != self._cached_at or len(self._cache) >= _CACHE_SIZE:
            self._cache.clear()
            self._cached_at = version
        if version is None:
            return await to_thread.run_sync(load)
        reading = self._cache.get(key)
        if reading is None or (reading.done() and reading.exception()):
            reading = self._cache[key] = asyncio.create_task(to_thread.run_sync(load))
        # Shielded: one who asked and went away doesn't take the answer from the others.
        value: Value = reading.result() if reading.done() else await asyncio.shield(reading)
        return value

    def _follow(self, loop: asyncio.AbstractEventLoop) -> None:
        seen: int | None = None
        while not self._stopping.is_set():
            try:
                now = self._store.wait(seen, timeout=0.1)
            except StoreUnavailable as error:
                log.warning("watcher", error=str(error))
                self._stopping.wait(0.5)
                continue
            if now != seen:
                seen = now
                loop.call_soon_threadsafe(self.wake)


async def set_within(event: asyncio.Event, timeout: float) -> bool:
    """Wait for ``event``, for ``timeout`` seconds at most; whether it came."""
    try:
        async with asyncio.timeout(timeout):
            await event.wait()
    except TimeoutError:
        return False
    return True
