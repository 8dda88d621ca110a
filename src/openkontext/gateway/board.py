"""The board: where the requests stand that someone follows, read once for all who look, and only when it changed."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import structlog
from anyio import to_thread

from openkontext.store import StoreUnavailable
from openkontext.store.standings import Standing, standings

from .pace import Fleet, Pace, eta
from .services import Services
from .watch import SLOW_POLL, set_within

log = structlog.get_logger(__name__)

# Seconds between two reads: a step takes longer on most devices, and nobody sees the difference.
PAUSE = 0.15
# The workers' times change slowly.
FLEET_EVERY = 2.0


@dataclass(frozen=True)
class Preview:
    """A picture on its way; ``data`` is that of the event `preview`."""

    attempt: int
    step: int
    data: str


class Topic:
    """A followed request. ``standing`` is None before the first read and once it is over."""

    def __init__(self, account_id: int) -> None:
        self.account_id = account_id
        self.standing: Standing | None = None
        self.preview: Preview | None = None
        # The data of the event `progress`; made, as that of `preview`, once for all who get it.
        self.progress = ""
        # Set, and replaced, at every change.
        self.changed = asyncio.Event()
        self.followers = 0
        self._pace = Pace()
        self._read = False

    def tell(self, job_id: str, standing: Standing | None, preview: Preview | None, fleet: Fleet) -> None:
        """What the board read; wakes the followers if it is news."""
        if self._read and standing == self.standing and preview is None:
            return
        self.preview = preview or self.preview
        self._read, self.standing = True, standing
        if standing:
            self._pace.note(standing, asyncio.get_running_loop().time())
            seconds = eta(standing, self._pace, fleet.timing(job_id), fleet.workers)
            self.progress = json.dumps({"step": standing.step, "steps": standing.steps, "eta_seconds": seconds})
        self.wake()

    def wake(self) -> None:
        """Have the followers look again."""
        self.changed.set()
        self.changed = asyncio.Event()


class Board:
    """Reads while there are followers, in a task of its own that ends with the last of them."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._topics: dict[str, Topic] = {}
        self._task: asyncio.Task[None] | None = None
        self._fleet = Fleet()
        self._fleet_read_at = float("-inf")

    @contextmanager
    def follow(self, job_id: str, account_id: int) -> Iterator[Topic]:
        """The account's request, kept up to date until the block is left."""
        topic = self._topics.setdefault(job_id, Topic(account_id))
        topic.followers += 1
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        self._services.watcher.wake()
        try:
            yield topic
        finally:
            topic.followers -= 1
            if not topic.followers:
                del self._topics[job_id]
            if not self._topics and self._task:
                self._task.cancel()
                self._task = None

    async def _run(self) -> None:
        while True:
            changed = self._services.watcher.change
            try:
                await self._look()
            except StoreUnavailable as error:
                log.warning("board", error=str(error))
            except Exception as error:
                # A defect that ends one round must not end them all: the followers would wait for ever.
                log.error("board", exc_info=error)
            if self._services.draining:
                for topic in self._topics.values():
                    topic.wake()
            await asyncio.sleep(PAUSE)
            await set_within(changed, SLOW_POLL)

    async def _look(self) -> None:
        followed = dict(self._topics)
        found, previews = await to_thread.run_sync(self._read, followed, asyncio.get_running_loop().time())
        for job_id, topic in followed.items():
            topic.tell(job_id, found.get(job_id), previews.get(job_id), self._fleet)

    def _read(self, followed: dict[str, Topic], now: float) -> tuple[dict[str, Standing], dict[str, Preview]]:
        store = self._services.store
        if now - self._fleet_read_at >= FLEET_EVERY:
            self._fleet, self._fleet_read_at = Fleet.of(self._services), now
        found = standings(store)
        previews = {
            job_id: self._preview(job_id, topic)
            for job_id, topic in followed.items()
            if (standing := found.get(job_id)) and _is_newer(standing, topic.preview)
        }
        return found, {job_id: preview for job_id, preview in previews.items() if preview}

    def _preview(self, job_id: str, topic: Topic) -> Preview | None:
        progress = self._services.store.progress(job_id, topic.account_id)
        if progress is None or progress.preview is None or progress.preview_step is None:
            return None
        data = json.dumps({"step": progress.preview_step, "image": progress.preview})
        return Preview(progress.job.attempt, progress.preview_step, data)


def _is_newer(standing: Standing, preview: Preview | None) -> bool:
    return standing.preview_step > 0 and (
        preview is None or (preview.attempt, preview.step) != (standing.attempt, standing.preview_step)
    )
